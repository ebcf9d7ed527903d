"""Rows of CSV, TSV, JSON Lines, Parquet and plain lines, as they come in from a file or a stream."""

import codecs
import csv
import gzip
import json
import os
import re
import sys
import zlib
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

Source = str | os.PathLike[str] | BinaryIO
Block = dict[str, Any]
Row = TypeVar("Row")

_CHUNK = 1 << 20  # bytes
_LONGEST_FIELD = min(sys.maxsize, 2**31 - 1)  # csv gives up at 131,072 characters otherwise, and long texts are longer
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def blocks(source: Source, kind: str, size: int | None, names: Collection[str] | None = None) -> Iterator[Block]:
    """Reads a table in blocks of rows.

    Args:
        source: A file, or an open binary stream, which is not closed.
        kind: "csv", "tsv", "jsonl", "parquet" or "lines".
        size: The most rows of a block; it has fewer where no more have come in yet. None for one block with all rows.
        names: The columns to read of Parquet, None for all; the other kinds come with all columns.

    Yields:
        The values of each column, by its name: lists of strings or of what JSON holds, with None for what is missing;
        arrays of Arrow for Parquet. JSON Lines may have more columns from block to block, not fewer.

    Raises:
        ImportError: A Parquet file is to be read and pyarrow is missing.
        OSError: The file cannot be read.
        ValueError: The file is damaged; the message names the line.
    """
    if kind == "parquet":
        yield from _parquet_blocks(source, size, names)
        return
    path = source if isinstance(source, str | os.PathLike) else None
    with _open(source) as file:
        lines = _Lines(file)
        if kind == "lines":
            for texts in _cut((line.rstrip("\r\n") for line in lines), lines, size):
                yield {"text": texts}
        elif kind == "jsonl":
            known: dict[str, None] = {}
            for records in _cut(_json_records(lines), lines, size):
                known |= dict.fromkeys(chain(*records))
                yield {name: [record.get(name) for record in records] for name in known}
        else:
            plain = kind == "tsv" and (path is None or _has_a_record_a_line(path))
            rows = _plain_rows(lines) if plain else _csv_rows(lines, "\t" if kind == "tsv" else None)
            names = _checked_names(next(rows, []))
            for block in _cut(_checked_rows(rows, names, lines), lines, size):
                yield {name: list(values) for name, values in zip(names, zip(*block, strict=True), strict=True)}


class _Lines:
    """The lines of a binary stream, decoded, each with its line break.

    Attributes:
        number: Number of the last line that was handed out, from 1.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.number = 0
        self._file = file
        self._decoder: codecs.IncrementalDecoder | None = None
        self._waiting: deque[str] = deque()
        self._rest = ""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        while not self._waiting:
            self._fill()
        self.number += 1
        return self._waiting.popleft()

    @property
    def drained(self) -> bool:
        """Whether the next line has not come in yet."""
        return not self._waiting

    def _fill(self) -> None:
        """Takes what has come in, and waits only if that is nothing.

        Raises:
            StopIteration: The stream is at its end.
            ValueError: The bytes are no text, or no gzip data.
        """
        try:
            chunk = self._file.read1(_CHUNK)  # type: ignore[attr-defined]
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"the compressed data is damaged or cut off after line {self.number}: {error}") from None
        if self._decoder is None:
            encoding = "utf-16" if chunk.startswith(_UTF16_MARKS) else "utf-8-sig"
            self._decoder = codecs.getincrementaldecoder(encoding)()
        try:
            text = self._rest + self._decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            line = self.number + 1 + error.object[: error.start].count(b"\n")
            raise ValueError(
                f"line {line} is not UTF-8 (byte 0x{error.object[error.start]:02x}): save the file as UTF-8; "
                f"`iconv -f WINDOWS-1252 -t UTF-8` does so for files of older Western programs"
            ) from None
        # str.splitlines would also split at characters that texts hold, such as U+0085 and U+2028
        *lines, self._rest = text.split("\n")
        self._waiting.extend(line + "\n" for line in lines)
        if not chunk:
            if self._rest:
                self._waiting.append(self._rest)
                self._rest = ""
            elif not lines:
                raise StopIteration


def _open(source: Source) -> AbstractContextManager[Any]:
    """Opens a file, unpacked if it is compressed, for a `with` block; a stream stays open behind it."""
    if not isinstance(source, str | os.PathLike):
        return nullcontext(source)
    path = Path(source)
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")


def _cut(rows: Iterable[Row], lines: _Lines, size: int | None) -> Iterator[list[Row]]:
    """Gathers rows into blocks; a block ends early where the next line has not come in yet."""
    block = []
    for row in rows:
        block.append(row)
        if size is not None and (len(block) >= size or lines.drained):
            yield block
            block = []
    if block:
        yield block


def _csv_rows(lines: _Lines, delimiter: str | None) -> Iterator[list[str]]:
    """Parses rows with quoted fields; the delimiter is that of the first line, if none is given."""
    first = next((line for line in lines if line.strip()), "")
    delimiter = delimiter or max(",;\t", key=first.count)
    csv.field_size_limit(max(_LONGEST_FIELD, csv.field_size_limit()))
    reader = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
    try:
        yield from filter(None, reader)
    except csv.Error as error:
        raise ValueError(f"line {lines.number}: {error}; a quotation mark inside a quoted field is doubled") from None


def _plain_rows(lines: _Lines) -> Iterator[list[str]]:
    """Parses lines of tabs between fields; quotation marks around a whole field are taken off."""
    for line in lines:
        if record := line.rstrip("\r\n"):
            yield [
                field[1:-1].replace('""', '"') if re.fullmatch(r'"(?:[^"]|"")*"', field) else field
                for field in record.split("\t")
            ]


def _has_a_record_a_line(path: str | os.PathLike[str]) -> bool:
    """Whether all lines of a TSV file have the same number of tabs, at least one: no quoted field spans lines.

    Many TSV files are written without quoting, where a quotation mark is a character like any other. Parsed by the
    rules of CSV, one at the start of a field would swallow the records up to the next.
    """
    with _open(path) as file:
        tabs = {line.count("\t") for line in _Lines(file) if line.strip("\r\n")}
    return len(tabs) == 1 and tabs != {0}


def _checked_names(names: list[str]) -> list[str]:
    """Checks the names of columns; those without a name are called by their place.

    Raises:
        ValueError: There are none, or two are the same.
    """
    if not names:
        raise ValueError("the file is empty, expected a first line with the names of the columns")
    names = [name.strip() or f"column {place}" for place, name in enumerate(names, 1)]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"two columns have the name {twice!r}, expected different names")
    return names


def _checked_rows(rows: Iterable[list[str]], names: list[str], lines: _Lines) -> Iterator[list[str]]:
    """Passes rows on that have a field for each column.

    Raises:
        ValueError: A row has more or fewer fields.
    """
    for row in rows:
        if len(row) != len(names):
            start = " ".join(row)[:40]
            raise ValueError(
                f"line {lines.number} has {len(row)} fields, expected {len(names)} as in the first line "
                f"({', '.join(names)[:60]}): {start!r}…; a field with a delimiter or a line break in it is quoted"
            )
        yield row


def _json_records(lines: _Lines) -> Iterator[dict[str, Any]]:
    """Parses one JSON object a line, or one array of objects.

    Raises:
        ValueError: A line is something else.
    """
    for line in lines:
        if not line.strip():
            continue
        number = lines.number
        is_array = line.lstrip().startswith("[")
        try:
            found = json.loads("".join(chain([line], lines)) if is_array else line)
        except ValueError as error:
            raise ValueError(f"line {number} is not JSON: {error}") from None
        for record in found if is_array else [found]:
            if not isinstance(record, dict):
                raise ValueError(f"line {number} holds {json.dumps(record)[:40]}, expected an object")  # noqa: TRY004
            yield record


def _parquet_blocks(source: Source, size: int | None, names: Collection[str] | None) -> Iterator[Block]:
    if not isinstance(source, str | os.PathLike):
        raise ValueError("Parquet is read from files only: its table of contents stands at the end")  # noqa: TRY004
    from tidegate.data import parquet  # noqa: PLC0415 - only who has such files needs pyarrow

    yield from parquet.blocks(source, size, names)
