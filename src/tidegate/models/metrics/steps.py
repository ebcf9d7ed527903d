"""How well steps are foreseen or labelled: errors of numbers, the likelihood of what is 0 or 1, or right classes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from tidegate.models.metrics.reports import RegressionReport, Report, check_scored, score, score_numbers
from tidegate.models.metrics.scores import Scores

_LEAST = float(np.finfo(np.float32).eps)  # a probability of 0 or 1 would make the log-loss of everything infinite
_BLOCKS = 1000  # neighbouring steps are alike, so that differences are resampled in blocks of them


@dataclass(frozen=True)
class BinaryStepsReport(Scores):
    """What `score_binary_steps` counted.

    Example:
        >>> report = score_binary_steps(np.array([[1, 0], [1, 1]]), np.array([[0.5, 0.5], [0.5, 0.5]]), ["C", "E"])
        >>> round(report.nll, 3)
        1.386

    Attributes:
        labels: The C outputs.
        n: Number of steps.
        nll: Mean of −log of the probability of a step, the sum over its C outputs, nats (Boulanger-Lewandowski et al.
            2012).
        frame_accuracy: What is rightly said to be 1, over what is 1 or is said to be, in all steps together (ibid.).
        errors: −log of the probability of a step, mean of blocks of neighbouring steps, float64 [n] or fewer.
    """

    labels: tuple[str, ...]
    n: int
    nll: float
    frame_accuracy: float
    errors: npt.NDArray[np.float64]

    measure: ClassVar[str] = "log_likelihood"
    shown: ClassVar[dict[str, str]] = {"log_likelihood": "log-likelihood", "frame_accuracy": "frame accuracy"}
    gained: ClassVar[str] = "{:+.3f} nats a step (95 %: {:+.3f} to {:+.3f})"

    @property
    def log_likelihood(self) -> float:
        """Mean of log of the probability of a step, nats."""
        return -self.nll

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain numbers, ready for JSON."""
        names = ("nll", "log_likelihood", "frame_accuracy", "n")
        return {name: getattr(self, name) for name in names}


class LabelledStepsReport(Report):
    """What `score` counted of steps with a class each, whose rows are steps."""

    def gains(self, other: Self) -> npt.NDArray[np.float64]:
        """Computes by how much steps are better than with another model, in points, in blocks of them."""
        return blocks(super().gains(other))


def score_labelled_steps(
    truth: npt.NDArray[np.integer], probabilities: npt.NDArray[np.floating], labels: Sequence[str]
) -> LabelledStepsReport:
    """Compares predicted probabilities with the true classes of N steps, as `score` does.

    Args:
        truth: Index of the true class, integer [N].
        probabilities: Probability of each class, float [N, C].
        labels: The C classes.

    Raises:
        ValueError: There is no step, or the shapes do not fit each other.
    """
    return LabelledStepsReport(**vars(score(truth, probabilities, labels)))


def score_binary_steps(
    truth: npt.NDArray[np.floating], probabilities: npt.NDArray[np.floating], labels: Sequence[str]
) -> BinaryStepsReport:
    """Compares probabilities with steps of 0 and 1.

    Args:
        truth: The steps, [N, C].
        probabilities: That of a 1, float [N, C].
        labels: The C outputs.

    Raises:
        ValueError: There is no step, or the shapes do not fit each other.
    """
    check_scored(truth, probabilities, labels, "probabilities have")
    on, said = truth > 0, probabilities >= 0.5
    of_truth = np.where(on, probabilities, 1 - probabilities.astype(np.float64))
    losses = -np.log(np.maximum(of_truth, _LEAST)).sum(axis=1)
    accuracy = float((on & said).sum() / max(1, (on | said).sum()))
    return BinaryStepsReport(tuple(labels), len(truth), float(losses.mean()), accuracy, blocks(losses))


def score_steps(
    truth: npt.NDArray[np.floating], predicted: npt.NDArray[np.floating], labels: Sequence[str]
) -> RegressionReport:
    """Compares foreseen steps with the true ones, as `score_numbers` does; the errors are means of blocks of steps.

    Args:
        truth: float [N, C].
        predicted: float [N, C].
        labels: The C outputs.

    Raises:
        ValueError: There is no step, or the shapes do not fit each other.
    """
    report = score_numbers(truth, predicted, labels)
    return replace(report, errors=blocks(report.errors))


def blocks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Returns the means of blocks of neighbouring steps, which are alike, so that they are resampled together."""
    starts = np.linspace(0, len(values), min(_BLOCKS, len(values)), endpoint=False).astype(np.int64)
    means: npt.NDArray[np.float64] = np.add.reduceat(values, starts) / np.diff(np.append(starts, len(values)))
    return means
