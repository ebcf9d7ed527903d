"""Arrow's files with types that Parquet has not, and categories inside of lists and records."""

from pathlib import Path
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow")
from pyarrow import ipc, parquet  # noqa: E402 - pyarrow is optional

from tidegate.data import tables  # noqa: E402

N = 2500  # rows, in several record batches and row groups
CATEGORIES = pa.dictionary(pa.int32(), pa.string())
VIEWS = pa.dictionary(pa.uint32(), pa.string_view())
SPAN = pa.MonthDayNano([14, -3, 1_500_000_000])


def views(names: list[str | None]) -> Any:
    """Categories as polars writes them."""
    found = pa.array(names).dictionary_encode()
    return pa.DictionaryArray.from_arrays(found.indices.cast(pa.uint32()), found.dictionary.cast(pa.string_view()))


def listed(of: Any, values: Any) -> Any:
    """Lists of two values each, the second list missing."""
    offsets = pa.array(range(0, len(values) + 1, 2), pa.int32())
    missing = pa.array([place == 1 for place in range(len(values) // 2)])
    return pa.ListArray.from_arrays(offsets, values, type=pa.list_(of), mask=missing)


NAMES = [f"c{place % 7}" for place in range(2 * N)]
PAIRS = [None if place == 1 else NAMES[2 * place : 2 * place + 2] for place in range(N)]
COLUMNS: dict[str, tuple[Any, list[Any]]] = {
    "interval": (
        pa.array([SPAN, None, pa.MonthDayNano([0, 0, 0])] + [None] * (N - 3)),
        ["P14M-3DT1.5S", None, "PT0S"] + [None] * (N - 3),
    ),
    "runs": (
        pa.RunEndEncodedArray.from_arrays(pa.array([2, N], pa.int32()), pa.array(["a", "b"])),
        ["a", "a"] + ["b"] * (N - 2),
    ),
    "union": (
        pa.UnionArray.from_sparse(
            pa.array([place % 2 for place in range(N)], pa.int8()), [pa.array(["x"] * N), pa.array([3] * N)]
        ),
        ["x", "3"] * (N // 2),
    ),
    "list": (pa.array(PAIRS, pa.list_(CATEGORIES)), PAIRS),
    "large list": (pa.array(PAIRS, pa.large_list(CATEGORIES)), PAIRS),
    "pair": (pa.array(PAIRS, pa.list_(CATEGORIES, 2)), PAIRS),
    "list of views": (listed(VIEWS, views(list(NAMES))), PAIRS),
    "record": (
        pa.array([{"a": name, "b": 1} for name in NAMES[:N]], pa.struct({"a": CATEGORIES, "b": pa.int8()})),
        [{"a": name, "b": 1} for name in NAMES[:N]],
    ),
    "map": (
        pa.array([[("k", name)] for name in NAMES[:N]], pa.map_(pa.string(), CATEGORIES)),
        [{"k": name} for name in NAMES[:N]],
    ),
    "records in lists": (
        pa.array([[{"a": [name]}] for name in NAMES[:N]], pa.list_(pa.struct({"a": pa.list_(CATEGORIES)}))),
        [[{"a": [name]}] for name in NAMES[:N]],
    ),
}


def table(column: Any) -> Any:
    """Texts with labels and one more column."""
    return pa.table({"text": ["a film"] * N, "label": ["x", "y"] * (N // 2), "more": column})


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("stream", [False, True])
def test_a_column_that_parquet_has_not_stops_nobody(tmp_path: Path, name: str, stream: bool) -> None:
    """Texts and labels are read, and the column reaches the output with its values."""
    column, expected = COLUMNS[name]
    whole = table(column)
    path = tmp_path / "in.arrow"
    with (ipc.new_stream if stream else ipc.new_file)(path, whole.schema) as file:
        file.write_table(whole, max_chunksize=1000)
    assert tables.read(path, others=False).labels == ["x", "y"] * (N // 2)
    found = [value for part in tables.stream(path) for value in part.columns["more"]]
    assert found == expected


@pytest.mark.parametrize("name", ["list", "large list", "pair", "record", "map", "records in lists"])
def test_categories_inside_of_others_in_many_row_groups(tmp_path: Path, name: str) -> None:
    """Row groups with other categories each are read, in parts and as a whole, and are Parquet again."""
    column, _ = COLUMNS[name]
    path, again = tmp_path / "in.parquet", tmp_path / "out.parquet"
    parquet.write_table(table(column), path, row_group_size=700)
    with tables.writer(again) as append:
        for part in tables.stream(path, typed=True):
            append(part.columns, part.schema)
    assert parquet.read_table(again)["more"].to_pylist() == table(column)["more"].to_pylist()
    assert [len(part) for part in tables.stream(path, size=None)] == [N]


@pytest.mark.parametrize("name", ["list", "record"])
def test_categories_inside_of_others_without_a_row_group(tmp_path: Path, name: str) -> None:
    """A file without rows has none of their row groups, and is told to have no rows."""
    path = tmp_path / "in.parquet"
    whole = table(COLUMNS[name][0])
    parquet.ParquetWriter(path, whole.schema).close()
    assert parquet.ParquetFile(path).num_row_groups == 0
    assert [len(part) for part in tables.stream(path, size=None)] == []
    assert [len(part) for part in tables.stream(path)] == []
    with pytest.raises(ValueError, match="there are no rows"):
        tables.read(path)
