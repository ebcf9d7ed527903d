"""The type of a column of JSON, and values made to fit it."""

import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from tidegate.data import tables
from tidegate.data.tables.json.types import array_of, schema_of, type_of, widened

S, I, F, B = pa.string(), pa.int64(), pa.float64(), pa.bool_()

# The values of a column, its type, and what it holds then if that is not the same
COLUMNS = [
    ([1, None], I, None),
    ([1, 2.5, None], F, [1.0, 2.5, None]),
    ([2**53 + 1, 2**63 - 1], I, None),
    ([2**53, -(2**53), 0.5], F, [2.0**53, -(2.0**53), 0.5]),
    ([2**53 + 1, 1.5], S, ["9007199254740993", "1.5"]),
    ([1.5, -(2**53) - 1], S, ["1.5", "-9007199254740993"]),
    ([2**53 + 1, None, 1], I, None),
    ([1, 2**53 + 1, 7, 0.5], S, ["1", "9007199254740993", "7", "0.5"]),
    ([1, 0.5, 2**53 + 1], S, ["1", "0.5", "9007199254740993"]),
    ([10**400, 1.5], S, ["1" + "0" * 400, "1.5"]),
    ([1.5, 1, -(10**400)], S, ["1.5", "1", "-1" + "0" * 400]),
    ([[2**53 + 1], [0.5]], pa.list_(S), [["9007199254740993"], ["0.5"]]),
    ([[2**53 + 1], [5]], pa.list_(I), None),
    ([{"a": 2**53 + 1}, {"a": 0.5}], pa.struct({"a": S}), [{"a": "9007199254740993"}, {"a": "0.5"}]),
    ([{"a": 2**53 + 1}, {"a": 5}], pa.struct({"a": I}), None),
    ([2**53 + 1, "x"], S, ["9007199254740993", "x"]),
    ([2**63, 1], S, [str(2**63), "1"]),
    ([-(2**63), 2**63], S, [str(-(2**63)), str(2**63)]),
    (["a", None], S, None),
    ([True, False], B, None),
    ([True, 1], S, ["true", "1"]),
    ([1, "SW1"], S, ["1", "SW1"]),
    ([1.5, "x", float("nan")], S, ["1.5", "x", None]),
    ([None, None], S, None),
    ([[], [1], [2.5]], pa.list_(F), [[], [1.0], [2.5]]),
    ([None, [], [None]], pa.list_(S), None),
    ([[1], ["a"]], pa.list_(S), [["1"], ["a"]]),
    ([{}, None], S, ["{}", None]),
    ([{"a": 1}, {"b": True}], pa.struct({"a": I, "b": B}), [{"a": 1, "b": None}, {"a": None, "b": True}]),
    ([{"a": None}, {"a": {"b": 1}}, {"a": {"b": 0.5}}], pa.struct({"a": pa.struct({"b": F})}), None),
    ([{"a": 1}, "b", [2]], S, ['{"a": 1}', "b", "[2]"]),
    ([{"a": 1}, {}], pa.struct({"a": I}), [{"a": 1}, {"a": None}]),
    ([{"a": {}}, {"a": {}}], pa.struct({"a": S}), [{"a": "{}"}, {"a": "{}"}]),
    (["\ud800"], S, ["?"]),
]


@pytest.mark.parametrize(("values", "kind", "expected"), COLUMNS, ids=str)
@pytest.mark.parametrize("size", [1, 2, 10])
def test_a_column_has_the_type_that_holds_all_values(
    values: list[Any], kind: Any, expected: list[Any] | None, size: int
) -> None:
    """Numbers are widened, records get all fields, and what mixes kinds is text, in whatever parts it comes."""
    found = pa.null()
    for start in range(0, len(values), size):
        found = widened(found, type_of(values[start : start + size]))
    [field] = schema_of({"column": found})
    assert field.type == kind
    if expected is not None:
        assert array_of(values, kind).to_pylist() == expected
    elif not pa.types.is_struct(kind):
        assert array_of(values, kind).to_pylist() == values


def test_not_a_number_stays_in_a_column_of_numbers() -> None:
    """Parquet has NaN, which JSON of Python writes too."""
    assert math.isnan(array_of([float("nan"), 1], type_of([float("nan"), 1])).to_pylist()[0])


def test_a_dictionary_by_keys_is_text() -> None:
    """Records with more different fields than a table has columns are kept as JSON."""
    values = [{f"user {i}": i} for i in range(2000)]
    assert type_of(values) == S
    assert widened(type_of(values[:900]), type_of(values[900:1800])) == S


@pytest.mark.parametrize("whole", [2**53 + 1, -(2**63), 2**63, 10**400])
@pytest.mark.parametrize("first", ["integer", "fraction"])
@pytest.mark.parametrize("apart", [0, 3000])
def test_integers_reach_parquet_unchanged(tmp_path: Path, whole: int, first: str, apart: int) -> None:
    """No digit of an integer is lost beside numbers with a fraction, however many rows lie between them."""
    numbers = ["1.5", *["2"] * apart, str(whole)]
    numbers = numbers if first == "fraction" else numbers[::-1]
    (tmp_path / "in.jsonl").write_text("".join(f'{{"id": {number}, "text": "a film"}}\n' for number in numbers))
    with tables.writer(tmp_path / "out.parquet") as write:
        for part in tables.stream(tmp_path / "in.jsonl", typed=True):
            write(part.columns, part.schema)
    assert parquet.read_table(tmp_path / "out.parquet")["id"].to_pylist() == numbers
