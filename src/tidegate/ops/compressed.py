"""Weight matrices in fewer bits: int8 with a scale for each row, or bfloat16."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.ops.checks import check_choice

Array = npt.NDArray[np.float32]

DTYPES = ("int8", "bfloat16")

MOST_COLUMNS = 65_536
"""Of int8: the kernels add up products in 32 bits, and the more there are, the shorter the numbers they multiply."""

_LARGEST_BFLOAT16 = np.array(0x7F7F0000, np.uint32).view(np.float32)
_LARGEST_INT8 = 127


@dataclass(frozen=True, eq=False)
class Compressed:
    """A weight matrix in fewer bits, as `compress` makes it.

        >>> small = compress(np.array([[0.5, -1.27], [0.0, 127.0]], np.float32), "int8")
        >>> small.values
        array([[  50, -127],
               [   0,  127]], dtype=int8)
        >>> small.expand()
        array([[   0.5 ,   -1.27],
               [   0.  ,  127.  ]], dtype=float32)

    Attributes:
        values: int8 [R, K] in -127..127; or of bfloat16 the upper halves of float32 numbers, uint16 [R, K].
        scales: What a row of int8 is multiplied with, float32 [R], finite and not negative; None for bfloat16.
    """

    values: npt.NDArray[Any]
    scales: Array | None = None

    def __post_init__(self) -> None:
        """Checks the parts against each other.

        Raises:
            TypeError: The values are neither int8 nor uint16, or scales of int8 are not float32.
            ValueError: A shape does not fit, or a number is out of its range.
        """
        values, scales = self.values, self.scales
        if values.dtype not in (np.int8, np.uint16):
            raise TypeError(f"values have dtype {values.dtype}, expected int8, or uint16 for bfloat16")
        if values.ndim != 2:
            raise ValueError(f"values have shape {values.shape}, expected a matrix")
        if values.dtype != np.int8:
            if scales is not None:
                raise ValueError("bfloat16 values have scales, expected none")
            return
        if scales is None or scales.dtype != np.float32:
            raise TypeError(f"scales are {'absent' if scales is None else scales.dtype}, expected float32 for int8")
        if scales.shape != values.shape[:1]:
            raise ValueError(f"scales have shape {scales.shape}, expected {values.shape[:1]}: one for each row")
        if not (np.isfinite(scales) & (scales >= 0)).all():
            raise ValueError("scales hold a number that is negative or not finite")
        if values.shape[1] > MOST_COLUMNS:
            raise ValueError(f"values have {values.shape[1]:,} columns, expected at most {MOST_COLUMNS:,} of int8")
        if values.size and values.min() < -_LARGEST_INT8:
            raise ValueError(f"values hold {values.min()}, expected -{_LARGEST_INT8}..{_LARGEST_INT8}")

    @property
    def dtype(self) -> str:
        """Either "int8" or "bfloat16"."""
        return DTYPES[self.scales is None]

    @property
    def shape(self) -> tuple[int, ...]:
        """R and K."""
        return self.values.shape

    def expand(self) -> Array:
        """Returns the numbers that it stands for, float32 [R, K]."""
        if self.scales is None:
            return (self.values.astype(np.uint32) << 16).view(np.float32)
        expanded: Array = self.values * self.scales[:, None]
        return expanded


def compress(matrix: Array, dtype: str) -> Compressed:
    """Rounds each number of a weight matrix to the nearest one that fewer bits can hold.

    Args:
        matrix: float32 [R, K].
        dtype: "int8": integers times a scale for each row, which is its largest magnitude divided by 127. Or
            "bfloat16": the upper 16 bits of a float32, with 8 of its 24 significant bits.

    Raises:
        ValueError: It is no matrix of finite numbers, too wide for int8, or the dtype is another.
    """
    check_choice("dtype", dtype, DTYPES)
    matrix = np.ascontiguousarray(matrix, np.float32)
    if not np.isfinite(matrix).all():
        raise ValueError("matrix holds numbers that are not finite, expected weights")
    if dtype == "int8":
        scales = np.abs(matrix).max(axis=1, initial=0) / np.float32(_LARGEST_INT8)
        divisors = np.where(scales > 0, scales, np.float32(1))[:, None]
        return Compressed(np.clip(np.rint(matrix / divisors), -_LARGEST_INT8, _LARGEST_INT8).astype(np.int8), scales)
    bits = np.clip(matrix, -_LARGEST_BFLOAT16, _LARGEST_BFLOAT16).view(np.uint32)
    return Compressed(((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16))  # half to even
