"""Arrow's own files, Feather included, which are read as Parquet."""

from contextlib import ExitStack
from tempfile import NamedTemporaryFile
from typing import Any

from tidegate.data.tables.sources.containers import Peeked, spooled


def as_parquet(stream: Peeked, stack: ExitStack) -> str:
    """Writes an Arrow file or stream as Parquet, record batch by record batch, to a file that goes with the stack.

    Raises:
        ImportError: pyarrow is missing.
        ValueError: The file is damaged, or has a type that Parquet has not.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415
        from pyarrow import ipc, parquet  # noqa: PLC0415
    except ImportError as error:
        raise ImportError("Arrow files need pyarrow: pip install 'tidegate[train]'") from error
    is_file = stream.head.startswith(b"ARROW1")
    source = stack.enter_context(pa.OSFile(spooled(stream, stack)))
    target = stack.enter_context(NamedTemporaryFile(prefix="tidegate-"))  # noqa: SIM115 - the stack closes it
    try:
        with ipc.open_file(source) if is_file else ipc.open_stream(source) as reader:
            batches = map(reader.get_batch, range(reader.num_record_batches)) if is_file else reader
            schema = pa.schema([_writable(field) for field in reader.schema], reader.schema.metadata)
            with parquet.ParquetWriter(target, schema, compression="lz4") as writer:
                for batch in batches:
                    batch.validate(full=True)  # or a damaged one would end the process
                    columns = [_as_written(*pair) for pair in zip(batch.columns, schema.types, strict=True)]
                    writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"this is an Arrow file that cannot be read: {error}") from None
    target.flush()
    return target.name


def _writable(field: Any) -> Any:
    """Describes a column as Parquet takes it, which has no categories whose names are views, as polars writes them."""
    import pyarrow as pa  # noqa: PLC0415

    kind = field.type
    if pa.types.is_dictionary(kind) and kind.value_type == pa.string_view():
        return field.with_type(pa.dictionary(kind.index_type, pa.large_string(), ordered=kind.ordered))
    return field


def _as_written(column: Any, kind: Any) -> Any:
    """Gives a column the type of `_writable`."""
    if column.type == kind:
        return column
    names = column.dictionary.cast(kind.value_type)
    return type(column).from_arrays(column.indices, names, ordered=kind.ordered)
