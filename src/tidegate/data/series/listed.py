"""Tables with a sequence a row: one column of lists, or several, each with the numbers of one feature."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.data.series.columns import lists_of
from tidegate.data.tables.rows import Block

Array = npt.NDArray[np.floating[Any]]


def sequences_of(columns: Block, names: Sequence[str], first_row: int = 1) -> list[Array]:
    """Makes an array of each row.

    Args:
        columns: The columns of some rows.
        names: Which of them hold numbers: one, with lists of numbers or of steps; or several, with lists of numbers.
        first_row: The first row, for errors.

    Returns:
        Arrays [T, K], NaN where a number is missing.

    Raises:
        ValueError: A cell holds no list of numbers, or lists of one row differ in length, or steps in their features.
    """
    by_column = [list(lists_of(columns[name], name, first_row)) for name in names]
    if len(names) == 1:
        return alike([_steps(array) for array in by_column[0]], names[0], first_row)
    stacked = []
    for row, arrays in enumerate(zip(*by_column, strict=True), first_row):
        lengths = [len(array) for array in arrays]
        flat = next((name for name, array in zip(names, arrays, strict=True) if array.ndim != 1), None)
        if flat is not None:
            raise ValueError(f"row {row} of column {flat!r} holds a list of lists, expected one number for each step")
        if len(set(lengths)) > 1:
            listed = ", ".join(f"{name!r} {length}" for name, length in zip(names, lengths, strict=True))
            raise ValueError(f"row {row} has lists of different lengths, expected one for all features: {listed}")
        stacked.append(np.stack(arrays, axis=1))
    return stacked


def _steps(array: Array) -> Array:
    """Makes a column of a list of single numbers."""
    return array[:, None] if array.ndim == 1 and len(array) else array.reshape(len(array), -1 if len(array) else 0)


def alike(arrays: list[Array], name: str, first_row: int) -> list[Array]:
    """Checks that all sequences have the same features, and gives those without a step as many.

    Raises:
        ValueError: One has others.
    """
    widths = [array.shape[1] if len(array) else None for array in arrays]
    K = next((width for width in widths if width is not None), 0)
    for row, width in enumerate(widths, first_row):
        if width not in {K, None}:
            raise ValueError(
                f"row {row} of column {name!r} has steps of {width} numbers, expected {K} as before: a sequence is a "
                f"list of steps, and a step a list of one number for each feature"
            )
    return [array if len(array) else array.reshape(0, K) for array in arrays]
