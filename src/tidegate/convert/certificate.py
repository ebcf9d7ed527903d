"""The proof of a conversion: how far its results are from those of the source, on random ragged input."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]

TOLERANCE = 1e-5
"""The largest error of a conversion, of the value where that is above 1."""

LENGTHS = (9, 1, 14, 0, 6)
"""Steps of the sequences that a conversion is checked with."""


class ConversionError(ValueError):
    """A source cannot be converted, or what became of it does not compute the same."""


@dataclass(frozen=True)
class Certificate:
    """What was compared, and the largest difference.

    Example:
        >>> certificate = Certificate.of([("y", np.array([1.0]), np.array([1.000001]))], "onnxruntime 1.32.0")
        >>> print(certificate)
        largest error 1.0e-06 against onnxruntime 1.32.0, over 1 numbers (y)

    Attributes:
        against: Whose results these are, with its version.
        error: The largest difference, divided by the source's number where that is above 1.
        numbers: How many numbers were compared.
        what: What they are, such as outputs and states.
    """

    against: str
    error: float
    numbers: int
    what: tuple[str, ...]

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, npt.ArrayLike, npt.ArrayLike]], against: str) -> "Certificate":
        """Compares results.

        Args:
            pairs: What it is, ours, and the source's, arrays of one shape.
            against: As the attribute.

        Raises:
            ConversionError: They differ by more than `TOLERANCE`, or in shape, or there is nothing to compare.
        """
        error, numbers, what = 0.0, 0, dict[str, None]()
        for name, ours, theirs in pairs:
            own, other = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
            if own.shape != other.shape:
                raise ConversionError(f"{name} has shape {own.shape}, but {other.shape} in {against}")
            worst = distance(own, other)
            if not worst <= TOLERANCE:  # NaN is not
                raise ConversionError(f"{name} differs by {worst:.1e} from {against}, more than {TOLERANCE:g}")
            error, numbers, what = max(error, worst), numbers + own.size, what | {name: None}
        if not numbers:
            raise ConversionError(f"no number could be compared with {against}")
        return cls(against, error, numbers, tuple(what))

    def and_of(self, other: "Certificate") -> "Certificate":
        """Joins two comparisons."""
        against = " and ".join(dict.fromkeys(f"{self.against} and {other.against}".split(" and ")))
        what = tuple(dict.fromkeys(self.what + other.what))
        return Certificate(against, max(self.error, other.error), self.numbers + other.numbers, what)

    def metadata(self) -> dict[str, Any]:
        """Returns it as a model file keeps it."""
        return asdict(self) | {"what": list(self.what)}

    def __str__(self) -> str:
        return (
            f"largest error {self.error:.1e} against {self.against}, over {self.numbers:,} numbers "
            f"({', '.join(self.what)})"
        )


def distance(ours: Array, theirs: Array) -> float:
    """Returns the largest difference, divided by the source's number where that is above 1; NaN if one is NaN."""
    if not ours.size:
        return 0.0
    return float((np.abs(ours - theirs) / np.maximum(1, np.abs(theirs))).max())


def sequences(features: int, lengths: Iterable[int] = LENGTHS) -> list[npt.NDArray[np.float32]]:
    """Draws the sequences of vectors that a conversion is checked with, float32 [T, I] each; the same every time."""
    rng = np.random.default_rng(0)
    return [rng.standard_normal((length, features)).astype(np.float32) for length in lengths]


def id_sequences(words: int, lengths: Iterable[int] = LENGTHS, first: int = 0) -> list[npt.NDArray[np.int64]]:
    """Draws sequences of ids from `first` to words − 1, int64 [T] each; the same every time."""
    rng = np.random.default_rng(0)
    return [rng.integers(first, words, length) for length in lengths]
