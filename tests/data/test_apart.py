"""Long tables whose rows are put apart on a disk: the same sequences as in memory, with the same errors."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate.data import series
from tidegate.data.series import Asked
from tidegate.data.series.apart import Apart, TableApart
from tidegate.data.series.table import series_of
from tidegate.data.tables.sources.kinds import TableWarning

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

ASKED = Asked(key="who", time="when", features=("x", "z"), labels=("y",))


def rows(count: int = 500) -> dict[str, list[Any]]:
    """Rows of 40 keys in random order, with gaps, times that differ, and a label for each key."""
    rng = np.random.default_rng(0)
    who = rng.integers(0, 40, count).tolist()
    x = [None if gap else value for gap, value in zip(rng.random(count) < 0.1, rng.normal(size=count), strict=True)]
    times = (rng.permutation(count) / 4).tolist()
    return {"who": who, "when": times, "x": x, "z": list(range(count)), "y": [f"of {w % 3}" for w in who]}


def write(path: Path, columns: dict[str, list[Any]]) -> Path:
    """Writes a table as CSV or as Parquet."""
    if path.suffix == ".parquet":
        parquet.write_table(pa.table(columns), path)
    else:
        lines = [
            ",".join("" if value is None else str(value) for value in row)
            for row in zip(*columns.values(), strict=True)
        ]
        path.write_text("\n".join([",".join(columns), *lines]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
@pytest.mark.parametrize("parts", [1, 7])
def test_sequences_are_those_of_a_table_in_memory(name: str, parts: int, tmp_path: Path) -> None:
    """Each key has its steps in their order, and its label, in one part; nothing is left in the folder."""
    path = write(tmp_path / name, rows())
    whole = series.read(path, ASKED)
    found = list(series.stream(path, ASKED, need_label=True, apart=Apart(parts, tmp_path)))
    assert len(found) == parts
    expected = dict(zip(whole.columns["who"], zip(whole.sequences, whole.labels["y"], strict=True), strict=True))
    keys = [key for part in found for key in part.columns["who"]]
    assert sorted(keys) == sorted(expected)
    for part in found:
        for key, sequence, label in zip(part.columns["who"], part.sequences, part.labels["y"], strict=True):
            np.testing.assert_array_equal(sequence, expected[key][0])
            assert label == expected[key][1]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "keys", [[3, -1, 1 << 70], ["3", 'a "b"', "é\n"], [3, "3", 2.5, "true", True]], ids=["numbers", "texts", "mixed"]
)
def test_keys_and_labels_keep_their_types(keys: list[Any]) -> None:
    """A number, its text, true and false stay what they are, in one block or in several."""
    block: dict[str, list[Any]] = {"who": keys * 2, "x": list(range(2 * len(keys))), "y": keys * 2}
    whole = series_of(block, Asked(key="who", features=("x",), labels=("y",)))
    table = TableApart(whole.roles, Apart(2))
    for half in (slice(len(keys)), slice(len(keys), None)):
        table.add({name: values[half] for name, values in block.items()})
    found = [
        (repr(key), repr(label), sequence.tolist())
        for part in table.parts()
        for key, label, sequence in zip(part.columns["who"], part.labels["y"], part.sequences, strict=True)
    ]
    expected = zip(whole.columns["who"], whole.labels["y"], whole.sequences, strict=True)
    assert sorted(found) == sorted((repr(key), repr(label), sequence.tolist()) for key, label, sequence in expected)


def test_rows_of_a_key_in_several_files_come_together(tmp_path: Path) -> None:
    """A folder is one table, and errors name the file and the row in it."""
    columns = rows()
    for number in range(2):
        half = {name: values[number * 250 : (number + 1) * 250] for name, values in columns.items()}
        half["when"] = [int(4 * time) for time in half["when"]] if number else half["when"]
        write(tmp_path / f"{number}.csv", half)
    parts = list(series.stream(tmp_path, ASKED, need_label=True, apart=Apart(3)))
    assert sum(len(sequence) for part in parts for sequence in part.sequences) == 500
    assert sum(map(len, parts)) == 40
    half["y"] = ["another", *half["y"][1:]]
    write(tmp_path / "1.csv", half)
    with pytest.raises(ValueError, match=r"has the label '.*' in row \d+ of .*0\.csv and 'another' in row 1 of column"):
        list(series.stream(tmp_path, ASKED, need_label=True, apart=Apart(3)))


def test_the_whole_is_judged_and_not_its_parts(tmp_path: Path) -> None:
    """Keys that never come again are refused, however few are in a part, and rows at one time are counted together."""
    columns = rows(60) | {"who": list(range(60))}
    path = write(tmp_path / "a.csv", columns | {"y": ["a", "b"] * 30})
    with pytest.raises(ValueError, match="no value comes again"):
        list(series.stream(path, ASKED, need_label=True, apart=Apart(20)))
    write(path, rows(60) | {"when": [0] * 60})
    with pytest.warns(TableWarning, match="rows have the key and the time") as said:
        list(series.stream(path, ASKED, need_label=True, apart=Apart(5)))
    assert len(said) == 1
