"""Tables with a sequence a row."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate.data import series
from tidegate.data.series import Asked

TRACKS = [[[1.0, 10.0], [2.0, 20.0]], [[3.0, 30.0]], [[4.0, 40.0], [5.0, 50.0], [6.0, 60.0]]]


def write_parquet(path: Path, **columns: Any) -> Path:
    """Writes columns, some of them arrays of Arrow."""
    pa = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet").write_table(pa.table(columns), path)
    return path


def write_json(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Writes JSON Lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("inner", ["list_", "large_list", "fixed"])
@pytest.mark.parametrize("outer", ["list_", "large_list"])
@pytest.mark.parametrize("number", ["float64", "float32", "int16", "float16", "uint8"])
def test_lists_of_arrow(tmp_path: Path, outer: str, inner: str, number: str) -> None:
    """Lists of lists of any numbers, large and of a fixed size too, are the arrays that they stand for."""
    pa = pytest.importorskip("pyarrow")
    kind = getattr(pa, number)()
    step = pa.list_(kind, 2) if inner == "fixed" else getattr(pa, inner)(kind)
    numbers: Any = TRACKS if number.startswith("f") else [[[int(x) for x in s] for s in track] for track in TRACKS]
    if number == "float16":
        numbers = [[np.array(step, np.float16) for step in track] for track in TRACKS]
    column = pa.array(numbers, getattr(pa, outer)(step))
    found = series.read(write_parquet(tmp_path / "t.parquet", track=column, label=["a", "b", "a"]))
    assert [sequence.tolist() for sequence in found.sequences] == TRACKS
    assert {sequence.dtype.itemsize for sequence in found.sequences} == {8 if number == "float64" else 4}
    assert found.feature_names == ("track[0]", "track[1]")
    assert found.labels == {"label": ["a", "b", "a"]}


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_a_list_for_each_feature(tmp_path: Path, suffix: str) -> None:
    """Several columns of lists are the features of one sequence; a column of lists of single numbers is one feature."""
    columns: dict[str, Any] = {
        name: [[step[k] for step in track] for track in TRACKS] for k, name in enumerate(("x", "y"))
    }
    columns["label"] = ["a", "b", "a"]
    if suffix == ".parquet":
        path = write_parquet(tmp_path / "t.parquet", **columns)
    else:
        path = write_json(
            tmp_path / "t.jsonl", [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        )
    found = series.read(path)
    assert [sequence.tolist() for sequence in found.sequences] == TRACKS
    assert found.feature_names == ("x", "y")
    assert series.read(path, Asked(features=("y",))).sequences[1].tolist() == [[30.0]]


def test_samples_of_sound(tmp_path: Path) -> None:
    """A column of 16-bit samples is one feature, exactly."""
    pa = pytest.importorskip("pyarrow")
    samples = pa.array([[-32768, 0, 32767], [1]], pa.list_(pa.int16()))
    found = series.read(write_parquet(tmp_path / "t.parquet", pcm=samples, digit=[3, 4]), Asked(labels=("digit",)))
    assert found.sequences[0].tolist() == [[-32768.0], [0.0], [32767.0]]
    assert found.sequences[0].dtype == np.float32
    assert found.feature_names == ("pcm",)


def test_gaps_and_empty_lists(tmp_path: Path) -> None:
    """A missing number is NaN, in Arrow and in JSON; an empty list is a sequence without a step."""
    rows = [[[1.0, None], [2.0, 3.0]], [], [[4.0, 5.0]]]
    labels = ["a", "b", "a"]
    jsonl = write_json(
        tmp_path / "t.jsonl", [{"z": row, "label": label} for row, label in zip(rows, labels, strict=True)]
    )
    for path in (write_parquet(tmp_path / "t.parquet", z=rows, label=labels), jsonl):
        first, empty, last = series.read(path).sequences
        assert np.isnan(first).tolist() == [[False, True], [False, False]]
        assert empty.shape == (0, 2)
        assert last.tolist() == [[4.0, 5.0]]


@pytest.mark.parametrize(
    "cells", [["[1, 2.5]", "[3]"], ["1 2.5", "3"], ["1;2.5", "3"], ['"1,2.5"', "3"], ["[1.  2.5]", "[3.]"]], ids=str
)
def test_lists_as_text(tmp_path: Path, cells: list[str]) -> None:
    """A column that is named may hold the text of lists: JSON, numbers with something between, numpy's own."""
    quoted = [f'"{cell}"' if "," in cell and '"' not in cell else cell for cell in cells]
    (tmp_path / "t.csv").write_text(f"series,label\n{quoted[0]},a\n{quoted[1]},b\n", encoding="utf-8")
    found = series.read(tmp_path / "t.csv", Asked(features=("series",), labels=("label",)))
    assert [sequence.tolist() for sequence in found.sequences] == [[[1.0], [2.5]], [[3.0]]]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [[[1, 2], [3]], [[1, 2]]],
            "row 1 of column 'z' holds lists of different lengths, expected one number for each",
        ),
        ([[[1, 2]], [[1, 2, 3]]], "row 2 of column 'z' has steps of 3 numbers, expected 2 as before"),
        ([[1, 2], None], "row 2 of column 'z' holds no sequence"),
        ([[1, 2], [[3, 4]]], "row 2 of column 'z' has steps of 2 numbers, expected 1"),
        ([[[[1]]], [[[1]]]], r"row 1 of column 'z' holds \[\[\[1\]\]\], expected a list of numbers"),
        ([["a"], ["b"]], "row 1 of column 'z' holds .*, expected a list of numbers"),
        ([["1"], ["2"]], "row 1 of column 'z' holds .*, expected a list of numbers"),
        ([{"x": 1}, {"x": 2}], "row 1 of column 'z' holds .*, expected a list of numbers"),
        (["1 2", "1 ... 2"], r"row 2 of column 'z' holds '\.\.\.' among its numbers"),
        ([3.5, 4.5], "each row holds single numbers: name the column that tells the sequences apart with --key"),
    ],
    ids=str,
)
def test_what_is_no_sequence_is_named(tmp_path: Path, rows: list[Any], message: str) -> None:
    """Steps of different sizes, texts, records and single numbers are errors with their row."""
    path = write_json(tmp_path / "t.jsonl", [{"z": row, "label": n} for n, row in enumerate(rows)])
    with pytest.raises(ValueError, match=message):
        series.read(path, Asked(features=("z",), labels=("label",)))


def test_lists_of_one_row_must_have_one_length(tmp_path: Path) -> None:
    """Columns of lists that differ in length in a row are an error with the lengths."""
    path = write_json(
        tmp_path / "t.jsonl", [{"x": [1, 2], "y": [1, 2], "label": 1}, {"x": [1, 2], "y": [1], "label": 0}]
    )
    with pytest.raises(ValueError, match=r"row 2 has lists of different lengths.*: 'x' 2, 'y' 1"):
        series.read(path)


def test_arrow_lists_name_their_row_too(tmp_path: Path) -> None:
    """In Parquet, a missing list and steps of different sizes are errors with their row as well."""
    pytest.importorskip("pyarrow")
    labels = ["a", "b"]
    with pytest.raises(ValueError, match="row 2 of column 'z' holds no sequence"):
        series.read(write_parquet(tmp_path / "t.parquet", z=[[1.0], None], label=labels))
    with pytest.raises(ValueError, match="row 2 of column 'z' holds lists of different lengths"):
        series.read(write_parquet(tmp_path / "t.parquet", z=[[[1.0]], [[1.0], [1.0, 2.0]]], label=labels))
    with pytest.raises(ValueError, match="row 2 of column 'z' has steps of 2 numbers, expected 1"):
        series.read(write_parquet(tmp_path / "t.parquet", z=[[[1.0]], [[1.0, 2.0]]], label=labels))
    with pytest.raises(ValueError, match="row 2 of column 'z' holds lists of different lengths"):
        series.read(write_parquet(tmp_path / "t.parquet", z=[[[1.0]], [[1.0], None]], label=labels))


def test_parts_have_their_columns(tmp_path: Path) -> None:
    """A table is read part by part with all its columns; those of Parquet keep their types where that is asked for."""
    path = write_parquet(tmp_path / "t.parquet", z=[[1.0], [2.0], [3.0]], note=[b"a", b"b", b"c"])
    parts = list(series.stream(path, size=2, typed=True))
    assert [len(part) for part in parts] == [2, 1]
    assert [list(part.columns) for part in parts] == [["z", "note"]] * 2
    assert str(parts[0].columns["note"].type) == "binary"
    [plain] = series.stream(path)
    assert plain.columns["z"] == [[1.0], [2.0], [3.0]]
