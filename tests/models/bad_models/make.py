"""Writes the files of this folder: files that are no models, as they come by mistake or by malice.

    python tests/models/bad_models/make.py

What is wrong with each, in the words of the error, stands in `tests/models/test_file.py`.
"""

import gzip
import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent


class Bomb:
    """An object whose pickle divides by zero when it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, ("1 / 0",)


def safetensors(header: Any, data: bytes = b"", size: int | None = None) -> bytes:
    """A file in the layout of safetensors: the header's size, the header, the numbers."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if size is None else size).to_bytes(8, "little") + text + data


def tensor(start: int, end: int, shape: list[int], dtype: str = "F32") -> dict[str, Any]:
    """The header's entry of one array."""
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def zipped(**arrays: Any) -> bytes:
    """An .npz file."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def damaged() -> dict[str, bytes]:
    """Files that claim to be safetensors, and break its rules."""
    one = tensor(0, 4, [1])
    return {
        "header_cut.safetensors": safetensors({"a": one})[:20],
        "header_is_a_list.safetensors": safetensors(b"{[1, 2]}"),
        "header_is_not_text.safetensors": safetensors(b'{"\xff\xfe": 1}'),
        "header_larger_than_file.safetensors": safetensors({"a": one}, bytes(4), size=1000),
        "header_of_an_exabyte.safetensors": safetensors({"a": one}, bytes(4), size=2**60),
        "header_nested.safetensors": safetensors(b'{"a":' + b"[" * 5000),
        "numbers_missing.safetensors": safetensors({"a": tensor(0, 8, [2])}, bytes(4)),
        "numbers_left_over.safetensors": safetensors({"a": one}, bytes(8)),
        "numbers_shared.safetensors": safetensors({"a": one, "b": one}, bytes(4)),
        "numbers_with_a_gap.safetensors": safetensors({"a": one, "b": tensor(8, 12, [1])}, bytes(12)),
        "shape_negative.safetensors": safetensors({"a": tensor(0, 4, [-1])}, bytes(4)),
        "shape_too_large.safetensors": safetensors({"a": tensor(0, 4, [2**62, 2**62])}, bytes(4)),
        "dtype_unknown.safetensors": safetensors({"a": tensor(0, 4, [1], "F33")}, bytes(4)),
        "other_program.safetensors": safetensors({"__metadata__": {"format": "pt"}, "a": one}, bytes(4)),
        "other_program_bare.safetensors": safetensors({"a": one}, bytes(4)),
        "next_version.safetensors": safetensors({"__metadata__": {"tidegate": "2"}, "a": one}, bytes(4)),
        "metadata_bare.safetensors": safetensors({"__metadata__": {"tidegate": "1"}, "a": one}, bytes(4)),
    }


def foreign() -> dict[str, bytes]:
    """Files of other kinds."""
    return {
        "empty.safetensors": b"",
        "page.html": b"\n<!DOCTYPE html><html><body>Sign in to download</body></html>\n",
        "pickle.pt": pickle.dumps(Bomb()),
        "checkpoint.pt": zipped(**{"archive/data": np.zeros(1)}),
        "vectors.npz": zipped(vectors=np.zeros((2, 3), np.float32)),
        "array.npy": b"\x93NUMPY\x01\x00v\x00{'descr': '<f4'}" + bytes(20),
        "keras.h5": b"\x89HDF\r\n\x1a\n" + bytes(20),
        "model.safetensors.gz": gzip.compress(safetensors({"a": tensor(0, 4, [1])}, bytes(4)), mtime=0),
        "reviews.parquet": b"PAR1\x15\x04\x15",
        "llama.gguf": b"GGUF\x03\x00\x00\x00",
        "lfs.safetensors": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        "config.json": b'{"hidden_size": 128}\n',
        "reviews.csv": b"text,label\nA fine film,good\n",
        "zeros.bin": bytes(64),
    }


if __name__ == "__main__":
    for name, content in (damaged() | foreign()).items():
        (FOLDER / name).write_bytes(content)
