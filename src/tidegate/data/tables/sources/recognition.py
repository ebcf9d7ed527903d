"""What a source of rows is: by how it begins, and where that does not tell, by its name."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tidegate.data.tables import markdown
from tidegate.data.tables.sources import kinds
from tidegate.data.tables.sources.containers import Peeked, Source, Unpacked, opened, spooled
from tidegate.data.tables.sources.lines import Lines, Text
from tidegate.data.tables.sources.signatures import check_is_readable
from tidegate.files.remote import is_file
from tidegate.files.signatures import name_of_text

_SURE = ("lines", "named-lines", "fasttext")
"""Kinds that are believed when they are asked for: any text may be lines."""


@contextmanager
def recognised(source: Source, kind: str | None) -> Iterator[tuple[Source, str]]:
    """Finds out what a source is.

    Packed files are unpacked. Parquet, Arrow, JSON and fastText's format are known by how they begin, whatever the name
    of the file says.

    Args:
        source: A file, or an open binary stream, which is not closed. What is no file on a disk is read once.
        kind: One of `kinds.KINDS`; None to go by how it begins, and by the suffix of the file. A stream or a pipe
            without a line of names is lines.

    Yields:
        What to read, and its kind: "csv", "tsv", "jsonl", "lines", "fasttext", "named-lines" for lines under the name
        of their column, or "parquet", which is always a file on a disk. Text is a file if it is one on a disk, packed
        or not, and otherwise a stream that is not packed.

    Warns:
        TableWarning: A text file or a stream is read as a table, or lines of a stream as texts that may be one.

    Raises:
        ImportError: pyarrow is needed, and missing.
        OSError: The file cannot be read.
        ValueError: It is no table that can be read; the message says what it is and what to do.
    """
    with ExitStack() as stack:
        unpacked = stack.enter_context(opened(source))
        if unpacked.columnar == "arrow":
            from tidegate.data.tables.sources.feather import as_parquet  # noqa: PLC0415 - only who has such files needs pyarrow

            yield as_parquet(unpacked.stream, stack), "parquet"
        elif unpacked.columnar or (kind or kinds.kind_by_name(unpacked.name)) == "parquet":
            _check_is_parquet(unpacked.stream.head)
            yield unpacked.path or spooled(unpacked.stream, stack), "parquet"
        else:
            found = kind if kind in _SURE else _kind_of(unpacked, kind, name_of(source))
            on_disk = isinstance(source, str | os.PathLike) and is_file(source)
            yield source if on_disk else unpacked.stream, found  # type: ignore[misc]


def _check_is_parquet(head: bytes) -> None:
    """Checks the first bytes of what is called Parquet, for its readers say of any other file that it is damaged.

    Raises:
        ValueError: They are those of something else.
    """
    check_is_readable(name_of_text(head))
    if not head:
        raise ValueError("the file is empty, expected a Parquet file")
    if not head.startswith(b"PAR1"):
        raise ValueError("this is no Parquet file: it does not begin with PAR1; of another kind of table, give --from")


def name_of(source: Source) -> str:
    """Returns what a source is called in messages."""
    if isinstance(source, Peeked):
        return source.name
    return os.fspath(source) if isinstance(source, str | os.PathLike) else "standard input"


def _kind_of(unpacked: Unpacked, asked: str | None, name: str) -> str:
    """Tells the kind of a text; what is read for that comes once more.

    Raises:
        ValueError: It cannot be told, or this is no table.
    """
    expected = asked or kinds.kind_by_name(unpacked.name) or ("" if is_file(name) else "lines")
    with unpacked.stream.looked_at():
        text = Text(unpacked.stream)
        start = text.beginning(kinds.may_become_json)
        check_is_readable(name_of_text(start))  # it may be in UTF-16
        if expected == "jsonl" or kinds.reads_as_json(start):
            found, first = "jsonl", ""
        else:
            lines = Lines(text)
            first = lines.first()
            table = "|" in first and markdown.begins(first, lines.firsts(2)[-1])
            found = "csv" if table else _kind_of_lines(first, lines.arrived(), expected)
    asked_lines = kinds.kind_by_name(unpacked.name) == "lines" or not unpacked.name
    if expected == "lines" != found != "fasttext" and asked_lines:  # a pipe with a name is a table or is not
        kinds.caution(f"{name}: {kinds.read_as(found, first)}; to take each line for a text, say so with --from lines")
    elif found == "lines" and kinds.kind_by_name(unpacked.name) is None and kinds.may_be_header(first):
        named = f"if the first one, {first.strip()[:60]!r}, names columns, say so with --from csv"
        kinds.caution(f"{name}: each line is taken for a text; {named}")
    return found


def _kind_of_lines(first: str, arrived: list[str], expected: str) -> str:
    """Tells the kind of a text that is no JSON by its first line; in fastText's format that may have no label.

    Raises:
        ValueError: It cannot be told.
    """
    if expected == "fasttext" or kinds.reads_as_fasttext(first):
        return "fasttext"
    if expected in {"csv", "tsv"}:
        return expected
    if kinds.reads_as_header(first):
        return "csv"
    if any(map(kinds.reads_as_fasttext, arrived)):
        return "fasttext"
    if expected == "lines":
        return "named-lines" if kinds.reads_as_name(first) else "lines"
    raise ValueError(kinds.unknown_suffix())
