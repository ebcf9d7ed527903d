"""The training loop on torch, a generator of plain events: who listens decides what to show and when to stop."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tidegate.classifier import TextClassifier
from tidegate.config import Config
from tidegate.corpus import Corpus, drop_words, shuffled_batches
from tidegate.examples import Examples, Labelled
from tidegate.metrics import Report, score
from tidegate.model import Model
from tidegate.summaries import batches
from tidegate.vectors import WordVectors

CLASS_WEIGHTS = ("auto", "balanced", "none")
MARKED_IMBALANCE = 3.0  # largest class ÷ smallest class from which "auto" balances


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to train; what is trained is said by `Config`.

    Attributes:
        epochs: Most passes over the texts.
        batch_size: Texts in a step.
        learning_rate: AdamW's, at its highest: it rises over the first `warm_up` of all steps and falls to 0 as half
            a cosine (Smith & Topin 2019, one cycle).
        warm_up: Share of the steps during which the learning rate rises.
        weight_decay: AdamW's, on matrices but the embedding.
        dropout: Probability of zeroing a feature (see `TextClassifier`).
        word_dropout: Probability of replacing a word by the unknown word.
        clip: Largest norm of the gradient.
        patience: Epochs without a better validation macro F1 before stopping.
        class_weights: "balanced" weighs classes by 1 ÷ their frequency in the loss, "none" does not, "auto" does if
            the largest class has 3 times the texts of the smallest or more.
        freeze: Whether the embedding stays as it starts.
        seed: Seed of everything random; the same seed and number of threads give the same bits.
    """

    epochs: int = 5
    batch_size: int = 32
    learning_rate: float = 2e-3
    warm_up: float = 0.2
    weight_decay: float = 0.01
    dropout: float = 0.4
    word_dropout: float = 0.1
    clip: float = 1.0
    patience: int = 3
    class_weights: str = "auto"
    freeze: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            ValueError: If a number is out of range or `class_weights` is an unknown word.
        """
        ranges = {
            "epochs": (1, 1e6), "batch_size": (1, 1e6), "learning_rate": (0, 10), "warm_up": (0, 0.99), "weight_decay": (0, 10),
            "dropout": (0, 0.99), "word_dropout": (0, 0.99), "clip": (1e-9, 1e9), "patience": (1, 1e6), "seed": (0, 2**63),
        }  # fmt: skip
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} is {getattr(self, name)}, expected {low} to {high:g}")
        if self.class_weights not in CLASS_WEIGHTS:
            raise ValueError(f"class_weights is {self.class_weights!r}, expected one of {', '.join(CLASS_WEIGHTS)}")


@dataclass(frozen=True)
class Step:
    """A step of the optimiser is done.

    Attributes:
        epoch: The present epoch, from 1.
        words: Words read so far, in all epochs.
        of: Words to read in all epochs, if training is not stopped early.
        loss: Mean loss of this epoch so far, nats.
    """

    epoch: int
    words: int
    of: int
    loss: float


@dataclass(frozen=True)
class Epoch:
    """An epoch is done and judged on the validation texts.

    Attributes:
        epoch: Which one, from 1.
        loss: Mean training loss of the epoch, nats.
        report: Scores on the validation texts.
        seconds: Time since training started, validation included.
        weights: The `state_dict` as float32 arrays if this is the best epoch so far by validation macro F1, else None.
    """

    epoch: int
    loss: float
    report: Report
    seconds: float
    weights: dict[str, npt.NDArray[np.float32]] | None


def train(
    examples: Examples, config: Config, settings: Settings | None = None, vectors: WordVectors | None = None
) -> Iterator[Step | Epoch]:
    """Train a classifier; torch's global generator is seeded.

    To stop early, stop listening: the last epoch with weights is the best.

    Args:
        examples: What to train on and judge by.
        config: What to train, usually `examples.config(…)`.
        settings: How to train.
        vectors: Word vectors to start the embedding from.

    Yields:
        A `Step` after each batch, an `Epoch` after each epoch.

    Raises:
        ValueError: If the vectors have another size than the embedding, or if the loss is no longer finite.
    """
    settings = settings or Settings()
    start = perf_counter()
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    classifier = TextClassifier(config, settings.dropout)
    if vectors is not None:
        start_from(classifier.embedding, examples.tokenizer.vocab, vectors)
    classifier.embedding.weight.requires_grad_(not settings.freeze)
    trainer = _Trainer(classifier, examples.train, settings)
    best, since_best = -1.0, 0
    for epoch in range(1, settings.epochs + 1):
        for rows in shuffled_batches(examples.train.corpus.lengths, settings.batch_size, rng):
            ids, lengths = examples.train.corpus.padded(rows)
            ids = drop_words(ids, settings.word_dropout, rng)
            yield trainer.step(epoch, ids, lengths, examples.train.classes[rows])
        report = evaluate(classifier, examples.validation)
        since_best = 0 if report.macro_f1 > best else since_best + 1
        best = max(best, report.macro_f1)
        yield Epoch(epoch, trainer.mean_loss, report, perf_counter() - start, None if since_best else _weights(classifier))
        if since_best == settings.patience:
            return


def start_from(embedding: nn.Embedding, vocab: list[str], vectors: WordVectors) -> int:
    """Copy word vectors into an embedding; other words start at random with the vectors' mean and spread.

    Args:
        embedding: The embedding, [V, E].
        vocab: The V words.
        vectors: The vectors by word.

    Returns:
        How many of the words have a vector.

    Raises:
        ValueError: If the vectors are not of size E.
    """
    size = vectors.vectors.shape[1]
    if size != embedding.embedding_dim:
        raise ValueError(f"the word vectors have {size} numbers a word, expected E = {embedding.embedding_dim}")
    row = {word: i for i, word in enumerate(vectors.words)}
    known = [(i, row[word]) for i, word in enumerate(vocab) if word in row]
    if not known:
        raise ValueError(f"none of the {len(vocab)} words of the vocabulary has a vector among {len(row)}")
    mine, theirs = np.array(known).T
    found = torch.from_numpy(vectors.vectors[theirs])
    with torch.no_grad():
        weight = embedding.weight
        weight.normal_().mul_(found.std(0)).add_(found.mean(0))
        weight[mine] = found
        weight[embedding.padding_idx or 0] = 0
    return len(known)


def evaluate(classifier: TextClassifier, labelled: Labelled) -> Report:
    """Score a classifier on texts whose classes are known."""
    return score(labelled.classes, predict_proba(classifier, labelled.corpus), classifier.config.labels)


@torch.inference_mode()
def predict_proba(classifier: TextClassifier, corpus: Corpus) -> npt.NDArray[np.float32]:
    """Compute the probability of each class, float32 [B, C], for B texts in the order of the corpus."""
    training = classifier.training
    classifier.eval()
    result = np.empty((len(corpus), len(classifier.config.labels)), np.float32)
    for rows in batches(corpus.lengths):
        ids, lengths = corpus.padded(rows)
        logits = classifier(torch.from_numpy(ids), torch.from_numpy(lengths))
        result[rows] = logits.softmax(1).numpy()
    classifier.train(training)
    return result


def to_model(examples: Examples, config: Config, epoch: Epoch, extra: dict[str, Any] | None = None) -> Model:
    """Make the model of an epoch, which needs torch no longer.

    Args:
        examples: What was trained on.
        config: What was trained.
        epoch: An epoch with weights.
        extra: Further figures to keep in the model file beside those of the epoch.

    Raises:
        ValueError: If the epoch was not the best when it ended, and so carries no weights.
    """
    if epoch.weights is None:
        raise ValueError(f"epoch {epoch.epoch} carries no weights: an earlier one was better")
    metrics = epoch.report.as_dict() | {"epoch": epoch.epoch, "seconds": epoch.seconds} | (extra or {})
    versions = {name: version(name) for name in ("tidegate", "torch", "tokenizers", "numpy")}
    return Model(config, examples.tokenizer, epoch.weights, metrics, versions)


class _Trainer:
    """The optimiser's side of training: one step at a time, with the running loss."""

    def __init__(self, classifier: TextClassifier, labelled: Labelled, settings: Settings) -> None:
        self.classifier, self.settings = classifier, settings
        self.words, self.of = 0, len(labelled.corpus.ids) * settings.epochs
        self.epoch, self.loss_sum, self.rows = 0, 0.0, 0
        self.parameters = [p for p in classifier.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(_decayed(classifier, settings.weight_decay), lr=settings.learning_rate, fused=True)
        steps = settings.epochs * -(-len(labelled) // settings.batch_size)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, settings.learning_rate, steps, pct_start=settings.warm_up, cycle_momentum=False
        )
        self.criterion = nn.CrossEntropyLoss(_class_weights(labelled, classifier.config, settings))

    @property
    def mean_loss(self) -> float:
        """Mean loss of the present epoch so far, nats."""
        return self.loss_sum / self.rows

    def step(self, epoch: int, ids: npt.NDArray[np.int32], lengths: npt.NDArray[np.int64], classes: npt.NDArray[np.int64]) -> Step:
        """Follow the gradient of one batch."""
        if epoch != self.epoch:
            self.epoch, self.loss_sum, self.rows = epoch, 0.0, 0
        logits = self.classifier(torch.from_numpy(ids), torch.from_numpy(lengths))
        loss: Tensor = self.criterion(logits, torch.from_numpy(classes))
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.parameters, self.settings.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.schedule.step()
        self.words += int(lengths.sum())
        self.loss_sum += loss.item() * len(classes)
        self.rows += len(classes)
        if not np.isfinite(self.loss_sum):
            raise ValueError(f"the loss is {loss.item()} in epoch {epoch}: try a learning rate below {self.settings.learning_rate:g}")
        return Step(epoch, self.words, self.of, self.mean_loss)


def _decayed(classifier: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Group the parameters: matrices decay, but neither biases nor the embedding, most rows of which rest at each step."""
    named = [(name, p) for name, p in classifier.named_parameters() if p.requires_grad]
    decays = [p.ndim > 1 and not name.startswith("embedding") for name, p in named]
    groups = {
        decay: [p for (_, p), d in zip(named, decays, strict=True) if d == (decay > 0)] for decay in (weight_decay, 0.0)
    }
    return [{"params": params, "weight_decay": decay} for decay, params in groups.items()]


def _class_weights(labelled: Labelled, config: Config, settings: Settings) -> Tensor | None:
    counts = np.bincount(labelled.classes, minlength=len(config.labels))
    marked = counts.max() >= MARKED_IMBALANCE * counts.min()
    if settings.class_weights == "none" or (settings.class_weights == "auto" and not marked):
        return None
    return torch.from_numpy((counts.mean() / np.maximum(counts, 1)).astype(np.float32))


def _weights(classifier: nn.Module) -> dict[str, npt.NDArray[np.float32]]:
    return {name: tensor.numpy(force=True).copy() for name, tensor in classifier.state_dict().items()}
