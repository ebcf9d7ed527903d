"""Whether the pages of a Parquet file are as long as they say, looked at before pyarrow asks for the memory for them.

A page begins with a header in Thrift's compact protocol
(https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md), whose fields are those of
`PageHeader` in https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift. pyarrow hands out
none of them.
"""

import os
from collections.abc import Collection
from typing import Any, BinaryIO

_LONGEST_HEADER = 1 << 24  # bytes, as in pyarrow; it may hold the largest and the smallest text
_FIRST_READ = 1 << 8  # bytes, which nearly every header fits into
_RATIOS = {"UNCOMPRESSED": 1, "SNAPPY": 22, "LZ4": 255, "GZIP": 1032, "ZSTD": 1 << 15}
"""The most bytes that one byte can stand for, by the name that pyarrow has for the compression; of Brotli there is no
such number."""

_LITTLE = 64  # bytes of a page, below which these numbers say little and nothing is at stake

_UNPACKED_BYTES, _PACKED_BYTES = 2, 3  # fields of a header
_PLAIN_PAGE, _NEWER_PAGE, _VALUES = 5, 8, 1  # fields with what holds values, and the field of their number in these

_DEEPEST, _MOST_ITEMS = 8, 1000  # structs in one another, and items of a list, in a header
_NO_HEADER = "the Parquet file is damaged: a page has no header"


class _CutOffError(Exception):
    """A header goes on behind what was read."""


def check_pages(path: str | os.PathLike[str], metadata: Any, names: Collection[str]) -> None:
    """Checks that pages lie inside the file, and unpack to no more than their compression can hold.

    Args:
        path: The file.
        metadata: What `pyarrow.parquet.ParquetFile` knows of it.
        names: The columns to look at.

    Raises:
        OSError: The file cannot be read.
        ValueError: A page is damaged.
    """
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        for group in range(metadata.num_row_groups):
            row_group = metadata.row_group(group)
            for place in range(row_group.num_columns):
                chunk = row_group.column(place)
                if _belongs(chunk.path_in_schema, names):
                    _check_chunk(file, size, chunk)


def _belongs(path: str, names: Collection[str]) -> bool:
    """Whether a path such as a.b.c is of one of these columns, in whose names there may be points too."""
    parts = path.split(".")
    return any(".".join(parts[:count]) in names for count in range(1, len(parts) + 1))


def _check_chunk(file: BinaryIO, size: int, chunk: Any) -> None:
    """Follows the pages of a column as far as they hold its values."""
    starts = [start for start in (chunk.dictionary_page_offset, chunk.data_page_offset) if start]
    at, left, ratio = min(starts, default=0), chunk.num_values, _RATIOS.get(chunk.compression)
    while left > 0:
        header, at = _header(file, at)
        packed, unpacked = _number(header, _PACKED_BYTES), _number(header, _UNPACKED_BYTES)
        if not 0 <= packed <= size - at or (ratio and not 0 <= unpacked <= max(packed, _LITTLE) * ratio):
            raise ValueError(
                f"the Parquet file is damaged: a page of column {chunk.path_in_schema!r} announces {packed:,} bytes "
                f"that unpack to {unpacked:,}, and the file has {max(0, size - at):,} for it"
            )
        at += packed
        page = header.get(_PLAIN_PAGE) or header.get(_NEWER_PAGE)
        left -= max(0, _number(page, _VALUES)) if isinstance(page, dict) else 0


def _number(fields: dict[int, Any], place: int) -> int:
    """Returns a number of a header, or −1 if it has none there."""
    found = fields.get(place)
    return found if isinstance(found, int) else -1


def _header(file: BinaryIO, at: int) -> tuple[dict[int, Any], int]:
    """Reads a header, and returns its fields and the place behind it.

    Raises:
        ValueError: It does not end.
    """
    count = _FIRST_READ
    while at >= 0 and count <= _LONGEST_HEADER:
        file.seek(at)
        header = _Compact(file.read(count))
        try:
            return header.fields(), at + header.at
        except _CutOffError:
            if len(header.data) < count:
                break
            count *= 16
    raise ValueError("the Parquet file is damaged: the header of a page does not end")


class _Compact:
    """Reads Thrift's compact protocol.

    Attributes:
        data: The bytes.
        at: The place of the next one.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def fields(self, depth: int = 0) -> dict[int, Any]:
        """Reads a struct: its integers and structs by the number of the field; of the rest nothing is kept.

        Raises:
            ValueError: There is a type that the protocol has not, or it is nested too deeply.
        """
        found: dict[int, Any] = {}
        number = 0
        while byte := self._byte():
            step, kind = byte >> 4, byte & 15
            number = number + step if step else self._integer()
            found[number] = self._value(kind, depth)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if kind in {1, 2}:  # true and false
            return None
        if kind in {3, 4, 5, 6}:  # integers
            return self._byte() if kind == 3 else self._integer()
        if kind in {7, 8}:  # a float64, or bytes
            self._skip(8 if kind == 7 else self._varint())
            return None
        if depth < _DEEPEST and kind == 12:
            return self.fields(depth + 1)
        if depth < _DEEPEST and kind in {9, 10}:  # a list or a set, which no header has yet
            return self._items(self._byte(), depth + 1)
        raise ValueError(_NO_HEADER)

    def _items(self, byte: int, depth: int) -> None:
        count = byte >> 4 if byte < 0xF0 else self._varint()
        if count > _MOST_ITEMS:
            raise ValueError(_NO_HEADER)
        for _ in range(count):
            self._value(3 if byte & 15 in {1, 2} else byte & 15, depth)

    def _skip(self, count: int) -> None:
        if count > len(self.data) - self.at:
            raise _CutOffError
        self.at += count

    def _byte(self) -> int:
        self._skip(1)
        return self.data[self.at - 1]

    def _varint(self) -> int:
        found = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            found |= (byte & 127) << shift
            if byte < 128:
                return found
        raise ValueError(_NO_HEADER)

    def _integer(self) -> int:
        zigzag = self._varint()
        return zigzag >> 1 ^ -(zigzag & 1)
