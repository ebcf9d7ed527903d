"""Numbers and times of cells, whatever kind of file they come from."""

import json
import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})
"""What stands for a number that is missing, in any capitals."""

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*", re.IGNORECASE | re.ASCII)
DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*")
"""A number as it is written where the decimal sign is a comma."""

_BETWEEN = re.compile(r"[\s;|,]+")
_DAY = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?")
_FRACTION = re.compile(r"[.,](\d+)")
_NANOSECONDS = 10**9
_EXACT = 1 << 53  # the largest whole number up to which float64 has all
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def numbers_of(column: Sequence[Any], name: str, first_row: int = 1) -> Array:
    """Reads a column of numbers.

    Args:
        column: Numbers, texts of numbers, true and false, or None.
        name: Its name, for errors.
        first_row: The row of its first cell.

    Returns:
        float64 [N], NaN where a number is missing.

    Raises:
        ValueError: A cell holds no number.
    """
    plain = [None if isinstance(value, str) and value.strip().lower() in MISSING else value for value in column]
    for row, value in enumerate(plain, first_row):
        if not (value is None or isinstance(value, int | float) or _is_number(value)):
            raise ValueError(f"row {row} of column {name!r} holds {value!r:.40}, expected a number{_hint(value)}")
    return np.array([np.nan if value is None else float(value) for value in plain], np.float64)


def _is_number(value: Any) -> bool:
    return _NUMBER.fullmatch(value) is not None if isinstance(value, str) else isinstance(value, Decimal)


def _hint(value: Any) -> str:
    comma = isinstance(value, str) and DECIMAL_COMMA.fullmatch(value)
    return ": the decimal sign must be a point" if comma else ""


def is_number_text(value: Any) -> bool:
    """Whether a cell reads as a number: one, or the text of one."""
    return isinstance(value, int | float) or _is_number(value)


class Times(NamedTuple):
    """A column of times, which only have to be put in order.

    Attributes:
        kind: "numbers", "moments", "times of day", or a type of Arrow: those of two kinds have no common order.
        values: int64 or float64 [N]; moments and times of day in nanoseconds.
    """

    kind: str
    values: npt.NDArray[Any]


def times_of(column: Sequence[Any], name: str, first_row: int = 1) -> Times:
    """Reads a column of times.

    Args:
        column: As in `numbers_of`, or moments, dates and times of day as ISO 8601 writes them.
        name: As in `numbers_of`.
        first_row: As in `numbers_of`.

    Raises:
        ValueError: A time is missing, or is neither a number nor in ISO 8601, or of another kind than those before, or
            too large to be put in order.
    """
    times = [_time_of(value, row, name) for row, value in enumerate(column, first_row)]
    rows = {kind: row for row, (kind, _) in reversed(list(enumerate(times, first_row)))}
    if len(rows) > 1:
        found = " and ".join(f"{kind} (row {row})" for kind, row in reversed(rows.items()))
        raise ValueError(f"column {name!r} holds {found}, expected times of one kind: they have no common order")
    return Times(next(iter(rows), "numbers"), _array_of([time for _, time in times], name))


def _time_of(value: Any, row: int, name: str) -> tuple[str, int | float]:
    """Returns a time as a number, itself or nanoseconds, and its kind."""
    if isinstance(value, int | float) and not math.isnan(value):
        return "numbers", value
    text = str(value).strip() if value is not None else ""
    if text.lower() in MISSING:
        raise ValueError(f"row {row} has no time in column {name!r}: fill it in, or remove the row")
    if _NUMBER.fullmatch(text):
        return "numbers", int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)
    moment = moment_of(text)
    if moment is None:
        raise ValueError(
            f"row {row} of column {name!r} holds {text!r:.40}, expected a number or a time as ISO 8601 writes it, such "
            f"as 2026-01-31 12:30:00"
        )
    return "times of day" if _DAY.fullmatch(text) else "moments", moment


def _array_of(times: list[int | float], name: str) -> npt.NDArray[Any]:
    """Makes an array of times, int64 if all are whole: as float64 two that are nanoseconds apart would be equal."""
    whole = [int(time) if isinstance(time, float) and time.is_integer() else time for time in times]
    if all(isinstance(time, int) and abs(time) < 1 << 63 for time in whole):
        return np.array(whole, np.int64)
    large = [time for time in times if isinstance(time, int) and abs(time) > _EXACT]
    if large:
        raise ValueError(_too_large(name, large[0]))
    return np.array(times, np.float64)


def times_in_one(parts: Sequence[npt.NDArray[Any]], name: str) -> npt.NDArray[Any]:
    """Puts the times of several blocks of rows behind each other, whole ones as int64.

    Args:
        parts: `Times.values` of each.
        name: The column, for errors.

    Raises:
        ValueError: A whole number is too large to be put in order with fractions.
    """
    if len({part.dtype for part in parts}) == 1:
        return np.concatenate(parts)
    if all((part == np.floor(part)).all() and (np.abs(part) < 2.0**63).all() for part in parts):
        return np.concatenate([part.astype(np.int64) for part in parts])
    for part in parts:
        if part.dtype.kind in "iu" and (large := part[np.abs(part) > _EXACT]).size:
            raise ValueError(_too_large(name, int(large[0])))
    return np.concatenate([part.astype(np.float64) for part in parts])


def _too_large(name: str, time: int) -> str:
    return (
        f"column {name!r} holds {time}, too large a number to be put in order with the others: expected whole numbers "
        f"below 2^63, and below 2^53 where there are fractions too"
    )


def moment_of(text: str) -> int | None:
    """Reads a moment, a date or a time of day in ISO 8601: nanoseconds since 1970 or midnight; None for other texts."""
    day = _DAY.fullmatch(text)
    if day:
        hours, minutes, seconds, rest = (int(part or 0) for part in (*day.groups()[:3], (day[4] or "").ljust(9, "0")))
        return (hours * 3600 + minutes * 60 + seconds) * _NANOSECONDS + rest
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if len(text) < len("2026-01-31"):  # 20260131 is a number, and 2026 a year
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    since = moment.replace(microsecond=0) - _EPOCH
    fraction = _FRACTION.search(text)  # to the nanosecond, where datetime has microseconds
    return (since.days * 86_400 + since.seconds) * _NANOSECONDS + int(
        (fraction[1] if fraction else "")[:9].ljust(9, "0")
    )


def steps_of(value: Any, place: str) -> Array:
    """Makes an array of the numbers of one sequence.

    Args:
        value: A list of numbers or of lists of numbers, None where one is missing; or the text of such a list: JSON, or
            numbers with spaces, commas, semicolons or bars between them.
        place: Where it stands, for errors.

    Returns:
        float32 or float64 [T] or [T, K].

    Raises:
        ValueError: It is no such list.
    """
    if isinstance(value, str):
        return _of_text(value, place)
    if not isinstance(value, list | tuple | np.ndarray):
        found = "no sequence" if value is None else f"{value!r:.40}, expected a list of numbers"
        raise ValueError(f"{place} holds {found}")  # noqa: TRY004 - a mistake in a file
    try:
        array = np.array(value)
    except ValueError:
        raise ValueError(f"{place} holds lists of different lengths, expected one number for each feature") from None
    if array.dtype == object:
        array = _with_gaps(value, place)
    if array.size == 0 and array.ndim < 2:
        return np.empty(0, np.float32)
    if array.dtype.kind not in "fiub" or array.ndim > 2:
        raise ValueError(f"{place} holds {value!r:.60}, expected a list of numbers, or of steps of them")
    return array.astype(np.result_type(array.dtype, np.float32), copy=False)


def samples_of(value: Any, place: str) -> npt.NDArray[Any]:
    """Makes an array of the samples of one clip, whole numbers as int16 where they fit.

    Args:
        value: A list of numbers.
        place: Where it stands, for errors.

    Raises:
        ValueError: It is no such list, or a sample is missing.
    """
    if not isinstance(value, list | tuple | np.ndarray):
        found = "no clip" if value is None else f"{value!r:.40}, expected samples or the name of a sound file"
        raise ValueError(f"{place} holds {found}")  # noqa: TRY004 - a mistake in a file
    try:
        array = np.array(value)
    except ValueError:
        array = np.array(None)
    if array.dtype.kind not in "fiu" or array.ndim not in {1, 2}:
        raise ValueError(f"{place} holds {value!r:.60}, expected samples")
    fits = array.dtype == np.int64 and array.size and np.iinfo(np.int16).min <= array.min() <= array.max() < 1 << 15
    return array.astype(np.int16) if fits else array


def _with_gaps(value: Any, place: str) -> Array:
    """Makes an array of numbers among which there is None."""
    try:
        return np.array(value, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{place} holds {value!r:.60}, expected a list of numbers, or of steps of them") from None


def _of_text(text: str, place: str) -> Array:
    """Reads the text of a list."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if isinstance(found, list):
        return steps_of(found, place)
    parts = [part for part in _BETWEEN.split(text.strip(" \t\r\n[]()")) if part]
    if wrong := next((part for part in parts if part.lower() not in MISSING and not _NUMBER.fullmatch(part)), None):
        raise ValueError(f"{place} holds {wrong!r:.40} among its numbers, expected a list of numbers")
    return np.array([np.nan if part.lower() in MISSING else float(part) for part in parts], np.float64)
