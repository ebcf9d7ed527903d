"""Parquet files, read and written as Arrow data: no value is converted on its way from one to the other."""

import io
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

try:
    import pyarrow as pa
    from pyarrow import parquet
except ImportError as error:
    raise ImportError("Parquet files need pyarrow: pip install 'tidegate[train]'") from error

from tidegate.data.tables.arrow.class_labels import class_labels
from tidegate.data.tables.arrow.parquet_pages import check_pages
from tidegate.data.tables.arrow.values import values_of

_GROUP_ROWS, _GROUP_BYTES = 1 << 16, 1 << 26
"""Of a row group that is written: many small ones would be slow to read, and large ones would fill the memory."""

_BUFFERS, _VALUES = 1 << 26, 1 << 20
"""Bytes that are read ahead, and values of a block, of all columns together: a wide table has short blocks."""

_OF_CELLS = ("string", "large_string", "binary", "large_binary", "integer", "floating", "boolean", "decimal", "struct")
"""Types of columns that may hold texts or labels, also in a field of records."""


def blocks(
    path: str | os.PathLike[str], size: int | None, names: Collection[str] | None = None
) -> Iterator[dict[str, Any]]:
    """Reads a file in blocks of rows.

    Args:
        path: The file.
        size: The most rows of a block; None for one block with all rows.
        names: The columns to read, None for all; the others are left alone.

    Yields:
        An array of Arrow for each column, by its name; of type `ClassLabel` where the schema notes what integers mean.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is damaged, or two columns have one name.
    """
    found = schema(path)
    known, labels = found.names, class_labels(found)
    chosen = known if names is None else [name for name in known if name in names]
    # Buffers of its own for each column keep a row group, however large, from being read as a whole.
    with _opened(path, pre_buffer=False, buffer_size=_BUFFERS // (len(known) + 64)) as file:
        check_pages(path, chosen)
        size = size and min(size, max(1, _VALUES // (len(chosen) + 1)))
        alone = any(_has_categories_inside(found.field(name).type) for name in chosen)
        for batch in _batches(file, size, chosen, alone=alone):
            if batch.num_rows:
                columns = {name: batch.column(name) for name in chosen}
                yield columns | {name: labels[name].wrap_array(columns[name]) for name in chosen if name in labels}


def _batches(file: Any, size: int | None, names: list[str], *, alone: bool) -> Iterator[Any]:
    """Reads the rows of some columns, those of each row group alone or not; all at once if there is no size."""
    groups = range(file.num_row_groups)
    alone = alone and bool(groups)
    if size is None:
        yield pa.concat_tables([file.read_row_group(group, names) for group in groups]) if alone else file.read(names)
        return
    for group in groups if alone else [None]:
        yield from file.iter_batches(size, row_groups=None if group is None else [group], columns=names)


def _has_categories_inside(kind: Any, *, inside: bool = False) -> bool:
    """Whether lists or records hold categories, which pyarrow cannot read from several row groups at once."""
    if pa.types.is_dictionary(kind):
        return inside
    return any(_has_categories_inside(kind.field(place).type, inside=True) for place in range(kind.num_fields))


@contextmanager
def _opened(path: str | os.PathLike[str], **how: Any) -> Iterator[Any]:
    try:
        with parquet.ParquetFile(path, **how) as file:
            yield file
    except OSError as error:
        if error.errno is not None:  # the system's own errors have a number
            raise
        raise ValueError(f"the Parquet file is damaged: {error}") from None
    except RuntimeError as error:  # of C++, for some damages and for what pyarrow has not
        raise ValueError(f"the Parquet file cannot be read: {error}") from None


def schema(path: str | os.PathLike[str]) -> Any:
    """Returns the schema of a file, a `pyarrow.Schema`.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is damaged, or two columns have one name.
    """
    with _opened(path) as file:
        found = file.schema_arrow
    if len(set(found.names)) < len(found.names):
        twice = next(name for name in found.names if found.names.count(name) > 1)
        raise ValueError(f"two columns have the name {twice!r}, expected different names")
    return found


def sample(path: str | os.PathLike[str], count: int) -> dict[str, list[Any]]:
    """Reads the first rows of a file.

    Args:
        path: The file.
        count: About how many values.

    Returns:
        Values by name, bytes as the text that they encode, and none of a column whose type is that of no text or label;
        no columns if there are no rows.

    Raises:
        OSError: The file cannot be read.
        ValueError: As in `schema`.
    """
    fields = schema(path)
    readable = [field.name for field in fields if _may_be_cells(field.type)]
    first = next(blocks(path, min(1024, max(20, count // (len(readable) + 1))), readable), None)
    if first is None:
        return {}
    values = {name: values_of(array) for name, array in first.items()}
    return {name: list(map(_decoded, values.get(name, ()))) for name in fields.names}


def _decoded(value: Any) -> Any:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _may_be_cells(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        return _may_be_cells(kind.value_type)
    return any(getattr(pa.types, f"is_{name}")(kind) for name in _OF_CELLS)


@contextmanager
def appender(file: BinaryIO) -> Iterator[Callable[..., None]]:
    """Opens a file for writing part by part; it is complete when the block ends well.

    Yields:
        A function that appends a part: its columns, lists or arrays of numpy or Arrow, the same in each part; and what
        is known of some of them, a `pyarrow.Schema` or None.
    """
    sink = _Sink(file)
    writer: Any = None
    waiting: list[Any] = []
    rows = size = 0

    def flush() -> None:
        nonlocal rows, size
        if waiting:
            writer.write_table(pa.concat_tables(waiting))
            waiting.clear()
            rows = size = 0

    def append(columns: Mapping[str, Any], known: Any = None) -> None:
        nonlocal writer, rows, size
        arrays = {name: _array(name, values) for name, values in columns.items()}
        if writer is None:
            writer = _writer(sink, _schema_of(arrays, known))
        cast = [_cast(array, field.type) for array, field in zip(arrays.values(), writer.schema, strict=True)]
        part = pa.Table.from_arrays(cast, schema=writer.schema)
        waiting.append(part)
        rows, size = rows + part.num_rows, size + part.nbytes
        if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
            flush()

    try:
        yield append
        flush()
    except BaseException:
        sink.file = io.BytesIO()  # the writer ends a file even when it is thrown away, and a part would look whole
        raise
    finally:
        if writer:
            writer.close()


class _Sink(io.RawIOBase):
    """Passes bytes on to a file, which can be exchanged."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    def writable(self) -> bool:
        """Says that this is a stream to write to."""
        return True

    def write(self, data: Any, /) -> int:
        """Writes bytes."""
        return self.file.write(data)


def _writer(file: Any, schema: Any) -> Any:
    """Opens a file for writing.

    Raises:
        ValueError: Parquet has no such columns, as of objects without fields.
    """
    try:
        return parquet.ParquetWriter(file, schema, compression="zstd")
    except pa.ArrowException as error:
        raise ValueError(f"Parquet has no such columns: {error}") from None


def _array(name: str, values: Any) -> Any:
    """Makes an array of Arrow of a column.

    Raises:
        ValueError: No type holds its values.
    """
    if isinstance(values, np.ndarray) and values.ndim == 2:
        return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError) as error:
        raise ValueError(f"column {name!r} holds values that no type of Parquet holds together: {error}") from None


def _cast(array: Any, kind: Any) -> Any:
    return array if array.type == kind else array.cast(kind)


def _schema_of(arrays: Mapping[str, Any], known: Any) -> Any:
    """Describes columns; one that is empty in the first part may hold texts in the next, if nothing is known of it."""
    fields = {field.name: field for field in known or ()}
    for name, array in arrays.items():
        kind = pa.string() if pa.types.is_null(array.type) else array.type
        fields.setdefault(name, pa.field(name, kind))
    return pa.schema([fields[name] for name in arrays], metadata=known.metadata if known else None)
