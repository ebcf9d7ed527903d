"""Sequences of numbers read from tables, whole or part by part: files, folders and patterns of files, streams."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from tidegate.data.series.apart import Apart, TableApart
from tidegate.data.series.archives import is_archive, read_archive
from tidegate.data.series.listed import sequences_of
from tidegate.data.series.long import LongTable
from tidegate.data.series.roles import Asked, Looks, Roles, find_roles, reads_as_series
from tidegate.data.series.sound import Clips, read_files, sound_files
from tidegate.data.series.table import NOTHING, Series, joined, looks_of, looks_of_block, whole
from tidegate.data.tables.folders import sources_of
from tidegate.data.tables.rows import Block, blocks
from tidegate.data.tables.sources.containers import Source
from tidegate.data.tables.sources.kinds import KINDS, TableWarning
from tidegate.data.tables.sources.recognition import name_of
from tidegate.data.tables.survey import Survey, can_be_read_twice, survey
from tidegate.data.tables.values import plain_values

ROWS = 1024
"""Of a part."""

_LONG_ROWS = 1 << 16  # of a long table that are read at once


def read(
    source: Source, asked: Asked = NOTHING, kind: str | None = None, *, need_label: bool = True, others: bool = False
) -> Series:
    """Reads all sequences of a table.

    Args:
        source: A file of a kind that `tables.read` reads, an open binary stream, a folder, or a pattern such as
            `data/*.parquet`; the rows of a key of a long table may stand in several files. If sound is asked for, also
            a file of sound, or a folder with a folder of them for each class.
        asked: What is known of the columns; the others are guessed, see `roles.find_roles`. Of several files, the first
            one with rows says what the columns are.
        kind: As in `tables.stream`.
        need_label: Whether there must be labels.
        others: Whether columns that hold neither sequences nor labels are of use.

    Raises:
        ImportError: A Parquet file is to be read and pyarrow is missing.
        OSError: The file cannot be read.
        ValueError: The file is damaged or has no rows, a column is not there or cannot be guessed, a cell holds no
            number, or a key of a long table has several labels.
    """
    parts = list(stream(source, asked, kind, need_label=need_label, size=None, others=others))
    with _named(source):
        if not parts:
            raise ValueError("there are no rows")
        return parts[0] if len(parts) == 1 else joined(parts)


def stream(
    source: Source,
    asked: Asked = NOTHING,
    kind: str | None = None,
    *,
    need_label: bool = False,
    size: int | None = ROWS,
    others: bool = True,
    typed: bool = False,
    apart: Apart | None = None,
) -> Iterator[Series]:
    """Reads sequences part by part, as their rows come in; those of a long table in one part, or put apart on a disk.

    Args:
        source: As in `read`.
        asked: As in `read`, and so is the next one.
        kind: See there.
        size: The most rows of a part, which is of one file; None for a part for each file.
        others: As in `read`.
        typed: As in `tables.stream`.
        apart: How a long table is read that does not fit into memory; None for one that does.

    Yields:
        Parts of one sequence or more.

    Raises:
        ImportError: As in `read`.
        OSError: As in `read`.
        ValueError: As in `read`, when the part in question is reached.
    """
    if kind is not None and kind not in KINDS:
        raise ValueError(f"the kind of table is {kind!r}, expected one of {', '.join(KINDS)}")
    if asked.sound is not None and (files := sound_files(source)):
        yield from read_files(files, Path(source), asked, need_label=need_label, size=size)  # type: ignore[arg-type]
        return
    sources = sources_of(source)
    roles, count, clips = None, 0, None if asked.sound is None else Clips(asked.sound, Path())
    table: LongTable | TableApart | None = None
    for each in sources:
        with _named(each):
            if kind is None and is_archive(each):
                wanted = asked if roles is None else roles.asked
                part = read_archive(each, wanted, need_label=need_label, first=count + 1)  # type: ignore[arg-type]
                roles, count = part.roles, count + len(part)
                yield part
                continue
            if (found := _look_into(each, kind, size=size, typed=typed)) is None:
                continue
            if roles is None:
                roles = find_roles(found.looks, asked, need_label=need_label)
                table = _long(roles, apart)
            found.check(roles)
            if table is None:
                if clips:  # files that a table names are beside it
                    clips.folder = Path(name_of(each)).parent
                yield from _listed(found, roles, size, clips, others=others, typed=typed)
                continue
            found.fill(table, roles, "" if sources == [source] else str(each))
    if table:
        yield from _put_in_order(table, source)


def _long(roles: Roles, apart: Apart | None) -> LongTable | TableApart | None:
    """Begins a long table; None if each row holds a sequence."""
    if not roles.long:
        return None
    return LongTable(roles) if apart is None else TableApart(roles, apart)


def _put_in_order(table: LongTable | TableApart, source: Source) -> Iterator[Series]:
    """Yields the sequences of a long table, all of whose rows have been read."""
    with _named(source):
        yield from table.parts() if isinstance(table, TableApart) else [whole(table)]


@contextmanager
def _named(source: Source) -> Iterator[None]:
    """Puts what is read in front of errors about it."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{name_of(source)}: {error}") from None


@dataclass(frozen=True)
class _Found:
    """A table that has been looked into.

    Attributes:
        looks: What its columns look like.
        known: What was found out about the whole of it; None for a pipe.
        blocks: Reads its rows, at most so many at once, and of the columns those that are named, or all of them.
    """

    looks: Looks
    known: Survey | None
    blocks: Callable[..., Iterator[Block]]

    def check(self, roles: Roles) -> None:
        """Checks that all columns that are needed are there.

        Raises:
            ValueError: One is missing.
        """
        if missing := next((name for name in roles.needed if name not in self.looks.by_name), None):
            raise ValueError(f"there is no column {missing!r}, which other files have")

    def fill(self, table: LongTable | TableApart, roles: Roles, name: str) -> None:
        """Reads the rows into a long table, in which they are those of a file of this name."""
        table.begin(name)
        for block in self.blocks(_LONG_ROWS, roles.needed):
            table.add(block)


def _look_into(source: Source, kind: str | None, *, size: int | None, typed: bool) -> _Found | None:
    """Looks at the columns of a table; None if it has no rows."""
    known = survey(source, kind, typed=typed, whole=size is None, some=True)
    if known and known.sample:
        looks = looks_of(known.sample, known.schema)
        return _Found(looks, known, lambda size, names=None: blocks(source, kind, size, names))
    pieces = blocks(source, kind, size)  # a pipe: its first rows say what its columns are
    first = next(pieces, None)
    if first is None:
        return None
    return _Found(looks_of(_sampled(first), None), known, lambda size, names=None: chain([first], pieces))


def _listed(
    found: _Found, roles: Roles, size: int | None, clips: Clips | None, *, others: bool, typed: bool
) -> Iterator[Series]:
    """Reads a table with a sequence a row."""
    first_row, known = 1, found.known
    for block in found.blocks(size, None if others else roles.needed):
        columns = known.completed(block) if known and others else block
        if clips:
            sequences = clips.of_column(columns[roles.features[0]], roles.features[0], first_row)
            roles = replace(roles, sound=clips.rate)
        else:
            sequences = sequences_of(columns, roles.features, first_row)
        labels = {name: plain_values(columns[name]) for name in roles.labels}
        columns = known.typed(columns) if known and typed else columns
        if not typed:
            columns = {name: plain_values(values) for name, values in columns.items()} if others else labels
        yield Series(sequences, labels, roles, columns, known.schema if known and typed else None)
        first_row += len(sequences)


def _sampled(block: Block) -> Block:
    return {name: plain_values(values[:ROWS]) for name, values in block.items()}


def holds_series(source: Source, kind: str | None = None, *, one: bool = False) -> bool:
    """Whether a table obviously holds sequences of numbers and no texts, see `roles.reads_as_series`.

    Of several files the first one with rows decides. A pipe, which can be read once only, is not looked into.

    Raises:
        ImportError: As in `read`.
        OSError: As in `read`.
        ValueError: The file is damaged.
    """
    for each in sources_of(source):
        if is_archive(each):
            return True
        if not can_be_read_twice(each):
            return False
        with _named(each), warnings.catch_warnings():
            warnings.simplefilter("ignore", TableWarning)  # it will be said when the rows are read
            first = next(blocks(each, kind, ROWS), None)
        if first is not None:
            return reads_as_series(looks_of_block(first), one=one)
    return False
