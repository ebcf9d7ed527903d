"""What a table holds, found out before its rows are used."""

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.data.tables.rows import Block, blocks
from tidegate.data.tables.sources.containers import Source
from tidegate.data.tables.sources.kinds import TableWarning
from tidegate.data.tables.sources.recognition import recognised
from tidegate.files.remote import is_file

_ROWS = 1024  # of a block
_FEW_ROWS = 64
_SAMPLE = 1 << 19  # values, of all columns together


@dataclass(frozen=True)
class Survey:
    """The columns of a table.

    Attributes:
        sample: Some values of each column, by which to guess what it holds; none where that is neither text nor label.
        schema: Arrow's types of the columns, a `pyarrow.Schema`; None if they are not known.
    """

    sample: Mapping[str, list[Any]]
    schema: Any = None

    def completed(self, block: Block) -> Block:
        """Gives rows all columns of the table, also those that come later."""
        size = len(next(iter(block.values()), ()))
        return {name: block[name] if name in block else [None] * size for name in self.sample}

    def typed(self, block: Block) -> Block:
        """Makes arrays of Arrow of columns that are lists, if their types are known."""
        if self.schema is None or not any(isinstance(values, list) for values in block.values()):
            return block
        from tidegate.data.tables.json.types import array_of  # noqa: PLC0415

        return {name: array_of(values, self.schema.field(name).type) for name, values in block.items()}


def survey(source: Source, kind: str | None, *, typed: bool, whole: bool, some: bool = False) -> Survey | None:
    """Looks through a table whose first rows do not say which columns there are, or of which type.

    That is JSON, where any row may bring a new column, and Parquet, whose types are in the file. Of other kinds the
    first rows are read where only some columns will be, to choose those.

    Args:
        source: A file, or an open binary stream, which is taken back to where it was.
        kind: As in `rows.blocks`.
        typed: Whether the types of JSON are to be found too.
        whole: Whether all rows will be read at once, so that those of JSON need not be looked through.
        some: Whether only some columns will be read.

    Returns:
        What was found; None if the first rows say all, and for a pipe, which can be read once only.

    Raises:
        ImportError: pyarrow is needed and missing.
        OSError: The file cannot be read.
        ValueError: The file is damaged.
    """
    if not can_be_read_twice(source):
        return None
    start = None if isinstance(source, str | os.PathLike) else source.tell()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TableWarning)  # it will be said when the rows are read
        with recognised(source, kind) as (found, kind_found):
            if kind_found == "parquet":
                known: Survey | None = _of_parquet(str(found))
            elif kind_found == "jsonl":
                known = _of_json(found, typed=typed) if some or not whole else None
            else:
                known = _of_first_rows(found, kind_found) if some else None
    if start is not None:
        source.seek(start)  # type: ignore[union-attr]
    return known


def can_be_read_twice(source: Source) -> bool:
    """Whether it is a file on a disk, and not a pipe or a terminal."""
    return is_file(source) if isinstance(source, str | os.PathLike) else source.seekable()


def _of_parquet(path: str) -> Survey:
    from tidegate.data.tables.arrow import parquet  # noqa: PLC0415

    return Survey(parquet.sample(path, _SAMPLE), parquet.schema(path))


def _of_first_rows(source: Source, kind: str) -> Survey | None:
    sample: Block = {}
    rows = 0
    for block in blocks(source, kind, _FEW_ROWS):
        sample = {name: sample.get(name, []) + values for name, values in block.items()}
        rows += len(next(iter(block.values())))
        if rows >= _ROWS or rows * len(sample) >= _SAMPLE:
            break
    return Survey(sample) if sample else None


def _of_json(source: Source, *, typed: bool) -> Survey:
    if typed:
        from tidegate.data.tables.json import types as json_types  # noqa: PLC0415
    sample: dict[str, list[Any]] = {}
    types: dict[str, Any] = {}
    for block in blocks(source, "jsonl", _ROWS):
        for name, values in block.items():
            if all(value is None for value in sample.get(name, ())):
                sample[name] = values[: max(20, _SAMPLE // len(block))]
            if typed:
                kind = json_types.type_of(values)
                types[name] = json_types.widened(types[name], kind) if name in types else kind
    return Survey(sample, json_types.schema_of(types) if typed else None)
