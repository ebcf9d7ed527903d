"""Tables of texts as `predict` and `embed` take them: a file, or standard input as it comes."""

import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple

from tidegate.cli.options import Kind
from tidegate.data import tables
from tidegate.data.outputs import Output
from tidegate.data.tables.folders import files_of, sources_of
from tidegate.data.tables.sources.kinds import kind_by_name
from tidegate.data.tables.survey import can_be_read_twice
from tidegate.files.remote import exists
from tidegate.files.writing import is_stream

Columns = dict[str, Any]


def read(
    source: str, kind: Kind | None, text: str | None, *, output: Output | None = None, others: bool = True
) -> Iterator[tables.Table]:
    """Reads texts part by part.

    Args:
        source: A file, a folder or a pattern of files, or "-" for standard input.
        kind: What the rows look like; None to go by how they begin, and by the suffix.
        text: Column of the texts; None to guess it.
        output: The table that all columns go to; None for standard output. A file has its columns above the first row,
            or their types: JSON Lines from a pipe are kept beside it, on the disk, until all of them are there.
        others: Whether other columns than the texts are of use.

    Yields:
        Parts of one row or more.

    Raises:
        FileNotFoundError: There is no such file; the error has a hint if it looks like a text.
        ValueError: The table is damaged, or has no column of texts.
    """
    with opened(source, kind, output) as (stream, kind_found):
        typed = output is not None and output.format.name == "parquet"
        yield from tables.stream(stream, kind_found, text=text, others=others, typed=typed)


class WholeTexts(NamedTuple):
    """Texts that a model reads word by word, each to its end.

    Attributes:
        texts: The texts.
        columns: The columns of their table, [B] each.
        said: Where they stand, for people.
        column: Their column; "" for plain files.
    """

    texts: list[str]
    columns: Columns
    said: str
    column: str = ""


def running_texts(source: Path | str, kind: Kind | None, text: str | None, *, others: bool = False) -> WholeTexts:
    """Reads texts to be foreseen word by word.

    A file of plain text (.txt) is one text, line breaks and all; with the kind "lines" each of its lines is one.

    Args:
        source: A file, a folder or a pattern of files.
        kind: What the rows look like; None to go by suffix, and by how they begin.
        text: Column of the texts; None to guess it.
        others: Whether other columns than the texts are of use.

    Raises:
        OSError: The file cannot be read.
        ValueError: The table is damaged, or has no column of texts.
    """
    files = sources_of(source)
    if kind is None and text is None and all(kind_by_name(str(file)) == "lines" for file in files):
        texts = ["\n".join(tables.read(str(file), need_label=False, kind="lines").texts) for file in files]
        said = "all in one" if len(texts) == 1 else "each file is one"
        return WholeTexts(texts, {}, f"{said} (--from lines takes each line for one)")
    table = tables.read(source, text, need_label=False, kind=kind, others=others)
    return WholeTexts(table.texts, dict(table.columns), f"column {table.text_column!r}", table.text_column)


@contextmanager
def opened(source: str, kind: Kind | None, output: Output | None) -> Iterator[tuple[Any, Kind | None]]:
    """Opens a table to be read part by part.

    Args:
        source: As in `read`, and so are the others.
        kind: See there.
        output: See there.

    Yields:
        What to read, and of which kind it is; None to go by how it begins.

    Raises:
        FileNotFoundError: As in `read`.
    """
    hint = "; for a text itself there is predict MODEL --words TEXT, or a pipe with - as FILE"
    hint *= any(map(str.isspace, source))
    try:
        several = files_of(source)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}{hint}") from None
    if source != "-" and not several and not exists(source):
        raise FileNotFoundError(f"there is no file {source!r}{hint}")
    kind_out = output.format.name if output else "jsonl"
    asked: str | None = kind or (None if source == "-" else kind_by_name(source))
    stream: Any = sys.stdin.buffer if source == "-" else source
    with ExitStack() as stack:
        waits = bool(output) and kind_out != "jsonl" and asked in {None, "jsonl"}
        if output and waits and not several and not can_be_read_twice(stream):
            beside = None if is_stream(output.path) else output.path.resolve().parent
            kept = stack.enter_context(TemporaryFile(dir=beside))
            shutil.copyfileobj(stream if source == "-" else stack.enter_context(Path(source).open("rb")), kept)
            kept.seek(0)
            stream, kind = kept, asked  # type: ignore[assignment]
        yield stream, kind


def joined(columns: Mapping[str, Any], added: Mapping[str, Any], command: str) -> dict[str, Any]:
    """Puts the columns of a result behind those of the input.

    Raises:
        ValueError: The input has a column of that name.
    """
    if taken := columns.keys() & added.keys():
        raise ValueError(
            f"the input has a column {min(taken)!r}, which {command} would add: rename it, or it would be lost"
        )
    return {**columns, **added}
