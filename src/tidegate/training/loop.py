"""The training loop on torch, a generator of plain events: who listens decides what to show and when to stop."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

try:
    import torch
except ImportError as error:
    raise ImportError("tidegate.training needs PyTorch: pip install 'tidegate[train]'") from error

from torch import Tensor, nn

from tidegate.models.config import Config
from tidegate.models.metrics import Report, score
from tidegate.models.model import Model
from tidegate.ops.threads import kept_awake
from tidegate.sequences.summaries import batches
from tidegate.text.vectors import WordVectors
from tidegate.training.classifier import TextClassifier
from tidegate.training.corpus import Corpus, drop_words, shuffled_batches
from tidegate.training.examples import Examples, Labelled
from tidegate.training.settings import LEARNING_RATES, MARKED_IMBALANCE, Epoch, Settings, Step
from tidegate.training.watch import Watch

__all__ = ["Epoch", "Settings", "Step", "evaluate", "predict_proba", "start_from", "to_model", "train"]


def train(
    examples: Examples, config: Config, settings: Settings | None = None, vectors: WordVectors | None = None
) -> Iterator[Step | Epoch]:
    """Trains a classifier; the last epoch with weights is the best. To stop early, stop listening.

    Example:
        >>> from tidegate.training.examples import prepare
        >>> examples = prepare(["so good", "so bad"] * 8, ["yes", "no"] * 8, validation=0.25)
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
        ValueError: The vectors are of another size than the embedding, or know none of its words.
    """
    settings = settings or Settings()
    began = perf_counter()
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    classifier = TextClassifier(config, settings.dropout, settings.chrono)
    if vectors is not None:
        start_from(classifier.embedding, examples.tokenizer.vocab, vectors)
    classifier.embedding.weight.requires_grad_(not settings.freeze)
    if settings.orthogonal:
        _start_orthogonal(classifier)

    watch = Watch(examples, config) if settings.watch_gradients and config.recurrent else None
    optimiser = _Optimiser(classifier, examples.train, settings)
    batch_size, _, epochs, patience = settings.for_texts(len(examples.train))
    best, since_best, words = -1.0, 0, 0
    for epoch in range(1, epochs + 1):
        loss, rows_seen = 0.0, 0
        with kept_awake():
            for rows in shuffled_batches(examples.train.corpus.lengths, batch_size, rng):
                ids, lengths = examples.train.corpus.padded(rows)
                ids = drop_words(ids, settings.word_dropout, rng)
                loss += len(rows) * optimiser.step(ids, lengths, examples.train.classes[rows])
                rows_seen, words = rows_seen + len(rows), words + int(lengths.sum())
                yield Step(epoch, epochs, words, epochs * len(examples.train.corpus.ids), loss / rows_seen)
        report = evaluate(classifier, examples.validation)
        since_best = 0 if report.macro_f1 >= best else since_best + 1  # of equals, the later is the better trained
        best = max(best, report.macro_f1)
        weights = _weights(classifier) if watch or not since_best else {}
        gradients = watch.measure(weights) if watch else None
        seconds = perf_counter() - began
        yield Epoch(epoch, loss / rows_seen, report, seconds, None if since_best else weights, gradients)
        if since_best == patience:
            return


def evaluate(classifier: TextClassifier, labelled: Labelled) -> Report:
    """Scores a classifier on texts whose classes are known."""
    return score(labelled.classes, predict_proba(classifier, labelled.corpus), classifier.config.labels)


@torch.inference_mode()
def predict_proba(classifier: TextClassifier, corpus: Corpus) -> npt.NDArray[np.float32]:
    """Computes the probability of each class for B texts, float32 [B, C]."""
    was_training = classifier.training
    classifier.eval()
    result = np.empty((len(corpus), len(classifier.config.labels)), np.float32)
    with one_torch_thread():
        for rows in batches(corpus.lengths):
            ids, lengths = corpus.padded(rows)
            result[rows] = classifier(torch.from_numpy(ids), torch.from_numpy(lengths)).softmax(1).numpy()
    classifier.train(was_training)
    return result


def to_model(examples: Examples, config: Config, epoch: Epoch, figures: Mapping[str, Any] | None = None) -> Model:
    """Makes the model of an epoch, which needs torch no longer.

    Args:
        examples: What it was trained on.
        config: What was trained.
        epoch: An epoch with weights.
        figures: More to keep under `Model.metrics`, beside the scores of the epoch.

    Raises:
        ValueError: The epoch was not the best when it ended, and so has no weights.
    """
    if epoch.weights is None:
        raise ValueError(f"epoch {epoch.epoch} has no weights, expected the best epoch: an earlier one was better")
    metrics = epoch.report.as_dict() | {"epoch": epoch.epoch, "seconds": epoch.seconds} | dict(figures or {})
    versions = {name: version(name) for name in ("tidegate", "torch", "tokenizers", "numpy")}
    return Model(config, examples.tokenizer, epoch.weights, metrics, versions)


def start_from(embedding: nn.Embedding, vocab: list[str], vectors: WordVectors) -> int:
    """Copies word vectors into an embedding; words without one start at random with their mean and spread.

    Args:
        embedding: The embedding, [V, E].
        vocab: The V words.
        vectors: Vectors by word.

    Returns:
        How many of the words have a vector.

    Raises:
        ValueError: The vectors are not of size E, or none of the words has one.
    """
    size = vectors.vectors.shape[1]
    if size != embedding.embedding_dim:
        raise ValueError(f"the word vectors have {size} numbers each, expected E = {embedding.embedding_dim}")
    rows, found = (torch.from_numpy(array) for array in vectors.rows_of(vocab))
    if not found.any():
        raise ValueError(f"none of the {len(vocab)} words of the texts is among the {len(vectors)} words with a vector")
    with torch.no_grad():
        known = rows[found]
        embedding.weight.normal_().mul_(known.std(0)).add_(known.mean(0))
        embedding.weight[found] = known
        embedding.weight[embedding.padding_idx or 0] = 0
    return len(known)


def _start_orthogonal(classifier: nn.Module) -> None:
    """Starts the state weights of each gate as an orthogonal matrix."""
    for name, parameter in classifier.named_parameters():
        if "weight_hh" in name:
            for gate in parameter.detach().view(-1, parameter.shape[1], parameter.shape[1]):
                nn.init.orthogonal_(gate)


class _Optimiser:
    """AdamW, its schedule and the loss of one training."""

    def __init__(self, classifier: TextClassifier, labelled: Labelled, settings: Settings) -> None:
        rate = LEARNING_RATES[classifier.config.cell] if settings.learning_rate is None else settings.learning_rate
        _, steps, epochs, _ = settings.for_texts(len(labelled))
        self.classifier, self.clip = classifier, settings.clip
        self.parameters = [parameter for parameter in classifier.parameters() if parameter.requires_grad]
        self.adamw = torch.optim.AdamW(self.parameters, rate, weight_decay=settings.weight_decay, fused=True)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.adamw, rate, total_steps=epochs * steps, pct_start=0.2, cycle_momentum=False
        )
        self.criterion = nn.CrossEntropyLoss(_class_weights(labelled.classes, classifier.config, settings))

    def step(self, ids: npt.NDArray[np.int32], lengths: npt.NDArray[np.int64], classes: npt.NDArray[np.int64]) -> float:
        """Follows the gradient of one batch and returns its loss, nats."""
        with one_torch_thread():
            logits = self.classifier(torch.from_numpy(ids), torch.from_numpy(lengths))
            loss: Tensor = self.criterion(logits, torch.from_numpy(classes))
            if not loss.isfinite():
                remedy = "a smaller learning rate" if self.clip else "a clip above 0, or a smaller learning rate"
                raise FloatingPointError(f"the loss is {loss.item()}, training came apart: try {remedy}")
            loss.backward()  # type: ignore[no-untyped-call]
            if self.clip:
                nn.utils.clip_grad_norm_(self.parameters, self.clip)
            self.adamw.step()
            self.adamw.zero_grad()
            self.schedule.step()
            return loss.item()


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Keeps torch to one thread: its idle threads spin for a while, on the processors that the native kernels need."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _class_weights(classes: npt.NDArray[np.int64], config: Config, settings: Settings) -> Tensor | None:
    counts = np.bincount(classes, minlength=len(config.labels))
    marked = counts.max() >= MARKED_IMBALANCE * counts.min()
    if settings.class_weights == "none" or (settings.class_weights == "auto" and not marked):
        return None
    return torch.from_numpy((counts.mean() / np.maximum(counts, 1)).astype(np.float32))


def _weights(classifier: nn.Module) -> dict[str, npt.NDArray[np.float32]]:
    return {name: tensor.numpy(force=True).copy() for name, tensor in classifier.state_dict().items()}
