"""Rows as they come in from files and streams of each kind."""

import gzip
import io
import json
import os
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from tidegate.data.tables.rows import blocks

Columns = dict[str, list[Any]]


def read(kind: str, content: str | bytes) -> Columns:
    """All columns of a table that comes as a stream."""
    stream = io.BytesIO(content.encode() if isinstance(content, str) else content)
    found = list(blocks(stream, kind, None))
    assert not stream.closed
    assert len(found) <= 1
    return found[0] if found else {}


def read_file(path: Path, kind: str, content: str | bytes) -> Columns:
    """All columns of a table that comes as a file."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    [found] = blocks(path, kind, None)
    return found


@pytest.mark.parametrize(
    ("kind", "content", "columns"),
    [
        ("csv", "a,b\n1,x\n2,y\n", {"a": ["1", "2"], "b": ["x", "y"]}),
        ("csv", "a,b\r\n1,x\r\n2,y", {"a": ["1", "2"], "b": ["x", "y"]}),
        ("csv", 'a,b\n"x, ""y""\nz",1\n', {"a": ['x, "y"\nz'], "b": ["1"]}),
        ("csv", '"a\nb",c\n1,2\n', {"a\nb": ["1"], "c": ["2"]}),
        ("csv", "a;b\nx, y;1\n", {"a": ["x, y"], "b": ["1"]}),
        ("csv", "a\tb\nx, y\t1\n", {"a": ["x, y"], "b": ["1"]}),
        ("csv", "\n\na,b\n\n1,2\n\n", {"a": ["1"], "b": ["2"]}),
        ("csv", "a\nx\n", {"a": ["x"]}),
        ("csv", ",text,\n0,x,1\n", {"column 1": ["0"], "text": ["x"], "column 3": ["1"]}),
        ("csv", "\ufeffa,b\né,…\n", {"a": ["é"], "b": ["…"]}),
        ("csv", "a,b\nx\u2028y\x85z,1\n", {"a": ["x\u2028y\x85z"], "b": ["1"]}),
        ("csv", "a,b\n", {}),
        ("tsv", "a\tb\nx, y\t1\n", {"a": ["x, y"], "b": ["1"]}),
        (
            "tsv",
            'a\tb\n"open\t1\nsay "so"\t2\n"a ""b"""\t3\n',
            {"a": ['"open', 'say "so"', 'a "b"'], "b": ["1", "2", "3"]},
        ),
        (
            "jsonl",
            '{"a": 1, "b": "x"}\n\n{"b": "y", "c": null}\n',
            {"a": [1, None], "b": ["x", "y"], "c": [None, None]},
        ),
        ("jsonl", '[{"a": 1},\n {"a": 2}]\n', {"a": [1, 2]}),
        ("jsonl", '\x1e{"a": 1}\n\x1e{"a": "x\\u001ey"}\n', {"a": [1, "x\x1ey"]}),  # RFC 7464
        ("jsonl", '{"a": "x\\ny\u2028"}', {"a": ["x\ny\u2028"]}),
        ("jsonl", "", {}),
        ("lines", "one\ntwo\r\n\n four ", {"text": ["one", "two", "", " four "]}),
        ("lines", "a\u2028b\x0cc\n", {"text": ["a\u2028b\x0cc"]}),
        ("lines", "", {}),
    ],
)
def test_tables_are_read(kind: str, content: str, columns: Columns) -> None:
    """Quoted fields, any usual delimiter, line breaks of any system, byte order marks and blank lines are read."""
    assert read(kind, content) == columns


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("compressed", [False, True])
def test_encodings_and_compression(tmp_path: Path, encoding: str, compressed: bool) -> None:
    """Files in UTF-8, or with a byte order mark in UTF-16, compressed or not, hold the same rows."""
    content = "text,label\nnaïve 😀,1\n".encode(encoding)
    path = tmp_path / ("t.csv.gz" if compressed else "t.csv")
    found = read_file(path, "csv", gzip.compress(content) if compressed else content)
    assert found == {"text": ["naïve 😀"], "label": ["1"]}


def test_tsv_files_with_quoted_line_breaks(tmp_path: Path) -> None:
    """A TSV file whose quoted fields span lines is parsed by the rules of CSV."""
    assert read_file(tmp_path / "t.tsv", "tsv", 'a\tb\n"x\ny\tz"\t1\n') == {"a": ["x\ny\tz"], "b": ["1"]}


def test_tsv_files_without_quoting(tmp_path: Path) -> None:
    """A TSV file with a record a line may hold quotation marks anywhere: none swallows the records that follow."""
    assert read_file(tmp_path / "t.tsv", "tsv", 'a\tb\n"x\t1\ny" z\t2\n') == {"a": ['"x', 'y" z'], "b": ["1", "2"]}


def test_long_fields_are_read() -> None:
    """A field may be longer than the 131,072 characters at which the csv module stops by default."""
    long = "word " * 100_000
    assert read("csv", f'text,label\n"{long}",1\n') == {"text": [long], "label": ["1"]}


def test_parquet_is_read(tmp_path: Path) -> None:
    """Parquet keeps its types, null included, in blocks of the size asked for."""
    table = pa.table({"text": ["a", None, "c"], "label": pa.array([0, 1, 0], pa.int8()), "v": [[1.5], [], None]})
    parquet.write_table(table, tmp_path / "t.parquet")
    [whole] = blocks(tmp_path / "t.parquet", "parquet", None)
    assert {name: column.type for name, column in whole.items()} == {field.name: field.type for field in table.schema}
    assert pa.table(whole).to_pydict() == {"text": ["a", None, "c"], "label": [0, 1, 0], "v": [[1.5], [], None]}
    assert [len(block["text"]) for block in blocks(tmp_path / "t.parquet", "parquet", 2)] == [2, 1]


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("csv", "", "the file is empty"),
        ("csv", "\n \n", "the file is empty"),
        ("csv", "a,a\n1,2\n", "two columns have the name 'a'"),
        ("csv", "a,b\n1,2\n1,2,3\n", r"line 3 has 3 fields, expected 2 as in the first line \(a, b\): '1 2 3'"),
        ("csv", 'a,b\n"x\ny",2\n1\n', "line 4 has 1 field, expected 2"),
        ("csv", 'a,b\n"x"y,2\n', "line 2: ',' expected after '\"'; a quotation mark inside"),
        ("csv", 'a,b\n1,2\n"x,2\n', "line 3: unexpected end of data"),
        ("csv", b"a,b\n1,2\n\xe9t\xe9,3\n", r"line 3 is not UTF-8 \(byte 0xe9\).*iconv"),
        ("csv", b"a,b\n1,\xc3", r"line 2 is not UTF-8 \(byte 0xc3\)"),
        ("csv", b"PK\x03\x04\xff", "a zip archive that is damaged or cut off"),
        ("tsv", "a\tb\n1\t2\n1\n", "line 3 has 1 field, expected 2"),
        ("jsonl", '{"a": 1}\n{"a": }\n', "line 2 is not JSON: Expecting value"),
        ("jsonl", '\x1e{"a": "cut o\x1e{"a": 1}\n', "line 1 is not JSON: Invalid control character"),
        ("jsonl", '{"a": 1}\n"text"\n', 'line 2 holds "text", expected an object'),
        ("jsonl", "{}\n{}\n", "objects without fields"),
        ("jsonl", "[1]", "line 1 holds 1, expected an object"),
        ("lines", b"a\n\xff\n", "line 2 is not UTF-8"),
    ],
)
def test_damaged_tables_are_refused(kind: str, content: str | bytes, message: str) -> None:
    """What is wrong is said, with the line."""
    with pytest.raises(ValueError, match=message):
        read(kind, content)


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_damaged_gzip_is_refused(tmp_path: Path, damage: str) -> None:
    """Compressed data that is cut off or changed is refused, not read in part."""
    content = gzip.compress(b"text,label\n" + Random(0).randbytes(3000).hex().encode() + b",1\n")
    content = content[:-20] if damage == "cut" else content[:1000] + b"\0" * 100 + content[1100:]
    with pytest.raises(ValueError, match="damaged or cut off"):
        read_file(tmp_path / "t.csv.gz", "csv", content)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"text,label\nx,1\n" * 10])
def test_damaged_parquet_is_refused(tmp_path: Path, content: bytes) -> None:
    """A file that is not Parquet is refused, whatever its name says."""
    with pytest.raises(ValueError, match=r"(?i)parquet"):
        read_file(tmp_path / "t.parquet", "parquet", content)


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet", "lines"])
def test_a_missing_file_is_an_os_error(tmp_path: Path, kind: str) -> None:
    """A file that is not there is named."""
    with pytest.raises(FileNotFoundError, match=r"t\.x"):
        list(blocks(tmp_path / "t.x", kind, None))


@pytest.mark.parametrize(("kind", "start"), [("csv", "n,m\n"), ("tsv", "n\tm\n"), ("jsonl", ""), ("lines", "")])
def test_blocks_have_the_size_asked_for(kind: str, start: str) -> None:
    """Rows come in blocks of at most `size`, in order and without loss."""
    line = {"csv": "{},x\n", "tsv": "{}\tx\n", "jsonl": '{{"n": {}}}\n', "lines": "{}\n"}[kind]
    content = start + "".join(line.format(n) for n in range(25))
    found = [next(iter(block.values())) for block in blocks(io.BytesIO(content.encode()), kind, 10)]
    assert [len(values) for values in found] == [10, 10, 5]
    assert [int(value) for values in found for value in values] == list(range(25))


class Pieces(io.RawIOBase):
    """A stream whose content comes in pieces, and that knows how many have been taken."""

    def __init__(self, *pieces: str) -> None:
        self.pieces = list(pieces)
        self.taken = 0

    def read1(self, size: int) -> bytes:
        """Takes the next piece."""
        if self.taken == len(self.pieces):
            return b""
        self.taken += 1
        return self.pieces[self.taken - 1].encode()


@pytest.mark.parametrize(
    ("kind", "pieces", "expected"),
    [
        ("lines", ["one\ntw", "o\nthree\n", "four"], [(["one"], 1), (["two", "three"], 2), (["four"], 3)]),
        ("csv", ["text,n\n", "a,1\n", '"b\n', 'c",2\nd,', "3\n"], [(["a"], 2), (["b\nc"], 4), (["d"], 5)]),
        ("tsv", ["text\tn\na\t1\n", "b\t2\n"], [(["a"], 1), (["b"], 2)]),
        ("jsonl", ['{"a": 1}\n', '{"a": 2}\n{"a": 3}\n{'], [([1], 1), ([2, 3], 2)]),
    ],
)
def test_rows_are_passed_on_as_they_come(kind: str, pieces: list[str], expected: list[tuple[list[Any], int]]) -> None:
    """A row that has come in is passed on before more is waited for."""
    stream = Pieces(*pieces)
    rows = blocks(stream, kind, 100)  # type: ignore[arg-type]
    found = [(next(iter(next(rows).values())), stream.taken) for _ in expected]
    assert found == expected


def test_a_line_in_a_pipe_is_answered_at_once() -> None:
    """With a pipe of the system a line comes through while its other end is still open."""
    reading, writing = os.pipe()
    with open(reading, "rb") as stream:
        rows = blocks(stream, "lines", 100)
        for line in ("one", "two"):
            os.write(writing, f"{line}\n".encode())
            assert next(rows) == {"text": [line]}
        os.close(writing)
        assert list(rows) == []


def test_json_lines_keep_the_columns_that_were_met() -> None:
    """A block has all columns that came before it, with None for what is missing."""
    lines = "".join(json.dumps(row) + "\n" for row in [{"a": 1}, {"b": 2}, {"a": 3}])
    assert list(blocks(io.BytesIO(lines.encode()), "jsonl", 1)) == [
        {"a": [1]},
        {"a": [None], "b": [2]},
        {"a": [3], "b": [None]},
    ]
