"""The proof of a conversion: how far its results are from those of the source, on random ragged input."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]

TOLERANCE = 1e-5
"""The largest error of a conversion, of the value where that is above 1."""

REFERENCE = "the reference in float64"
"""The name of `ops.reference` where results are compared with it."""


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
        against: Whose results these are, with its version. The reference "alone" computes what was read of the source,
            as the model does, so the proof is then one of arithmetic: it cannot show that the source was read wrongly.
        error: The largest difference, divided by the source's number where that is above 1.
        numbers: How many numbers were compared.
        what: What they are, such as outputs and states.
        missing: Why the source's own runtime was not asked, and how to install it; empty where it was.
    """

    against: str
    error: float
    numbers: int
    what: tuple[str, ...]
    missing: str = ""

    @classmethod
    def of(
        cls, pairs: Iterable[tuple[str, npt.ArrayLike, npt.ArrayLike]], against: str, missing: str = ""
    ) -> "Certificate":
        """Compares results.

        Args:
            pairs: What it is, ours, and the source's, arrays of one shape.
            against: As the attribute.
            missing: As the attribute.

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
        return cls(against, error, numbers, tuple(what), missing)

    def and_of(self, other: "Certificate") -> "Certificate":
        """Joins two comparisons."""
        parts = self.against.split(" and ")
        parts += [part for part in other.against.split(" and ") if not any(part in seen for seen in parts)]
        what = tuple(dict.fromkeys(self.what + other.what))
        error, numbers = max(self.error, other.error), self.numbers + other.numbers
        return Certificate(" and ".join(parts), error, numbers, what, self.missing or other.missing)

    def metadata(self) -> dict[str, Any]:
        """Returns it as a model file keeps it."""
        return asdict(self) | {"what": list(self.what)}

    def __str__(self) -> str:
        return (
            f"largest error {self.error:.1e} against {self.against}, over {self.numbers:,} numbers "
            f"({', '.join(self.what)})" + f"; {self.missing}" * bool(self.missing)
        )


def distance(ours: Array, theirs: Array) -> float:
    """Returns the largest difference, divided by the source's number where that is above 1; NaN if one is NaN."""
    if not ours.size:
        return 0.0
    return float((np.abs(ours - theirs) / np.maximum(1, np.abs(theirs))).max())
