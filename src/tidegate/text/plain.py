"""Plain texts, in Latin letters and common marks, cut by native code: many times as fast as by the library.

They give the words that the library's rules give. Most texts in languages of Western Europe are plain, and cutting them
by the library would take longer than all else that a small model does.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate import _native
from tidegate.text.rules import TAGS

Ids = npt.NDArray[np.int32]


class Read(NamedTuple):
    """A plain text.

    Attributes:
        ids: The numbers of its words, int32 [T], a part of a larger array.
        strangers: The words that were not known, in order, lower-cased; not those that were added.
    """

    ids: Ids
    strangers: Sequence[str]


class WordTable:
    """Words and their numbers, from 0.

    Example:
        >>> table = WordTable(["[PAD]", "[UNK]", "is", "n't"])
        >>> [read] = table.read(["It isn't <b>Good</b>!"], unknown=1)
        >>> read.ids.tolist(), read.strangers
        ([1, 2, 3, 1, 1], ['it', 'good', '!'])
    """

    def __init__(self, words: Iterable[str] = ()) -> None:
        """Numbers some words."""
        self._native = _native.WordTable(TAGS)
        self.add(words)

    def add(self, words: Iterable[str]) -> Ids:
        """Returns the numbers of words, int32 [T]; a new word takes the next one."""
        return self._native.add(list(words))

    def __len__(self) -> int:
        return len(self._native)

    def words(self) -> list[str]:
        """All words, in the order of their numbers."""
        return self._native.words()

    def read(self, texts: list[str], unknown: int | None = None) -> Iterator[Read | None]:
        """Cuts texts into words and looks these up, without Python's lock.

        Args:
            texts: Texts without lone surrogates.
            unknown: The number of a word that is not known, which no word of a text has; None to add such words.

        Yields:
            Each text; None where it is not plain.

        Raises:
            ValueError: The number of unknown words is negative.
        """
        if unknown is not None and unknown < 0:
            raise ValueError(f"unknown words have the number {unknown}, expected 0 or more")
        numbers, lengths, spelled = self._native.cut(texts, unknown)
        strangers = spelled.split("\n")
        end = last = 0
        for length in lengths.tolist():
            if length < 0:
                yield None
                continue
            first, end = end, end + length
            ids = numbers[first:end]
            before, last = last, last + (int(np.count_nonzero(ids == unknown)) if spelled else 0)
            yield Read(ids, strangers[before:last])
