"""The model file: one safetensors file of arrays, with texts in its metadata and a digest over everything.

Nothing in it is executed, and nothing in it is believed: sizes are known and bounded before arrays are read, and the
digest finds every later change. The file is opened once and read once, so that what was checked is what is used, even
if the file changes meanwhile.
"""

import errno
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BufferedReader
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.files import signatures
from tidegate.files.digests import digest
from tidegate.files.writing import replacing
from tidegate.models.files.layout import DTYPES, Layout, Place, assemble, read_layout
from tidegate.ops.compressed import Compressed

Array = npt.NDArray[np.float32]

PLAIN, COMPRESSED = "1", "2"
"""The formats: of files with float32 arrays alone, which earlier versions read too, and of those with others."""

NAMES = {"int8": "I8", "bfloat16": "BF16"}
SCALES = ".scales"
"""What the name of an int8 array is continued by in that of its scales."""

TOKENIZER = "tokenizer"
KEYS = ("tidegate", "config", TOKENIZER, "metrics", "versions", "sha256")
"""The texts of a file; a tokenizer is there if the model reads texts."""

FORMAT = "format"
"""One text more, "pt", which other programs look for, if the model was exported for PyTorch."""

_START = 512  # bytes that tell what a file is
LONGEST_TEXT = 4 * 2**20  # of a text in the metadata other than the tokenizer; 65,536 labels of 60 letters
LONGEST_ERROR = 500  # letters of what a file is said to hold

_HINTS = {
    signatures.ZIP: ", such as a PyTorch checkpoint or an .npz file",
    signatures.HDF5: ", such as a Keras model",
    signatures.PICKLE: ", such as an old PyTorch checkpoint",
    signatures.GIT_LFS: "; fetch the file itself with git lfs pull",
}
"""Of what people hand over by mistake."""


class ModelFileError(ValueError):
    """A file is no model of tidegate, or a damaged one; the message names the file and what is wrong."""


class Contents:
    """An open model file.

    Attributes:
        metadata: The texts by name, those of `KEYS`.
        shapes: The shape of each array, none of which is read yet.
    """

    def __init__(self, file: BufferedReader, layout: Layout) -> None:
        """Takes what the header says.

        Raises:
            ValueError: The file is of another program or another version, or a text is too long.
        """
        self._file, self._places, self.metadata = file, layout.places, layout.metadata
        _check_metadata(self.metadata)
        self.shapes = _shapes(layout.places, self.metadata["tidegate"])

    def arrays(self) -> dict[str, Array | Compressed]:
        """Reads the arrays.

        Raises:
            ValueError: They take more memory than there is, or the file was changed since it was written.
        """
        needed, memory = 4 * sum(map(prod, self.shapes.values())), _memory()
        if needed > memory:
            raise ValueError(f"its arrays take {needed:,} bytes, but this machine has {memory:,} bytes of memory")
        tensors = {name: self._read(place) for name, place in self._places.items()}
        if content_digest(tensors, self.metadata) != self.metadata["sha256"]:
            raise ValueError("its SHA-256 digest does not match: the file was changed after it was written")
        plain = {name: tensors[name] for name in self.shapes if self._places[name].dtype == "F32"}
        return {name: plain[name] if name in plain else _compressed(name, tensors) for name in self.shapes}

    def _read(self, place: Place) -> npt.NDArray[Any]:
        array = np.empty(place.shape, DTYPES[place.dtype])
        self._file.seek(place.start)
        if self._file.readinto(array.data.cast("B") if array.size else bytearray()) < array.nbytes:
            raise ValueError("it was truncated while it was read")
        native: npt.NDArray[Any] = array.astype(array.dtype.newbyteorder("="), copy=False)
        native.flags.writeable = False
        return native


@contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[Contents]:
    """Opens a model file; an error about its contents inside the block names the file.

    Raises:
        OSError: There is no such file, or it may not be read.
        ModelFileError: The file is foreign, damaged, or refused inside the block by ValueError or TypeError; or it is
            no file at all but a folder, a pipe, a device or a link that leads nowhere.
    """
    name = os.fsdecode(path)
    try:
        with _opened(name) as file:
            size = os.fstat(file.fileno()).st_size
            _check_start(file.read(_START))
            file.seek(0)
            yield Contents(file, read_layout(file, size))
    except (ValueError, TypeError) as error:
        what = str(error)
        what = what if len(what) <= LONGEST_ERROR else what[:LONGEST_ERROR] + " …"
        raise ModelFileError(f"{name}: {what}") from error


def write(path: str | os.PathLike[str], arrays: Mapping[str, Array | Compressed], metadata: Mapping[str, str]) -> None:
    """Writes a model file, whole or not at all.

    Args:
        path: Where to write the file.
        arrays: Arrays by name, float32 or compressed.
        metadata: The texts of `KEYS` without format and digest, which are added.

    Raises:
        OSError: The file cannot be written.
    """
    small = {name: array for name, array in arrays.items() if isinstance(array, Compressed)}
    tensors = {name: array.values if isinstance(array, Compressed) else array for name, array in arrays.items()}
    tensors |= {name + SCALES: array.scales for name, array in small.items() if array.scales is not None}
    texts = {"tidegate": COMPRESSED if small else PLAIN, **metadata}
    texts["sha256"] = content_digest(tensors, texts)
    dtypes = {name: NAMES[array.dtype] for name, array in small.items()}
    data = assemble({name: (dtypes.get(name, "F32"), tensor) for name, tensor in tensors.items()}, texts)
    with replacing(path) as file:
        file.write(data)


def _compressed(name: str, tensors: Mapping[str, npt.NDArray[Any]]) -> Compressed:
    """Puts a compressed array together again.

    Raises:
        ValueError: A number is out of its range.
    """
    try:
        return Compressed(tensors[name], tensors.get(name + SCALES))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _shapes(places: Mapping[str, Place], version: str) -> dict[str, tuple[int, ...]]:
    """Returns the shape of each array, scales left out.

    Raises:
        ValueError: An array may not be of its dtype, or an int8 one has no scales.
    """
    scales = set()
    for name, place in places.items():
        if place.dtype != "F32" and (version == PLAIN or len(place.shape) != 2):
            raise ValueError(f"{name!r:.60} has dtype {place.dtype!r}, expected 'F32'")
        if place.dtype == "I8":
            of_rows = places.get(name + SCALES)
            if of_rows is None or of_rows.dtype != "F32" or of_rows.shape != place.shape[:1]:
                raise ValueError(f"{name!r:.60} has dtype 'I8', expected 'F32' scales of its {place.shape[0]} rows")
            scales.add(name + SCALES)
    return {name: place.shape for name, place in places.items() if name not in scales}


def is_model(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a model file of tidegate, of any version, by its start and its metadata."""
    return bool(metadata_of(path))


def metadata_of(path: str | os.PathLike[str]) -> dict[str, str]:
    """Returns the texts of a model file, which are not checked; none of a file that is no model."""
    try:
        with _opened(os.fsdecode(path)) as file:
            texts = read_layout(file, os.fstat(file.fileno()).st_size).metadata
    except (OSError, ValueError):
        return {}
    return texts if "tidegate" in texts else {}


def content_digest(arrays: Mapping[str, npt.NDArray[Any]], texts: Mapping[str, str]) -> str:
    """Computes the SHA-256 of all names, texts, shapes and numbers, in an order that does not depend on the file's."""
    parts: list[str | npt.NDArray[Any]] = [json.dumps([key, texts[key]]) for key in sorted(texts.keys() - {"sha256"})]
    for name in sorted(arrays):
        parts += [json.dumps([name, arrays[name].shape]), arrays[name]]
    return digest(parts)


def _opened(name: str) -> BufferedReader:
    """Opens a regular file; what else may stand under a name is not waited for.

    Raises:
        OSError: There is no such file, or it may not be read.
        ValueError: It is a folder, a pipe, a device, or a link that leads nowhere.
    """
    try:
        # looked at before: opening a device may have effects, and a pipe would wait for ever
        mode = os.stat(name).st_mode
        if stat.S_ISREG(mode):
            # another file may stand there by now, so it is opened without waiting and looked at again
            file = os.fdopen(os.open(name, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb")
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_ISREG(mode):
                return file
            file.close()
    except OSError as error:
        if os.path.islink(name) and error.errno in {errno.ENOENT, errno.ELOOP}:
            raise ValueError(f"it is a link to {os.readlink(name)!r}, which leads to no file") from error
        raise
    raise ValueError(f"it is {_kind(mode)}, expected a model file")


def _kind(mode: int) -> str:
    """Names what is no regular file."""
    kinds = {stat.S_ISDIR: "a folder", stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket"}
    kinds |= {stat.S_ISCHR: "a device", stat.S_ISBLK: "a device"}
    return next((kind for is_one, kind in kinds.items() if is_one(mode)), "no regular file")


def _memory() -> int:
    """Returns the bytes of memory of this machine, or 2⁶³ where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 2**63


def _check_start(start: bytes) -> None:
    """Looks at the first bytes of a file, which say what a foreign file is.

    Raises:
        ValueError: They are not those of a safetensors file.
    """
    if not start:
        raise ValueError("it is empty, expected a model file")
    if start[8:9] == b"{":
        return
    name = signatures.name_of(start) or signatures.name_of_text(start)
    name = name or ("JSON" if start.lstrip().startswith(b"{") else None)
    if name:
        raise ValueError(f"it is {name}{_HINTS.get(name, '')}, expected a model file written by tidegate")
    raise ValueError(f"it starts with {start[:12]!r}, expected a safetensors file written by tidegate")


def _check_metadata(metadata: dict[str, str]) -> None:
    """Checks that the texts are those of this format.

    Raises:
        ValueError: The file is of another program or another version, or a text is missing, left over or too long.
    """
    if "tidegate" not in metadata:
        raise ValueError(
            f"it is a safetensors file of another program: its metadata has {sorted(metadata)}, not 'tidegate'"
        )
    if metadata["tidegate"] not in {PLAIN, COMPRESSED}:
        raise ValueError(
            f"it has format {metadata['tidegate']!r:.60}, expected {PLAIN!r} or {COMPRESSED!r}: "
            "another version wrote it"
        )
    if metadata.keys() - {TOKENIZER, FORMAT} != set(KEYS) - {TOKENIZER}:
        raise ValueError(f"its metadata has {sorted(metadata)}, expected {sorted(KEYS)}")
    for name in metadata.keys() - {TOKENIZER}:
        if len(metadata[name]) > LONGEST_TEXT:
            raise ValueError(f"{name} has {len(metadata[name]):,} letters, expected at most {LONGEST_TEXT:,}")
