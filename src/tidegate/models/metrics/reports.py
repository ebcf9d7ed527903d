"""How good predictions are: accuracy, F1 and confusion, or errors of numbers, on numpy alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from tidegate.models.metrics.calibration import CALIBRATION_BINS, ReliabilityBin, calibration_error, reliability
from tidegate.models.metrics.scores import Scores

_LEAST = float(np.finfo(np.float32).tiny)  # a probability of 0 would make the log-loss of everything infinite


@dataclass(frozen=True)
class ClassScore:
    """How well one class is found.

    Attributes:
        label: The class.
        precision: Share of the predictions of this class that are right, 0 when there are none.
        recall: Share of the rows of this class that are found, 0 when there are none.
        f1: Harmonic mean of precision and recall.
        support: Rows whose true label this is.
    """

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Report(Scores):
    """What `score` counted; the figures are derived from it on demand.

    Example:
        >>> report = score(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), ["no", "yes"])
        >>> round(report.accuracy, 3), round(report.macro_f1, 3)
        (0.667, 0.667)

    Attributes:
        labels: The C classes, in the order of the rows and columns of `confusion`.
        confusion: Counts, int64 [C, C]: row = true class, column = predicted class.
        ece: Expected calibration error (see `calibration_error`).
        log_loss: Mean of −log of the probability of the true class, nats.
        correct: Whether each row was predicted right, bool [B].
        confidence: Probability of the predicted class, float64 [B].
    """

    labels: tuple[str, ...]
    confusion: npt.NDArray[np.int64]
    ece: float
    log_loss: float
    correct: npt.NDArray[np.bool_]
    confidence: npt.NDArray[np.float64]

    measure: ClassVar[str] = "macro_f1"
    shown: ClassVar[dict[str, str]] = {
        "accuracy": "accuracy",
        "macro_f1": "macro F1",
        "log_loss": "log-loss",
        "ece": "ECE",
    }
    gained: ClassVar[str] = "{:+.1f} points (95 %: {:+.1f} to {:+.1f})"

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.correct)

    @property
    def accuracy(self) -> float:
        """Share of rows predicted right."""
        return float(self.correct.mean())

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the classes that occur among the true or the predicted labels."""
        occurs = (self.confusion.sum(0) + self.confusion.sum(1)) > 0
        return float(np.mean([entry.f1 for entry, counts in zip(self.per_class, occurs, strict=True) if counts]))

    @cached_property
    def per_class(self) -> tuple[ClassScore, ...]:
        """The scores of each class, in the order of `labels`."""
        hits = np.diag(self.confusion)
        predicted, actual = self.confusion.sum(0), self.confusion.sum(1)
        precision = hits / np.maximum(predicted, 1)
        recall = hits / np.maximum(actual, 1)
        f1 = 2 * hits / np.maximum(predicted + actual, 1)
        columns = (precision.tolist(), recall.tolist(), f1.tolist(), actual.tolist())
        return tuple(ClassScore(*row) for row in zip(self.labels, *columns, strict=True))

    def gains(self, other: Self) -> npt.NDArray[np.float64]:
        """Computes by how much each row is better than with another model, in points, [B]: 0 where both are right."""
        return 100 * (self.correct.astype(np.float64) - other.correct)

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain numbers, lists and dicts, ready for JSON."""
        return {
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "per_class": {
                c.label: {"precision": c.precision, "recall": c.recall, "f1": c.f1, "support": c.support}
                for c in self.per_class
            },
            "confusion": self.confusion.tolist(),
            "log_loss": self.log_loss,
            "ece": self.ece,
            "n": self.n,
        }

    def reliability(self, bins: int = CALIBRATION_BINS) -> list[ReliabilityBin]:
        """Groups rows by confidence, and compares it with the share that is right; empty bins are left out.

        Args:
            bins: How many equally wide bins there are from 0 to 1.
        """
        return reliability(self.correct, self.confidence, bins)


def score(truth: npt.NDArray[np.integer], probabilities: npt.NDArray[np.floating], labels: Sequence[str]) -> Report:
    """Compares predicted probabilities with the true classes.

    Args:
        truth: Index of the true class, integer [B].
        probabilities: Probability of each class, float [B, C].
        labels: The C classes.

    Raises:
        ValueError: There is no row, or the shapes do not fit each other.
    """
    if probabilities.shape != (len(truth), len(labels)):
        raise ValueError(
            f"probabilities have shape {probabilities.shape}, expected [B, C] = {(len(truth), len(labels))}: "
            f"B={len(truth)} true classes, C={len(labels)} labels"
        )
    if len(truth) == 0:
        raise ValueError("there is no row to score: accuracy and F1 need at least one")
    predicted = probabilities.argmax(1)
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(confusion, (truth, predicted), 1)
    correct, confidence = predicted == truth, probabilities.max(1).astype(np.float64)
    true = probabilities[np.arange(len(truth)), truth].astype(np.float64)
    log_loss = -np.log(np.maximum(true, _LEAST)).mean()
    ece = calibration_error(correct, confidence)
    return Report(tuple(labels), confusion, ece, float(log_loss), correct, confidence)


@dataclass(frozen=True)
class RegressionReport(Scores):
    """How far predicted numbers are from the true ones.

    Example:
        >>> report = score_numbers(np.array([[0.0], [1.0], [2.0]]), np.array([[0.0], [1.0], [1.0]]), ["speed"])
        >>> round(report.r2, 3), round(report.mae, 3)
        (0.5, 0.333)

    Attributes:
        labels: Names of the C numbers.
        n: B, the number of rows.
        mae: Mean absolute error, averaged over the numbers.
        rmse: Root of the mean squared error of each number, averaged over the numbers.
        r2: Share of the variance that is explained, averaged over the numbers; 1 is perfect, 0 is as good as the mean.
        each: R², RMSE and MAE of each number, float64 [C, 3].
        errors: Absolute error of each row, in standard deviations of the true numbers and averaged over them, float64
            [B].
    """

    labels: tuple[str, ...]
    n: int
    mae: float
    rmse: float
    r2: float
    each: npt.NDArray[np.float64]
    errors: npt.NDArray[np.float64]

    measure: ClassVar[str] = "r2"
    shown: ClassVar[dict[str, str]] = {"r2": "R²", "rmse": "RMSE", "mae": "MAE"}
    gained: ClassVar[str] = "an error smaller by {:.3f} standard deviations (95 %: {:.3f} to {:.3f})"

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain numbers, ready for JSON."""
        figures = {"r2": self.r2, "rmse": self.rmse, "mae": self.mae, "n": self.n}
        if len(self.labels) == 1:
            return figures
        names = ("r2", "rmse", "mae")
        return figures | {"each": {label: dict(zip(names, row, strict=True)) for label, row in self.by_label.items()}}

    @property
    def by_label(self) -> dict[str, list[float]]:
        """R², RMSE and MAE of each number, by its name."""
        return dict(zip(self.labels, self.each.tolist(), strict=True))


def check_scored(truth: npt.NDArray[Any], answers: npt.NDArray[Any], labels: Sequence[str], name: str) -> None:
    """Checks that there is something to score, and that truth and answers are [B, C] for C labels.

    Args:
        truth: What is known.
        answers: What is predicted.
        labels: The C labels.
        name: What the answers are called, and their verb.

    Raises:
        ValueError: There is no row, or the shapes do not fit each other.
    """
    if answers.shape != truth.shape or truth.ndim != 2 or truth.shape[1] != len(labels):
        raise ValueError(f"{name} shape {answers.shape}, expected [B, C] = {truth.shape} as truth has, C={len(labels)}")
    if len(truth) == 0:
        raise ValueError("there is no row to score, expected at least one")


def score_numbers(
    truth: npt.NDArray[np.floating], predicted: npt.NDArray[np.floating], labels: Sequence[str]
) -> RegressionReport:
    """Compares predicted numbers with the true ones.

    Args:
        truth: float [B, C].
        predicted: float [B, C].
        labels: Names of the C numbers.

    Raises:
        ValueError: There is no row, or the shapes do not fit each other.
    """
    check_scored(truth, predicted, labels, "predicted has")
    error = np.abs(predicted.astype(np.float64) - truth)
    squares, spread = (error**2).mean(axis=0), truth.astype(np.float64).var(axis=0)
    r2 = 1 - np.divide(squares, spread, out=(squares > 0).astype(np.float64), where=spread > 0)
    each = np.stack([r2, np.sqrt(squares), error.mean(axis=0)], axis=1)
    means = dict(zip(("r2", "rmse", "mae"), each.mean(axis=0).tolist(), strict=True))
    scaled = error / np.sqrt(np.where(spread > 0, spread, 1.0))
    return RegressionReport(tuple(labels), len(truth), **means, each=each, errors=scaled.mean(axis=1))
