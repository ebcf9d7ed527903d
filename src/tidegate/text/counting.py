"""The words of more texts than fit into memory, counted and numbered as they come, for a vocabulary to be chosen."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from tidegate.text.tokenizer import Tokenizer, all_words

Integers = npt.NDArray[np.int64]


class _Places(dict[str, int]):
    """The place of each word; a new word takes the next one."""

    def __missing__(self, word: str) -> int:
        self[word] = place = len(self)
        return place


class WordCounter:
    """Counts words in bounded memory, and turns texts into numbers before it is known which words a vocabulary keeps.

    When there are too many words, the rarer half is forgotten, with its counts (lossy counting, Manku & Motwani 2002).
    A word that comes again has a new number and is counted anew, so that the count of a frequent word is too small by
    those of the rare ones at most.

    Example:
        >>> counter = WordCounter()
        >>> [numbers.tolist() for numbers in counter.read(["so good", "good !"])]
        [[0, 1], [1, 2]]
        >>> tokenizer, known = counter.vocabulary(vocab_size=3, min_frequency=1)
        >>> tokenizer.vocab, known.tolist()
        (['[PAD]', '[UNK]', 'good'], [1])

    Attributes:
        forgotten: Whether words were forgotten.
    """

    def __init__(self, most: int = 1 << 20) -> None:
        """Begins with no word.

        Args:
            most: Words from which on the rarer half is forgotten; each takes about 200 bytes.
        """
        self._most, self.forgotten = most, False
        self._places = _Places()
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
        find = self._places.__getitem__
        rows = [np.fromiter(map(find, words), np.int64, len(words)) for words in all_words(texts)]
        self._grow()
        if rows:
            self._counts += np.bincount(np.concatenate(rows), minlength=len(self._counts))
        numbers = [self._numbers[row[:max_length]] for row in rows]
        if len(self._places) > self._most:
            self._forget()
        return numbers

    def _grow(self) -> None:
        """Gives new words their numbers."""
        new = len(self._places) - len(self._counts)
        self._counts = np.concatenate([self._counts, np.zeros(new, np.int64)])
        self._numbers = np.concatenate([self._numbers, np.arange(self._next, self._next + new).astype(np.uint32)])
        self._next += new

    def _forget(self) -> None:
        """Forgets the rarer half."""
        kept = self._counts > np.median(self._counts)
        words = [word for word, keep in zip(self._places, kept.tolist(), strict=True) if keep]
        self._places = _Places(zip(words, range(len(words)), strict=True))
        self._counts, self._numbers, self.forgotten = self._counts[kept], self._numbers[kept], True

    def vocabulary(self, vocab_size: int, min_frequency: int) -> tuple[Tokenizer, Integers]:
        """Keeps the most frequent words as `Tokenizer.train` does; ties go by the alphabet.

        Args:
            vocab_size: Largest V, the two special words included.
            min_frequency: Rarer words are left out.

        Returns:
            The tokenizer; and the number of each word behind the two special ones, int64 [V − 2].

        Raises:
            ValueError: No word is frequent enough.
        """
        frequent = np.flatnonzero(self._counts >= min_frequency)
        if not len(frequent):
            raise ValueError(
                f"no word occurs {min_frequency} times in the texts, so none would be known: more texts are needed"
            )
        words = list(self._places)
        order = sorted(frequent.tolist(), key=lambda place: (-self._counts[place], words[place]))[: vocab_size - 2]
        return Tokenizer.of_words(words[place] for place in order), self._numbers[order].astype(np.int64)
