"""Fuzzes readers and writers of tables: one clear error, or rows; from a file, part by part, and from a pipe.

The first byte of an input chooses the kind, the second one what is done with the table, the rest is the file. An input
is read in one way only: that tries ten times as many of them.
"""

import errno
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import atheris
from harness import fuzz, place_of

with atheris.instrument_imports(include=["tidegate"]):
    from tidegate.data import tables

KINDS = {
    "csv": "csv",
    "tsv": "tsv",
    "jsonl": "jsonl",
    "json": "jsonl",
    "txt": "lines",
    "csv.gz": "csv",
    "jsonl.gz": "jsonl",
}
"""Suffixes, and the kinds of tables that they stand for."""

WRITTEN = ("csv", "tsv", "jsonl", "parquet")
PATHS = [place_of(f"table.{suffix}") for suffix in KINDS]


class Pipe(io.RawIOBase):
    """A stream that can be read once."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def readable(self) -> bool:
        """Says that this is a stream to read from."""
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """Takes some bytes."""
        return self._content.readinto(buffer)


def whole(path: Path, kind: str) -> None:
    """Reads a file at once."""
    tables.read(path, need_label=True)


def parts(path: Path, kind: str, *, typed: bool) -> None:
    """Reads a file part by part."""
    list(tables.stream(path, size=3, typed=typed))


def streamed(path: Path, kind: str, *, opened: Callable[[bytes], Any]) -> None:
    """Reads a stream."""
    list(tables.stream(opened(path.read_bytes()), kind))


def written(path: Path, kind: str, *, into: str, opened: Callable[[bytes], Any] | None = None) -> None:
    """Reads a file or a stream part by part, and writes each part as a table of some kind."""
    source = opened(path.read_bytes()) if opened else path
    with tables.writer(io.BytesIO(), into) as write:
        for part in tables.stream(source, kind, size=3, typed=into == "parquet"):
            write(part.columns, part.schema)


WAYS: list[Callable[[Path, str], None]] = [
    whole,
    *(partial(parts, typed=typed) for typed in (False, True)),
    *(partial(streamed, opened=opened) for opened in (io.BytesIO, Pipe)),
    *(partial(written, into=kind) for kind in WRITTEN),
    *(partial(written, into=kind, opened=Pipe) for kind in WRITTEN),
]


def read(data: bytes) -> None:
    """Reads a table of these bytes, or writes what was read, in one way."""
    if len(data) < 2:
        return
    chosen = data[0] % len(KINDS)
    path, kind = PATHS[chosen], list(KINDS.values())[chosen]
    path.write_bytes(data[2:])
    with expected():
        WAYS[data[1] % len(WAYS)](path, kind)


@contextmanager
def expected() -> Iterator[None]:
    """Allows the errors that a file may cause, and no other of the system than that it is not there."""
    try:
        yield
    except ValueError:
        pass
    except OSError as error:
        if error.errno not in {None, errno.ENOENT}:
            raise


if __name__ == "__main__":
    fuzz(read)
