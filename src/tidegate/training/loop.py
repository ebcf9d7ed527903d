"""The training loop on torch, a generator of plain events: the caller decides what to show and when to stop."""

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

try:
    import torch
except ImportError as error:
    raise ImportError("tidegate.training needs PyTorch: pip install 'tidegate[train]'") from error

from torch import Tensor

from tidegate.models.architecture import Architecture
from tidegate.models.config import TextConfig
from tidegate.models.metrics import RegressionReport, Report, score, score_numbers
from tidegate.models.network import Network
from tidegate.ops.threads import kept_awake
from tidegate.sequences.padding import batches
from tidegate.text.vectors import WordVectors
from tidegate.torch.chrono import check_chrono
from tidegate.training.corpus import Corpus, Integers
from tidegate.training.events import Epoch, Step
from tidegate.training.examples import Examples, Labelled, TextExamples
from tidegate.training.modules import NetworkModule, Scale, TextModule
from tidegate.training.optimizer import Optimizer, one_torch_thread
from tidegate.training.sampling import drop_words, shuffled_batches
from tidegate.training.settings import MARKED_IMBALANCE, WORD_DROPOUT, Settings
from tidegate.training.starts import start_from_vectors, start_orthogonal
from tidegate.training.watch import Watch

__all__ = ["Epoch", "Settings", "Step", "check_settings", "evaluate", "predict", "to_model", "train"]


def train(
    examples: Examples, config: Architecture, settings: Settings | None = None, vectors: WordVectors | None = None
) -> Iterator[Step | Epoch]:
    """Trains a network; the last epoch with weights is the best. To stop early, stop iterating.

    Example:
        >>> from tidegate.training.examples import prepare_texts
        >>> examples = prepare_texts(["so good", "so bad"] * 8, ["yes", "no"] * 8, validation=0.25)
        >>> config = examples.config("gru", embedding_size=4, hidden_size=8)
        >>> events = list(train(examples, config, Settings(epochs=20, batch_size=4, learning_rate=0.1)))
        >>> *_, best = (event for event in events if isinstance(event, Epoch) and event.weights)
        >>> to_model(examples, config, best).predict(["good", "bad"]).tolist()
        ['yes', 'no']

    Args:
        examples: What to train on and what to judge by.
        config: What to train, usually `examples.config(…)`.
        settings: How to train. torch's global random generator is seeded.
        vectors: Word vectors to start the embedding from.

    Yields:
        A `Step` after each batch, an `Epoch` after each epoch.

    Raises:
        FloatingPointError: The loss is no longer finite.
        ValueError: A setting does not fit what is trained, or the vectors are of another size than the embedding, or
            know none of its words.
    """
    settings = settings or Settings()
    check_settings(settings, config)
    began = perf_counter()
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    module = _module(examples, config, settings, vectors)
    watch = Watch(examples, config) if settings.watch_gradients else None
    size, steps, epochs, patience = settings.schedule(len(examples.train))
    rate = config.reader.learning_rate if settings.learning_rate is None else settings.learning_rate
    optimizer = Optimizer(module.parameters(), rate, epochs * steps, settings.weight_decay, settings.clip)

    best, since_best, seen = -np.inf, 0, 0
    corpus, lengths = examples.train.corpus, examples.train.corpus.lengths
    for epoch in range(1, epochs + 1):
        loss, rows_seen = 0.0, 0
        with kept_awake():
            for rows in shuffled_batches(lengths, size, rng):
                loss += len(rows) * _step(module, optimizer, examples.train, rows, settings, rng)
                rows_seen, seen = rows_seen + len(rows), seen + int(lengths[rows].sum())
                yield Step(epoch, epochs, seen, epochs * len(corpus.steps), loss / rows_seen)
        report = evaluate(module, examples.validation)
        since_best = 0 if report.quality >= best else since_best + 1  # of equals, the later is the better trained
        best = max(best, report.quality)
        weights = module.arrays() if watch or not since_best else {}
        gradients = watch.measure(weights) if watch else None
        seconds = perf_counter() - began
        yield Epoch(epoch, loss / rows_seen, report, seconds, None if since_best else weights, gradients)
        if since_best == patience:
            return


def _step(
    module: NetworkModule,
    optimizer: Optimizer,
    labelled: Labelled,
    rows: Integers,
    settings: Settings,
    rng: np.random.Generator,
) -> float:
    """Follows the gradient of one batch, some rows of what is trained on, and returns its loss."""
    inputs, lengths = labelled.corpus.padded(rows)
    if isinstance(module, TextModule):
        share = WORD_DROPOUT if settings.word_dropout is None else settings.word_dropout
        inputs = drop_words(inputs, share, rng)
    with one_torch_thread():
        scores = module(torch.from_numpy(inputs), torch.from_numpy(lengths))
        loss = module.loss(scores, torch.from_numpy(labelled.targets[rows]))
        optimizer.step(loss)
        return loss.item()


def check_settings(settings: Settings, config: Architecture) -> None:
    """Checks what of the settings depends on what is trained.

    Raises:
        ValueError: A setting would do nothing: there are no gates whose memory could be set, no recurrent layers, no
            classes, no words, or no word vectors to freeze.
    """
    if settings.chrono is not None:
        if not config.recurrent:
            raise ValueError(f"chrono is {settings.chrono}, but the cell {config.cell!r} has no gates to set")
        check_chrono(settings.chrono, config.recurrent_cell, config.bias)
    for name in ("orthogonal", "watch_gradients"):
        if getattr(settings, name) and not config.recurrent:
            raise ValueError(f"{name} is True, but the cell {config.cell!r} has no recurrent layer")
    if settings.watch_gradients and config.task != "classification":
        raise ValueError(f"watch_gradients measures the loss of classes, but the task is {config.task!r}")
    if settings.class_weights == "balanced" and config.task != "classification":
        raise ValueError(f"class_weights is 'balanced', but the task is {config.task!r}")
    if settings.word_dropout and not isinstance(config, TextConfig):
        raise ValueError(f"word_dropout is {settings.word_dropout}, but a network of vectors has no words")
    if settings.freeze and not isinstance(config, TextConfig):
        raise ValueError("freeze is True, but a network of vectors has no word vectors")


def evaluate(module: NetworkModule, labelled: Labelled) -> Report | RegressionReport:
    """Scores a network on sequences whose classes or numbers are known."""
    predicted, labels = predict(module, labelled.corpus), module.config.labels
    if module.config.task == "regression":
        return score_numbers(labelled.targets, predicted, labels)
    return score(labelled.targets, predicted, labels)


@torch.inference_mode()
def predict(module: NetworkModule, corpus: Corpus) -> npt.NDArray[np.float32]:
    """Computes the probability of each class, or the numbers of a regression, for B sequences, float32 [B, C]."""
    was_training = module.training
    module.eval()
    result = np.empty((len(corpus), len(module.config.labels)), np.float32)
    with one_torch_thread():
        for rows in batches(corpus.lengths):
            inputs, lengths = corpus.padded(rows)
            result[rows] = module.predict(torch.from_numpy(inputs), torch.from_numpy(lengths)).numpy()
    module.train(was_training)
    return result


def to_model(
    examples: Examples, config: Architecture, epoch: Epoch, figures: Mapping[str, Any] | None = None
) -> Network:
    """Makes the model of an epoch, which works without torch.

    Args:
        examples: What it was trained on.
        config: What was trained.
        epoch: An epoch with weights.
        figures: More to keep under `Network.metrics`, beside the scores of the epoch.

    Returns:
        A `TextModel` if it was trained on texts, otherwise a `Network`.

    Raises:
        ValueError: The epoch was not the best when it ended, and so has no weights.
    """
    if epoch.weights is None:
        raise ValueError(f"epoch {epoch.epoch} has no weights, expected the best epoch: an earlier one was better")
    metrics = epoch.report.as_dict() | {"epoch": epoch.epoch, "seconds": epoch.seconds} | dict(figures or {})
    versions = {name: version(name) for name in ("tidegate", "torch", "tokenizers", "numpy")}
    return examples.model(config, epoch.weights, metrics, versions)


def _module(examples: Examples, config: Architecture, settings: Settings, vectors: WordVectors | None) -> NetworkModule:
    """Makes the network at its start."""
    outputs = Scale.of(examples.train.targets) if config.task == "regression" else None
    if not isinstance(config, TextConfig) or not isinstance(examples, TextExamples):
        if vectors is not None:
            raise ValueError("vectors are given, but a network of vectors has no words to start from them")
        steps = examples.train.corpus.steps
        inputs = Scale.of(steps) if config.recurrent and config.bias and len(steps) else None
        module = NetworkModule(config, settings.dropout, settings.chrono, inputs=inputs, outputs=outputs)
    else:
        module = TextModule(config, settings.dropout, settings.chrono, outputs=outputs)
        if vectors is not None:
            start_from_vectors(module.embedding, examples.tokenizer.vocab, vectors)
        module.embedding.weight.requires_grad_(not settings.freeze)
    if settings.orthogonal:
        start_orthogonal(module)
    module.class_weights = _class_weights(examples.train.targets, config, settings)
    return module


def _class_weights(targets: npt.NDArray[Any], config: Architecture, settings: Settings) -> Tensor | None:
    """Weighs each class by 1 ÷ its frequency, where that is wanted, [C]."""
    if config.task != "classification":
        return None
    counts = np.bincount(targets, minlength=len(config.labels))
    marked = counts.max() >= MARKED_IMBALANCE * counts.min()
    if settings.class_weights == "none" or (settings.class_weights == "auto" and not marked):
        return None
    return torch.from_numpy((counts.mean() / np.maximum(counts, 1)).astype(np.float32))
