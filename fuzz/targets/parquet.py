"""Fuzzes the reader of Parquet tables: one clear error, or rows.

A file is read in one way only, whole or part by part, which its length decides: that tries twice as many of them.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import atheris
from harness import fuzz, place_of

with atheris.instrument_imports(include=["tidegate"]):
    from tidegate.data import tables

PATH = place_of("table.parquet")
WAYS: tuple[Callable[[], Any], ...] = (
    lambda: tables.read(PATH),
    lambda: list(tables.stream(PATH, size=3)),
    lambda: list(tables.stream(PATH, size=3, typed=True)),
)


def read(data: bytes) -> None:
    """Reads a table of these bytes whole, or part by part."""
    PATH.write_bytes(data)
    with suppress(ValueError, OSError):
        WAYS[len(data) % len(WAYS)]()


if __name__ == "__main__":
    fuzz(read)
