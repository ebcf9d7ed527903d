"""Tables of texts and labels from CSV, TSV, JSON Lines, Parquet and plain lines, and such files written."""

import csv
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

from tidegate.columns import Columns, choose, label_name
from tidegate.lines import Lines

KINDS = ("csv", "tsv", "jsonl", "parquet", "lines")
"""The kinds of tables; "lines" has one text a line and no names of columns."""

_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".txt": "lines",
}
_LONGEST_FIELD = min(sys.maxsize, 2**31 - 1)  # bytes; csv stops at 131,072 otherwise, and a long review is longer


@dataclass(frozen=True)
class Table:
    """Texts with their labels, and the table that they come from.

    Attributes:
        texts: The B texts; a missing one is an empty text.
        labels: Their B labels; None if none were asked for.
        columns: All columns as they were read, in the order of the file.
        text_column: The column that holds the texts.
        label_column: The column that holds the labels; None if none were asked for.
    """

    texts: list[str]
    labels: list[str] | None
    columns: dict[str, list[Any]]
    text_column: str
    label_column: str | None

    def __len__(self) -> int:
        return len(self.texts)


def kind_of(path: str | os.PathLike[str]) -> str:
    """Tells the kind of a table by its suffix, one of `KINDS`; all but Parquet may be compressed and end in `.gz`.

    Raises:
        ValueError: The suffix is none that is known.
    """
    name = Path(path)
    suffix = Path(name.stem).suffix if name.suffix.lower() == ".gz" else name.suffix
    kind = _SUFFIXES.get(suffix.lower())
    if kind is None or (kind == "parquet" and name.suffix.lower() == ".gz"):
        known = ", ".join(_SUFFIXES)
        raise ValueError(f"{name} has the suffix {suffix!r}, expected one of {known} (.gz behind all but Parquet)")
    return kind


def read(
    path: str | os.PathLike[str], text: str | None = None, label: str | None = None, *, need_label: bool = True
) -> Table:
    """Reads a whole table.

    Args:
        path: A file whose suffix `kind_of` knows, in UTF-8 or, with a byte order mark, UTF-16.
        text: Name of the column of texts; None to guess it, see `columns.choose`.
        label: Name of the column of labels; None to guess it, if it is needed.
        need_label: Whether every row must have a label.

    Raises:
        ImportError: A Parquet file is to be read and pyarrow is missing.
        OSError: The file cannot be read.
        ValueError: The file is damaged or empty, a column is not there or cannot be guessed, or a label is missing.
    """
    tables = stream(path, text=text, label=label, need_label=need_label, size=None)
    table = next(tables, None)
    if table is None:
        raise ValueError(f"{os.fspath(path)} has no rows")
    return table


def stream(
    source: str | os.PathLike[str] | BinaryIO,
    kind: str | None = None,
    *,
    text: str | None = None,
    label: str | None = None,
    need_label: bool = False,
    size: int | None = 1024,
) -> Iterator[Table]:
    """Reads a table part by part, as its rows come in.

    What has come in is passed on at once, so that the answer to a line typed into a pipe does not wait for the next.

    Args:
        source: A file, or an open binary stream such as `sys.stdin.buffer`, which is not closed.
        kind: One of `KINDS`; None to go by the suffix of the file.
        text: As in `read`; guessed on the first part.
        label: As in `read`.
        need_label: As in `read`.
        size: The most rows of a part; None for the whole table at once.

    Yields:
        Parts of one row or more.

    Raises:
        ImportError: As in `read`.
        OSError: As in `read`.
        ValueError: As in `read`, when the part in question is reached; or Parquet is to come from a stream.
    """
    name = os.fspath(source) if isinstance(source, str | os.PathLike) else "standard input"
    kind = kind or kind_of(name)
    chosen: tuple[str, str | None] | None = None
    count = 0
    try:
        for columns in _READERS[kind](source, name, size):
            chosen = chosen or choose(columns, text, label, need_label=need_label)
            table = _table(columns, *chosen, first_row=count + 1)
            count += len(table)
            yield table
    except ValueError as error:
        raise ValueError(str(error) if str(error).startswith(name) else f"{name}: {error}") from None
