"""Tables that are cut into several files."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tidegate.data import tables
from tidegate.data.tables.folders import files_of, names_of_columns

ROWS = [("good film", "1"), ("dull", "0"), ("fine cast", "1"), ("bad", "0"), ("", "1")]


def columns(rows: list[tuple[str, str]]) -> dict[str, list[str]]:
    """Rows as columns, with one that is of no use."""
    return {"id": list(map(str, range(len(rows)))), "text": [t for t, _ in rows], "label": [label for _, label in rows]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a table in three files of different kinds, and what lies beside them."""
    made = tmp_path / "data"
    (made / "later").mkdir(parents=True)
    (made / ".hidden").mkdir()
    tables.write(made / "a.csv", columns(ROWS[:2]))
    tables.write(made / "b.jsonl", columns(ROWS[2:3]))
    tables.write(made / "later" / "a.parquet", columns(ROWS[3:]))
    for name in ("_SUCCESS", "README", ".a.csv", "_metadata.parquet", ".hidden/a.csv"):
        (made / name).write_text("no table")
    return made


def test_a_folder_is_read_like_one_file(folder: Path) -> None:
    """Its files come in the order of their names, those in folders inside it too, and hidden ones do not."""
    found = tables.read(folder)
    assert list(zip(found.texts, found.labels or [], strict=True)) == ROWS
    assert list(found.columns) == ["id", "text", "label"]
    assert list(tables.read(folder, others=False).columns) == ["text", "label"]
    parts = list(tables.stream(folder, size=1, need_label=True))
    assert [(part.texts, part.labels) for part in parts] == [([text], [label]) for text, label in ROWS]


@pytest.mark.parametrize(
    ("pattern", "count"), [("*.csv", 2), ("*.[cj]s*", 3), ("**/a.*", 4), ("later/a.parquet", 2), ("?.jsonl", 1)]
)
def test_a_pattern_names_files(folder: Path, pattern: str, count: int) -> None:
    """Stars, question marks and brackets are those of a shell; ** is any folders."""
    assert len(tables.read(folder / pattern)) == count


def test_columns_of_several_files(folder: Path, tmp_path: Path) -> None:
    """The first file with rows names them; what can be read once only has none that are known before."""
    assert names_of_columns(folder) == ["id", "text", "label"]
    (tmp_path / "empty.csv").write_text("other\n")
    tables.write(tmp_path / "full.csv", columns(ROWS))
    assert names_of_columns(str(tmp_path / "*.csv")) == ["id", "text", "label"]
    assert names_of_columns(tmp_path / "empty.csv") == []
    assert names_of_columns(Path("/dev/null")) == []
    (tmp_path / "wrong.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"wrong\.parquet: "):
        names_of_columns(tmp_path / "wrong.parquet")


def test_a_file_whose_name_is_a_pattern_is_itself(tmp_path: Path) -> None:
    """Brackets in the name of a file that is there stand for themselves."""
    tables.write(tmp_path / "t[1].csv", columns(ROWS[:1]))
    tables.write(tmp_path / "t1.csv", columns(ROWS[1:]))
    assert tables.read(tmp_path / "t[1].csv").texts == ["good film"]
    assert files_of(tmp_path / "t[1].csv") is None


def test_labels_have_one_name_over_all_files(tmp_path: Path) -> None:
    """What a label is called depends on all rows, and not on the file that it stands in."""
    for name, labels in (("a", ["True", "False"]), ("b", ["True", "maybe"])):
        tables.write(tmp_path / f"{name}.csv", {"text": ["a film", "a play"], "label": labels})
        (tmp_path / "whole.txt").write_text("text,label\na film,True\na play,False\na film,True\na play,maybe\n")
    assert tables.read(tmp_path / "*.csv").labels == tables.read(tmp_path / "whole.txt", kind="csv").labels


def test_the_first_file_with_rows_names_the_columns(tmp_path: Path) -> None:
    """A file that is cut off behind its names is no hindrance, and a guess is made once."""
    (tmp_path / "a.csv").write_text("text,label\n")
    tables.write(tmp_path / "b.csv", columns(ROWS))
    tables.write(tmp_path / "c.csv", columns(ROWS[:1]) | {"tweet": ["x"]})
    assert len(tables.read(tmp_path)) == len(ROWS) + 1


def row(**values: object) -> str:
    return json.dumps(values) + "\n"


@pytest.mark.parametrize("read", [tables.read, lambda path: list(tables.stream(path, need_label=True))])
@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.jsonl": row(text="x y", label=1), "b.jsonl": row(text="x")}, "b.jsonl: there is no column 'label'"),
        ({"a.csv": "text,label\nx,y\n", "b.csv": "text,label\nx\n"}, "b.csv: line 2 has 1 field"),
        ({"a.csv": "text,label\nx,y\n", "b.parquet": "x"}, "b.parquet: "),
        ({"a.csv": "n,m\n1,2\n"}, "a.csv: cannot tell which column holds the texts"),
        ({"a.csv": "text,label\n", "b.csv": "text,label\n"}, "there are no rows in .*a.csv and 1 other"),
    ],
)
def test_a_wrong_file_is_named(
    tmp_path: Path, files: dict[str, str], message: str, read: Callable[[Path], object]
) -> None:
    """The error says which file it is about."""
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"), [("", "there is no table in the folder"), ("*.csv", "no file fits the pattern")]
)
def test_no_files_are_an_error(tmp_path: Path, name: str, message: str) -> None:
    """A folder without tables, or a pattern that nothing fits, is no empty table."""
    (tmp_path / "notes.md").write_text("no table")
    with pytest.raises(FileNotFoundError, match=message):
        tables.read(tmp_path / name)
