"""What a source is taken for, by its beginning and its name."""

import io
import os
import threading
import warnings
from pathlib import Path

import pytest

from tidegate.data.tables.rows import blocks
from tidegate.data.tables.sources import kinds
from tidegate.data.tables.sources.kinds import TableWarning
from tidegate.data.tables.sources.recognition import recognised

JSON = '{"text": "a", "label": "b"}\n'
CSV = "text,label\na,b\n"


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("t.csv", CSV, "csv"),
        ("t.csv", JSON, "jsonl"),
        ("t.tsv", "[\n{\n" + JSON[1:] + "]", "jsonl"),
        ("t.csv", "[text],[label]\na,b\n", "csv"),
        ("t.csv", "{a},b\n1,2\n", "csv"),
        ("t.jsonl", CSV, "jsonl"),
        ("t.json", "", "jsonl"),
        ("t.csv", "", "csv"),
        ("t.dat", CSV, "csv"),
        ("t", JSON, "jsonl"),
        ("t.CSV.BZ2", CSV, "csv"),
        ("t.txt", "a\nb\n", "lines"),
        ("t.txt", "", "lines"),
        ("t.txt", "[sic] a text\n", "lines"),
        ("t.txt", "{a} text\n", "lines"),
        ("t.txt", "good, text\nbad\n", "lines"),
        ("t.txt", "first-class, really\nbad\n", "lines"),
        ("t.txt", "a text, of a film\n", "lines"),
    ],
)
def test_what_a_file_is(tmp_path: Path, name: str, content: str, kind: str) -> None:
    """How a file begins decides, then its suffix, without a word where that is plain."""
    path = tmp_path / name
    path.write_text(content)
    with recognised(path, None) as (source, found):  # a warning would be an error
        assert (source, found) == (path, kind)


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (CSV, "csv", "this is read as CSV, for the first line, 'text,label', seems to name columns"),
        ("text, label\na,b\n", "csv", "seems to name columns"),
        ("id\treview\n1\ta\n", "csv", "seems to name columns"),
        (",tweet_text,airline\n0,a,b\n", "csv", "seems to name columns"),
        ("Review Text;Stars\na;1\n", "csv", "seems to name columns"),
        ('"label","message"\n"a","b"\n', "csv", "seems to name columns"),
        ("sep=;\na;b\n1;2\n", "csv", "seems to name columns"),
        (JSON, "jsonl", "read as JSON"),
        ("[" + JSON + "]", "jsonl", "read as JSON"),
        ("text\na\n", "named-lines", "'text', is taken for the name of a column"),
        ("Texts\r\na\r\n", "named-lines", "'Texts', is taken for the name of a column"),
    ],
)
def test_a_header_is_no_text(tmp_path: Path, content: str, kind: str, message: str) -> None:
    """Lines whose first one names columns are a table, in .txt and from standard input; that is said."""
    (tmp_path / "t.txt").write_text(content)
    for source in (tmp_path / "t.txt", io.BytesIO(content.encode())):
        with pytest.warns(TableWarning, match=f"{message}.*--from lines"), recognised(source, None) as (_, found):
            assert found == kind


@pytest.mark.parametrize("first", ["v1,v2", '"v1","v2",,,', "ham;spam", "Id\tThoughts", "a|b", "user_id,body2"])
def test_a_first_line_that_may_name_columns_is_noted(tmp_path: Path, first: str) -> None:
    """Where no name is a usual one, a stream is lines, and how to read a table is said; a .txt file is meant so."""
    with pytest.warns(TableWarning, match="each line is taken for a text.*names columns, say so with --from csv"):
        assert list(blocks(io.BytesIO(f"{first}\na,b\n".encode()), None, None)) == [{"text": [first, "a,b"]}]
    (tmp_path / "t.txt").write_text(first)
    assert list(blocks(tmp_path / "t.txt", None, None)) == [{"text": [first]}]


@pytest.mark.parametrize(
    "first", ["good, bad", "well,", "a film", "so-so,ok", "fine,fine", "I came, I saw", "3,4", "a.b,c"]
)
def test_a_first_line_of_prose_is_not_noted(first: str) -> None:
    """What is plainly a text, or a number, is read without a word."""
    assert list(blocks(io.BytesIO(f"{first}\nx\n".encode()), None, None)) == [{"text": [first, "x"]}]


def test_lines_under_a_name_are_its_texts() -> None:
    """The name of a column is not among its texts, whose commas stay."""
    with pytest.warns(TableWarning, match="standard input: the first line"):
        assert list(blocks(io.BytesIO(b"\ntext\na, b\n\nc\n"), None, None)) == [{"text": ["a, b", "", "c"]}]


@pytest.mark.parametrize(("content", "kind"), [(CSV, "csv"), (JSON, "jsonl"), ("a\nb\n", "lines")])
def test_what_was_looked_at_comes_once_more(content: str, kind: str) -> None:
    """A stream that was recognised still has its first bytes."""
    stream = io.BytesIO(content.encode())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TableWarning)
        with recognised(stream, None) as (source, found):
            assert found == kind
            assert source.read().decode() == content  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["t", "t.dat", "t.xlsx", "t.docx"])
def test_what_cannot_be_told(tmp_path: Path, name: str) -> None:
    """A file whose name and beginning say nothing is refused with the suffixes that there are."""
    (tmp_path / name).write_text("some words\n")
    with (
        pytest.raises(ValueError, match=r"the suffix is unknown, expected one of \.csv, \.tsv"),
        recognised(tmp_path / name, None),
    ):
        pass


@pytest.mark.parametrize("kind", [None, "csv", "tsv"])
def test_a_pipe_is_opened_once(tmp_path: Path, kind: str | None) -> None:
    """A named pipe of any kind is read to its end, though it cannot be opened again."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    content = ("text\tlabel\n" + "a film\tb\n" * 50_000).encode()
    writer = threading.Thread(target=path.write_bytes, args=[content])
    writer.start()
    found = list(blocks(path, kind, 1024))
    writer.join()
    assert sum(len(block["text"]) for block in found) == 50_000
    assert found[0]["label"][:2] == ["b", "b"]


def test_kinds_go_by_suffix() -> None:
    """Packed files have the kind of what is in them; only gzip is written."""
    assert kinds.kind_by_name("a.csv.zip") == "csv"
    assert kinds.kind_by_name("a.tar.jsonl.XZ") == "jsonl"
    assert kinds.kind_by_name("a.zip") is None
    assert kinds.kind_of("a.tsv.gz") == "tsv"
    for name in ("a.csv.bz2", "a.parquet.gz", "a"):
        with pytest.raises(ValueError, match=f"{name}: the suffix is unknown"):
            kinds.kind_of(name)
