"""Text and its lines: encodings, ends of lines, and how much of them there may be."""

import io

import pytest

from tidegate.data.tables.rows import blocks
from tidegate.data.tables.sources.containers import Peeked
from tidegate.data.tables.sources.lines import LONGEST, Lines, Text, count_ends

TABLE = "text,label\nnaïve 😀,1\nдобрый фильм,0\n良い映画,1\n"
MEGABYTE = b"word word " * 104_858


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_lines_end_as_on_any_system(end: str, size: int) -> None:
    """A line feed, a carriage return, or both end a line, wherever the text is cut into pieces."""
    text = end.join(["one", "two", "", "four"])
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    for last in ("", end):
        lines = list(Lines(iter([*pieces, last])))
        assert [line.rstrip("\r\n") for line in lines] == ["one", "two", "", "four"]
        assert "".join(lines) == text + last
        assert count_ends(text + last) == len(lines) - (not last)


def test_ends_of_lines_may_be_mixed() -> None:
    """Files put together from several systems have all ends of lines."""
    assert list(Lines(iter(["a\rb\r\nc\nd\r\r\ne\n\rf"]))) == ["a\r", "b\r\n", "c\n", "d\r\r\n", "e\n", "\r", "f"]


@pytest.mark.parametrize(
    ("kind", "content", "expected"),
    [
        ("csv", "text,label\ra,1\rb,0\r", {"text": ["a", "b"], "label": ["1", "0"]}),
        ("csv", 'text,label\r"a\rb",1\r', {"text": ["a\rb"], "label": ["1"]}),
        ("csv", 'text,label\r\n"a\rb\r\nc",1\r\n', {"text": ["a\rb\r\nc"], "label": ["1"]}),
        ("csv", "text,label\r\r\na,1\r\r\nb,0\r\r\n", {"text": ["a", "b"], "label": ["1", "0"]}),
        ("csv", "text,label\na,1\r\nb,0\rc,1\n", {"text": ["a", "b", "c"], "label": ["1", "0", "1"]}),
        ("tsv", "text\tlabel\ra\t1\rb\t0", {"text": ["a", "b"], "label": ["1", "0"]}),
        ("tsv", "text\tlabel\r\r\na\t1\r\r\n", {"text": ["a"], "label": ["1"]}),
        ("jsonl", '{"text": "a"}\r{"text": "b"}\r', {"text": ["a", "b"]}),
        ("jsonl", '{"text": "a"}\r\r\n{"text": "b"}\r\r\n', {"text": ["a", "b"]}),
        ("lines", "a\rb\r", {"text": ["a", "b"]}),
        ("lines", "a\r\r\nb\r\r\n", {"text": ["a", "b"]}),
        (None, "__label__x a\r__label__y b\r", {"text": ["a", "b"], "label": ["x", "y"]}),
    ],
)
def test_every_kind_of_table_has_any_end_of_line(kind: str, content: str, expected: dict[str, list[str]]) -> None:
    """CSV, TSV, JSON Lines, fastText's format and plain lines may end in carriage returns."""
    assert list(blocks(io.BytesIO(content.encode()), kind, None)) == [expected]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_damage_in_the_first_bytes_leaves_what_stands_before(encoding: str) -> None:
    """Also without the byte order mark that the text begins with."""
    text = Text(Peeked(io.BytesIO("so good\nbad ".encode(encoding) + b"\xff\xdc\n\x00"), "here"))
    assert next(text) == "so good\nbad "
    with pytest.raises(ValueError, match="line 2 is not UTF"):
        next(text)


@pytest.mark.parametrize(
    "table", [TABLE, TABLE.replace("text,label", "文本,标签"), "б,в\nдобрый,0\n", TABLE.replace("\n", "\r\n")]
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_encodings_are_told_apart(table: str, encoding: str, mark: str) -> None:
    """UTF-8 and UTF-16 give one text, with and without a byte order mark, in any script."""
    assert "".join(Text(Peeked(io.BytesIO((mark + table).encode(encoding)), "t"))).removeprefix("\ufeff") == table


@pytest.mark.parametrize("encoding", ["utf-32", "utf-32-le", "utf-32-be"])
def test_utf_32_is_read(encoding: str) -> None:
    """Four bytes a character are read, marked or not."""
    assert "".join(Text(Peeked(io.BytesIO(TABLE.encode(encoding)), "t"))) == TABLE


@pytest.mark.parametrize("text", ["a\0b\n", "text\n\0a\n\0b\n", "ab\0\0\n", "a\n\n\0\0\0\0\0\0\n"])
def test_zero_characters_are_no_wide_encoding(text: str) -> None:
    """A text in UTF-8 may hold the character zero."""
    assert "".join(Text(Peeked(io.BytesIO(text.encode()), "t"))) == text


def test_lines_come_once_more() -> None:
    """Lines that were looked at are read again, with their numbers."""
    lines = Lines(iter(["\n \none\ntwo\n"]))
    assert lines.first() == "one\n"
    assert lines.number == 0
    assert next(lines) == "\n"
    lines.skip_first()
    assert (next(lines), lines.number) == ("two\n", 4)
    lines.give_back(["two\n"])
    assert (list(lines), lines.number) == (["two\n"], 4)


class Endless(io.RawIOBase):
    """A stream that begins somehow, goes on for two gigabytes, and counts what was taken of it."""

    def __init__(self, begin: bytes, more: bytes) -> None:
        self.begin, self.more, self.taken = begin, more, 0

    def read1(self, size: int = -1, /) -> bytes:
        """Takes the next piece."""
        found, self.begin = self.begin or self.more, b""
        self.taken += len(found)
        return found if self.taken < 2 << 30 else b""


@pytest.mark.parametrize(
    ("kind", "begin", "more", "message"),
    [
        ("lines", b"", MEGABYTE, "line 1 has more than 16,777,216 characters"),
        ("csv", b"text,label\n", MEGABYTE, "line 2 has more than 16,777,216 characters"),
        ("csv", b'text,label\na,b\n"', MEGABYTE, "line 3 has more than 16,777,216 characters"),
        ("csv", b'text,label\na,b\n"', b"words of a text" * 5000 + b"\n", "line 3: field larger than field limit"),
        (
            "csv",
            b'text,label\na,b\n"',
            b"a\n" * 50_000,
            "line 3: a field has more than 1,048,576 lines .*goes on to line",
        ),
        ("tsv", b'text\tlabel\na\tb\n"', b"words of a text" * 5000 + b"\n", "line 3 has 1 field, expected 2"),
        ("jsonl", b'{"text": "', MEGABYTE, "line 1 begins a JSON value of more than 67,108,864 characters.*JSON Lines"),
        ("jsonl", b'{"text": {', b'"0": "some words", ' * 50_000, "line 1 begins a JSON value of more than"),
        ("jsonl", b"", b"[" * 1_000_000, "line 1: the JSON value is nested too deeply"),
        ("jsonl", b"", b'{"a":' * 200_000, "line 1: the JSON value is nested too deeply"),
    ],
)
def test_what_does_not_end_is_refused(kind: str, begin: bytes, more: bytes, message: str) -> None:
    """A field of two gigabytes, a line or a value without end is refused long before the memory is full."""
    stream = Endless(begin, more)
    with pytest.raises(ValueError, match=message):
        list(blocks(stream, kind, 1024))  # type: ignore[arg-type]
    assert stream.taken < 12 * LONGEST


def test_wide_tables_come_in_smaller_blocks() -> None:
    """A table of 5,000 columns is read in blocks that a small memory holds."""
    names = ",".join(f"c{place}" for place in range(5000))
    row = ",".join(f"{place}.25" for place in range(5000))
    stream = io.BytesIO("\n".join([names, *[row] * 1000]).encode())
    sizes = [len(block["c0"]) for block in blocks(stream, "csv", 1024)]
    assert sum(sizes) == 1000
    assert max(sizes) * len(row) < 20_000_000
