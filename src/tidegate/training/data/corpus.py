"""Sequences in one flat array: texts as word ids, or sequences of vectors."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]


class Encoder(Protocol):
    """What a corpus needs of a tokenizer."""

    def encode_batch(self, texts: Iterable[str], max_length: int | None = None) -> list[npt.NDArray[np.int32]]:
        """Turns each text into its word ids."""
        ...


@dataclass(frozen=True)
class Corpus:
    """B sequences end to end: sequence b is `steps[offsets[b]:offsets[b + 1]]`.

    Example:
        >>> corpus = Corpus.from_rows([np.array([5, 6, 7], np.int32), np.array([8], np.int32)])
        >>> ids, lengths = corpus.padded(np.array([0, 1]))
        >>> ids.tolist(), lengths.tolist()
        ([[5, 8], [6, 0], [7, 0]], [3, 1])

    Attributes:
        steps: Word ids, int32 [N], or vectors, float32 [N, I], of all N steps.
        offsets: Where each sequence starts, and the end of the last, int64 [B + 1].
    """

    steps: npt.NDArray[Any]
    offsets: Integers

    @classmethod
    def from_rows(cls, rows: Iterable[npt.NDArray[Any]]) -> Self:
        """Joins word ids, int32 [T_b] each, or vectors, float32 [T_b, I] each, into one flat array."""
        listed = list(rows)
        offsets = np.cumsum([0, *(len(row) for row in listed)], dtype=np.int64)
        return cls(np.concatenate(listed) if listed else np.empty(0, np.int32), offsets)

    @classmethod
    def from_texts(cls, texts: Sequence[str], tokenizer: Encoder, max_length: int | None = None) -> Self:
        """Turns texts into word ids."""
        return cls.from_rows(tokenizer.encode_batch(texts, max_length))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Integers:
        """Steps of each sequence, int64 [B]."""
        return np.diff(self.offsets)

    def cut(self, most: int) -> Self:
        """Cuts long sequences into pieces, each a sequence of its own of at most so many steps; the steps stay."""
        lengths = self.lengths
        pieces = -(-lengths // most)
        numbers = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        starts = np.repeat(self.offsets[:-1], pieces) + numbers * most
        return replace(self, offsets=np.append(starts, self.offsets[-1]))

    def row(self, b: int) -> npt.NDArray[Any]:
        """Returns the steps of one sequence, a view."""
        return self.steps[self.offsets[b] : self.offsets[b + 1]]

    def places(self, rows: Integers) -> Integers:
        """Lists the places in `steps` of the steps of chosen sequences, as `padded` lays them out: first steps first.

        Args:
            rows: Which sequences, int64 [B].
        """
        starts, lengths = self.offsets[rows], self.offsets[rows + 1] - self.offsets[rows]
        steps = np.arange(max(1, lengths.max(initial=0)))[:, None]
        places: Integers = (starts + steps)[steps < lengths]
        return places

    def count(self, rows: Integers) -> int:
        """Counts the steps of chosen sequences, int64 [B]."""
        return int((self.offsets[rows + 1] - self.offsets[rows]).sum())

    def padded(self, rows: Integers) -> tuple[npt.NDArray[Any], Integers]:
        """Lays chosen sequences side by side, time first, and fills up with 0, which is `PADDING` among word ids.

        Args:
            rows: Which sequences, int64 [B].

        Returns:
            Word ids int32 [T, B] or vectors float32 [T, B, I], where T is the length of the longest (at least 1), and
            the lengths, int64 [B].
        """
        starts, lengths = self.offsets[rows], self.offsets[rows + 1] - self.offsets[rows]
        steps = np.arange(max(1, lengths.max(initial=0)))[:, None]
        padded = np.zeros((len(steps), len(rows), *self.steps.shape[1:]), self.steps.dtype)
        inside = steps < lengths
        padded[inside] = self.steps[(starts + steps)[inside]]
        return padded, lengths
