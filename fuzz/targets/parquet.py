"""Fuzzes the reader of Parquet tables: one clear error, or rows."""

from contextlib import suppress

import atheris
from harness import fuzz, place_of

with atheris.instrument_imports(include=["tidegate"]):
    from tidegate.data import tables

PATH = place_of("table.parquet")


def read(data: bytes) -> None:
    """Reads a table of these bytes whole, and part by part."""
    PATH.write_bytes(data)
    for way in (lambda: tables.read(PATH), lambda: list(tables.stream(PATH, size=3))):
        with suppress(ValueError, OSError):
            way()


if __name__ == "__main__":
    fuzz(read)
