"""Tables that are cut into several files: a folder, or a pattern such as `data/*.parquet`, here or at an address."""

import glob
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from tidegate.data.tables import table
from tidegate.data.tables.columns import guess_columns
from tidegate.data.tables.rows import Block, blocks
from tidegate.data.tables.sources.containers import Source
from tidegate.data.tables.sources.kinds import KINDS, kind_by_name
from tidegate.data.tables.sources.recognition import name_of
from tidegate.data.tables.survey import survey
from tidegate.data.tables.table import Names, Table, columns_of, gathered
from tidegate.files.remote import files_in, is_url

_ROWS = 1024  # of a block


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
    """Reads a whole table: a file, or the files of a folder or a pattern, one behind the other.

    Args:
        path: A file as in `table.read`, a folder, or a pattern such as `data/*.parquet`.
        text: As in `table.read`, and so are the rest; of several files, the first one with rows says which columns are
            those of texts and labels.
        label: Likewise.
        need_label: Likewise.
        kind: Likewise.
        others: Likewise.
        names: Likewise.

    Raises:
        ImportError: As in `table.read`.
        OSError: As in `table.read`.
        ValueError: As in `table.read`, or a file lacks a column that the first one has.
    """
    files = files_of(path)
    if files is None:
        return table.read(path, text, label, need_label=need_label, kind=kind, others=others, names=names)
    needed, text, label = _columns(files, kind, text, label, need_label=need_label, alone=table.are_several(names))
    for columns in gathered(_blocks(files, kind, needed, others=others), None):
        try:
            return Table.of(columns, text, label, names)
        except ValueError as error:
            raise ValueError(f"{os.fspath(path)}: {error}") from None
    raise ValueError(f"{os.fspath(path)}: there are no rows")


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
    """Reads a table part by part: a file, a stream, or the files of a folder or a pattern, one behind the other.

    Args:
        source: A file or a stream as in `table.stream`, a folder, or a pattern such as `data/*.parquet`.
        kind: As in `table.stream`, and so are the rest.
        text: Of several files, the first one with rows says which columns are those of texts and labels.
        label: Likewise.
        need_label: As in `table.stream`.
        size: The most rows of a part, which is of one file; None for a part for each file.
        others: As in `table.stream`.
        typed: As in `table.stream`.

    Yields:
        Parts of one row or more.

    Raises:
        ImportError: As in `table.stream`.
        OSError: As in `table.stream`.
        ValueError: As in `table.stream`.
    """
    files = files_of(source)
    if files is not None:
        _, text, label = _columns(files, kind, text, label, need_label=need_label)
    for each in [source] if files is None else files:
        yield from table.stream(
            each, kind, text=text, label=label, need_label=need_label, size=size, others=others, typed=typed
        )


def names_of_columns(source: Source, kind: str | None = None) -> list[str]:
    """Names the columns of a table, those of the first file with rows of several; none of a pipe, which is read once.

    Args:
        source: As in `stream`.
        kind: As in `stream`.

    Raises:
        ImportError: As in `stream`.
        OSError: As in `stream`.
        ValueError: The file is damaged.
    """
    for each in sources_of(source):
        try:
            known = survey(each, kind, typed=False, whole=False, some=True)
        except ValueError as error:
            raise ValueError(f"{name_of(each)}: {error}") from None
        if known and known.sample:
            return list(known.sample)
    return []


def files_of(source: Source) -> list[str] | None:
    """Lists the files of a folder or of a pattern, in the order of their names.

    In a folder, and in those inside it, files whose suffix is that of a table count; hidden ones, and those that Spark
    and others put beside their data (`_SUCCESS`), do not.

    Args:
        source: A name, here or at an address such as `s3://bucket/reviews/`, or an open binary stream.

    Returns:
        The files; None for what is a single one, or none yet.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: The package for an address is missing.
        OSError: Nobody answers at an address, or denies it.
    """
    if not isinstance(source, str | os.PathLike):
        return None
    name = os.fspath(source)
    expected = ", ".join(suffix for known in KINDS.values() for suffix in known)
    wanted = f"there is no table in the folder {name!r}, expected files that end in {expected}"
    if glob.has_magic(name) and not os.path.isdir(name):
        wanted = f"no file fits the pattern {name!r}"
    if is_url(name):
        listed = files_in(name, _is_table)
        if listed is None:
            return None
        found = listed
    elif os.path.isdir(name):
        inside = (path for path in Path(name).rglob("*") if path.is_file())
        found = [str(path) for path in inside if _is_table(str(path.relative_to(name)))]
    elif glob.has_magic(name) and not os.path.exists(name):
        found = [path for path in glob.glob(name, recursive=True) if os.path.isfile(path)]
    else:
        return None
    if not found:
        raise FileNotFoundError(wanted)
    return sorted(found)


def sources_of(source: Source) -> list[Source]:
    """Lists the files of a folder or of a pattern; of what is a single source that alone.

    Raises:
        FileNotFoundError: As in `files_of`.
    """
    files = files_of(source)
    return [source] if files is None else list(files)


def _is_table(name: str) -> bool:
    """Whether a file counts, by its name from the folder on."""
    return kind_by_name(name) is not None and not any(part.startswith((".", "_")) for part in name.split("/"))


def _columns(
    files: list[str], kind: str | None, text: str | None, label: str | None, *, need_label: bool, alone: bool = False
) -> tuple[list[str], str, str | None]:
    """Finds the columns of texts and labels by the first file with rows, and which columns hold them.

    Raises:
        ValueError: They are not obvious, or no file has rows.
    """
    for file in files:
        try:
            known = survey(file, kind, typed=False, whole=False, some=True)
            if known and known.sample:
                text, label = guess_columns(known.sample, text, label, need_label=need_label, alone=alone)
                return columns_of(known.sample, text, label), text, label
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from None
    raise ValueError(f"there are no rows in {files[0]} and {len(files) - 1:,} other files")


def _blocks(files: list[str], kind: str | None, needed: Collection[str], *, others: bool) -> Iterator[Block]:
    """Reads one file behind the other.

    Raises:
        ValueError: One is damaged, or lacks a column of texts or labels.
    """
    for file in files:
        missing: set[str] | None = None
        try:
            for block in blocks(file, kind, _ROWS, None if others else needed):
                missing = (set(needed) if missing is None else missing) - block.keys()
                yield block
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from None
        if missing:
            raise ValueError(f"{file}: there is no column {min(missing)!r}, which other files have")
