"""The layout of a safetensors file: a header of JSON that says where each array lies, then their numbers.

The `safetensors` library is not asked, because it maps files into memory: when another program cuts a mapped file
short, the system ends this one. Here what is read is read once, and no size is believed before the file is that long.
"""

import json
from collections.abc import Mapping
from math import prod
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.models.files.metadata import parse_object

# The header holds the tokenizer: 64 MiB are enough for more than a million words.
MAX_HEADER = 64 * 2**20
MOST_VALUES = 100_000  # of the header: a network of 64 layers has 513 arrays, the tokenizer is one text
METADATA = "__metadata__"
DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "BF16": np.dtype("<u2"), "I8": np.dtype("i1")}
"""What an array may consist of, by the names of the format; numpy knows bfloat16 as its bits."""


class Place(NamedTuple):
    """Where an array lies: its shape, the first byte of its numbers in the file, and which of `DTYPES` they have."""

    shape: tuple[int, ...]
    start: int
    dtype: str = "F32"

    @property
    def bytes(self) -> int:
        """How many bytes the numbers take."""
        return DTYPES[self.dtype].itemsize * prod(self.shape)


class Layout(NamedTuple):
    """What a header says: the texts of the metadata, and the place of each array."""

    metadata: dict[str, str]
    places: dict[str, Place]


def read_layout(file: BinaryIO, size: int) -> Layout:
    """Reads and checks the header of a file of `size` bytes, from its beginning.

    Raises:
        ValueError: The header is cut, too large, no JSON or not of this layout, an array has a dtype that is not in
            `DTYPES`, or the numbers are not as many as the arrays need.
    """
    length = int.from_bytes(file.read(8), "little")
    if length > MAX_HEADER:
        raise ValueError(f"its header has {length} bytes, expected at most {MAX_HEADER}")
    if 8 + length > size:
        raise ValueError(f"it is truncated: its header has {length} bytes, but the file {size}")
    header = file.read(length)
    if len(header) < length:
        raise ValueError("it was truncated while it was read")
    try:
        text = header.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"its header is not UTF-8: byte {error.start} is {header[error.start]:#04x}") from None
    entries = parse_object("its header", text.rstrip(" "), MOST_VALUES)
    metadata = _metadata(entries.pop(METADATA, {}))
    places = {name: _place(name, entry, 8 + length) for name, entry in sorted(entries.items())}
    _check_cover(places, 8 + length, size)
    return Layout(metadata, places)


def assemble(tensors: Mapping[str, tuple[str, npt.NDArray[Any]]], metadata: Mapping[str, str]) -> bytes:
    """Writes what `read_layout` reads, as the `safetensors` library does, of which numpy's part knows no bfloat16.

    Args:
        tensors: By name, which of `DTYPES` each has, and its numbers.
        metadata: The texts.
    """
    entries: dict[str, Any] = {METADATA: dict(metadata)}
    pieces: list[bytes] = []
    end = 0
    for name in sorted(tensors, key=lambda name: (-DTYPES[tensors[name][0]].itemsize, name)):  # aligned to themselves
        dtype, array = tensors[name]
        pieces.append(array.astype(DTYPES[dtype], copy=False).tobytes())
        begin, end = end, end + len(pieces[-1])
        entries[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": (begin, end)}
    header = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return b"".join((len(header).to_bytes(8, "little"), header, *pieces))


def _metadata(entry: Any) -> dict[str, str]:
    """Checks that the metadata are texts by name."""
    if not isinstance(entry, dict) or not all(isinstance(value, str) for value in entry.values()):
        raise ValueError("its metadata is damaged, expected texts by name")
    return entry


def _place(name: str, entry: Any, first: int) -> Place:
    """Checks what the header says of one array.

    Raises:
        ValueError: It is not of this layout, of another dtype, or its bytes are not as many as its shape needs.
    """
    if not isinstance(entry, Mapping) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"the entry of {name!r:.60} in its header is damaged: expected dtype, shape and data_offsets")
    if not isinstance(entry["dtype"], str) or entry["dtype"] not in DTYPES:
        raise ValueError(f"{name!r:.60} has dtype {entry['dtype']!r:.20}, expected 'F32', 'BF16' or 'I8'")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _are_sizes(shape) or len(shape) > 8:
        raise ValueError(f"{name!r:.60} has the shape {shape!r:.60}, expected a list of sizes")
    needed = DTYPES[entry["dtype"]].itemsize * prod(shape)
    if not _are_sizes(offsets) or len(offsets) != 2 or offsets[1] - offsets[0] != needed:
        raise ValueError(
            f"{name!r:.60} lies at the bytes {offsets!r:.60}, expected {needed} of them for its shape {shape}"
        )
    return Place(tuple(shape), first + offsets[0], entry["dtype"])


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**63 for value in values)


def _check_cover(places: Mapping[str, Place], first: int, size: int) -> None:
    """Checks that the arrays lie one behind the other, from the header to the end of the file.

    Raises:
        ValueError: There is a gap, two arrays share numbers, or the file is shorter or longer.
    """
    end = first
    for name, place in sorted(places.items(), key=lambda item: (item[1].start, prod(item[1].shape))):
        if place.start != end:
            raise ValueError(
                f"its header is damaged: {name!r:.60} begins at byte {place.start} of the file, expected {end}"
            )
        end += place.bytes
    if end > size:
        raise ValueError(f"it is truncated: it has {size} bytes, but its arrays end at {end}")
    if end < size:
        raise ValueError(f"it is damaged: it has {size} bytes, but its arrays end at {end}")
