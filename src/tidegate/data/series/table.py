"""Sequences of numbers with what is to be predicted, taken from the columns of a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.data.series.listed import alike, sequences_of
from tidegate.data.series.long import LongTable, check_whole
from tidegate.data.series.roles import Asked, Looks, Roles, find_roles, look_of
from tidegate.data.tables.rows import Block
from tidegate.data.tables.values import plain_values

Array = npt.NDArray[np.floating[Any]]

NOTHING = Asked()
"""Nothing is known of the columns."""


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
        times: Of a long table whose times are kept, those of each sequence: T values as the table has them.
    """

    sequences: list[Array]
    labels: Mapping[str, list[Any]]
    roles: Roles
    columns: Block
    schema: Any = None
    times: Sequence[Any] | None = None

    def __post_init__(self) -> None:
        """Checks that each sequence has its labels.

        Raises:
            ValueError: There are more labels than sequences, or fewer.
        """
        for name, values in self.labels.items():
            if len(values) != len(self.sequences):
                raise ValueError(f"column {name!r} has {len(values)} labels for {len(self.sequences)} sequences")

    def __len__(self) -> int:
        return len(self.sequences)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the K features: their columns, or those of one column with numbers."""
        K = next((sequence.shape[1] for sequence in self.sequences if len(sequence)), 0)
        names = self.roles.features
        return names if len(names) == K else tuple(f"{names[0]}[{k}]" for k in range(K))


def joined(parts: list[Series]) -> Series:
    """Puts the sequences of several files behind each other; a column that one of them lacks has no values there.

    Raises:
        ValueError: They have different features.
    """
    roles = parts[0].roles
    sequences = [sequence for part in parts for sequence in part.sequences]
    if len(roles.features) == 1 and roles.sound is None:
        sequences = alike(sequences, roles.features[0], 1)
    labels = {name: [value for part in parts for value in part.labels[name]] for name in parts[0].labels}
    names = dict.fromkeys(name for part in parts for name in part.columns)
    columns = {
        name: [value for part in parts for value in part.columns.get(name, [None] * len(part))] for name in names
    }
    return Series(sequences, labels, roles, columns)


def series_of(block: Block, asked: Asked = NOTHING, *, need_label: bool = True) -> Series:
    """Takes the sequences of a table that is in memory.

    Args:
        block: Its columns, lists or arrays of Arrow, of one row or more.
        asked: As in `reading.read`.
        need_label: As in `reading.read`.

    Raises:
        ValueError: As in `reading.read`.
    """
    roles = find_roles(looks_of_block(block), asked, need_label=need_label)
    if roles.long:
        table = LongTable(roles)
        table.add(block)
        return whole(table)
    labels = {name: plain_values(block[name]) for name in roles.labels}
    return Series(sequences_of(block, roles.features), labels, roles, labels)


def whole(table: LongTable) -> Series:
    """Takes the sequences of a long table whose rows are all there."""
    found = gathered(table)
    check_whole(table.roles, table.rows, table.ties, comes_again=table.comes_again)
    return found


def gathered(table: LongTable) -> Series:
    """Takes the sequences of a long table as far as its rows are there."""
    sequences, keys, labels = table.sequences()
    key = table.roles.key
    return Series(sequences, labels, table.roles, ({} if key is None else {key: keys}) | labels, times=table.times)


def looks_of_block(block: Block) -> Looks:
    """Looks at the columns of some rows."""
    kinds = {name: values.type for name, values in block.items() if hasattr(values, "type")}
    sample = {name: plain_values(values) if _is_short(kinds.get(name)) else [] for name, values in block.items()}
    return looks_of(sample, kinds)


def _is_short(kind: Any) -> bool:
    return kind is None or _of_arrow(kind) != "lists"


def looks_of(sample: Mapping[str, Any], schema: Any) -> Looks:
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
