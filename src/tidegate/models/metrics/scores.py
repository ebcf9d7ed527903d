"""What the scores of all tasks have in common."""

from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt


class Scores:
    """The scores of a model on some rows.

    Attributes:
        measure: The figure that training makes as large as it can.
        shown: The figures that are printed, and their titles.
        gained: A phrase for the mean of `gains` and the ends of its interval.
        errors: Error of each row, or of blocks of neighbouring ones, float64 [·].
    """

    measure: ClassVar[str]
    shown: ClassVar[dict[str, str]]
    gained: ClassVar[str]
    errors: npt.NDArray[np.float64]

    @classmethod
    def title(cls) -> str:
        """Returns what people call the figure `measure`."""
        return cls.shown.get(cls.measure, cls.measure.replace("_", "-"))

    @property
    def quality(self) -> float:
        """What training makes as large as it can: the figure `measure`."""
        found: Any = getattr(self, self.measure)
        return float(found)

    def gains(self, other: Self) -> npt.NDArray[np.float64]:
        """Computes by how much smaller the errors are than with another model, [·]."""
        return other.errors - self.errors
