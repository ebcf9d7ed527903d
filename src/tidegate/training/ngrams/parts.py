"""The parts of a text classifier, a network and n-grams: each fitted by itself, weighed on held-out texts, and joined.

The logit is a sum over the parts, each times a weight of 0 or more, see `weigh`. The weights are multiplied into the
arrays of the parts, which need nothing else to be added up.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from time import perf_counter
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from tidegate.models.config import TextConfig
from tidegate.models.metrics.reports import Report, score
from tidegate.sequences.embedded import softmax
from tidegate.sequences.pooling import NOTHING
from tidegate.text.tokenizer import Words
from tidegate.training.data.examples import TextExamples
from tidegate.training.events import Epoch
from tidegate.training.ngrams.weighing import Weighing, weigh
from tidegate.training.packages import look_for
from tidegate.training.settings import Settings

Array = npt.NDArray[np.float64]
Arrays = Mapping[str, npt.NDArray[np.float32]]

NETWORK, NGRAMS, TOGETHER, AUTO = "network", "ngrams", "together", "auto"

_NEEDED = 0.005  # share by which the log-loss must rise without a part for the part to be kept


class Parts(NamedTuple):
    """What a model is made of.

    Attributes:
        network: Whether it has a network.
        ngrams: Whether it has n-grams.
        chosen: Whether one of the two may be left out if the texts to judge by do not need it.
    """

    network: bool
    ngrams: bool
    chosen: bool = False

    @classmethod
    def read(cls, wanted: str | Iterable[str], cell: str) -> Self:
        """Reads names, with commas or in a list: network, or the name of its cell, and ngrams; or auto, which chooses.

        Raises:
            ImportError: n-grams are wanted, and scikit-learn is missing.
            TypeError: They are no texts.
            ValueError: A name is unknown, or there is none.
        """
        listed = [wanted] if isinstance(wanted, str) else list(wanted) if isinstance(wanted, Iterable) else []
        if not listed or not all(isinstance(name, str) for name in listed):
            raise TypeError(f"parts is {wanted!r:.60}, expected names such as 'network,ngrams' or a list of them")
        chosen = listed == [AUTO]
        names = {NETWORK, NGRAMS} if chosen else {part.strip() for name in listed for part in name.split(",")}
        if unknown := sorted(names - {NETWORK, NGRAMS, cell}):
            raise ValueError(
                f"parts has {unknown[0]!r}, expected network (or {cell}, its cell), ngrams, both with a comma, or auto"
            )
        if NGRAMS in names:
            look_for("sklearn", "tidegate.training.ngrams.ngrams")  # without it there is no need to read anything
        return cls(bool({NETWORK, cell} & names), NGRAMS in names, chosen)


@dataclass(frozen=True, eq=False)
class Judged:
    """A model made of one part or several, as the texts to judge by see it.

    Attributes:
        report: Its scores.
        config: What it is.
        arrays: Its arrays.
        seconds: Time that training took.
        weights: Of the parts, by name: the network, and the two models of n-grams.
    """

    report: Report
    config: TextConfig
    arrays: Arrays
    seconds: float
    weights: Mapping[str, float] = field(default_factory=dict)

    def as_epoch(self, number: int = 0) -> Epoch:
        """Returns it as an event of training, which has one form for everything that is trained.

        Args:
            number: The epoch of the network; 0 for none.
        """
        return Epoch(number, self.report.log_loss, self.report, self.seconds, self.arrays)


class Joiner:
    """Fits n-grams, and joins them with a network."""

    def __init__(self, examples: TextExamples, settings: Settings) -> None:
        """Takes the texts; nothing is fitted yet.

        Args:
            examples: What to train on and what to judge by, classes.
            settings: How to train: whether classes are balanced.

        Raises:
            ValueError: The texts to judge by are those to train on: they cannot tell how much a part is worth.
        """
        if examples.validation.corpus is examples.train.corpus:
            raise ValueError(
                "validation is 0, but parts are weighed on texts that nothing was fitted to: hold some out"
            )
        self.examples, self.targets = examples, examples.validation.targets
        self._importance = settings.importance(examples.class_counts())
        self._ngrams: Any = None
        self._ngram_logits: list[Array] = []
        self._network_logits: Array = np.zeros((0, 0))

    def network(self, config: TextConfig, epoch: Epoch) -> Judged:
        """Calibrates a network that was trained: one weight for all of its logits, and a bias for each class."""
        logits = self._network_logits = self._logits(config, epoch)
        weighing = weigh([logits], self.targets, self._importance)
        arrays = _scaled(epoch.weights or {}, weighing.weights[0], weighing.bias)
        return self._judged(weighing, [logits], config, arrays, epoch.seconds, ("network",))

    def ngrams(self, config: TextConfig, check: Callable[[], None] = lambda: None) -> Judged:
        """Fits n-grams.

        Args:
            config: Of the network, for labels and sizes of the vocabulary.
            check: Called now and then; what it raises ends the fit.
        """
        began, fitting = perf_counter(), import_module("tidegate.training.ngrams.ngrams")
        steps = len(self.examples.train.corpus.steps) + len(self.examples.validation.corpus.steps)
        letters = fitting.reads_letters(steps)
        train, held = (self._read(part, letters=letters) for part in (0, 1))
        everything = [*train, *held] if self.examples.held_out else train
        facts = (self.examples.tokenizer.vocab, len(self.examples.labels))
        counts = fitting.count(everything, facts[0], letters=letters)
        check()
        own = train, self.examples.train.targets, *facts
        options = {"balanced": self._importance is not None, "counts": counts, "check": check}
        stacking = import_module("tidegate.training.ngrams.stacking").fit_stacking(*own, self._importance, **options)
        fitted = fitting.fit_ngrams(*own, **options).stacked(stacking)
        check()
        self._ngram_logits = fitted.logits(held)
        if self.examples.held_out:  # the weights of the parts are found without them, and more texts make better ones
            targets = np.concatenate([self.examples.train.targets, self.targets])
            fitted = fitting.fit_ngrams(everything, targets, *facts, **options).stacked(stacking)
        self._ngrams = fitted
        weighing = weigh(self._ngram_logits, self.targets, self._importance)
        alone = replace(config, cell=NOTHING.name, embedding_size=0, summary="last", rate=None, **fitted.sizes)
        nothing = {name: np.zeros(shape, np.float32) for name, shape in alone.shapes().items()}
        arrays = {**nothing, **self._weighed(weighing, nothing["head.bias"])}
        seconds = perf_counter() - began
        return self._judged(weighing, self._ngram_logits, alone, arrays, seconds, ("counts", "presence"))

    def together(self, config: TextConfig, epoch: Epoch, ngrams: Judged) -> Judged:
        """Joins a network and n-grams, after `network` and `ngrams`.

        Args:
            config: Of the network.
            epoch: Its best.
            ngrams: What `ngrams` returned.
        """
        logits = [*self._ngram_logits, self._network_logits]
        weighing = weigh(logits, self.targets, self._importance)
        network = _scaled(epoch.weights or {}, weighing.weights[2], np.zeros(len(config.labels)))
        joined, seconds = replace(config, **self._ngrams.sizes), epoch.seconds + ngrams.seconds
        arrays = {**network, **self._weighed(weighing, network["head.bias"])}
        return self._judged(weighing, logits, joined, arrays, seconds, ("counts", "presence", "network"))

    def _logits(self, config: TextConfig, epoch: Epoch) -> Array:
        """Computes the logits of a network for the texts to judge by, [B, C]."""
        model, corpus = self.examples.model(config, epoch.weights or {}), self.examples.validation.corpus
        rows = [corpus.row(b) for b in range(len(corpus))]
        return model.head(model.summaries(rows, model.arrays["embedding.weight"])).astype(np.float64)

    def _read(self, part: int, *, letters: bool) -> list[Words]:
        """Returns the words of the texts to train on, 0, or to judge by, 1; for letters also those that are unknown."""
        corpus = (self.examples.train, self.examples.validation)[part].corpus
        if letters:
            return self.examples.tokenizer.read_batch(self.examples.texts[part], self.examples.max_length)
        return [Words(corpus.row(b)) for b in range(len(corpus))]

    def _weighed(self, weighing: Weighing, head_bias: npt.NDArray[np.float32]) -> Arrays:
        """Returns the arrays of the n-grams with their weights, and the bias of the head, which holds all biases."""
        weighed = self._ngrams.weighed(*weighing.weights[:2])
        return {**weighed.arrays, "head.bias": (head_bias + weighed.bias + weighing.bias).astype(np.float32)}

    def _judged(
        self,
        weighing: Weighing,
        logits: Sequence[Array],
        config: TextConfig,
        arrays: Arrays,
        seconds: float,
        names: Sequence[str],
    ) -> Judged:
        report = score(self.targets, softmax(weighing.sum(logits)), config.labels)
        weights = dict(zip(names, weighing.weights.tolist(), strict=True))
        return Judged(report, config, arrays, seconds, weights)


class Joined(NamedTuple):
    """Models of the parts, and of both together.

    Attributes:
        judged: Each by its name: "ngrams", the network by its cell, "together".
        name: Which of them is the model to keep.
        remark: What was left out of it, and why, in a sentence; "" for nothing.
    """

    judged: Mapping[str, Judged]
    name: str
    remark: str = ""

    @property
    def model(self) -> Judged:
        """The model to keep."""
        return self.judged[self.name]


def join(joiner: Joiner, config: TextConfig, parts: Parts, best: Epoch | None, ngrams: Judged | None) -> Joined:
    """Weighs the parts on the texts to judge by, and chooses among them.

    Args:
        joiner: What weighs them.
        config: Of the network.
        parts: What the model is made of.
        best: The best epoch of the network; None if there is none.
        ngrams: What `Joiner.ngrams` returned; None if there are none.
    """
    judged = {NGRAMS: ngrams} if ngrams else {}
    if best:
        judged[config.cell] = joiner.network(config, best)
    if best and ngrams:
        judged[TOGETHER] = joiner.together(config, best, ngrams)
    return choose(judged) if parts.chosen else Joined(judged, list(judged)[-1])


def choose(judged: Mapping[str, Judged]) -> Joined:
    """Chooses the smallest model that is about as good as all parts together on the texts to judge by.

    Args:
        judged: Models by name, all parts together last.
    """
    *alone, last = judged
    best = min(alone, key=lambda name: judged[name].report.log_loss, default=last)
    without, with_all = (judged[name].report.log_loss for name in (best, last))
    if best == last or without > (1 + _NEEDED) * with_all:
        return Joined(judged, last)
    left_out = "the n-grams are" if best != NGRAMS else "the network is"
    return Joined(judged, best, f"{left_out} left out: the log-loss is {without:.4f} without, {with_all:.4f} with")


def _scaled(arrays: Arrays, factor: float, bias: Array) -> dict[str, npt.NDArray[np.float32]]:
    """Multiplies the logits of a network by a factor, and adds a bias."""
    head = {
        "head.weight": np.float32(factor) * arrays["head.weight"],
        "head.bias": (factor * arrays["head.bias"] + bias).astype(np.float32),
    }
    return {**arrays, **head}
