"""Files of the UEA archive."""

from pathlib import Path

import numpy as np
import pytest

from tidegate.data import series
from tidegate.data.series import Asked
from tidegate.data.series.ts import read_ts

HEAD = "#A comment\n@problemName Walks\n@timeStamps false\n@univariate false\n@dimensions 2\n"
CLASSES = "@classLabel true Up a:b ?na\n@data\n"


def write(folder: Path, text: str) -> Path:
    """Writes a file."""
    (folder / "walks.ts").write_text(text, encoding="utf-8")
    return folder / "walks.ts"


def test_lengths_gaps_and_labels_are_as_they_are_written(tmp_path: Path) -> None:
    """Lengths differ, ? and NaN are missing, labels keep their capitals, marks and colons; blank lines do not count."""
    path = write(tmp_path, f"{HEAD}{CLASSES}1,-2.5,?:4,5,6:Up\n\n7:NaN:a:b\n1e-3,0:1,2:?na\n\n")
    found = series.read(path)
    assert found.labels == {"label": ["Up", "a:b", "?na"]}
    np.testing.assert_array_equal(found.sequences[0], [[1, 4], [-2.5, 5], [np.nan, 6]])
    np.testing.assert_array_equal(found.sequences[1], [[7, np.nan]])
    assert found.roles.features == ("dim_0", "dim_1")
    assert found.columns["case"] == [1, 2, 3]
    assert series.holds_series(path)


def test_one_dimension_and_no_label(tmp_path: Path) -> None:
    """A univariate file without labels is read where none are needed; a regression has numbers as labels."""
    path = write(tmp_path, "@univariate true\n@classLabel false\n@data\n1,2,3\n4\n")
    assert [x.tolist() for x in series.read(path, need_label=False).sequences] == [[[1], [2], [3]], [[4]]]
    with pytest.raises(ValueError, match=r"walks\.ts: there are no labels"):
        series.read(path)
    path = write(tmp_path, "@univariate true\n@targetLabel true\n@data\n1,2,3:0.5\n4:-1\n")
    assert series.read(path).labels == {"label": ["0.5", "-1"]}


def test_times_put_steps_in_order(tmp_path: Path) -> None:
    """With time stamps, steps are the times of all dimensions in order; signs and whole numbers stay."""
    head = "@timeStamps true\n@classLabel true a b\n@data\n"
    path = write(
        tmp_path,
        head
        + "(2,-3),(1,4):(1,5),(3,6):a\n(2026-01-01 10:00:00,1),(2026-01-01 09:00:00,2):(2026-01-01 10:00:00,3):b\n",
    )
    first, second = series.read(path).sequences
    np.testing.assert_array_equal(first, [[4, 5], [-3, np.nan], [np.nan, 6]])
    np.testing.assert_array_equal(second, [[2, np.nan], [1, 3]])


def test_colons_of_times_and_labels_cut_nothing(tmp_path: Path) -> None:
    """Times of day have colons, and so may a label; a bracket matters only where there are time stamps."""
    head = "@timeStamps {}\n@dimensions 2\n@classLabel true a:(b:c) a:b)\n@data\n"
    path = write(tmp_path, head.format("true") + "(09:30,1):(09:31,2),(09:30:30,3):a:(b:c)\n")
    np.testing.assert_array_equal(series.read(path).sequences[0], [[1, np.nan], [np.nan, 3], [np.nan, 2]])
    path = write(tmp_path, head.format("false") + "1,2:3,4:a:(b:c)\n1,2:3,4:a:b)\n")
    assert series.read(path).labels == {"label": ["a:(b:c)", "a:b)"]}


def test_features_may_be_chosen(tmp_path: Path) -> None:
    """Some of the dimensions may be asked for; others and a key are errors."""
    path = write(tmp_path, f"{HEAD}{CLASSES}1,2:3,4:Up\n")
    assert series.read(path, Asked(features=("dim_1",))).sequences[0].tolist() == [[3], [4]]
    for asked in (Asked(features=("height",)), Asked(key="case"), Asked(labels=("y",))):
        with pytest.raises(ValueError, match=r"there is no '(height|case|y)'; there are 'dim_0', 'dim_1', 'label'"):
            series.read(path, asked)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("@univariate true\n1,2\n", "line 2: it begins with '1,2', expected a line of the header such as @data"),
        ("@univariate true\n", "there is no line @data"),
        (f"{HEAD}{CLASSES}1,2:3:Up\n", r"line 8: the dimensions have \[2, 1\] numbers"),
        (f"{HEAD}{CLASSES}1,2:3,4:up\n", "line 8: the label is 'up', expected one of Up, a:b, .na"),
        (
            f"{HEAD}{CLASSES}1,2:Up\n",
            "line 8: it has 2 parts with colons between them, expected 2 dimensions and a label",
        ),
        (f"{HEAD}{CLASSES}1,x:3,4:Up\n", "line 8: row 2 of column 'dimension 0' holds 'x', expected a number"),
        (
            "@timeStamps true\n@classLabel true a\n@data\n(1,2),3:a\n",
            r"line 4: dimension 0 has '3', expected \(time,number\)",
        ),
        (
            "@timeStamps true\n@classLabel true a\n@data\n(1,2),(2,3):(1,2),(0,1),(1.0,5):a\n",
            "line 4: dimension 1 has several numbers at the time '1.0', expected one",
        ),
        (
            "@timeStamps true\n@classLabel true a\n@data\n(1,2):(2026-01-01,2):a\n",
            "line 4: its times are moments and numbers, expected times of one kind",
        ),
        (f"{HEAD}{CLASSES}", "there are no sequences"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    """A missing header, lengths that differ within a sequence, and unknown labels are errors with their line."""
    with pytest.raises(ValueError, match=message):
        series.read(write(tmp_path, text))


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """What is not UTF-8 is an error that can be understood."""
    (tmp_path / "x.ts").write_bytes(b"@data\n\xff\xfe")
    with pytest.raises(ValueError, match="utf-8"):
        read_ts(tmp_path / "x.ts")
