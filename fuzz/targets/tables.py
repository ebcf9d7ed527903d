"""Fuzzes the readers of tables in text: one clear error, or rows; from a file, part by part, and from a pipe.

The first byte of an input chooses the kind, the rest is the file.
"""

import io
from contextlib import suppress

import atheris
from harness import fuzz, place_of

with atheris.instrument_imports(include=["tidegate"]):
    from tidegate.data import tables

KINDS = ("csv", "tsv", "jsonl", "json", "txt", "csv.gz", "jsonl.gz")
PATHS = [place_of(f"table.{kind}") for kind in KINDS]


def read(data: bytes) -> None:
    """Reads a table of these bytes in three ways."""
    kind = data[0] % len(KINDS) if data else 0
    path, content = PATHS[kind], data[1:]
    path.write_bytes(content)
    for way in (
        lambda: tables.read(path, need_label=True),
        lambda: list(tables.stream(path, size=3)),
        lambda: list(tables.stream(io.BytesIO(content), KINDS[kind].partition(".")[0])),
    ):
        with suppress(ValueError, OSError):
            way()


if __name__ == "__main__":
    fuzz(read)
