"""The model file: one safetensors file of float32 arrays, with texts in its metadata and a digest over everything.

Nothing in it is executed, and nothing in it is believed: sizes are known and bounded before arrays are read, and the
digest finds every later change.
"""

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from tidegate.data.files import replacing

Array = npt.NDArray[np.float32]

FORMAT = "1"
TOKENIZER = "tokenizer"
KEYS = ("tidegate", "config", TOKENIZER, "metrics", "versions", "sha256")
"""The texts of a file; a tokenizer is there if the model reads texts."""

# The header holds the tokenizer: 64 MiB are enough for more than a million words.
MAX_HEADER = 64 * 2**20

# What people hand over by mistake, by its first bytes.
FOREIGN = {
    b"PK\x03\x04": "a zip archive, such as a PyTorch checkpoint or an .npz file",
    b"PK\x05\x06": "an empty zip archive",
    b"\x93NUMPY": "a numpy .npy file",
    b"\x89HDF": "an HDF5 file, such as a Keras model",
    b"\x1f\x8b": "a gzip file",
    b"PAR1": "a Parquet file",
    b"GGUF": "a GGUF model",
    b"version https://git-lfs": "a Git LFS pointer; fetch the file itself with git lfs pull",
    b"<": "a web page or XML",
    b"{": "JSON",
    b"\x80": "a Python pickle, such as an old PyTorch checkpoint",
}


class ModelFileError(ValueError):
    """A file is no model of tidegate, or a damaged one; the message names the file and what is wrong."""


class Contents:
    """An open model file.

    Attributes:
        metadata: The texts by name, those of `KEYS`.
        shapes: The shape of each array, none of which is read yet.
    """

    def __init__(self, file: Any) -> None:
        """Reads the metadata and the layout of the arrays.

        Raises:
            ValueError: The file is of another program or another version, or its arrays are not float32.
        """
        self._file = file
        self.metadata: dict[str, str] = file.metadata() or {}
        _check_metadata(self.metadata)
        slices = {name: file.get_slice(name) for name in sorted(file.keys())}
        for name, part in slices.items():
            if part.get_dtype() != "F32":
                raise ValueError(f"{name} has dtype {part.get_dtype()}, expected F32")
        self.shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}

    def arrays(self) -> dict[str, Array]:
        """Reads the arrays.

        Raises:
            ValueError: The file was changed since it was written.
        """
        arrays = {name: self._file.get_tensor(name) for name in self.shapes}
        if digest(arrays, self.metadata) != self.metadata["sha256"]:
            raise ValueError("its SHA-256 digest does not match: the file was changed after it was written")
        return arrays


@contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[Contents]:
    """Opens a model file; an error about its contents inside the block names the file.

    Raises:
        OSError: There is no such file, or it may not be read.
        ModelFileError: The file is foreign, damaged, or refused inside the block by ValueError or TypeError.
    """
    name = os.fsdecode(path)
    try:
        _check_start(Path(name))
        with safe_open(name, framework="np") as file:
            yield Contents(file)
    except SafetensorError as error:
        what = str(error).removeprefix("Error while deserializing header: ")
        raise ModelFileError(f"{name}: it is truncated, damaged or not a safetensors file: {what}") from error
    except (ValueError, TypeError) as error:
        raise ModelFileError(f"{name}: {error}") from error


def write(path: str | os.PathLike[str], arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """Writes a model file, whole or not at all.

    Args:
        path: Where to write the file.
        arrays: float32 arrays by name.
        metadata: The texts of `KEYS` without format and digest, which are added.

    Raises:
        OSError: The file cannot be written.
    """
    texts = {"tidegate": FORMAT, **metadata}
    texts["sha256"] = digest(arrays, texts)
    data = save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, texts)
    with replacing(path) as file:
        file.write(data)


def is_model(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a model file of tidegate, of any version, by its start and its metadata."""
    try:
        _check_start(Path(path))
        with safe_open(os.fsdecode(path), framework="np") as file:
            return "tidegate" in (file.metadata() or {})
    except (OSError, ValueError, SafetensorError):
        return False


def digest(arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> str:
    """Computes the SHA-256 of all names, texts, shapes and numbers, in an order that does not depend on the file's."""
    sha256 = hashlib.sha256()
    for key in sorted(metadata.keys() - {"sha256"}):
        sha256.update(json.dumps([key, metadata[key]]).encode())
    for name in sorted(arrays):
        sha256.update(json.dumps([name, arrays[name].shape]).encode())
        sha256.update(np.ascontiguousarray(arrays[name]).data)
    return sha256.hexdigest()


def _check_start(path: Path) -> None:
    """Looks at the kind of file and its first bytes, which say what a foreign file is.

    Raises:
        ValueError: It is no regular file, or its first bytes are not those of a safetensors file.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise ValueError(f"it is {'a folder' if stat.S_ISDIR(mode) else 'no regular file'}, expected a model file")
    with path.open("rb") as file:
        start = file.read(32)
    if not start:
        raise ValueError("it is empty, expected a model file")
    if start[8:9] == b"{":
        size = int.from_bytes(start[:8], "little")
        if size > MAX_HEADER:
            raise ValueError(f"its header has {size} bytes, expected at most {MAX_HEADER}")
        return
    for first, kind in FOREIGN.items():
        if start.lstrip().startswith(first):
            raise ValueError(f"it is {kind}, expected a model file written by tidegate")
    raise ValueError(f"it starts with {start[:12]!r}, expected a safetensors file written by tidegate")


def _check_metadata(metadata: dict[str, str]) -> None:
    """Checks that the texts are those of this format.

    Raises:
        ValueError: The file is of another program or another version, or a text is missing or left over.
    """
    if "tidegate" not in metadata:
        raise ValueError(
            f"it is a safetensors file of another program: its metadata has {sorted(metadata)}, not 'tidegate'"
        )
    if metadata["tidegate"] != FORMAT:
        raise ValueError(f"it has format {metadata['tidegate']!r:.60}, expected {FORMAT!r}: another version wrote it")
    if metadata.keys() - {TOKENIZER} != set(KEYS) - {TOKENIZER}:
        raise ValueError(f"its metadata has {sorted(metadata)}, expected {sorted(KEYS)}")
