"""Columns as blocks of a table hold them, lists or arrays of Arrow, as numbers, times and sequences."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.data.series import cells
from tidegate.data.tables.values import plain_values

Array = npt.NDArray[np.floating[Any]]


def numbers_of(column: Any, name: str, first_row: int) -> Array:
    """Reads a column of numbers, float32 or float64 [N]; see `cells.numbers_of`."""
    return _arrow().numbers_of_array(column, name) if _is_arrow(column) else cells.numbers_of(column, name, first_row)


def times_of(column: Any, name: str, first_row: int) -> cells.Times:
    """Reads a column of times; see `cells.times_of`."""
    if _is_arrow(column):
        times: cells.Times = _arrow().times_of_array(column, name, first_row)
        return times
    return cells.times_of(column, name, first_row)


def lists_of(column: Any, name: str, first_row: int) -> Iterator[Array]:
    """Yields the sequence in each cell of a column, [T] or [T, K]; see `cells.steps_of`."""
    if _is_arrow(column) and _arrow().look_of(column.type) == "lists":
        yield from _arrow().lists_of_array(column, name, first_row)
        return
    for row, value in enumerate(column.to_pylist() if _is_arrow(column) else column, first_row):
        yield cells.steps_of(value, f"row {row} of column {name!r}")


def samples_of(column: Any, name: str, first_row: int) -> Iterator[Any]:
    """Yields what each cell of a column of sound holds: samples [N] in their type, or the name of a file.

    Raises:
        ValueError: A cell holds neither.
    """
    if _is_arrow(column) and _arrow().look_of(column.type) == "lists":
        yield from _arrow().lists_of_array(column, name, first_row, typed=True)
        return
    for row, value in enumerate(column.to_pylist() if _is_arrow(column) else column, first_row):
        yield value if isinstance(value, str) else cells.samples_of(value, f"row {row} of column {name!r}")


def in_order(parts: Sequence[Any], order: npt.NDArray[np.intp]) -> Any:
    """Puts the values of a column that was read in several blocks in another order.

    Args:
        parts: The column in each block, N values in all.
        order: Which of them come one after another, int [M].

    Returns:
        An array of Arrow [M] if all are of one type of Arrow, else a list of plain values.
    """
    if parts and all(map(_is_arrow, parts)) and len({part.type for part in parts}) == 1:
        return _arrow().in_order(parts, order)
    values = [value for part in parts for value in plain_values(part)]
    return [values[place] for place in order.tolist()]


def _is_arrow(column: Any) -> bool:
    return not isinstance(column, list | tuple | np.ndarray)


def _arrow() -> Any:
    from tidegate.data.series import arrow_cells  # noqa: PLC0415 - only who has such files needs pyarrow

    return arrow_cells
