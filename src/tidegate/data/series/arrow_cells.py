"""Numbers, times and lists of numbers in arrays of Arrow, without a value of Python for each."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

from tidegate.data.series.cells import Times, numbers_of, times_of
from tidegate.data.tables.arrow.values import values_of

Array = npt.NDArray[np.floating[Any]]


def look_of(kind: Any) -> str:
    """Tells what a column of a type may be: "lists", "number", "time", "text", or "" for anything else."""
    types = pa.types
    if types.is_dictionary(kind):
        return look_of(kind.value_type)
    if _is_list(kind):
        inner = kind.value_type
        inner = inner.value_type if _is_list(inner) else inner
        return "lists" if look_of(inner) == "number" else ""
    if types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return "number"
    if types.is_temporal(kind):
        return "time"
    text = types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind) or types.is_large_binary(kind)
    return "text" if text or types.is_string_view(kind) else ""


def _is_list(kind: Any) -> bool:
    names = ("list", "large_list", "fixed_size_list", "list_view", "large_list_view")
    return any(getattr(pa.types, f"is_{name}")(kind) for name in names)


def numbers_of_array(array: Any, name: str, *, typed: bool = False) -> Array:
    """Reads an array of numbers, see `cells.numbers_of`; in their own type if they shall be typed.

    Raises:
        ValueError: It is of another type.
    """
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks() if array.num_chunks != 1 else array.chunk(0)
    if isinstance(array, pa.ChunkedArray):  # of no chunk
        return np.empty(0, np.float32)
    if isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if look_of(array.type) == "text":
        return numbers_of(values_of(array), name)
    if look_of(array.type) != "number":
        raise ValueError(f"column {name!r} is of type {array.type}, expected numbers")
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    if pa.types.is_decimal(array.type):
        array = array.cast(pa.float64())
    numbers = array.to_numpy(zero_copy_only=False)
    floats: Array = numbers if typed else numbers.astype(np.result_type(numbers.dtype, np.float32), copy=False)
    return floats


def times_of_array(array: Any, name: str, first_row: int) -> Times:
    """Reads an array of times, see `cells.times_of`.

    Raises:
        ValueError: One is missing, or it is of another type.
    """
    if look_of(array.type) == "text":
        return times_of(values_of(array), name, first_row)
    if array.null_count:
        row = first_row + array.is_null().to_pylist().index(True)
        raise ValueError(f"row {row} has no time in column {name!r}: fill it in, or remove the row")
    if look_of(array.type) == "time":
        short = pa.types.is_date32(array.type) or pa.types.is_time32(array.type)
        counted = array.cast(pa.int32()).cast(pa.int64()) if short else array.cast(pa.int64())
        return Times(str(array.type), counted.to_numpy())
    if pa.types.is_integer(array.type):
        return Times("numbers", array.to_numpy())
    times = numbers_of_array(array, name).astype(np.float64)
    if np.isnan(times).any():
        row = first_row + int(np.isnan(times).argmax())
        raise ValueError(f"row {row} has no time in column {name!r}: fill it in, or remove the row")
    return Times("numbers", times)


def in_order(parts: Sequence[Any], order: npt.NDArray[np.intp]) -> Any:
    """Puts the values of arrays of one type, behind each other, in another order, see `columns.in_order`."""
    chunks = [chunk for part in parts for chunk in (part.chunks if isinstance(part, pa.ChunkedArray) else [part])]
    return pa.chunked_array(chunks, parts[0].type).take(pa.array(order)).combine_chunks()


def lists_of_array(array: Any, name: str, first_row: int, *, typed: bool = False) -> Iterator[Array]:
    """Yields the sequence of each row, [T] or [T, K], see `cells.steps_of`; in their own type if they shall be typed.

    Raises:
        ValueError: A row has no list, or its steps have different numbers of features.
    """
    chunks = array.chunks if isinstance(array, pa.ChunkedArray) else [array]
    for chunk in filter(len, chunks):  # numpy would cut one of no rows into a piece
        yield from _lists_of_chunk(chunk, name, first_row, typed=typed)
        first_row += len(chunk)


def _lists_of_chunk(chunk: Any, name: str, first_row: int, *, typed: bool) -> Iterator[Array]:
    if chunk.null_count:
        row = first_row + chunk.is_null().to_pylist().index(True)
        raise ValueError(f"row {row} of column {name!r} holds no sequence")
    lengths = compute.list_value_length(chunk).to_numpy(zero_copy_only=False).astype(np.int64)
    ends = np.cumsum(lengths)
    steps = chunk.flatten()
    if not _is_list(steps.type):
        yield from np.split(numbers_of_array(steps, name, typed=typed), ends[:-1])
        return
    widths = compute.list_value_length(steps).to_numpy(zero_copy_only=False)
    for row, end in enumerate(ends):
        found = widths[end - lengths[row] : end]
        if len(found) and not (found == found[0]).all():  # NaN for a step that is missing
            raise ValueError(
                f"row {first_row + row} of column {name!r} holds lists of different lengths, expected one number for "
                f"each feature"
            )
    numbers, starts = (
        numbers_of_array(steps.flatten(), name, typed=typed),
        np.concatenate([[0], np.cumsum(widths)]).astype(np.int64),
    )
    for row, end in enumerate(ends):
        first = end - lengths[row]
        yield numbers[starts[first] : starts[end]].reshape(int(lengths[row]), -1 if lengths[row] else 0)
