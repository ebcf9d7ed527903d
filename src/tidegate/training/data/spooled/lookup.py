"""Words by the numbers that they had while they were counted."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.text.tokenizer import UNKNOWN
from tidegate.training.data.corpus import Corpus, Integers

_TABLE = 1 << 22  # numbers of words that are looked up directly, the others by bisection


class Lookup(NamedTuple):
    """Finds the ids of words by the numbers that they had while they were counted.

    Attributes:
        table: The ids of small numbers, int32.
        numbers: All numbers of known words, ascending, int64.
        ids: Their ids, int32.
    """

    table: npt.NDArray[np.int32]
    numbers: Integers
    ids: npt.NDArray[np.int32]

    @classmethod
    def of(cls, numbers: Integers) -> "Lookup":
        """Knows words by their numbers, in the order of their ids, which begin behind the two special ones."""
        ids = np.arange(2, len(numbers) + 2, dtype=np.int32)
        table = np.full(min(_TABLE, int(numbers.max()) + 1), UNKNOWN, np.int32)
        small = numbers < len(table)
        table[numbers[small]] = ids[small]
        order = np.argsort(numbers)
        return cls(table, numbers[order], ids[order])

    def rows(self, rows: Sequence[npt.NDArray[Any]]) -> Corpus:
        """Makes a corpus of rows, with ids in the place of numbers."""
        corpus = Corpus.from_rows(rows)
        steps = corpus.steps
        ids = self.table[np.minimum(steps, len(self.table) - 1)]
        late = np.flatnonzero(steps >= len(self.table))
        places = np.minimum(np.searchsorted(self.numbers, steps[late]), len(self.numbers) - 1)
        ids[late] = np.where(self.numbers[places] == steps[late], self.ids[places], UNKNOWN)
        return Corpus(ids, corpus.offsets)
