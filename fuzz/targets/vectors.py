"""Fuzzes the reader of word vectors: one clear error, or vectors; of all words and of a few.

The first byte of an input chooses the suffix, the rest is the file.
"""

from contextlib import suppress

import atheris
from harness import fuzz, place_of

with atheris.instrument_imports(include=["tidegate"]):
    from tidegate.text import vectors

PATHS = [
    place_of(f"vectors.{suffix}") for suffix in ("txt", "vec", "txt.gz", "npz", "npy", "safetensors", "bin", "zip")
]


def read(data: bytes) -> None:
    """Reads vectors from these bytes."""
    path = PATHS[data[0] % len(PATHS) if data else 0]
    path.write_bytes(data[1:])
    for words in (None, ["film", "a", "good"]):
        with suppress(ValueError, OSError):
            vectors.read(path, words)


if __name__ == "__main__":
    fuzz(read)
