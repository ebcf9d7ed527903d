"""Tables of texts and labels, whole or part by part."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

from tidegate.data.tables.columns import column_of, fields_of, guess_columns
from tidegate.data.tables.label_names import as_booleans, label_name, label_set, remarks, several_in
from tidegate.data.tables.rows import Block, blocks, made_of, part_of, rows_in
from tidegate.data.tables.sources.containers import Source
from tidegate.data.tables.sources.kinds import KINDS, caution
from tidegate.data.tables.sources.recognition import name_of
from tidegate.data.tables.survey import survey
from tidegate.data.tables.values import plain_values, text_of

LONGEST_TEXT = 1 << 24
"""Characters; ten times the longest novels. To read one word takes some hundred bytes of memory."""

Names = Callable[[Sequence[Any], str, int], list[Any]]
"""What names the labels of a column, given its cells, its name and the first row, as `class_names` does."""

FIRST_ROWS = 1024
"""Rows of a pipe by which its columns are chosen."""


@dataclass(frozen=True)
class Table:
    """Texts with their labels, and the table that they come from.

    Attributes:
        texts: The B texts; a missing one is an empty text.
        labels: Their B labels, or what else names them; None if none were asked for.
        columns: The columns in the order of the file: lists of values, see `values.plain_values`, or what was asked for
            as `typed`, arrays of Arrow.
        text_column: The column that holds the texts.
        label_column: The column that holds the labels; None if none were asked for.
        schema: Arrow's types of the columns, a `pyarrow.Schema`; None if they are not known or not asked for.
    """

    texts: list[str]
    labels: list[Any] | None
    columns: Block
    text_column: str
    label_column: str | None
    schema: Any = None

    @classmethod
    def of(cls, columns: Block, text: str, label: str | None, names: Names | None = None) -> Self:
        """Takes texts and labels from the columns of a whole table.

        Raises:
            ValueError: A text is no text or too long, or a label is missing or is neither text nor number.
        """
        texts, labels = _cells(columns, text, label, 1, names)
        return cls(texts, labels, {name: plain_values(values) for name, values in columns.items()}, text, label)

    def __len__(self) -> int:
        return len(self.texts)


def read(
    path: str | os.PathLike[str],
    text: str | None = None,
    label: str | None = None,
    *,
    need_label: bool = True,
    kind: str | None = None,
    others: bool = True,
    names: Names | None = None,
) -> Table:
    """Reads a whole table.

    Args:
        path: A file of a kind that `rows.blocks` reads, in UTF-8, UTF-16 or UTF-32, packed or not.
        text: Name of the column of texts; None to guess it, see `columns.guess_columns`.
        label: Name of the column of labels; None to guess it, if it is needed.
        need_label: Whether there must be labels.
        kind: As in `stream`.
        others: Whether other columns than these are of use; if they are not, those of a file take no memory.
        names: What names the labels of a column, `class_names` if None, or such as `label_sets`.

    Raises:
        ImportError: A Parquet file is to be read and pyarrow is missing.
        OSError: The file cannot be read.
        ValueError: The file is damaged or has no rows, a column is not there or cannot be guessed, or a label is
            missing.
    """
    guess = partial(guess_columns, text=text, label=label, need_label=need_label, alone=are_several(names))
    tables = list(_parts(path, kind, guess, None, others=others, names=names or class_names))
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
    others: bool = True,
    typed: bool = False,
) -> Iterator[Table]:
    """Reads a table part by part, as its rows come in.

    What has come in is passed on at once: the answer to a line typed into a pipe does not wait for the next line. A
    file of JSON Lines is read twice, so that all parts have all columns; those of a pipe have the columns so far.

    Args:
        source: A file, or an open binary stream such as `sys.stdin.buffer`, which is not closed.
        kind: One of `kinds.KINDS`; None to go by how it begins and by the suffix of the file.
        text: As in `read`; guessed on the first part of a pipe.
        label: As in `read`.
        need_label: As in `read`.
        size: The most rows of a part; None for the whole table at once.
        others: As in `read`.
        typed: Whether the columns shall be arrays of Arrow, of one type in all parts: as they are in Parquet; of JSON
            Lines the type to which all values can be widened, see `json.types`. Other kinds, and what can be read once
            only, keep their lists.

    Yields:
        Parts of one row or more.

    Raises:
        ImportError: As in `read`.
        OSError: As in `read`.
        ValueError: As in `read`, when the part in question is reached; `kind` is unknown.
    """
    guess = partial(guess_columns, text=text, label=label, need_label=need_label)
    yield from _parts(source, kind, guess, size, others=others, typed=typed)


def _parts(
    source: Source,
    kind: str | None,
    guess: Callable[[Mapping[str, Any]], tuple[str, str | None]],
    size: int | None,
    *,
    others: bool,
    typed: bool = False,
    names: Names | None = None,
) -> Iterator[Table]:
    """Reads what `stream` does; `names` names labels."""
    name = name_of(source)
    if kind is not None and kind not in KINDS:
        raise ValueError(f"the kind of table is {kind!r}, expected one of {', '.join(KINDS)}")
    count = 0
    try:
        known = survey(source, kind, typed=typed, whole=size is None, some=not others)
        chosen = guess(known.sample) if known and known.sample else None
        needed = None if others or not (chosen and known) else columns_of(known.sample, *chosen)
        known = replace(known, sample={}) if known and needed else known  # what it holds is no longer of use
        found = blocks(source, kind, size, needed)
        if size is None and not others and not known:
            found = gathered(blocks(source, kind, FIRST_ROWS), guess)
        for block in found:
            columns = known.completed(block) if known and not needed else block
            chosen = chosen or guess(columns)
            for texts, labels in _checked_cells(columns, *chosen, count + 1, names, whole=size is None):
                part = part_of(columns, slice(len(texts)))
                part = known.typed(part) if known and typed else part
                if not typed:
                    part = {name: plain_values(values) for name, values in part.items()}
                yield Table(texts, labels, part, *chosen, known.schema if known and typed else None)
                count += len(texts)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def gathered(parts: Iterable[Block], guess: Callable[[Block], tuple[str, str | None]] | None) -> Iterator[Block]:
    """Gathers the blocks of a table into one, if there are any.

    Args:
        parts: The blocks.
        guess: Finds the columns of texts and labels in the first rows; the others are left out from there on. If these
            rows do not say which ones they are, all are kept: a column of labels may come late. None to keep all.
    """
    table: Block = {}
    rows, asked, needed = 0, False, None
    for part in parts:
        size = rows_in(part)
        for name in part if needed is None else [name for name in needed if name in part]:
            column = table.setdefault(name, [None] * rows)
            column += plain_values(part[name])
        rows += size
        for column in table.values():
            column.extend([None] * (rows - len(column)))
        if guess and not asked and rows >= FIRST_ROWS:
            asked = True
            with suppress(ValueError):
                needed = columns_of(table, *guess(table))
                table = {name: table[name] for name in needed}
    if table:
        yield table


def _checked_cells(
    columns: Block, text: str, label: str | None, first_row: int, names: Names | None, *, whole: bool
) -> Iterator[tuple[list[str], list[Any] | None]]:
    """Takes texts and labels as `_cells` does; without labels, of the rows before a wrong one first, then its error."""

    def cells(rows: Block, before: int = 0) -> tuple[list[str], list[Any] | None]:
        return _cells(rows, text, label, first_row + before, names)

    yield from [cells(columns)] if whole or label is not None else made_of(columns, cells)


def _cells(
    columns: Block, text: str, label: str | None, first_row: int, names: Names | None
) -> tuple[list[str], list[Any] | None]:
    """Takes texts and labels from their columns.

    Raises:
        ValueError: A text is no text or too long, or a label is missing or is neither text nor number.
    """
    size = rows_in(columns)
    values = _values(columns, text, size)
    texts = [_text(value, row, text) for row, value in enumerate(values, first_row)]
    if label is None:
        return texts, None
    return texts, (names or class_names)(_values(columns, label, size), label, first_row)


def class_names(values: Sequence[Any], column: str, first_row: int = 1) -> list[str]:
    """Names the labels of a column, and says what is to be known of their spelling.

    Args:
        values: The labels as the file has them.
        column: Their column, for errors.
        first_row: The row of the first of them.

    Raises:
        ValueError: A label is missing, or is neither a text nor a number.
    """
    names: list[str | None] = []
    for row, value in enumerate(values, first_row):
        try:
            names.append(label_name(value))
        except ValueError as error:
            raise ValueError(f"row {row} of label column {column!r} {error}{_hint('label', column, value)}") from None
    names = as_booleans(names)
    for remark in remarks(values, names):
        caution(f"column {column!r}: {remark}")
    if missing := [row for row, name in enumerate(names, first_row) if name is None]:
        count = f"{len(missing)} of {len(names)} rows have" if len(names) > 1 else "a row has"
        several = several_in(list(dict.fromkeys(name for name in names if name is not None)))
        advice = "fill them in or remove them"
        if several:
            advice = f"{several[1]} reads {several[0]!r:.60} as several labels, and a cell without one as none"
        raise ValueError(f"{count} no label in column {column!r}, first row {missing[0]}: {advice}")
    return [name for name in names if name is not None]


def are_several(names: Names | None) -> bool:
    """Whether what names the labels of a column is for cells that hold several, so that any cells may be labels."""
    return names is not None and names is not class_names


def label_sets(
    values: Sequence[Any], column: str, first_row: int = 1, separator: str | None = None
) -> list[tuple[str, ...]]:
    """Names the labels of each cell of a column, of which there may be any number.

    Args:
        values: The cells as the file has them, see `label_set`.
        column: Their column, for errors.
        first_row: The row of the first of them.
        separator: As in `label_set`.

    Raises:
        ValueError: A label is neither a text nor a number.
    """
    sets = []
    for row, value in enumerate(values, first_row):
        try:
            sets.append(label_set(value, separator))
        except ValueError as error:
            raise ValueError(f"row {row} of label column {column!r} {error}") from None
    return sets


def _hint(option: str, column: str, value: Any) -> str:
    """Says how a field of a record is named."""
    fields = fields_of(column, [value])
    return f"; name a field of it, such as --{option} {fields[0]} (in Python {option}={fields[0]!r})" if fields else ""


def _values(columns: Block, name: str, size: int) -> list[Any]:
    """Lists the values of a column, or of a field in its records; they are missing if only an earlier part had it."""
    plain = {column: plain_values(columns[column]) for column in (name, _outer(name)) if column in columns}
    found = column_of(plain, name)
    return [None] * size if found is None else list(found)


def columns_of(columns: Mapping[str, Any], *names: str | None) -> list[str]:
    """Names the columns in which texts and labels are, of which one may be a field in the records of a column."""
    return list(dict.fromkeys(part for name in names if name for part in (name, _outer(name)) if part in columns))


def _outer(name: str) -> str:
    """Returns the column in whose records a name such as review.text is a field."""
    return name.partition(".")[0]


def _text(value: Any, row: int, column: str) -> str:
    place = f"row {row} of column {column!r}"
    try:
        text = text_of(value)
    except UnicodeDecodeError as error:
        raise ValueError(f"{place} holds bytes that are not UTF-8 (0x{value[error.start]:02x})") from None
    except ValueError:
        raise ValueError(f"{place} holds {value!r:.40}, expected a text{_hint('text', column, value)}") from None
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"{place} holds a text of {len(text):,} characters, expected {LONGEST_TEXT:,} at most")
    return text
