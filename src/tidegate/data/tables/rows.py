"""Rows of CSV, TSV, JSON, fastText, Parquet, Arrow and plain lines, as they come in from a file or a stream."""

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain
from typing import Any, Protocol, TypeVar

from tidegate.data.tables import fasttext
from tidegate.data.tables.delimited import Delimited
from tidegate.data.tables.json import shapes as json_shapes
from tidegate.data.tables.json.values import JsonValues
from tidegate.data.tables.sources.containers import Source, opened
from tidegate.data.tables.sources.kinds import caution
from tidegate.data.tables.sources.lines import Lines, Text
from tidegate.data.tables.sources.recognition import name_of, recognised

Block = dict[str, Any]
Row = TypeVar("Row")
Made = TypeVar("Made")

_LONGEST_BLOCK = 1 << 24  # characters, so that wide tables and long texts need no more memory than others


class _Incoming(Protocol):
    """What rows are read from.

    Attributes:
        passed: Characters that were handed out.
        drained: Whether what comes next has not come in yet.
    """

    passed: int

    @property
    def drained(self) -> bool: ...


def blocks(source: Source, kind: str | None, size: int | None, names: Collection[str] | None = None) -> Iterator[Block]:
    """Reads a table in blocks of rows.

    Args:
        source: A file, or an open binary stream, which is not closed.
        kind: As in `sources.recognised`.
        size: The most rows of a block; it has fewer where no more have come in yet, or where they are very long. None
            for one block with all rows.
        names: The columns to keep, None for all; the others take no memory, and those of Parquet are not read.

    Yields:
        The values of each column, by its name: lists of strings or of what JSON holds, with None for what is missing;
        arrays of Arrow for Parquet. JSON may have more columns from block to block, not fewer. Rows before a damaged
        one are passed on before the error, but not if all are to be in one block.

    Warns:
        TableWarning: A header comes twice, rows may be part of a field, or a text file is read as a table.

    Raises:
        ImportError: pyarrow is needed, and missing.
        OSError: The file cannot be read.
        ValueError: The file is damaged, or is none of these; the message names the line.
    """
    with recognised(source, kind) as (found, kind_found):
        if kind_found == "parquet":
            from tidegate.data.tables.arrow import parquet  # noqa: PLC0415 - only who has such files needs pyarrow

            yield from parquet.blocks(str(found), size, names)
            return
        with opened(found) as unpacked:
            yield from _text_blocks(Text(unpacked.stream), kind_found, size, names, name_of(found))


def _text_blocks(
    text: Text, kind: str, size: int | None, names: Collection[str] | None, source: str
) -> Iterator[Block]:
    """Reads what is text; `source` is what it is called in warnings."""
    lines = Lines(text)
    if kind == "jsonl":
        yield from _json_blocks(text, size, names, source)
    elif kind == "fasttext":
        for rows in _cut(fasttext.rows(lines), lines, size):
            yield {"text": [text for text, _ in rows], "label": [label for _, label in rows]}
    elif kind in {"lines", "named-lines"}:
        if kind == "named-lines":
            lines.skip_first()
        for texts in _cut((line.rstrip("\r\n") for line in lines), lines, size):
            yield {"text": texts}
    else:
        table = Delimited(lines, kind, source)
        kept = [place for place, name in enumerate(table.names) if names is None or name in names]
        fields = iter(table)
        if len(kept) < len(table.names):
            fields = ([row[place] for place in kept] for row in table)
        for part in _cut(fields, lines, size):
            columns = zip(*part, strict=True)
            yield {table.names[place]: list(values) for place, values in zip(kept, columns, strict=True)}


def _json_blocks(text: Text, size: int | None, names: Collection[str] | None, source: str) -> Iterator[Block]:
    values, known = JsonValues(text), dict[str, None]()
    records = json_shapes.records(values)
    if names is not None:
        known |= dict.fromkeys(names)
        records = ({name: record[name] for name in names if name in record} for record in records)
    for block in _cut(records, values, size):
        known |= dict.fromkeys(chain(*block))
        if not known:
            raise ValueError("the rows are objects without fields, expected columns such as text and label")
        yield {name: [record.get(name) for record in block] for name in known}
    if values.broken:
        found = "a row holds" if len(values.broken) == 1 else f"{len(values.broken):,} rows hold"
        caution(
            f"{source}: {found} half of a pair of surrogates, which is no character, first in line "
            f"{values.broken[0]}: it is written as ?"
        )


def _cut(rows: Iterable[Row], incoming: _Incoming, size: int | None) -> Iterator[list[Row]]:
    """Gathers rows into blocks; one ends early where what comes next has not come in yet or is damaged, or is large."""
    block, begin = [], incoming.passed
    try:
        for row in rows:
            block.append(row)
            large = incoming.passed - begin > _LONGEST_BLOCK
            if size is not None and (len(block) >= size or large or incoming.drained):
                yield block
                block, begin = [], incoming.passed
    except ValueError:
        if block and size is not None:
            yield block
        raise
    if block:
        yield block


def rows_in(block: Block) -> int:
    """Counts the rows of a block."""
    return len(next(iter(block.values())))


def part_of(block: Block, rows: slice) -> Block:
    """Takes some rows of a block."""
    return {name: values[rows] for name, values in block.items()}


def made_of(block: Block, make: Callable[[Block, int], Made]) -> Iterator[Made]:
    """Makes something of the rows of a block; where one is wrong, of those before it, and then raises its error.

    Args:
        block: Some rows.
        make: Makes it of some of them, the second argument being how many come before; ValueError if one is wrong.

    Raises:
        ValueError: That of the first row that is wrong.
    """
    try:
        made = make(block, 0)
    except ValueError:
        wrong = next((row for row in range(rows_in(block)) if _is_wrong(block, row, make)), None)
        if wrong:
            yield make(part_of(block, slice(wrong)), 0)
        if wrong is not None:
            make(part_of(block, slice(wrong, wrong + 1)), wrong)
        raise
    yield made


def _is_wrong(block: Block, row: int, make: Callable[[Block, int], Any]) -> bool:
    try:
        make(part_of(block, slice(row, row + 1)), row)
    except ValueError:
        return True
    return False
