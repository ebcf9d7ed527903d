"""Tables of texts and labels from CSV, TSV, JSON Lines, Parquet and plain lines, and such files written."""

import csv
import gzip
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, BinaryIO

import numpy as np

from tidegate.data.columns import column_of, guess_columns, label_name
from tidegate.data.containers import Source
from tidegate.data.files import replacing
from tidegate.data.kinds import KINDS, kind_of
from tidegate.data.rows import Block, blocks
from tidegate.data.sources import name_of

Write = Callable[[Mapping[str, Any]], None]


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
    columns: Block
    text_column: str
    label_column: str | None

    def __len__(self) -> int:
        return len(self.texts)


def read(
    path: str | os.PathLike[str],
    text: str | None = None,
    label: str | None = None,
    *,
    need_label: bool = True,
    kind: str | None = None,
) -> Table:
    """Reads a whole table.

    Args:
        path: A file of a kind that `rows.blocks` reads, in UTF-8, UTF-16 or UTF-32, packed or not.
        text: Name of the column of texts; None to guess it, see `columns.guess_columns`.
        label: Name of the column of labels; None to guess it, if it is needed.
        need_label: Whether there must be labels.
        kind: As in `stream`.

    Raises:
        ImportError: A Parquet file is to be read and pyarrow is missing.
        OSError: The file cannot be read.
        ValueError: The file is damaged or has no rows, a column is not there or cannot be guessed, or a label is
            missing.
    """
    tables = list(stream(path, kind, text=text, label=label, need_label=need_label, size=None))
    if not tables:
        raise ValueError(f"{os.fspath(path)}: there are no rows")
    return tables[0]


def stream(
    source: Source,
    kind: str | None = None,
    *,
    text: str | None = None,
    label: str | None = None,
    need_label: bool = False,
    size: int | None = 1024,
) -> Iterator[Table]:
    """Reads a table part by part, as its rows come in.

    What has come in is passed on at once: the answer to a line typed into a pipe does not wait for the next line.

    Args:
        source: A file, or an open binary stream such as `sys.stdin.buffer`, which is not closed.
        kind: One of `kinds.KINDS`; None to go by how it begins and by the suffix of the file.
        text: As in `read`; guessed on the first part.
        label: As in `read`.
        need_label: As in `read`.
        size: The most rows of a part; None for the whole table at once.

    Yields:
        Parts of one row or more.

    Raises:
        ImportError: As in `read`.
        OSError: As in `read`.
        ValueError: As in `read`, when the part in question is reached; `kind` is unknown.
    """
    name = name_of(source)
    if kind is not None and kind not in KINDS:
        raise ValueError(f"the kind of table is {kind!r}, expected one of {', '.join(KINDS)}")
    chosen: tuple[str, str | None] | None = None
    count = 0
    try:
        for columns in blocks(source, kind, size):
            chosen = chosen or guess_columns(columns, text, label, need_label=need_label)
            table = _table(columns, *chosen, first_row=count + 1)
            count += len(table)
            yield table
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _table(columns: Block, text: str, label: str | None, first_row: int) -> Table:
    """Takes texts and labels from their columns.

    Raises:
        ValueError: A text is no text, or a label is missing or is neither text nor number.
    """
    size = len(next(iter(columns.values())))
    texts = ["" if value is None else value for value in column_of(columns, text) or [None] * size]
    for row, value in enumerate(texts, first_row):
        if not isinstance(value, str):
            raise ValueError(f"row {row} of column {text!r} holds {value!r:.40}, expected a text")  # noqa: TRY004
    if label is None:
        return Table(texts, None, columns, text, None)
    labels = [label_name(value) for value in column_of(columns, label) or [None] * size]
    missing = [row for row, name in enumerate(labels, first_row) if name is None]
    if missing:
        count = f"{len(missing)} of {size} rows have" if size > 1 else "a row has"
        raise ValueError(f"{count} no label in column {label!r}, first row {missing[0]}: fill them in or remove them")
    return Table(texts, [name for name in labels if name is not None], columns, text, label)


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
        A function that appends a part, given as in `write`. Only JSON Lines take columns that the first part has not.

    Raises:
        ImportError: As in `write`.
        OSError: As in `write`.
        ValueError: As in `write`.
    """
    path = target if isinstance(target, str | os.PathLike) else None
    kind = kind or kind_of("standard output" if path is None else path)
    if kind not in KINDS or kind == "lines":
        raise ValueError(f"the kind of table is {kind!r}, expected csv, tsv, jsonl or parquet")
    with ExitStack() as stack:
        file: Any = target if path is None else stack.enter_context(replacing(path))
        if path is not None and os.fspath(path).lower().endswith(".gz"):
            file = stack.enter_context(gzip.GzipFile(fileobj=file, mode="wb"))
        append = _parquet_appender(file, stack) if kind == "parquet" else _text_appender(file, kind)
        names: list[str] = []

        def append_and_flush(columns: Mapping[str, Any]) -> None:
            sizes = {name: len(values) for name, values in columns.items()}
            if len(set(sizes.values())) > 1:
                raise ValueError(f"the columns have {sizes} rows, expected equally many")
            names[:] = columns if kind == "jsonl" else names or columns
            if missing := [name for name in names if name not in columns]:
                raise ValueError(f"the columns are {list(columns)}, expected {missing} too as in the first part")
            append({name: columns[name] for name in names})
            file.flush()

        yield append_and_flush


def _text_appender(file: BinaryIO, kind: str) -> Write:
    header = kind != "jsonl"

    def append(columns: Mapping[str, Any]) -> None:
        nonlocal header
        # tolist() makes Python's own numbers of numpy's
        values = [column.tolist() if isinstance(column, np.ndarray) else column for column in columns.values()]
        rows = list(zip(*values, strict=True))
        text = io.StringIO()
        if kind == "jsonl":
            lines = (json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False, default=str) for row in rows)
            text.writelines(line + "\n" for line in lines)
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
    try:
        import pyarrow as pa  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise ImportError("Parquet files need pyarrow: pip install 'tidegate[train]'") from error
    opened: list[Any] = []

    def array(values: Any) -> Any:
        if isinstance(values, np.ndarray) and values.ndim == 2:
            return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
        return pa.array(values)

    def append(columns: Mapping[str, Any]) -> None:
        table = pa.table({name: array(values) for name, values in columns.items()})
        if not opened:
            # a column that is empty in the first part may hold texts in the next
            fields = [field.with_type(pa.string()) if pa.types.is_null(field.type) else field for field in table.schema]
            opened.append(stack.enter_context(parquet.ParquetWriter(file, pa.schema(fields), compression="zstd")))
        opened[0].write_table(table.cast(opened[0].schema))

    return append
