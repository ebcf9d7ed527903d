"""The words of more texts than fit into memory, counted and numbered as they come, for a vocabulary to be chosen."""

from collections.abc import Iterable
from itertools import compress

import numpy as np
import numpy.typing as npt

from tidegate.text import entities
from tidegate.text.plain import WordTable
from tidegate.text.rules import words_of
from tidegate.text.texts import encodable

Integers = npt.NDArray[np.int64]

NONE_FREQUENT = "no word occurs {} times in the texts, so none would be known: more texts are needed"
"""What is wrong if no word is frequent enough."""


class WordCounter:
    """Counts words in bounded memory, and turns texts into numbers before it is known which words a vocabulary keeps.

    When there are too many words, the rarer half is forgotten, with its counts (lossy counting, Manku & Motwani 2002).
    A word that comes again has a new number and is counted anew, so that the count of a frequent word is too small by
    those of the rare ones at most.

    Example:
        >>> counter = WordCounter()
        >>> [numbers.tolist() for numbers in counter.read(["so good", "good !"])]
        [[0, 1], [1, 2]]
        >>> words, numbers = counter.frequent(most=1, min_frequency=1)
        >>> words, numbers.tolist()
        (['good'], [1])

    Attributes:
        forgotten: Whether words were forgotten.
        others: How many texts were not plain: the library cuts these, which takes some fifty times as long.
    """

    def __init__(self, most: int = 1 << 20) -> None:
        """Begins with no word.

        Args:
            most: Words from which on the rarer half is forgotten; each takes its letters and some 35 bytes.
        """
        self._most, self.forgotten, self.others = most, False, 0
        self._table = WordTable()
        self._counts = np.zeros(0, np.int64)
        self._numbers = np.zeros(0, np.uint32)
        self._next = 0

    def read(self, texts: Iterable[str], max_length: int | None = None) -> list[npt.NDArray[np.uint32]]:
        """Counts the words of texts, and returns their numbers.

        Args:
            texts: B texts.
            max_length: The most numbers of a text; all of its words are counted.

        Returns:
            B arrays uint32 [T_b].
        """
        given = list(map(entities.decode, encodable(texts)))
        rows = []
        for text, plain in zip(given, self._table.read(given), strict=True):
            self.others += plain is None
            rows.append(self._table.add(words_of(text)) if plain is None else plain.ids)
        self._grow()
        if rows:
            self._counts += np.bincount(np.concatenate(rows), minlength=len(self._counts))
        numbers = [self._numbers[row[:max_length]] for row in rows]
        if len(self._counts) > self._most:
            self._forget()
        return numbers

    def _grow(self) -> None:
        """Gives new words their numbers."""
        new = len(self._table) - len(self._counts)
        self._counts = np.concatenate([self._counts, np.zeros(new, np.int64)])
        self._numbers = np.concatenate([self._numbers, np.arange(self._next, self._next + new).astype(np.uint32)])
        self._next += new

    def _forget(self) -> None:
        """Forgets the rarer half."""
        kept = self._counts > np.median(self._counts)
        self._table = WordTable(compress(self._table.words(), kept))
        self._counts, self._numbers, self.forgotten = self._counts[kept], self._numbers[kept], True

    def frequent(self, most: int, min_frequency: int) -> tuple[list[str], Integers]:
        """Keeps the most frequent words as `Tokenizer.train` does; ties go by the alphabet.

        Args:
            most: How many words to keep at most.
            min_frequency: Rarer words are left out.

        Returns:
            The words, and their numbers, int64.

        Raises:
            ValueError: No word is frequent enough.
        """
        found = np.flatnonzero(self._counts >= min_frequency)
        if not len(found):
            raise ValueError(NONE_FREQUENT.format(min_frequency))
        words, counts = self._table.words(), self._counts.tolist()
        order = sorted(found.tolist(), key=lambda place: (-counts[place], words[place]))[:most]
        return [words[place] for place in order], self._numbers[order].astype(np.int64)
