"""Arrow's own files, Feather included, which are read as Parquet."""

import json
from contextlib import ExitStack
from tempfile import NamedTemporaryFile
from typing import Any

try:
    import pyarrow as pa
    from pyarrow import compute, ipc, parquet
except ImportError as error:
    raise ImportError("Arrow files need pyarrow: pip install 'tidegate[train]'") from error

from tidegate.data.tables.arrow.values import values_of
from tidegate.data.tables.sources.containers import Peeked, spooled


def as_parquet(stream: Peeked, stack: ExitStack) -> str:
    """Writes an Arrow file or stream as Parquet, record batch by record batch, to a file that goes with the stack.

    Raises:
        ValueError: The file is damaged, or has a type that Parquet has not.
    """
    is_file = stream.head.startswith(b"ARROW1")
    source = stack.enter_context(pa.OSFile(spooled(stream, stack)))
    target = stack.enter_context(NamedTemporaryFile(prefix="tidegate-"))  # noqa: SIM115 - the stack closes it
    try:
        with ipc.open_file(source) if is_file else ipc.open_stream(source) as reader:
            batches = map(reader.get_batch, range(reader.num_record_batches)) if is_file else reader
            kinds = map(_writable, reader.schema.types)
            fields = [field.with_type(kind) for field, kind in zip(reader.schema, kinds, strict=True)]
            schema = pa.schema(fields, reader.schema.metadata)
            with parquet.ParquetWriter(target, schema, compression="lz4") as writer:
                for batch in batches:
                    batch.validate(full=True)  # or a damaged one would end the process
                    columns = [_as_written(*pair) for pair in zip(batch.columns, schema.types, strict=True)]
                    writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"this is an Arrow file that cannot be read: {error}") from None
    target.flush()
    return target.name


def _writable(kind: Any, *, inside: bool = False) -> Any:
    """Returns the type as which Parquet takes a column and gives it back, the same one for most.

    It has no categories whose names are views, as polars writes them; those inside of lists and records are read back
    from one row group alone, so that their names stand there; and it has no runs, calendar intervals and unions.

    Args:
        kind: The column's type.
        inside: Whether it is that of values inside of lists or records.
    """
    if pa.types.is_dictionary(kind):
        names = pa.large_string() if kind.value_type == pa.string_view() else kind.value_type
        return names if inside else pa.dictionary(kind.index_type, names, ordered=kind.ordered)
    if pa.types.is_run_end_encoded(kind):
        return _writable(kind.value_type, inside=inside)
    if pa.types.is_interval(kind) or pa.types.is_union(kind):
        return pa.string()
    if pa.types.is_struct(kind):
        return pa.struct([_field(field) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(_field(kind.key_field), _field(kind.item_field), keys_sorted=kind.keys_sorted)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return (pa.list_ if pa.types.is_list(kind) else pa.large_list)(_field(kind.value_field))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_field(kind.value_field), kind.list_size)
    return kind


def _field(field: Any) -> Any:
    return field.with_type(_writable(field.type, inside=True))


def _as_written(column: Any, kind: Any) -> Any:
    """Gives a column the type of `_writable`."""
    found = column.type
    if found == kind:
        return column
    if pa.types.is_dictionary(found):
        names = column.dictionary.cast(kind.value_type if pa.types.is_dictionary(kind) else kind)
        if pa.types.is_dictionary(kind):
            return pa.DictionaryArray.from_arrays(column.indices, names, ordered=kind.ordered)
        return names.take(column.indices)
    if pa.types.is_run_end_encoded(found):
        return _as_written(compute.run_end_decode(column), kind)
    missing = column.is_null()
    if pa.types.is_struct(found):
        inner = [_as_written(column.field(place), field.type) for place, field in enumerate(kind)]
        return pa.StructArray.from_arrays(inner, fields=list(kind), mask=missing)
    if pa.types.is_map(found):
        keys, items = _as_written(column.keys, kind.key_type), _as_written(column.items, kind.item_type)
        return pa.MapArray.from_arrays(column.offsets, keys, items, type=kind, mask=missing)
    if pa.types.is_fixed_size_list(found):
        return pa.FixedSizeListArray.from_arrays(_as_written(column.values, kind.value_type), type=kind, mask=missing)
    if pa.types.is_list(found) or pa.types.is_large_list(found):
        values = _as_written(column.values, kind.value_type)
        return type(column).from_arrays(column.offsets, values, type=kind, mask=missing)
    return pa.array(map(_written_out, values_of(column)), kind)


def _written_out(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, default=str)
