"""The features of a sequence as a network reads them: scaled one by one, and without gaps.

Sensors miss values, and their units differ. What is done about both is measured on the sequences to train on, is a part
of the model, and needs numpy alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tidegate.ops.checks import check_choice
from tidegate.sequences.padding import Sequences

Array = npt.NDArray[np.floating[Any]]

LAYOUTS = ("steps_first", "channels_first")

LIMIT = 100.0
"""Scaled values are cut at ± this many spreads: one broken reading must not decide what a network learns."""

_SPREAD = 1.349  # quartiles of a normal distribution are so many standard deviations apart


@dataclass(frozen=True, eq=False)
class Features:
    """How K numbers a step become the I numbers that a network reads, I = K + 2·(features that may be missing).

    A value x of feature k becomes (x − center_k) / scale_k, cut at ±100. Where a value is missing, the last one of the
    sequence is carried on, or the center before the first one. For each feature that may be missing, two more numbers
    follow: 1 where it is missing, and log(1 + d), where d is the number of steps since it was last seen, 0 where it is
    (the simple form of GRU-D, Che et al. 2018, "Recurrent Neural Networks for Multivariate Time Series with Missing
    Values", section 3).

    Example:
        >>> features = Features.of([np.array([[1.0], [np.nan], [3.0], [5.0]])])
        >>> features.center.tolist(), features.missing
        ([3.0], (0,))
        >>> features.read("x", np.array([[3.0], [np.nan]]))[:, :2]
        array([[0., 0.],
               [0., 1.]], dtype=float32)

    Attributes:
        center: Median of each feature over all steps, float32 [K].
        scale: Spread of each feature, above 0, float32 [K]: the distance of its quartiles over 1.349, which is the
            standard deviation of a normal distribution; the standard deviation where the quartiles are equal, 1 where
            the feature does not vary.
        missing: Indices of the features that may be missing.
    """

    center: npt.NDArray[np.float32]
    scale: npt.NDArray[np.float32]
    missing: tuple[int, ...] = ()

    @classmethod
    def of(cls, sequences: Sequence[Array]) -> Self:
        """Measures B sequences [T, K]; a feature may be missing where it is NaN in one of them.

        Raises:
            ValueError: A number is infinite, or there is no step.
        """
        steps = np.concatenate([np.asarray(sequence) for sequence in sequences]) if sequences else np.empty((0, 1))
        if not len(steps):
            raise ValueError(f"found {len(sequences)} sequences and no step, expected one step: features have no scale")
        for b, sequence in enumerate(sequences):
            _check_numbers(f"sequences[{b}]", sequence, tuple(range(steps.shape[1])))
        measured = [_measure(column[~np.isnan(column)].astype(np.float64)) for column in steps.T]
        center, scale = np.array(measured, np.float32).T
        gaps = np.flatnonzero(np.isnan(steps).any(axis=0)).tolist()
        return cls(center.copy(), scale.copy(), tuple(gaps))

    @property
    def size(self) -> int:
        """I, the numbers of a step as the network reads it."""
        return len(self.center) + 2 * len(self.missing)

    def read(self, name: str, sequence: Array) -> npt.NDArray[np.float32]:
        """Scales a sequence and fills its gaps.

        Args:
            name: What to call it in an error.
            sequence: float [T, K], NaN where a value is missing.

        Returns:
            float32 [T, I].

        Raises:
            ValueError: A number is infinite, or one is missing of a feature that never was in training.
        """
        x = self.scaled(name, sequence)
        if not self.missing:
            return x
        nothing = np.zeros((1, len(self.missing)), np.float32)
        return self.filled(x[:, None], nothing, nothing)[0][:, 0]

    def scaled(self, name: str, steps: Array) -> npt.NDArray[np.float32]:
        """Scales steps and leaves gaps as they are.

        Args:
            name: What to call them in an error.
            steps: float [..., K], NaN where a value is missing.

        Returns:
            float32 [..., K], NaN where a value is missing.

        Raises:
            ValueError: As in `read`.
        """
        _check_numbers(name, steps, self.missing)
        x = np.clip((steps.astype(np.float64) - self.center) / self.scale, -LIMIT, LIMIT)
        return x.astype(np.float32)

    def unscaled(self, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Turns scaled values [..., K], of any float type, back into the units in which they were measured."""
        values: npt.NDArray[Any] = x * self.scale + self.center
        return values

    def filled(
        self, x: npt.NDArray[np.float32], carried: npt.NDArray[np.float32], unseen: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Fills the gaps of scaled steps that follow others, for the M features that may be missing.

        Args:
            x: What `scaled` returned of B sequences, float32 [T, B, K].
            carried: The value that is carried on from the steps before, float32 [B, M]; 0 before the first one.
            unseen: The steps since a value was seen, float32 [B, M]; 0 before the first step.

        Returns:
            The steps as the network reads them, float32 [T, B, I]; and the steps since a value was seen, behind each of
            them, float32 [T, B, M].
        """
        columns = list(self.missing)
        gaps = np.isnan(x[..., columns])
        steps = np.arange(len(x))[:, None, None]
        last = np.maximum.accumulate(np.where(gaps, -1, steps), axis=0)  # -1 before a value has been seen
        seen = np.take_along_axis(x[..., columns], np.maximum(last, 0), axis=0)
        x = x.copy()
        x[..., columns] = np.where(last < 0, carried, seen)
        since = np.where(last < 0, steps + 1 + unseen.astype(np.float64), steps - last)
        filled = np.concatenate([x, gaps, np.log1p(since)], axis=-1).astype(np.float32)
        return filled, since.astype(np.float32)

    def names(self, names: Sequence[str]) -> tuple[str, ...]:
        """Names the I numbers of a step, given the names of the K features."""
        gaps = [f"{names[k]} {what}" for what in ("missing", "last seen") for k in self.missing]
        return (*names, *gaps)


def steps_first(sequences: Sequences, layout: str) -> Sequences:
    """Turns sequences of another layout into arrays [T, K], or [B, T, K].

    Args:
        sequences: B sequences; one array [B, K, T] or a list of arrays [K, T] if the layout is "channels_first", which
            is that of aeon and of convolutions in torch.
        layout: One of `LAYOUTS`.

    Raises:
        ValueError: The layout is unknown, or the sequences have another number of axes.
    """
    check_choice("layout", layout, LAYOUTS)
    if layout == "steps_first":
        return sequences
    if isinstance(sequences, np.ndarray) and sequences.dtype != object:
        if sequences.ndim != 3:
            raise ValueError(f"sequences has shape {sequences.shape}, expected [B, K, T]: the layout is channels_first")
        return sequences.transpose(0, 2, 1)
    return [np.asarray(sequence).T for sequence in sequences]


def statistics(sequence: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Describes a sequence by simple figures of each feature, for a linear model to be compared with.

    Args:
        sequence: Scaled and without gaps, float32 [T, I].

    Returns:
        Mean, standard deviation, minimum and maximum of each feature, and its slope in each quarter of the sequence
        (last value minus first, over the steps between them), then log(1 + T), float32 [8·I + 1]; 0 without a step.
    """
    T, width = sequence.shape
    if not T:
        return np.zeros(8 * width + 1, np.float32)
    x = sequence.astype(np.float64)
    figures = [x.mean(axis=0), x.std(axis=0), x.min(axis=0), x.max(axis=0), *_slopes(x)]
    return np.concatenate([*figures, [np.log1p(T)]]).astype(np.float32)


def _slopes(x: npt.NDArray[np.float64]) -> Iterator[npt.NDArray[np.float64]]:
    """Yields the slope of each feature in each quarter of a sequence."""
    for first, last in pairwise(np.linspace(0, len(x) - 1, 5).round().astype(int)):
        yield (x[last] - x[first]) / max(1, last - first)


def _measure(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Returns center and spread of the values of a feature."""
    if not len(values):
        return 0.0, 1.0
    low, center, high = np.quantile(values, (0.25, 0.5, 0.75))
    for spread in ((high - low) / _SPREAD, values.std()):
        if np.float32(spread) > 0:
            return float(center), float(spread)
    return float(center), 1.0


def _check_numbers(name: str, sequence: Array, missing: tuple[int, ...]) -> None:
    """Raises ValueError for the first number that is infinite, or missing where it may not be."""
    wrong = np.isinf(sequence)
    gaps = np.isnan(sequence)
    gaps[..., list(missing)] = False
    if not (wrong.any() or gaps.any()):
        return
    place = tuple(np.argwhere(wrong | gaps)[0])
    *rows, step, feature = (0, *place) if len(place) == 1 else place
    name += "".join(f"[{row}]" for row in rows)
    if wrong[place]:
        raise ValueError(f"{name} has {sequence[place]} at step {step}, feature {feature}, expected a number")
    raise ValueError(
        f"{name} has NaN at step {step}, feature {feature}, which was never missing in training: the model has not "
        f"learned what a gap in it means"
    )
