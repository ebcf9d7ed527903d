"""The text of a cell, plain values of Arrow's arrays, and JSON and CSV made of them."""

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pytest

from tidegate.data.tables.values import csv_fields, json_text, plain_values, text_of

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("fine", "fine"),
        ("", ""),
        (None, ""),
        (NAN, ""),
        (1984, "1984"),
        (0, "0"),
        (-3, "-3"),
        (2.5, "2.5"),
        (INF, "inf"),
        (True, "true"),
        (False, "false"),
        (Decimal("1.50"), "1.50"),
        (Decimal("0E-8"), "0.00000000"),
        ("naïve".encode(), "naïve"),
    ],
)
def test_a_cell_has_a_text(value: Any, text: str) -> None:
    """Numbers and truth values are their text, bytes what they encode, and what is missing is empty."""
    assert text_of(value) == text


@pytest.mark.parametrize("value", [[], ["a"], {"a": 1}, b"\xff"])
def test_what_has_no_text(value: Any) -> None:
    """Lists, records, and bytes that are not UTF-8 are no text."""
    with pytest.raises(ValueError, match=r"is no text|can't decode"):
        text_of(value)


DAY = 86400
LATE = datetime(2024, 2, 29, 12, 30, 0, 500000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1, None, 3], pa.int16(), [1, None, 3]),
        ([2**64 - 1], pa.uint64(), [2**64 - 1]),
        ([True, None], pa.bool_(), [True, None]),
        ([None, None], pa.null(), [None, None]),
        (["a", None], pa.large_string(), ["a", None]),
        ([0.1, None, INF, 2.0**24, 1e-30], pa.float32(), [0.1, None, INF, 2.0**24, 1e-30]),
        (np.array([0.1, 1], np.float16), pa.float16(), [0.1, 1.0]),
        ([0.1, None], pa.float64(), [0.1, None]),
        ([b"a", b"\xff", None], pa.binary(), [b"a", b"\xff", None]),
        ([b"ab"], pa.binary(2), [b"ab"]),
        ([1, 10**18, None], pa.timestamp("ns"), ["1970-01-01T00:00:00.000000001", "2001-09-09T01:46:40", None]),
        ([LATE], pa.timestamp("us"), ["2024-02-29T12:30:00.5"]),
        ([LATE], pa.timestamp("ms", "Europe/Berlin"), ["2024-02-29T12:30:00.5Z"]),
        ([253402300800], pa.timestamp("s"), ["10000-01-01T00:00:00"]),
        ([-1], pa.timestamp("s"), ["1969-12-31T23:59:59"]),
        ([date(2024, 2, 29), None], pa.date32(), ["2024-02-29", None]),
        ([2932897], pa.date32(), ["10000-01-01"]),
        ([date(2024, 2, 29), None], pa.date64(), ["2024-02-29", None]),
        ([1, None], pa.time64("ns"), ["00:00:00.000000001", None]),
        ([time(23, 59, 1)], pa.time32("s"), ["23:59:01"]),
        ([0, 1, None], pa.duration("ns"), ["PT0S", "PT0.000000001S", None]),
        ([DAY, DAY + 3661, -60], pa.duration("s"), ["P1D", "P1DT1H1M1S", "-PT1M"]),
        ([Decimal("1.50"), None], pa.decimal128(10, 2), [Decimal("1.50"), None]),
        ([Decimal(15), None], pa.decimal128(38, 0), [15, None]),
        ([Decimal(15)], pa.decimal256(60, 0), [15]),
        ([[1, 2], None, [], [None]], pa.list_(pa.int8()), [[1, 2], None, [], [None]]),
        ([[0.1], None], pa.large_list(pa.float32()), [[0.1], None]),
        ([[1, 2], None, [3, 4]], pa.list_(pa.int8(), 2), [[1, 2], None, [3, 4]]),
        ([[[0]], None], pa.list_(pa.list_(pa.timestamp("s"))), [[["1970-01-01T00:00:00"]], None]),
        ([{"a": 0.1}, None, {"a": None}], pa.struct({"a": pa.float32()}), [{"a": 0.1}, None, {"a": None}]),
        ([[("k", 1)], None, []], pa.map_(pa.string(), pa.int8()), [{"k": 1}, None, {}]),
        ([[(1, "v")]], pa.map_(pa.int32(), pa.string()), [{"1": "v"}]),
        (["a", None, "a"], pa.dictionary(pa.int8(), pa.string()), ["a", None, "a"]),
        ([2, None], pa.dictionary(pa.int8(), pa.timestamp("s")), ["1970-01-01T00:00:02", None]),
    ],
    ids=str,
)
def test_arrow_data_becomes_plain_values(values: Any, kind: Any, expected: list[Any]) -> None:
    """Every type is listed without loss, from the middle of an array too, and in pieces."""
    if pa.types.is_dictionary(kind):
        array = pa.array(values, kind.value_type).dictionary_encode()
    else:
        array = pa.array(values, kind)
    found = plain_values(array)
    assert (found, [type(value) for value in found]) == (expected, [type(value) for value in expected])
    assert plain_values(array[1:]) == expected[1:]
    assert plain_values(pa.chunked_array([array, array[:1]])) == [*expected, expected[0]]
    assert json.loads(json_text(found), parse_constant=pytest.fail) is not None


def test_extension_types_are_what_they_store() -> None:
    """An identifier is its usual text; what is not known is what it is stored as."""
    stored = pa.array([UUID(int=7).bytes, None], pa.binary(16))
    assert plain_values(pa.ExtensionArray.from_storage(pa.uuid(), stored)) == [str(UUID(int=7)), None]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (NAN, "null"),
        ([1.5, INF, -INF, None], "[1.5, null, null, null]"),
        ({"a": {"b": [NAN]}, "c": (INF, 1)}, '{"a": {"b": [null]}, "c": [null, 1]}'),
        ({"a": Decimal("12.50")}, '{"a": "12.50"}'),
        ([b"a", b"\xff"], '["a", "/w=="]'),
        ("naïve 😀", '"naïve 😀"'),
        (2**70, str(2**70)),
        (True, "true"),
    ],
)
def test_json_is_json(value: Any, text: str) -> None:
    """NaN and the infinities are null at any depth, no digit of a number is lost, and bytes are text."""
    assert json_text(value) == text


@pytest.mark.parametrize(
    ("column", "fields"),
    [
        ([1, 2.5, None, "a", NAN, INF], [1, 2.5, None, "a", None, INF]),
        ([True, False, None], ["true", "false", None]),
        ([{"a": 1}, [None, "é"], None], ['{"a": 1}', '[null, "é"]', None]),
        ([b"text", b"\xff"], ["text", "/w=="]),
        ([Decimal("1.50"), Decimal("0E-8")], ["1.50", "0.00000000"]),
        (np.array([0.5, 1]), [0.5, 1.0]),
        (np.ones((1, 2)), ["[1.0, 1.0]"]),
        (pa.array([{"a": [1]}]), ['{"a": [1]}']),
    ],
)
def test_fields_of_csv(column: Any, fields: list[Any]) -> None:
    """Lists and records are JSON, truth values are as in JSON, and what is missing is empty."""
    assert csv_fields(column) == fields
