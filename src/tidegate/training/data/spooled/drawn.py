"""Rows that chance picks while they are read: what is held out, and a sample of the others."""

from collections.abc import Sequence
from sys import getsizeof
from typing import Any, NamedTuple

import numpy as np

_ROW = 200  # bytes that a row takes in Python besides what it holds


class Row(NamedTuple):
    """A row, its number among all, and what is to be predicted of it, as it is written."""

    number: int
    sequence: Any
    target: Any


class Drawn:
    """Rows that chance picks by their number: a share that is halved whenever the rows no longer fit into memory."""

    def __init__(self, share: float, most: int, seed: int) -> None:
        """Begins with no row.

        Args:
            share: The share to pick, 0 to 1.
            most: The most bytes of what is picked.
            seed: Of the choice.
        """
        self.share, self._most, self._seed = share, most, seed
        self.rows: list[tuple[float, Row]] = []
        self._bytes = 0

    def take(self, rows: Sequence[Row]) -> list[Row]:
        """Picks some rows, and returns the others, also those that have been picked before and no longer fit."""
        chances = _chances([row.number for row in rows], self._seed)
        others = [row for row, chance in zip(rows, chances, strict=True) if chance >= self.share]
        for row, chance in zip(rows, chances, strict=True):
            if chance < self.share:
                self.rows.append((chance, _own(row)))
                self._bytes += _bytes_of(row)
        while self._bytes > self._most and len(self.rows) > 1:
            self.share /= 2
            others += [row for chance, row in self.rows if chance >= self.share]
            self.rows = [(chance, row) for chance, row in self.rows if chance < self.share]
            self._bytes = sum(_bytes_of(row) for _, row in self.rows)
        return others

    @property
    def sequences(self) -> list[Any]:
        """The sequences that were picked."""
        return [row.sequence for _, row in self.rows]

    @property
    def targets(self) -> list[Any]:
        """What is to be predicted of them."""
        return [row.target for _, row in self.rows]


def _chances(numbers: Sequence[int], seed: int) -> list[float]:
    """Draws a number from 0 to 1 for each row, always the same for the same row (splitmix64, Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        x = np.array(numbers, np.uint64) + np.uint64((seed + 1) * 0xD1342543DE82EF95 % 2**64)
        x *= np.uint64(0x9E3779B97F4A7C15)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
        x ^= x >> np.uint64(31)
    return (x / 2.0**64).tolist()  # type: ignore[no-any-return]


def _own(row: Row) -> Row:
    """Copies an array out of the larger one that it may be a part of."""
    return row._replace(sequence=row.sequence.copy()) if isinstance(row.sequence, np.ndarray) else row


def _bytes_of(row: Row) -> int:
    return _ROW + (row.sequence.nbytes if isinstance(row.sequence, np.ndarray) else getsizeof(row.sequence))
