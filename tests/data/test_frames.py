"""Data frames as tables of sequences."""

from typing import Any

import numpy as np
import pytest

from tidegate.data.series import Asked, Roles, Series, from_frame

pa = pytest.importorskip("pyarrow")

COLUMNS: dict[str, list[Any]] = {
    "session": ["b", "a", "b", "c", "a"],
    "ts": [2, 0, 1, 5, 1],
    "x": [2.0, 3.0, 1.0, None, 4.0],
    "label": ["up", "no", "up", "no", "no"],
}


def frame_of(library: str, columns: dict[str, list[Any]]) -> Any:
    """Makes a data frame."""
    if library == "pyarrow":
        return pa.table(columns)
    return pytest.importorskip(library).DataFrame(columns)


@pytest.mark.parametrize("library", ["pyarrow", "pandas", "polars"])
def test_a_long_frame(library: str) -> None:
    """Steps are put in order, keys come in the order of their first rows, a missing number is NaN."""
    found = from_frame(frame_of(library, COLUMNS))
    assert found.columns["session"] == ["b", "a", "c"]
    assert found.labels == {"label": ["up", "no", "no"]}
    first, second, third = found.sequences
    assert (first.tolist(), second.tolist()) == ([[1.0], [2.0]], [[3.0], [4.0]])
    assert np.isnan(third).tolist() == [[True]]


@pytest.mark.parametrize("library", ["pyarrow", "pandas", "polars"])
def test_a_frame_of_lists(library: str) -> None:
    """A column of lists is a sequence a row; labels need not be there."""
    found = from_frame(frame_of(library, {"z": [[1.0, 2.0], [3.0]], "name": ["a", "b"]}), need_label=False)
    assert [x.tolist() for x in found.sequences] == [[[1.0], [2.0]], [[3.0]]]
    assert found.labels == {}


def test_chunks_without_rows_are_no_sequences() -> None:
    """A frame whose first or last chunk is empty has as many sequences as rows, each with its label."""
    kind = pa.list_(pa.float64())
    for chunks in ([[], [[1.0]], [], [[2.0]]], [[[1.0]], [[2.0]], []]):
        column = pa.chunked_array([pa.array(chunk, kind) for chunk in chunks])
        found = from_frame(pa.table({"z": column, "label": ["a", "b"]}))
        assert [x.tolist() for x in found.sequences] == [[[1.0]], [[2.0]]]
        assert found.labels == {"label": ["a", "b"]}


def test_each_sequence_has_its_labels() -> None:
    """More labels than sequences are an error, and not labels of other sequences."""
    with pytest.raises(ValueError, match="column 'y' has 2 labels for 1 sequences"):
        Series([np.zeros((1, 1))], {"y": ["a", "b"]}, Roles(features=("x",), labels=("y",)), {})


def test_the_index_of_pandas_is_no_feature() -> None:
    """Rows that were chosen keep their index, which is not a column; Timestamps and categories are understood."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(COLUMNS)
    frame["ts"] = pandas.to_datetime("2026-01-01") + pandas.to_timedelta(frame["ts"], unit="h")
    frame["label"] = frame["label"].astype("category")
    found = from_frame(frame[frame["session"] != "a"])
    assert found.roles.features == ("x",)
    assert found.sequences[0].tolist() == [[1.0], [2.0]]
    assert found.labels == {"label": ["up", "no"]}


def test_what_is_no_frame_is_refused() -> None:
    """Other objects, an empty frame and columns that are not there are errors."""
    with pytest.raises(TypeError, match="frame is of type list, expected a data frame"):
        from_frame([1, 2])
    with pytest.raises(ValueError, match="the frame has no rows"):
        from_frame(pa.table({"x": pa.array([], pa.float64())}))
    with pytest.raises(ValueError, match="there is no column 'who'"):
        from_frame(pa.table(COLUMNS), Asked(key="who"))
