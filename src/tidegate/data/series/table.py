"""Sequences of numbers read from tables, whole or part by part."""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.data.series.listed import sequences_of
from tidegate.data.series.long import LongTable
from tidegate.data.series.roles import Asked, Looks, Roles, find_roles, look_of, reads_as_series
from tidegate.data.tables.containers import Source
from tidegate.data.tables.kinds import KINDS, TableWarning
from tidegate.data.tables.rows import Block, blocks
from tidegate.data.tables.sources import name_of
from tidegate.data.tables.survey import can_be_read_twice, survey
from tidegate.data.tables.values import plain_values

Array = npt.NDArray[np.floating[Any]]

NOTHING = Asked()
"""Nothing is known of the columns."""

_ROWS = 1024  # of a part
_LONG_ROWS = 1 << 16  # of a long table that are read at once


@dataclass(frozen=True)
class Series:
    """Sequences of numbers with what is to be predicted, and the table that they come from.

    Attributes:
        sequences: B arrays [T, K], float32 or float64, NaN where a number is missing.
        labels: What is to be predicted, B values for each column of labels as the file has them.
        roles: What the columns are.
        columns: What stands beside each sequence: all columns of a table with a sequence a row, as `tables.stream` has
            them; of a long table the key and the labels.
        schema: Arrow's types of the columns, as in `tables.Table`.
    """

    sequences: list[Array]
    labels: Mapping[str, list[Any]]
    roles: Roles
    columns: Block
    schema: Any = None

    def __len__(self) -> int:
        return len(self.sequences)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the K features: their columns, or those of one column with numbers."""
        K = next((sequence.shape[1] for sequence in self.sequences if len(sequence)), 0)
        names = self.roles.features
        return names if len(names) == K else tuple(f"{names[0]}[{k}]" for k in range(K))


def read(source: Source, asked: Asked = NOTHING, kind: str | None = None, *, need_label: bool = True) -> Series:
    """Reads all sequences of a table.

    Args:
        source: A file of a kind that `tables.read` reads, or an open binary stream.
        asked: What is known of the columns; the others are guessed, see `roles.find_roles`.
        kind: As in `tables.stream`.
        need_label: Whether there must be labels.

    Raises:
        ImportError: A Parquet file is to be read and pyarrow is missing.
        OSError: The file cannot be read.
        ValueError: The file is damaged or has no rows, a column is not there or cannot be guessed, a cell holds no
            number, or a key of a long table has several labels.
    """
    parts = list(stream(source, asked, kind, need_label=need_label, size=None, others=False))
    if not parts:
        raise ValueError(f"{name_of(source)}: there are no rows")
    return parts[0]


def stream(
    source: Source,
    asked: Asked = NOTHING,
    kind: str | None = None,
    *,
    need_label: bool = False,
    size: int | None = _ROWS,
    others: bool = True,
    typed: bool = False,
) -> Iterator[Series]:
    """Reads sequences part by part, as their rows come in; those of a long table in one part.

    Args:
        source: As in `read`.
        asked: As in `read`.
        kind: As in `read`.
        need_label: As in `read`.
        size: The most rows of a part; None for the whole table at once.
        others: Whether columns that hold neither sequences nor labels are of use.
        typed: As in `tables.stream`.

    Yields:
        Parts of one sequence or more.

    Raises:
        ImportError: As in `read`.
        OSError: As in `read`.
        ValueError: As in `read`, when the part in question is reached.
    """
    if kind is not None and kind not in KINDS:
        raise ValueError(f"the kind of table is {kind!r}, expected one of {', '.join(KINDS)}")
    try:
        known = survey(source, kind, typed=typed, whole=size is None, some=True)
        looks = _looks(known.sample, known.schema) if known and known.sample else None
        pieces: Iterator[Block] | None = None
        if looks is None:  # a pipe: its first rows say what its columns are
            pieces = blocks(source, kind, size)
            first = next(pieces, None)
            if first is None:
                return
            looks, pieces = _looks(_sampled(first), None), chain([first], pieces)
        roles = find_roles(looks, asked, need_label=need_label)
        if roles.key is not None:
            yield _whole(pieces or blocks(source, kind, _LONG_ROWS, roles.needed), roles)
            return
        first_row = 1
        for block in pieces or blocks(source, kind, size, None if others else roles.needed):
            columns = known.completed(block) if known and others else block
            sequences = sequences_of(columns, roles.features, first_row)
            labels = {name: plain_values(columns[name]) for name in roles.labels}
            columns = known.typed(columns) if known and typed else columns
            if not typed:
                columns = {name: plain_values(values) for name, values in columns.items()} if others else labels
            yield Series(sequences, labels, roles, columns, known.schema if known and typed else None)
            first_row += len(sequences)
    except ValueError as error:
        raise ValueError(f"{name_of(source)}: {error}") from None


def _whole(pieces: Iterator[Block], roles: Roles) -> Series:
    """Puts a long table together."""
    table = LongTable(roles)
    for block in pieces:
        table.add(block)
    sequences, keys, labels = table.sequences()
    return Series(sequences, labels, roles, {roles.key or "": keys, **labels})


def holds_series(source: Source, kind: str | None = None) -> bool:
    """Whether a table obviously holds sequences of numbers and no texts, see `roles.reads_as_series`.

    A pipe, which can be read once only, is not looked into.

    Raises:
        ImportError: As in `read`.
        OSError: As in `read`.
        ValueError: The file is damaged.
    """
    if not can_be_read_twice(source):
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TableWarning)  # it will be said when the rows are read
        first = next(blocks(source, kind, _ROWS), None)
    return first is not None and reads_as_series(_looks_of_block(first))


def _sampled(block: Block) -> Block:
    return {name: plain_values(values[:_ROWS]) for name, values in block.items()}


def _looks_of_block(block: Block) -> Looks:
    """Looks at the columns of some rows."""
    kinds = {name: values.type for name, values in block.items() if hasattr(values, "type")}
    sample = {name: plain_values(values) if _is_short(kinds.get(name)) else [] for name, values in block.items()}
    return _looks(sample, kinds)


def _is_short(kind: Any) -> bool:
    return kind is None or _of_arrow(kind) != "lists"


def _looks(sample: Mapping[str, Any], schema: Any) -> Looks:
    """Looks at columns: by Arrow's types where these are known, by their values where they are not, or are text."""
    kinds = schema if isinstance(schema, dict) else {field.name: field.type for field in schema or ()}
    by_type = {name: _of_arrow(kind) for name, kind in kinds.items()}
    return Looks(
        {
            name: look_of(values) if by_type.get(name, "text") == "text" else by_type[name]
            for name, values in sample.items()
        },
        sample,
    )


def _of_arrow(kind: Any) -> str:
    from tidegate.data.series import arrow_cells  # noqa: PLC0415 - pyarrow is here, since the type is of it

    return arrow_cells.look_of(kind)
