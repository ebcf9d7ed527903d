"""Tables of texts as `predict` and `embed` take them: a file, or standard input as it comes."""

import sys
from collections.abc import Iterator
from pathlib import Path

from tidegate.cli.options import Kind
from tidegate.data import tables


def read(source: str, kind: Kind | None, text: str | None) -> Iterator[tables.Table]:
    """Reads texts part by part.

    Args:
        source: A file, or "-" for standard input.
        kind: What the rows look like; None to go by how they begin, and by the suffix.
        text: Column of the texts; None to guess it.

    Yields:
        Parts of one row or more.

    Raises:
        FileNotFoundError: There is no such file; the error has a hint if it looks like a text.
        ValueError: The table is damaged, or has no column of texts.
    """
    if source == "-":
        return tables.stream(sys.stdin.buffer, kind, text=text)
    if not Path(source).exists():
        hint = "; for a text itself there is predict MODEL --words TEXT, or a pipe with - as FILE"
        raise FileNotFoundError(f"there is no file {source!r}" + hint * any(map(str.isspace, source)))
    return tables.stream(source, kind, text=text)
