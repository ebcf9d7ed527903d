"""Fuzzes readers and writers of tables: one clear error, or rows; from a file, part by part, and from a pipe.

The first byte of an input chooses the kind, the rest is the file.
"""

import errno
import io
from collections.abc import Iterator
from contextlib import contextmanager

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


def read(data: bytes) -> None:
    """Reads a table of these bytes, and writes what was read, in every way."""
    chosen = data[0] % len(KINDS) if data else 0
    path, kind, content = PATHS[chosen], list(KINDS.values())[chosen], data[1:]
    path.write_bytes(content)
    with expected():
        tables.read(path, need_label=True)
    for typed in (False, True):
        with expected():
            list(tables.stream(path, size=3, typed=typed))
    for stream in (io.BytesIO(content), Pipe(content)):
        with expected():
            list(tables.stream(stream, kind))
    for written in WRITTEN:
        for source in (path, Pipe(content)):
            with expected(), tables.writer(io.BytesIO(), written) as write:
                for part in tables.stream(source, kind, size=3, typed=written == "parquet"):
                    write(part.columns, part.schema)


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
