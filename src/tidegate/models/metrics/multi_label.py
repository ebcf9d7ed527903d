"""How good predicted sets of labels are: F1 over all labels and by label, and how often a whole set is right."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from tidegate.models.metrics.reports import ClassScore, check_scored
from tidegate.models.metrics.scores import Scores
from tidegate.models.metrics.thresholds import at_best_f1, chosen_labels

_LEAST = float(np.finfo(np.float32).eps)  # a probability of 0 or 1 would make the log-loss of everything infinite


@dataclass(frozen=True)
class MultiLabelReport(Scores):
    """What `score_sets` counted; the figures are derived from it on demand.

    Example:
        >>> truth = np.array([[1, 0], [1, 1], [0, 0]])
        >>> report = score_sets(truth, np.array([[0.9, 0.1], [0.8, 0.3], [0.2, 0.4]]), ["war", "love"])
        >>> round(report.micro_f1, 3), round(report.macro_f1, 3), round(report.subset_accuracy, 3)
        (0.8, 0.5, 0.667)

    Attributes:
        labels: The C labels.
        counts: Of each label the rows that have it and are said to, are said to have it, and have it, int64 [C, 3].
        correct: Whether the whole set of each row is right, bool [B].
        f1: Harmonic mean of precision and recall of each row's set, 1 where it is rightly empty, float64 [B].
        log_loss: Mean of −log of the probability of what is true, over all rows and labels, nats.
        thresholds: The probability from which on F1 of each label would have been the largest on these rows, float64
            [C].
    """

    labels: tuple[str, ...]
    counts: npt.NDArray[np.int64]
    correct: npt.NDArray[np.bool_]
    f1: npt.NDArray[np.float64]
    log_loss: float
    thresholds: npt.NDArray[np.float64]

    measure: ClassVar[str] = "micro_f1"
    shown: ClassVar[dict[str, str]] = {
        "micro_f1": "micro F1",
        "macro_f1": "macro F1",
        "subset_accuracy": "subset accuracy",
        "log_loss": "log-loss",
    }
    gained: ClassVar[str] = "{:+.1f} points of F1 a row (95 %: {:+.1f} to {:+.1f})"

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.correct)

    @property
    def micro_f1(self) -> float:
        """F1 of all labels taken together."""
        hits, predicted, actual = self.counts.sum(axis=0)
        return float(2 * hits / max(1, predicted + actual))

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the labels that occur among the true or the predicted ones."""
        f1 = np.array([each.f1 for each in self.per_label])[self.counts.any(axis=1)]
        return float(f1.mean()) if len(f1) else 0.0

    @property
    def subset_accuracy(self) -> float:
        """Share of rows whose whole set is right."""
        return float(self.correct.mean())

    @cached_property
    def per_label(self) -> tuple[ClassScore, ...]:
        """The scores of each label, in the order of `labels`."""
        hits, predicted, actual = self.counts.T
        figures = (hits / np.maximum(predicted, 1), hits / np.maximum(actual, 1))
        f1 = 2 * hits / np.maximum(predicted + actual, 1)
        columns = (*(figure.tolist() for figure in figures), f1.tolist(), actual.tolist())
        return tuple(ClassScore(*row) for row in zip(self.labels, *columns, strict=True))

    def gains(self, other: Self) -> npt.NDArray[np.float64]:
        """Computes by how much each row is better than with another model, in points of F1, [B]."""
        return 100 * (self.f1 - other.f1)

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain numbers and dicts, ready for JSON."""
        return {
            **{name: getattr(self, name) for name in self.shown},
            "per_label": {
                each.label: {
                    **{name: getattr(each, name) for name in ("precision", "recall", "f1", "support")},
                    "best_threshold": threshold,
                }
                for each, threshold in zip(self.per_label, self.thresholds.tolist(), strict=True)
            },
            "n": self.n,
        }


def score_sets(
    truth: npt.NDArray[np.floating], probabilities: npt.NDArray[np.floating], labels: Sequence[str]
) -> MultiLabelReport:
    """Compares predicted probabilities with the labels that rows have; a row is said to have those of 0.5 and more.

    Args:
        truth: 1 for the labels that each row has, 0 for the others, [B, C].
        probabilities: Probability of each label, float [B, C].
        labels: The C labels.

    Raises:
        ValueError: There is no row, or the shapes do not fit each other.
    """
    check_scored(truth, probabilities, labels, "probabilities have")
    actual, predicted = truth > 0, chosen_labels(probabilities)
    hits, sizes = (actual & predicted).sum(axis=1), actual.sum(axis=1) + predicted.sum(axis=1)
    of_truth = np.where(actual, probabilities, 1 - probabilities.astype(np.float64))
    best = [at_best_f1(actual[:, c], probabilities[:, c]).threshold for c in range(len(labels))]
    return MultiLabelReport(
        labels=tuple(labels),
        counts=np.stack([(actual & predicted).sum(axis=0), predicted.sum(axis=0), actual.sum(axis=0)], axis=1),
        correct=(actual == predicted).all(axis=1),
        f1=np.divide(2 * hits, sizes, out=np.ones(len(truth)), where=sizes > 0),
        log_loss=float(-np.log(np.maximum(of_truth, _LEAST)).mean()),
        thresholds=np.array(best),
    )
