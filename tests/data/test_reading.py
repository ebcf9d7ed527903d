"""Sequences of numbers in tables that are cut into several files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate.data import series
from tidegate.data.series import Asked

LONG = Asked(features=("x",), key="session", time="when", labels=("y",))


def long(path: Path, *rows: tuple[Any, ...]) -> None:
    """Writes a long CSV table."""
    path.write_text("session,when,x,y\n" + "".join(",".join(map(str, row)) + "\n" for row in rows), encoding="utf-8")


def lists(path: Path, *rows: dict[str, Any]) -> None:
    """Writes JSON Lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_a_key_may_lie_in_several_files(tmp_path: Path) -> None:
    """Steps are put together over all files, keys come as their first rows do, and a file without rows does no harm."""
    long(tmp_path / "a.csv")
    long(tmp_path / "b.csv", ("s", 2, 3.0, ""), ("r", 0, 4.0, "no"), ("s", 0, 1.0, "up"))
    lists(tmp_path / "c.jsonl", {"x": 2.0, "when": 1, "session": "s"}, {"x": 5.0, "when": 2, "session": "t", "y": "no"})
    (tmp_path / "_SUCCESS").write_text("")
    for source in (tmp_path, str(tmp_path / "*.*")):
        assert series.holds_series(source)
        found = series.read(source, LONG)
        assert [x.ravel().tolist() for x in found.sequences] == [[1, 2, 3], [4], [5]]
        assert found.columns["session"] == ["s", "r", "t"]
        assert found.labels == {"y": ["up", "no", "no"]}
        [part] = series.stream(source, LONG)
        assert len(part) == 3


def test_lists_of_several_files(tmp_path: Path) -> None:
    """Rows come one file behind the other, a part is of one file, and a column that one lacks is empty there."""
    lists(tmp_path / "a.jsonl", {"z": [], "y": "up", "id": 1})
    lists(tmp_path / "b.jsonl", {"z": [[1, 2]], "y": "no"}, {"z": [[3, 4], [5, 6]], "y": "up"})
    asked = Asked(features=("z",), labels=("y",))
    found = series.read(tmp_path, asked, others=True)
    assert [x.tolist() for x in found.sequences] == [[], [[1, 2]], [[3, 4], [5, 6]]]
    assert found.sequences[0].shape == (0, 2)
    assert found.columns["id"] == [1, None, None]
    assert found.labels == {"y": ["up", "no", "up"]}
    assert [len(part) for part in series.stream(tmp_path, asked)] == [1, 2]


def test_files_of_the_archive(tmp_path: Path) -> None:
    """A pattern of files without columns counts their sequences on; other kinds among them are an error."""
    for name, label in (("a", "up"), ("b", "no")):
        (tmp_path / f"{name}.ts").write_text(f"@classLabel true up no\n@data\n1,2:3,4:{label}\n", encoding="utf-8")
    found = series.read(str(tmp_path / "*.ts"))
    assert found.columns == {"case": [1, 2], "label": ["up", "no"]}
    assert series.holds_series(str(tmp_path / "*.ts"))
    np.savez(tmp_path / "c.npz", values=np.zeros((1, 2, 1)), labels=["up"])
    with pytest.raises(ValueError, match=r"c\.npz: there is no 'dim_1'"):
        series.read(str(tmp_path / "*.*"))
    long(tmp_path / "c.csv", ("s", 0, 1.0, "up"))
    with pytest.raises(ValueError, match=r"c\.csv: there is no column 'dim_0', which other files have"):
        series.read(str(tmp_path / "*.*"))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            ("s", 1, 2.0, "no"),
            r"b\.csv: 's' of column 'session' has the label 'up' in row 1 of .*a\.csv and 'no' in row 2 of",
        ),
        (("s", 1, "warm", "up"), r"b\.csv: row 2 of column 'x' holds 'warm'"),
        (("", 1, 2.0, "up"), r"b\.csv: row 2 has no key"),
    ],
)
def test_what_is_wrong_is_named_with_its_file(tmp_path: Path, row: tuple[Any, ...], message: str) -> None:
    """Rows are counted in each file, which the error names; so is the one where a key had another label."""
    long(tmp_path / "a.csv", ("s", 0, 1.0, "up"))
    long(tmp_path / "b.csv", ("r", 0, 1.0, "up"), row)
    with pytest.raises(ValueError, match=message):
        series.read(tmp_path, LONG)


def test_columns_must_be_in_each_file(tmp_path: Path) -> None:
    """A file without a column, one with other features, and files without a row are errors."""
    lists(tmp_path / "a.jsonl", {"z": [[1, 2]], "y": "up"})
    lists(tmp_path / "b.jsonl", {"z": [[1, 2]]})
    with pytest.raises(ValueError, match=r"b\.jsonl: there is no column 'y', which other files have"):
        series.read(tmp_path)
    lists(tmp_path / "b.jsonl", {"z": [[1, 2, 3]], "y": "up"})
    with pytest.raises(ValueError, match="row 2 of column 'z' has steps of 3 numbers, expected 2 as before"):
        series.read(tmp_path)
    long(tmp_path / "x.csv")
    long(tmp_path / "y.csv")
    with pytest.raises(ValueError, match=r"\.csv: there are no rows"):
        series.read(str(tmp_path / "*.csv"))
    assert not series.holds_series(str(tmp_path / "*.csv"))
