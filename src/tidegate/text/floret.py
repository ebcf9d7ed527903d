"""floret's vectors: a table for parts of words, from which every word gets a vector.

As in floret (https://github.com/explosion/floret) and in spaCy's `Vectors`: the vector of a word is the mean of the
rows that MurmurHash3 chooses for the word between two marks, and for each part of it of `shortest..longest` characters.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
import numpy.typing as npt

_MASK = (1 << 64) - 1
_C1, _C2 = 0x87C37B91114253D5, 0x4CF5AD432745937F


@dataclass(frozen=True)
class Header:
    """The eight fields of the first line of a file.

    Attributes:
        rows: Rows of the table.
        size: E, numbers of a vector.
        shortest: Characters of the shortest part of a word, 0 for no parts.
        longest: Characters of the longest part.
        hashes: How many rows are chosen for each part, 1..4.
        seed: Of the hash.
        begin: The mark before a word.
        end: The mark behind it.
    """

    rows: int
    size: int
    shortest: int
    longest: int
    hashes: int
    seed: int
    begin: str
    end: str

    @classmethod
    def of(cls, line: bytes) -> Self | None:
        """Reads a first line; None if it is none of floret's."""
        fields = line.split()
        if len(fields) != 8 or not all(field.isdigit() and len(field) < 20 for field in fields[:6]):
            return None
        begin, end = (field.decode(errors="replace") for field in fields[6:])
        rows, size, shortest, longest, hashes, seed = map(int, fields[:6])
        header = cls(rows, size, shortest, longest, hashes, seed, begin, end)
        return header if header.rows and 1 <= header.hashes <= 4 else None

    def rows_of(self, word: str) -> list[int]:
        """Chooses the rows of a word."""
        marked = self.begin + word + self.end
        parts = (
            marked[start : start + length]
            for length in range(max(1, self.shortest), min(self.longest, len(marked)) + 1)
            for start in range(len(marked) - length + 1)
            if length > 1 or 0 < start < len(marked) - 1  # a mark alone is no part
        )
        return [row % self.rows for part in (marked, *parts) for row in _hashes(part, self.seed)[: self.hashes]]


def vectors_of(words: Iterable[str], header: Header, table: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Computes the vectors of words.

    Args:
        words: V words.
        header: How.
        table: float32 [rows, E].

    Returns:
        float32 [V, E].
    """
    means = [table[header.rows_of(word)].mean(axis=0) for word in words]
    return np.array(means, np.float32).reshape(-1, table.shape[1])


@lru_cache(1 << 17)  # words share most of their parts
def _hashes(text: str, seed: int) -> tuple[int, int, int, int]:
    """The 128 bits of MurmurHash3_x64_128 of a text in UTF-8, in four parts (Appleby, public domain)."""
    data = text.encode("utf-8", "replace")
    h1 = h2 = seed
    for k1, k2 in _blocks(data):
        h1 = ((_rotate(h1 ^ _scramble(k1, _C1, 31, _C2), 27) + h2) * 5 + 0x52DCE729) & _MASK
        h2 = ((_rotate(h2 ^ _scramble(k2, _C2, 33, _C1), 31) + h1) * 5 + 0x38495AB5) & _MASK
    tail = data[len(data) // 16 * 16 :]
    h1 ^= _scramble(int.from_bytes(tail[:8], "little"), _C1, 31, _C2) ^ len(data)
    h2 ^= _scramble(int.from_bytes(tail[8:], "little"), _C2, 33, _C1) ^ len(data)
    h1 = (h1 + h2) & _MASK
    h2 = (h2 + h1) & _MASK
    h1, h2 = _mixed(h1), _mixed(h2)
    h1 = (h1 + h2) & _MASK
    h2 = (h2 + h1) & _MASK
    return h1 & 0xFFFFFFFF, h1 >> 32, h2 & 0xFFFFFFFF, h2 >> 32


def _blocks(data: bytes) -> Iterator[tuple[int, int]]:
    for i in range(0, len(data) // 16 * 16, 16):
        yield int.from_bytes(data[i : i + 8], "little"), int.from_bytes(data[i + 8 : i + 16], "little")


def _rotate(number: int, bits: int) -> int:
    return ((number << bits) | (number >> (64 - bits))) & _MASK


def _scramble(number: int, first: int, bits: int, second: int) -> int:
    return _rotate(number * first & _MASK, bits) * second & _MASK


def _mixed(number: int) -> int:
    number = (number ^ (number >> 33)) * 0xFF51AFD7ED558CCD & _MASK
    number = (number ^ (number >> 33)) * 0xC4CEB9FE1A85EC53 & _MASK
    return number ^ (number >> 33)
