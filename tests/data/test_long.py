"""Long tables: a row for each step, in any order."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate.data import series
from tidegate.data.series import Asked
from tidegate.data.tables.sources.kinds import TableWarning

ASKED = Asked(features=("x",), key="who", time="when", labels=("y",))
SEQUENCES = {"b": [[1.0], [2.0], [3.0]], "a": [[4.0]], "c": [[5.0], [6.0]]}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Writes rows as the suffix says."""
    names = list(rows[0])
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".parquet":
        pa = pytest.importorskip("pyarrow")
        pa.parquet = pytest.importorskip("pyarrow.parquet")
        pa.parquet.write_table(pa.Table.from_pylist(rows), path)
    else:
        between = "\t" if path.suffix == ".tsv" else ","
        lines = [names, *([("" if row[name] is None else str(row[name])) for name in names] for row in rows)]
        path.write_text("".join(between.join(line) + "\n" for line in lines), encoding="utf-8")
    return path


def rows(times: list[Any]) -> list[dict[str, Any]]:
    """The steps of `SEQUENCES`, of three moments, with the first row of each key in the order of the keys."""
    steps = [("b", 1, 2.0), ("a", 0, 4.0), ("b", 0, 1.0), ("c", 2, 6.0), ("b", 2, 3.0), ("c", 1, 5.0)]
    return [{"who": who, "when": times[t], "x": x, "y": f"of {who}"} for who, t, x in steps]


def test_sequences_are_neither_sorted_by_name_nor_cut(tmp_path: Path) -> None:
    """Keys come as in the file, s10 before s2, each with its own label, though their rows lie between each other."""
    steps = [(t, who) for t in range(3) for who in ("s10", "s2", "s1")]
    table = [{"who": who, "when": t, "x": float(who[1:]) + t / 10, "y": f"0{who[1]}"} for t, who in steps]
    found = series.read(write(tmp_path / "names.csv", table), ASKED)
    assert found.columns["who"] == ["s10", "s2", "s1"]
    assert [x[:, 0].round(1).tolist() for x in found.sequences] == [[10.0, 10.1, 10.2], [2.0, 2.1, 2.2], [1, 1.1, 1.2]]
    assert found.labels == {"y": ["01", "02", "01"]}


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
@pytest.mark.parametrize(
    "times",
    [
        [2, 10, 100],
        [-1.5, 0.0, 1e-3],
        ["2026-03-01T09:00:00", "2026-03-01T10:00:00", "2026-03-02T00:00:00"],
        ["2026-03-01 09:00:00+02:00", "2026-03-01 07:30:00Z", "2026-03-01 05:00:00-04:00"],
        ["2026-03-01T00:00:00.000000001", "2026-03-01T00:00:00.000000002", "2026-03-01T00:00:00.1"],
        ["9:59", "10:00:00.5", "10:00:01"],
        ["2026-02-28", "2026-03-01", "2026-03-01T00:00:01"],
    ],
    ids=str,
)
def test_steps_are_put_in_order(tmp_path: Path, suffix: str, times: list[Any]) -> None:
    """Rows may stand in any order: each key has its steps by time, keys come as their first rows do, labels by key."""
    found = series.read(write(tmp_path / f"long{suffix}", rows(times)), ASKED)
    assert found.columns["who"] == list(SEQUENCES)
    assert [sequence.tolist() for sequence in found.sequences] == list(SEQUENCES.values())
    assert found.labels == {"y": ["of b", "of a", "of c"]}


def test_times_of_arrow_are_times(tmp_path: Path) -> None:
    """Timestamps, dates and durations of Parquet put steps in order as numbers do."""
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    plain = rows([2, 10, 100])
    for kind in (pa.timestamp("ns"), pa.timestamp("s", tz="UTC"), pa.date32(), pa.duration("ms"), pa.time64("us")):
        whole = pa.int32() if kind == pa.date32() else pa.int64()
        table = pa.Table.from_pylist(plain)
        table = table.set_column(1, "when", table["when"].cast(whole).cast(kind))
        parquet.write_table(table, tmp_path / "times.parquet")
        found = series.read(tmp_path / "times.parquet", ASKED)
        assert [sequence.tolist() for sequence in found.sequences] == list(SEQUENCES.values()), kind


@pytest.mark.parametrize("size", [2, 1024])
@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_nanoseconds_stay_apart(tmp_path: Path, suffix: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole numbers keep each unit, though some rows write them as fractions, in the same block of rows or another."""
    monkeypatch.setattr("tidegate.data.series.reading._LONG_ROWS", size)
    begin = 1_767_225_600_000_000_000
    data = rows([begin + 1, begin + 2, begin + 3])
    data += [{"who": "d", "when": time, "x": x, "y": "of d"} for time, x in ((begin + 1, 2.0), (float(begin), 1.0))]
    found = series.read(write(tmp_path / f"long{suffix}", data), ASKED)
    assert [sequence.tolist() for sequence in found.sequences] == [*SEQUENCES.values(), [[1.0], [2.0]]]


@pytest.mark.parametrize("size", [2, 1024])
@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([0, "2026-01-01", 2], r"'when' holds (moments \(row 1\) and numbers \(row 2\)|numbers .* and moments)"),
        (["10:00", "2026-01-01", "11:00"], "'when' holds .*(moments|times of day).* and .*(moments|times of day)"),
        ([0.5, 2**53 + 1, 2**53 + 2], "'when' holds 900719925474099[34], too large a number to be put in order"),
        ([2**64, 1, 2], "'when' holds 18446744073709551616, too large a number to be put in order"),
    ],
)
def test_times_without_a_common_order(
    tmp_path: Path, size: int, times: list[Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers among dates, times of day among dates, and what float64 would make equal are refused."""
    monkeypatch.setattr("tidegate.data.series.reading._LONG_ROWS", size)
    with pytest.raises(ValueError, match=message):
        series.read(write(tmp_path / "long.csv", rows(times)), ASKED)


def test_without_times_rows_keep_their_order(tmp_path: Path) -> None:
    """Without a column of times the steps of a key are in the order of the file."""
    path = write(tmp_path / "long.csv", [{key: row[key] for key in ("who", "x", "y")} for row in rows([0, 1, 2])])
    found = series.read(path, Asked(features=("x",), key="who", labels=("y",)))
    assert [sequence.ravel().tolist() for sequence in found.sequences] == [[2, 1, 3], [4], [6, 5]]


def test_steps_at_one_time_are_counted(tmp_path: Path) -> None:
    """Rows of one key at the same time stay in the order of the file, and a note counts them."""
    with pytest.warns(TableWarning, match="3 rows have the key and the time"):
        found = series.read(write(tmp_path / "long.csv", rows([0, 0, 0])), ASKED)
    assert found.sequences[0].ravel().tolist() == [2, 1, 3]


def test_gaps_are_nan(tmp_path: Path) -> None:
    """An empty cell, NA and nan are missing numbers."""
    data = rows([0, 1, 2])
    for row, gap in zip(data, (None, "NA", "nan", "n/a", "NULL", 7), strict=True):
        row["x"] = gap
    found = series.read(write(tmp_path / "long.csv", data), ASKED)
    assert np.isnan(np.concatenate(found.sequences)).sum() == 5


def test_a_label_may_stand_in_one_row_of_its_key(tmp_path: Path) -> None:
    """Rows without a label take that of their key; 1 and 1.0 are the same."""
    data = rows([0, 1, 2])
    for row, label in zip(data, ("1", "2", "", "1", "1.0", ""), strict=True):
        row["y"] = label
    assert series.read(write(tmp_path / "long.csv", data), ASKED).labels == {"y": ["1", "2", "1"]}


@pytest.mark.parametrize(
    ("row", "change", "message"),
    [
        (4, {"y": "of a"}, r"'b' of column 'who' has the label 'of b' in row 1 and 'of a' in row 5 of column 'y'"),
        (3, {"who": ""}, "row 4 has no key in column 'who'"),
        (3, {"when": ""}, "row 4 has no time in column 'when'"),
        (
            3,
            {"when": "31/01/2026"},
            "row 4 of column 'when' holds '31/01/2026', expected a number or a time as ISO 8601",
        ),
        (2, {"x": "warm"}, "row 3 of column 'x' holds 'warm', expected a number"),
        (2, {"x": "1,5"}, "row 3 of column 'x' holds '1,5', expected a number: the decimal sign must be a point"),
        (2, {"x": "1_000"}, "row 3 of column 'x' holds '1_000'"),
        (2, {"x": "0x1f"}, "row 3 of column 'x' holds '0x1f'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, row: int, change: dict[str, str], message: str) -> None:
    """A key with two labels, a row without a key or a time, and a cell without a number are errors with their place."""
    data = rows([0, 1, 2])
    data[row] |= change
    for suffix in (".tsv", ".jsonl"):
        with pytest.raises(ValueError, match=message):
            series.read(write(tmp_path / f"wrong{suffix}", data), ASKED)


def test_a_key_for_each_row_is_an_error(tmp_path: Path) -> None:
    """If no key comes again, the column tells rows apart and not sequences."""
    data = [row | {"who": f"{n}"} for n, row in enumerate(rows([0, 1, 2]))]
    with pytest.raises(ValueError, match="in column 'who' no value comes again: each sequence would have one step"):
        series.read(write(tmp_path / "wrong.csv", data), ASKED)


def test_blocks_are_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that is read in many blocks is the same as one in one block."""
    path = write(tmp_path / "long.csv", rows([0, 1, 2]))
    monkeypatch.setattr("tidegate.data.series.reading._LONG_ROWS", 2)
    found = series.read(path, ASKED)
    assert [sequence.tolist() for sequence in found.sequences] == list(SEQUENCES.values())
    assert found.labels == {"y": ["of b", "of a", "of c"]}
