"""Vectors as a stream of them is given, checked."""

from typing import Any

import numpy as np

from tidegate.ops.checks import check
from tidegate.stream.parts import Array


def check_vectors(name: str, source: Any, letters: str, size: int) -> Array:
    """Returns vectors of finite numbers as float32, in their shape.

    Args:
        name: For errors.
        source: The vectors.
        letters: Of its axes, as in `checks.check`; the last one is that of the features.
        size: Number of features.

    Raises:
        TypeError: They are no numbers.
        ValueError: They have another shape, or are not finite.
    """
    array = np.asarray(source)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} has dtype {array.dtype}, expected real numbers")
    with np.errstate(over="ignore"):  # numbers beyond float32 are not finite then
        numbers = array.astype(np.float32, copy=False)
    checked = check(name, numbers, letters, {letters[-1]: (size, "the model")})
    with np.errstate(all="ignore"):  # a sum is quick, and finite only where all are; it may also overflow
        finite = np.isfinite(checked.sum()) or np.isfinite(checked).all()
    if not finite:
        raise ValueError(f"{name} holds {np.count_nonzero(~np.isfinite(checked))} numbers that are not finite")
    return checked
