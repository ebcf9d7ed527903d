"""The parts of a text classifier, a network and n-grams: each fitted by itself, weighed on held-out texts, and joined.

The logit is a sum over the parts, each times a weight of 0 or more. The weights and a bias for each class are those of
the smallest log-loss on the texts to judge by, so that they calibrate the probabilities too (Platt 1999; Guo et al.
2017). They are multiplied into the arrays of the parts, which need nothing else to be added up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from time import perf_counter
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from tidegate.models.config import TextConfig
from tidegate.models.metrics import Report, score
from tidegate.sequences.embedded import softmax
from tidegate.sequences.pooling import NOTHING
from tidegate.text.tokenizer import Words
from tidegate.training.events import Epoch
from tidegate.training.examples import TextExamples
from tidegate.training.settings import Settings

Array = npt.NDArray[np.float64]
Arrays = Mapping[str, npt.NDArray[np.float32]]

Part = Literal["network", "ngrams"]
PARTS: tuple[Part, ...] = get_args(Part)

_PULL = 4.0  # texts that equal weights and no bias are worth: little beside hundreds, much beside ten


@dataclass(frozen=True, eq=False)
class Weighing:
    """Weights of the parts of a sum of logits.

    Attributes:
        weights: Of each part, float64 [K].
        bias: Added to each logit, float64 [C].
    """

    weights: Array
    bias: Array

    def sum(self, logits: Sequence[Array]) -> Array:
        """Adds up the logits of the parts, [B, C] each."""
        total: Array = np.tensordot(self.weights, np.stack(logits), 1) + self.bias
        return total


def weigh(logits: Sequence[Array], targets: npt.NDArray[np.integer], importance: Array | None = None) -> Weighing:
    """Finds the weights, 0 or more, and the bias with which the sum of logits has the smallest log-loss.

    Args:
        logits: Of K parts for B texts, float [B, C] each.
        targets: Index of the class of each text, int [B].
        importance: How much each class counts, [C]; None for each text the same.
    """
    optimize = import_module("scipy.optimize")
    K, C, B = len(logits), logits[0].shape[1], len(targets)
    stacked, truth, start = np.stack(logits).astype(np.float64), np.eye(C)[targets], np.full(K, 1 / K)
    counts = np.ones(B) if importance is None else importance[targets]
    counts = counts / counts.sum()

    def loss(x: Array) -> tuple[float, Array]:
        weights, bias = x[:K], x[K:]
        probabilities = softmax(np.tensordot(weights, stacked, 1) + bias).astype(np.float64)
        by_logits = counts[:, None] * (probabilities - truth)
        slopes = np.concatenate([np.einsum("kbc,bc->k", stacked, by_logits), by_logits.sum(axis=0)])
        away = np.concatenate([weights - start, bias])
        true = np.maximum((probabilities * truth).sum(axis=1), np.finfo(np.float64).tiny)
        return float(-counts @ np.log(true) + _PULL / B * (away @ away)), slopes + 2 * _PULL / B * away

    bounds = [(0, None)] * K + [(None, None)] * C
    found = optimize.minimize(loss, np.concatenate([start, np.zeros(C)]), jac=True, method="L-BFGS-B", bounds=bounds)
    return Weighing(found.x[:K], found.x[K:])


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
        self._importance = settings.importance(examples.train.targets, len(examples.labels))
        self._ngrams: Any = None
        self._ngram_logits: list[Array] = []

    def network(self, config: TextConfig, epoch: Epoch) -> Judged:
        """Calibrates a network that was trained: one weight for all of its logits, and a bias for each class."""
        logits = self._logits(config, epoch)
        weighing = weigh([logits], self.targets, self._importance)
        arrays = _scaled(epoch.weights or {}, weighing.weights[0], weighing.bias)
        return self._judged(weighing, [logits], config, arrays, epoch.seconds, ("network",))

    def ngrams(self, config: TextConfig) -> Judged:
        """Fits n-grams.

        Args:
            config: Of the network, for labels and sizes of the vocabulary.
        """
        began, fitting = perf_counter(), import_module("tidegate.training.ngrams")
        steps = len(self.examples.train.corpus.steps) + len(self.examples.validation.corpus.steps)
        options = {"letters": fitting.reads_letters(steps), "balanced": self._importance is not None}
        train, held = (self._read(part, letters=options["letters"]) for part in (0, 1))
        facts = (self.examples.tokenizer.vocab, len(self.examples.labels))
        fitted = fitting.fit_ngrams(train, self.examples.train.targets, *facts, **options)
        self._ngram_logits = fitted.logits(held)
        if self.examples.held_out:  # the weights of the parts are found without them, and more texts make better ones
            targets = np.concatenate([self.examples.train.targets, self.targets])
            fitted = fitting.fit_ngrams([*train, *held], targets, *facts, **options)
        self._ngrams = fitted
        weighing = weigh(self._ngram_logits, self.targets, self._importance)
        alone = replace(config, cell=NOTHING.name, embedding_size=0, summary="last", rate=None, **fitted.sizes)
        nothing = {name: np.zeros(shape, np.float32) for name, shape in alone.shapes().items()}
        arrays = {**nothing, **self._weighed(weighing, nothing["head.bias"])}
        seconds = perf_counter() - began
        return self._judged(weighing, self._ngram_logits, alone, arrays, seconds, ("counts", "presence"))

    def together(self, config: TextConfig, epoch: Epoch, ngrams: Judged) -> Judged:
        """Joins a network and the n-grams that were fitted before.

        Args:
            config: Of the network.
            epoch: Its best.
            ngrams: What `ngrams` returned.
        """
        logits = [*self._ngram_logits, self._logits(config, epoch)]
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


def _scaled(arrays: Arrays, factor: float, bias: Array) -> dict[str, npt.NDArray[np.float32]]:
    """Multiplies the logits of a network by a factor, and adds a bias."""
    head = {
        "head.weight": np.float32(factor) * arrays["head.weight"],
        "head.bias": (factor * arrays["head.bias"] + bias).astype(np.float32),
    }
    return {**arrays, **head}
