"""Quantiles of numbers: how the outputs of a network are called and ordered, and how good they are.

A quantile of level q is the number below which a share q of the truth is expected. The outputs for a number have its
name and a level, "load 0.1", "load 0.5", "load 0.9", in ascending order, number by number.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tidegate.models.metrics.scores import Scores

Array = npt.NDArray[np.floating[Any]]


def quantile_labels(names: Sequence[str], levels: Sequence[float]) -> tuple[str, ...]:
    """Names the outputs for some numbers.

    Example:
        >>> quantile_labels(["load"], [0.1, 0.9])
        ('load 0.1', 'load 0.9')

    Args:
        names: Names of the numbers.
        levels: Levels of the quantiles, as in `check_levels`.
    """
    return tuple(f"{name} {level!r}" for name in names for level in check_levels(levels))


def check_levels(levels: Sequence[float]) -> tuple[float, ...]:
    """Checks levels of quantiles.

    Raises:
        TypeError: They are no numbers, or one number alone.
        ValueError: There is none, one is not between 0 and 1, or they do not ascend.
    """
    if isinstance(levels, str) or not isinstance(levels, Iterable):
        raise TypeError(f"quantiles is {levels!r:.60}, expected a list of numbers between 0 and 1: [0.1, 0.5, 0.9]")
    levels = list(levels)
    if not all(isinstance(level, Real) for level in levels):
        raise TypeError(f"quantiles are {levels!r:.60}, expected numbers between 0 and 1: [0.1, 0.5, 0.9]")
    found = tuple(map(float, levels))
    if not found or not all(0 < level < 1 for level in found) or list(found) != sorted(set(found)):
        raise ValueError(f"quantiles are {list(levels)!r:.60}, expected ascending numbers between 0 and 1")
    return found


def read_labels(labels: Sequence[str]) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Reads the names of the numbers and the levels of what `quantile_labels` returned.

    Raises:
        ValueError: The labels are others.
    """
    parts = [label.rpartition(" ") for label in labels]
    names = tuple(dict.fromkeys(name for name, _, _ in parts))
    try:
        levels = check_levels([float(level) for name, _, level in parts if name == names[0]])
    except ValueError:
        levels = ()
    if not levels or quantile_labels(names, levels) != tuple(labels):
        raise ValueError(f"labels is {list(labels)!r:.80}, expected a name and a level for each quantile: 'y 0.1'")
    return names, levels


def ordered(outputs: Array, labels: Sequence[str]) -> Array:
    """Sorts the quantiles of each number, so that a lower level never has a larger number.

    Sorting makes no quantile worse (Chernozhukov et al. 2010, "Quantile and Probability Curves Without Crossing").

    Args:
        outputs: Of a network, [B, C].
        labels: Their C names.
    """
    names, levels = read_labels(labels)
    return np.sort(outputs.reshape(-1, len(names), len(levels)), axis=2).reshape(outputs.shape)


def order(outputs: Array, labels: Sequence[str]) -> npt.NDArray[np.intp]:
    """Says which output of one sequence [C] is at each place when `ordered` has sorted them, [C]."""
    names, levels = read_labels(labels)
    places = np.argsort(outputs.reshape(len(names), len(levels)), axis=1, kind="stable")
    found: npt.NDArray[np.intp] = (places + len(levels) * np.arange(len(names))[:, None]).ravel()
    return found


@dataclass(frozen=True)
class QuantileReport(Scores):
    """What `score_quantiles` counted.

    Example:
        >>> report = score_quantiles(np.array([[0.0], [4.0]]), np.array([[0.0, 1.0], [1.0, 3.0]]), ["y 0.5", "y 0.9"])
        >>> round(report.pinball, 3)
        0.625

    Attributes:
        labels: The C outputs.
        n: B, the number of rows.
        pinball: Mean pinball loss of the C outputs: q·(y − ŷ) where the truth y is above ŷ, (1 − q)·(ŷ − y) where it is
            below (Koenker & Bassett 1978).
        r1: How much smaller it is than with the quantiles of the truth itself, the same for all rows: 1 is perfect, 0
            as good as these (Koenker & Machado 1999).
        coverage: Share of the truth from the lowest to the highest quantile; their levels say what is expected.
        below: Share of the truth at or below each output, float64 [C]; its level is expected.
        errors: Pinball loss of each row, in standard deviations of the true numbers, float64 [B].
    """

    labels: tuple[str, ...]
    n: int
    pinball: float
    r1: float
    coverage: float
    below: npt.NDArray[np.float64]
    errors: npt.NDArray[np.float64]

    measure: ClassVar[str] = "r1"
    shown: ClassVar[dict[str, str]] = {"r1": "R¹", "pinball": "pinball loss", "coverage": "coverage"}
    gained: ClassVar[str] = "a pinball loss smaller by {:.3f} standard deviations (95 %: {:.3f} to {:.3f})"

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain numbers, ready for JSON."""
        figures: dict[str, Any] = {name: getattr(self, name) for name in (*self.shown, "n")}
        return figures | {"below": dict(zip(self.labels, self.below.tolist(), strict=True))}


def score_quantiles(truth: Array, predicted: Array, labels: Sequence[str]) -> QuantileReport:
    """Compares predicted quantiles with the true numbers.

    Args:
        truth: The numbers, float [B, numbers].
        predicted: Their quantiles, float [B, C].
        labels: The C outputs, as `quantile_labels` names them.

    Raises:
        ValueError: There is no row, or the shapes do not fit each other.
    """
    names, levels = read_labels(labels)
    expected = (len(truth), len(names)), (len(truth), len(labels))
    if (truth.shape, predicted.shape) != expected:
        raise ValueError(
            f"truth has shape {truth.shape} and predicted {predicted.shape}, expected {expected[0]} and {expected[1]}"
        )
    if len(truth) == 0:
        raise ValueError("there is no row to score")
    each = np.repeat(truth.astype(np.float64), len(levels), axis=1)
    q = np.tile(levels, len(names))
    losses, constant = _pinball(each, predicted, q), _pinball(each, constant_quantiles(truth, labels), q)
    spread = np.repeat(np.where(truth.std(axis=0) > 0, truth.std(axis=0), 1.0), len(levels))
    bounds = predicted.reshape(len(truth), len(names), len(levels))
    inside = (truth >= bounds[..., 0]) & (truth <= bounds[..., -1])
    best = constant.mean()
    return QuantileReport(
        labels=tuple(labels),
        n=len(truth),
        pinball=float(losses.mean()),
        r1=float(1 - losses.mean() / best) if best > 0 else float(losses.mean() == 0),
        coverage=float(inside.mean()),
        below=(each <= predicted).mean(axis=0),
        errors=(losses / spread).mean(axis=1),
    )


def constant_quantiles(truth: Array, labels: Sequence[str]) -> Array:
    """Computes the quantiles of numbers [B, numbers], the same for all rows, [1, C]."""
    _, levels = read_labels(labels)
    found: Array = np.quantile(truth.astype(np.float64), levels, axis=0).T.reshape(1, -1)
    return found


def _pinball(truth: Array, predicted: Array, q: Array) -> Array:
    over = truth - predicted.astype(np.float64)
    loss: Array = np.maximum(q * over, (q - 1) * over)
    return loss
