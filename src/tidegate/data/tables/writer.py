"""Tables written, whole or part by part, as CSV, TSV, JSON Lines or Parquet."""

import csv
import gzip
import io
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any, BinaryIO

from tidegate.data.tables.sources.kinds import KINDS, kind_of
from tidegate.data.tables.values import csv_fields, json_text, plain_values
from tidegate.files.writing import replacing

Write = Callable[..., None]


def write(path: str | os.PathLike[str], columns: Mapping[str, Any]) -> None:
    """Writes a whole table, to a temporary name that then takes the place of `path`.

    Args:
        path: A file whose suffix says its kind, see `kind_of`.
        columns: The values of each column, all equally many; an array [B, F] makes a column of vectors.

    Raises:
        ImportError: A Parquet file is to be written and pyarrow is missing.
        OSError: The file cannot be written.
        ValueError: The suffix is unknown, or columns differ in length.
    """
    with writer(path) as append:
        append(columns)


@contextmanager
def writer(target: str | os.PathLike[str] | BinaryIO, kind: str | None = None) -> Iterator[Write]:
    """Opens a table for writing part by part.

    Args:
        target: A file, which appears when the block ends well; or an open binary stream such as `sys.stdout.buffer`,
            which gets each part at once and is not closed.
        kind: "csv", "tsv", "jsonl" or "parquet"; None to go by the suffix of the file.

    Yields:
        A function that appends a part: its columns as in `write`, and the types of some of them, a `pyarrow.Schema`
        or None, which Parquet keeps. Only JSON Lines take a column that the first part has not, if it holds a value:
        the rows before that are written, and ValueError is raised.

    Raises:
        ImportError: As in `write`.
        OSError: As in `write`.
        ValueError: As in `write`.
    """
    path = target if isinstance(target, str | os.PathLike) else None
    kind = kind or kind_of("standard output" if path is None else path)
    if kind not in KINDS or kind in {"lines", "fasttext"}:
        raise ValueError(f"the kind of table is {kind!r}, expected csv, tsv, jsonl or parquet")
    with ExitStack() as stack:
        file: Any = target if path is None else stack.enter_context(replacing(path))
        if path is not None and os.fspath(path).lower().endswith(".gz"):
            file = stack.enter_context(gzip.GzipFile(fileobj=file, mode="wb"))
        append = _parquet_appender(file, stack) if kind == "parquet" else _text_appender(file, kind)
        names: list[str] = []
        count = 0

        def append_and_flush(columns: Mapping[str, Any], schema: Any = None) -> None:
            nonlocal count
            size = _size(columns)
            names[:] = columns if kind == "jsonl" else names or columns
            if missing := [name for name in names if name not in columns]:
                raise ValueError(f"the columns are {list(columns)}, expected {missing} too as in the first part")
            late = _first_late(columns, names)
            rows = size if late is None else late[0]
            append({name: columns[name][:rows] for name in names}, schema)
            file.flush()
            count += rows
            if late is not None:
                raise ValueError(
                    f"row {count + 1} brings a column {late[1]!r}, for which the lines of {kind} written so far have "
                    f"no place: write JSON Lines (--to jsonl) or a file (-o FILE), or read a file instead of a pipe"
                )

        yield append_and_flush


def _size(columns: Mapping[str, Any]) -> int:
    """Returns the number of rows.

    Raises:
        ValueError: It differs.
    """
    sizes = {name: len(values) for name, values in columns.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"the columns have {sizes} rows, expected equally many")
    return next(iter(sizes.values()), 0)


def _first_late(columns: Mapping[str, Any], names: Collection[str]) -> tuple[int, str] | None:
    """Finds the first value of a column that is not among `names`: its row, from 0, and the column."""
    late = [
        (row, name)
        for name in columns.keys() - names
        for row, value in enumerate(plain_values(columns[name]))
        if value is not None
    ]
    return min(late, default=None)


def _text_appender(file: BinaryIO, kind: str) -> Write:
    header = kind != "jsonl"

    def append(columns: Mapping[str, Any], schema: Any) -> None:
        nonlocal header
        fields = map(plain_values if kind == "jsonl" else csv_fields, columns.values())
        rows = zip(*fields, strict=True)
        text = io.StringIO()
        if kind == "jsonl":
            text.writelines(json_text(dict(zip(columns, row, strict=True))) + "\n" for row in rows)
        else:
            # The module quotes the line breaks of its line terminator only, and a bare \r must be quoted too.
            lines_of = SimpleNamespace(write=lambda line: text.write(line.removesuffix("\r\n") + "\n"))
            table = csv.writer(lines_of, delimiter="\t" if kind == "tsv" else ",", lineterminator="\r\n")
            table.writerows([tuple(columns)] * header)
            table.writerows(rows)
            header = False
        file.write(text.getvalue().encode(errors="replace"))

    return append


def _parquet_appender(file: BinaryIO, stack: ExitStack) -> Write:
    from tidegate.data.tables.arrow import parquet  # noqa: PLC0415 - only who has such files needs pyarrow

    return stack.enter_context(parquet.appender(file))
