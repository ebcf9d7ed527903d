"""Parquet read and written as Arrow data."""

import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet as files

from tidegate.data import tables
from tidegate.data.tables.arrow import parquet

MOMENT = datetime(2024, 1, 1, tzinfo=UTC)
N = 3000  # rows, more than a part has; the values of a column come first or last, the rest is missing

TYPES: dict[str, tuple[Any, Any]] = {
    "int8": (1, pa.int8()),
    "int16": (-300, pa.int16()),
    "uint64": (2**64 - 1, pa.uint64()),
    "float32": (0.1, pa.float32()),
    "float16": (np.float16(0.5), pa.float16()),
    "bool": (True, pa.bool_()),
    "null": (None, pa.null()),
    "large_string": ("x", pa.large_string()),
    "binary": (b"\xff", pa.binary()),
    "fixed_binary": (b"ab", pa.binary(2)),
    "decimal": (Decimal("12345678.90"), pa.decimal128(10, 2)),
    "decimal256": (Decimal(10) ** 50, pa.decimal256(60, 0)),
    "date32": (2932897, pa.date32()),
    "time64": (1, pa.time64("ns")),
    "timestamp_ns": (1000000123, pa.timestamp("ns")),
    "timestamp_year_10000": (253402300800000, pa.timestamp("ms")),
    "timestamp_zone": (MOMENT, pa.timestamp("us", "Europe/Berlin")),
    "duration": (timedelta(days=1), pa.duration("ns")),
    "list": (["a", None], pa.list_(pa.string())),
    "list_not_null": ([1], pa.list_(pa.field("element", pa.int16(), nullable=False))),
    "fixed_list": ([0.5, 1.5], pa.list_(pa.float32(), 2)),
    "struct": ({"a": 1, "b": None}, pa.struct({"a": pa.int8(), "b": pa.list_(pa.string())})),
    "map": ([("k", 1)], pa.map_(pa.string(), pa.int64())),
    "nested": ([{"a": [("k", [1])]}], pa.list_(pa.struct({"a": pa.map_(pa.string(), pa.list_(pa.int8()))}))),
}


def copied(source: Path, target: Path) -> None:
    """Writes the columns of a table, part by part, and one more."""
    with tables.writer(target) as append:
        for part in tables.stream(source, typed=True):
            append(part.columns | {"more": np.ones(len(part))}, part.schema)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("name", TYPES)
def test_types_and_values_stay(tmp_path: Path, name: str, late: bool) -> None:
    """A column has the type, the values and the notes that it had, also if its first parts are empty."""
    if name == "fixed_list" and int(pa.__version__.partition(".")[0]) < 26:
        pytest.skip("pyarrow itself cannot read missing lists of a fixed size before its version 26")
    value, kind = TYPES[name]
    values = [None] * (N - 2) + [value] * 2 if late else [value] * 2 + [None] * (N - 2)
    fields = [pa.field("text", pa.string(), nullable=False), pa.field("x", kind, metadata={"unit": "m"})]
    table = pa.table([["a film"] * N, pa.array(values, kind)], schema=pa.schema(fields, metadata={"made": "here"}))
    files.write_table(table, tmp_path / "in.parquet")
    expected = files.read_table(tmp_path / "in.parquet")
    copied(tmp_path / "in.parquet", tmp_path / "out.parquet")
    found = files.read_table(tmp_path / "out.parquet")
    assert found.select(["text", "x"]).equals(expected)
    assert found.schema.field("x").equals(expected.schema.field("x"), check_metadata=True)
    assert not found.schema.field("text").nullable
    assert found.schema.metadata == expected.schema.metadata
    assert found["more"].to_pylist() == [1.0] * N


def test_dictionaries_that_differ_from_part_to_part(tmp_path: Path) -> None:
    """A column of categories stays one, whatever categories a row group has."""
    groups = [pa.array([f"{g}-{i % 5}" for i in range(N)]).dictionary_encode() for g in range(3)]
    table = pa.table({"text": ["a"] * 3 * N, "x": pa.chunked_array(groups).unify_dictionaries()})
    files.write_table(table, tmp_path / "in.parquet", row_group_size=N)
    copied(tmp_path / "in.parquet", tmp_path / "out.parquet")
    found = files.read_table(tmp_path / "out.parquet")
    assert found.schema.field("x").type == table.schema.field("x").type
    assert found["x"].to_pylist() == table["x"].to_pylist()


def test_old_timestamps_stay(tmp_path: Path) -> None:
    """Moments of 96 bits, as Spark and Impala write them, are read to the nanosecond."""
    table = pa.table({"text": ["a", "b"], "when": pa.array([1000000123, None], pa.timestamp("ns"))})
    files.write_table(table, tmp_path / "in.parquet", use_deprecated_int96_timestamps=True)
    copied(tmp_path / "in.parquet", tmp_path / "out.parquet")
    assert files.read_table(tmp_path / "out.parquet").select(["text", "when"]).equals(table)


def test_other_columns_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who needs texts and labels only has no other column read or converted."""
    table = pa.table({"id": [1, 2], "text": ["a film", "a play"], "label": ["x", "y"], "v": [[1.0], [2.0]]})
    files.write_table(table, tmp_path / "in.parquet")
    asked: list[Any] = []
    blocks = parquet.blocks

    def spied(path: Path, size: int | None, names: Any = None) -> Any:
        asked.append(names)
        return blocks(path, size, names)

    monkeypatch.setattr(parquet, "blocks", spied)
    found = tables.read(tmp_path / "in.parquet", others=False)
    assert (found.texts, found.labels, list(found.columns)) == (["a film", "a play"], ["x", "y"], ["text", "label"])
    assert [set(names) for names in asked] == [{"id", "text", "label"}, {"text", "label"}]


@pytest.mark.parametrize("name", ["a.b", "a", "a.b.c"])
def test_names_with_dots(tmp_path: Path, name: str) -> None:
    """A column is found by its whole name, beside records with fields."""
    table = pa.table({"a": [{"b": {"c": 1}}], "a.b": ["one"], "a.b.c": ["two"], "text": ["x"]})
    files.write_table(table, tmp_path / "in.parquet")
    [block] = parquet.blocks(tmp_path / "in.parquet", 10, [name])
    assert block[name].to_pylist() == table[name].to_pylist()


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    """Which one is meant cannot be said."""
    files.write_table(pa.table([["a"], ["b"]], names=["text", "text"]), tmp_path / "in.parquet")
    with pytest.raises(ValueError, match=r"in.parquet: two columns have the name 'text'"):
        tables.read(tmp_path / "in.parquet", need_label=False)


def test_parts_are_gathered_into_row_groups() -> None:
    """Small parts do not make small row groups, which would be slow to read."""
    file = io.BytesIO()
    with parquet.appender(file) as append:
        for _ in range(100):
            append({"text": ["x"] * 1000})
    written = files.ParquetFile(file)
    assert (written.metadata.num_rows, written.metadata.num_row_groups) == (100_000, 2)


def test_a_table_without_rows_has_none(tmp_path: Path) -> None:
    """A file with columns and no row gives no part."""
    files.write_table(pa.table({"a": pa.array([], pa.string()), "b": pa.array([], pa.int8())}), tmp_path / "in.parquet")
    assert list(tables.stream(tmp_path / "in.parquet")) == []


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt])
@pytest.mark.parametrize("rows", [1, 1 << 17])
def test_a_part_of_a_file_does_not_look_whole(error: type[BaseException], rows: int) -> None:
    """A stream of Parquet that ends in an error is no file that can be read."""
    file = io.BytesIO()

    def write() -> None:
        with parquet.appender(file) as append:
            append({"text": ["x"] * rows})
            raise error

    with pytest.raises(error):
        write()
    assert file.getvalue()[:4] == b"PAR1"
    with pytest.raises(pa.ArrowInvalid):
        files.read_table(io.BytesIO(file.getvalue()))


@pytest.mark.parametrize("values", [[10**400], [10**400, 1.5], [2**53 + 1, 1.5], ["x", 1.5], [1, "x"], [[1], "x"]])
def test_values_that_no_type_holds_are_one_error(values: list[Any]) -> None:
    """The error names the column, whatever Arrow calls it."""
    with pytest.raises(ValueError, match="column 'id' holds values that no type of Parquet"):
        write_parquet({"id": values})


def write_parquet(columns: dict[str, Any]) -> None:
    """Writes a table to memory."""
    with tables.writer(io.BytesIO(), "parquet") as write:
        write(columns)


@pytest.mark.parametrize("values", [[{}], [[{}]], [{"a": {}}]])
def test_objects_without_fields_are_one_error(values: list[Any]) -> None:
    """Parquet has none; where the values are known before they are written they are text, see `json.types`."""
    with pytest.raises(ValueError, match="Parquet has no such columns"):
        write_parquet({"id": values})


@pytest.mark.parametrize("error", [RuntimeError("histogram size mismatch"), pa.ArrowNotImplementedError("codec")])
def test_other_errors_of_pyarrow_are_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """What pyarrow raises besides its own errors, for some damages and for what it has not, is one error too."""
    path = tmp_path / "t.parquet"
    tables.write(path, {"text": ["a"]})

    def fails(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(files.ParquetFile, "read", fails)
    with pytest.raises(ValueError, match=rf"t\.parquet: the Parquet file cannot be read: {error}"):
        tables.read(path, need_label=False)
