"""Arrow's own files, Feather included, which are read as Parquet."""

from contextlib import ExitStack
from tempfile import NamedTemporaryFile

from tidegate.data.tables.containers import Peeked, spooled


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
            with parquet.ParquetWriter(target, reader.schema, compression="lz4") as writer:
                for batch in batches:
                    batch.validate(full=True)  # or a damaged one would end the process
                    writer.write_batch(batch)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"this is an Arrow file that cannot be read: {error}") from None
    target.flush()
    return target.name
