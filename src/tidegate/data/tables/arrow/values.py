"""Arrow's values as Python's plain ones, whatever their type."""

import re
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from itertools import chain
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
from pyarrow import compute

from tidegate.data.tables.arrow.class_labels import ClassLabel

_TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
"""Of a second, by Arrow's units of time."""


def values_of(array: Any) -> list[Any]:
    """Lists the values of an array as texts, numbers, true and false, bytes, lists and dictionaries, None if missing.

    What Arrow holds besides is text: times and dates as ISO 8601 writes them, to the nanosecond and in any year,
    moments in UTC with a Z; durations and calendar intervals too ("PT1.5S", "P1M2D"); the names of a `ClassLabel`.
    Numbers of fixed precision are `Decimal`, or integers if they have no fraction.

    Args:
        array: An array of Arrow, in one piece or several.
    """
    if isinstance(array, pa.ChunkedArray):
        return list(chain.from_iterable(map(values_of, array.chunks)))
    if isinstance(array.type, pa.BaseExtensionType):
        return _of_extension(array)
    for name, of_kind in _VALUES.items():
        if getattr(pa.types, f"is_{name}")(array.type):
            return of_kind(array)
    listed: list[Any] = array.to_pylist()
    return listed


def _of_extension(array: Any) -> list[Any]:
    values = values_of(array.storage)
    if isinstance(array.type, ClassLabel):
        return list(map(array.type.name_of, values))
    if array.type.extension_name == "arrow.uuid":
        return [value and str(UUID(bytes=value)) for value in values]
    return values


def _of_decimals(array: Any) -> list[Any]:
    """Those without a fraction, as databases write integers, are integers."""
    values = array.to_pylist()
    return [None if value is None else int(value) for value in values] if array.type.scale <= 0 else values


def _of_floats(array: Any) -> list[Any]:
    """The shortest that are the same number in the column's precision: 0.1, not 0.10000000149011612."""
    values = array.to_numpy(zero_copy_only=False).astype(str).tolist()
    valid = array.is_valid().to_pylist()
    return [float(value) if there else None for value, there in zip(values, valid, strict=True)]


def _of_times(array: Any) -> list[Any]:
    zone = "Z" if array.type.tz else ""
    counts = array.cast(pa.int64()).to_pylist()
    moment = partial(_moment, unit=array.type.unit)
    return [None if n is None else _without_zeros(str(moment(n))) + zone for n in counts]


def _of_dates(array: Any) -> list[Any]:
    counts = array.cast(pa.int32() if pa.types.is_date32(array.type) else pa.int64()).to_pylist()
    moment = partial(_moment, unit="D" if pa.types.is_date32(array.type) else "ms")
    return [None if n is None else str(moment(n).astype("datetime64[D]")) for n in counts]


def _moment(count: int, unit: Any) -> "np.datetime64[Any]":
    return np.datetime64(count, unit)  # which knows every year, as datetime does not


def _of_times_of_day(array: Any) -> list[Any]:
    return [value and _without_zeros(value) for value in array.cast(pa.string()).to_pylist()]


def _without_zeros(time: str) -> str:
    return re.sub(r"(\.\d*?)0+$", r"\1", time).removesuffix(".")


def _of_durations(array: Any) -> list[Any]:
    ticks = _TICKS[array.type.unit]
    return [None if count is None else _duration(count, ticks) for count in array.cast(pa.int64()).to_pylist()]


def _duration(count: int, ticks: int) -> str:
    seconds, rest = divmod(abs(count), ticks)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    fraction = f".{rest:0{len(str(ticks)) - 1}d}".rstrip("0") if rest else ""
    time = "".join(f"{n}{letter}" for n, letter in ((hours, "H"), (minutes, "M")) if n)
    time += f"{seconds}{fraction}S" if seconds or fraction or not (time or days) else ""
    return "-" * (count < 0) + "P" + f"{days}D" * bool(days) + f"T{time}" * bool(time)


def _of_intervals(array: Any) -> list[Any]:
    """Months, days and seconds are kept apart, for a month has no length, and a day may have 23 hours."""
    return [None if value is None else _interval(*value) for value in array.to_pylist()]


def _interval(months: int, days: int, nanoseconds: int) -> str:
    seconds = _without_zeros(f"{Decimal(nanoseconds).scaleb(-9):.9f}")
    parts = f"{months}M" * bool(months) + f"{days}D" * bool(days)
    return "P" + parts + f"T{seconds}S" * bool(nanoseconds or not parts)


def _of_lists(array: Any) -> list[Any]:
    inner = iter(values_of(array.flatten()))
    lengths = compute.list_value_length(array).to_pylist()
    return [None if length is None else [next(inner) for _ in range(length)] for length in lengths]


def _of_structs(array: Any) -> list[Any]:
    names = [field.name for field in array.type]
    columns = [values_of(column) for column in array.flatten()]
    rows = zip(*columns, strict=True) if columns else [()] * len(array)
    valid = array.is_valid().to_pylist()
    return [dict(zip(names, row, strict=True)) if there else None for row, there in zip(rows, valid, strict=True)]


def _of_maps(array: Any) -> list[Any]:
    kind = array.type
    entries = pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)]))
    rows = _of_lists(array.cast(entries))
    return [None if row is None else {str(entry["key"]): entry["value"] for entry in row} for row in rows]


_VALUES: dict[str, Callable[[Any], list[Any]]] = {
    "dictionary": lambda array: values_of(array.dictionary_decode()),
    "decimal": _of_decimals,
    "float16": _of_floats,
    "float32": _of_floats,
    "timestamp": _of_times,
    "date": _of_dates,
    "time": _of_times_of_day,
    "duration": _of_durations,
    "interval": _of_intervals,
    "run_end_encoded": lambda array: values_of(compute.run_end_decode(array)),
    "map": _of_maps,
    "list": _of_lists,
    "large_list": _of_lists,
    "fixed_size_list": _of_lists,
    "struct": _of_structs,
}
"""How the values of an array are listed, by the kind of its type."""
