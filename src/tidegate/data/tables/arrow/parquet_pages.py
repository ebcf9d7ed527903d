"""Whether the pages of a Parquet file are as long as they say, looked at before pyarrow asks for the memory for them.

The footer of a file and the header of a page are in Thrift's compact protocol
(https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md), with the fields of
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift. pyarrow hands out no headers, and
what it hands out of a damaged footer can end the process.
"""

import os
from collections.abc import Collection, Iterator
from itertools import zip_longest
from typing import Any, BinaryIO

Fields = dict[int, Any]

_LONGEST_FOOTER = 1 << 24  # bytes, some 100,000 columns in row groups; longer ones would take too long to follow
_LONGEST_HEADER = 1 << 24  # bytes, as in pyarrow; it may hold the largest and the smallest text
_FIRST_READ = 1 << 8  # bytes, which nearly every header fits into
_DEEPEST = 16  # structs and lists in one another
_RATIOS = {0: 1, 1: 22, 2: 1032, 5: 255, 6: 1 << 15, 7: 255}
"""The most bytes that one byte can stand for, by the number of the compression: none, Snappy, gzip, LZ4, zstd, and LZ4
again. Of Brotli there is no such number."""

_LONGEST_VALUE = 1 << 28  # bytes, of the values of a page on average: pyarrow holds a page twice
_LITTLE = 64  # bytes of a page, below which these numbers say little and nothing is at stake

# Fields of the footer, its schema, a row group, a column in it, what is known of this, a page, and what it holds.
_SCHEMA, _GROUPS, _NAME, _CHILDREN, _COLUMNS, _KNOWN = 2, 4, 4, 5, 1, 3
_COMPRESSION, _COUNT, _FIRST_PAGE, _DICTIONARY = 4, 5, 9, 11
_UNPACKED, _PACKED, _PLAIN, _TABLE, _NEWER = 2, 3, 5, 7, 8
_VALUES = 1


class _CutOffError(Exception):
    """A struct goes on behind what was read."""


def check_pages(path: str | os.PathLike[str], names: Collection[str]) -> None:
    """Checks that pages lie inside the file, and unpack to no more than their compression can hold.

    Args:
        path: A file that pyarrow has opened, so that its footer is known to be one.
        names: The columns to look at.

    Raises:
        OSError: The file cannot be read.
        ValueError: A page, or the footer, is damaged, or a value takes more memory than a text may.
    """
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        for name, column in _columns(file, size):
            if name is None or name in names:
                _check_column(file, size, column)


def _columns(file: BinaryIO, size: int) -> Iterator[tuple[str | None, Fields]]:
    """Reads what the footer knows of each stored column in each row group, and the name of the column that it is."""
    file.seek(max(0, size - 8))
    length = int.from_bytes(file.read(4), "little")
    if length > min(size - 8, _LONGEST_FOOTER):
        return
    file.seek(size - 8 - length)
    try:
        footer = _Compact(file.read(length)).fields()
    except _CutOffError:
        raise _damaged("the footer is cut off") from None
    leaves = list(_leaves(footer))
    for group in _structs(footer, _GROUPS):
        for name, column in zip_longest(leaves, _structs(group, _COLUMNS)):
            if column and isinstance(known := column.get(_KNOWN), dict):
                yield name, known


def _leaves(footer: Fields) -> Iterator[str | None]:
    """Names the column that each of the stored columns is, or is a part of; None for a name that is no text.

    pyarrow finds a stored column by its place. The path that is noted with it can be another one in a damaged file.
    """
    column: str | None = None
    open_groups: list[int] = []  # how many parts of each are to come
    for element in _structs(footer, _SCHEMA)[1:]:
        if open_groups:
            open_groups[-1] -= 1
        else:
            name = element.get(_NAME)
            column = _text(name) if isinstance(name, bytes) else None
        if (children := _number(element, _CHILDREN)) > 0:
            open_groups.append(children)
        else:
            yield column
        while open_groups and not open_groups[-1]:
            open_groups.pop()


def _text(name: bytes) -> str | None:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return None


def _check_column(file: BinaryIO, size: int, column: Fields) -> None:
    """Follows the pages of a column as far as they hold its values."""
    starts = [start for start in (_number(column, _DICTIONARY), _number(column, _FIRST_PAGE)) if start > 0]
    at, left, ratio = min(starts, default=0), _number(column, _COUNT), _RATIOS.get(_number(column, _COMPRESSION))
    while left > 0:
        page, at = _page(file, at)
        packed, unpacked = _number(page, _PACKED), _number(page, _UNPACKED)
        if not 0 <= packed <= size - at or (ratio and not 0 <= unpacked <= max(packed, _LITTLE) * ratio):
            raise _damaged(
                f"a page announces {packed:,} bytes that unpack to {unpacked:,}, and the file has "
                f"{max(0, size - at):,} for it"
            )
        at += packed
        held = page.get(_PLAIN) or page.get(_NEWER)
        count = max(0, _number(held, _VALUES)) if isinstance(held, dict) else 0
        table = page.get(_TABLE)
        values = max(1, count, _number(table, _VALUES) if isinstance(table, dict) else 0)
        if unpacked > values * _LONGEST_VALUE:
            raise ValueError(
                f"a page holds {unpacked:,} bytes in {values:,} values: this is no table of texts or numbers"
            )
        left -= count


def _page(file: BinaryIO, at: int) -> tuple[Fields, int]:
    """Reads the header of a page, and returns its fields and the place behind it."""
    count = _FIRST_READ
    while count <= _LONGEST_HEADER:
        file.seek(at)
        header = _Compact(file.read(count))
        try:
            return header.fields(), at + header.at
        except _CutOffError:
            if len(header.data) < count:
                break
            count *= 16
    raise _damaged("the header of a page does not end")


def _number(fields: Fields, place: int) -> int:
    """Returns a number of a struct, or −1 if it has none there."""
    found = fields.get(place)
    return found if isinstance(found, int) else -1


def _structs(fields: Fields, place: int) -> list[Fields]:
    """Returns the structs of a list in a struct."""
    found = fields.get(place)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _damaged(what: str) -> ValueError:
    return ValueError(f"the Parquet file is damaged: {what}")


class _Compact:
    """Reads Thrift's compact protocol.

    Attributes:
        data: The bytes.
        at: The place of the next one.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def fields(self, depth: int = 0) -> Fields:
        """Reads a struct: its integers, bytes, lists and structs by the number of the field.

        Raises:
            ValueError: There is a type that the protocol has not, or it is nested too deeply.
        """
        found: Fields = {}
        number = 0
        while byte := self._bytes(1)[0]:
            number = number + (byte >> 4) if byte >> 4 else self._integer()
            kind = byte & 15
            found[number] = kind == 1 if kind in {1, 2} else self._value(kind, depth)  # true and false have no value
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if kind in {4, 5, 6}:
            return self._integer()
        if kind in {1, 2, 3, 7, 8}:  # one byte, a float64, or as many bytes as it says
            return self._bytes(1 if kind <= 3 else 8 if kind == 7 else self._varint())
        if kind == 12 and depth < _DEEPEST:
            return self.fields(depth + 1)
        if kind in {9, 10} and depth < _DEEPEST:  # a list or a set
            byte = self._bytes(1)[0]
            count = byte >> 4 if byte < 0xF0 else self._varint()
            return [self._value(byte & 15, depth + 1) for _ in range(self._checked(count))]
        raise _damaged("there is no struct where one should be")

    def _checked(self, count: int) -> int:
        """Returns how many bytes or items follow, of which each has a byte at least."""
        if count > len(self.data) - self.at:
            raise _CutOffError
        return count

    def _bytes(self, count: int) -> bytes:
        self.at += self._checked(count)
        return self.data[self.at - count : self.at]

    def _varint(self) -> int:
        found = 0
        for shift in range(0, 70, 7):
            byte = self._bytes(1)[0]
            found |= (byte & 127) << shift
            if byte < 128:
                return found
        raise _damaged("a number does not end")

    def _integer(self) -> int:
        zigzag = self._varint()
        return zigzag >> 1 ^ -(zigzag & 1)
