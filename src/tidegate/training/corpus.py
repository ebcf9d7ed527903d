"""Texts as word ids in one flat array, and how batches are cut from it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

PADDING, UNKNOWN = 0, 1
_POOL = 50  # batches sorted by length together: enough for little padding, few enough to stay shuffled
_ENCODE_ROWS = 2048  # the tokenizer's own records take kilobytes a text; only the ids are kept

Integers = npt.NDArray[np.int64]


class Encoder(Protocol):
    """What a corpus needs of a tokenizer."""

    def encode_batch(self, texts: Sequence[str], max_length: int | None = None) -> list[npt.NDArray[np.int32]]:
        """Turns each text into its word ids."""
        ...


@dataclass(frozen=True)
class Corpus:
    """B texts as word ids: text b is `ids[offsets[b]:offsets[b + 1]]`.

    Example:
        >>> corpus = Corpus.from_rows([np.array([5, 6, 7], np.int32), np.array([8], np.int32)])
        >>> ids, lengths = corpus.padded(np.array([0, 1]))
        >>> ids.tolist(), lengths.tolist()
        ([[5, 8], [6, 0], [7, 0]], [3, 1])

    Attributes:
        ids: Word ids of all texts end to end, int32 [words].
        offsets: Where each text starts, and the end of the last, int64 [B + 1].
    """

    ids: npt.NDArray[np.int32]
    offsets: Integers

    @classmethod
    def from_rows(cls, rows: Iterable[npt.NDArray[np.int32]]) -> Self:
        """Joins ragged rows of word ids, each int32 [T_b], into one flat array."""
        listed = list(rows)
        offsets = np.cumsum([0, *(len(row) for row in listed)], dtype=np.int64)
        return cls(np.concatenate(listed) if listed else np.empty(0, np.int32), offsets)

    @classmethod
    def from_texts(cls, texts: Sequence[str], tokenizer: Encoder, max_length: int | None = None) -> Self:
        """Encodes texts, a few thousand at a time to bound the memory that encoding takes."""
        starts = range(0, len(texts), _ENCODE_ROWS)
        parts = (tokenizer.encode_batch(texts[start : start + _ENCODE_ROWS], max_length) for start in starts)
        return cls.from_rows(row for part in parts for row in part)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Integers:
        """Words in each text, int64 [B]."""
        return np.diff(self.offsets)

    def padded(self, rows: Integers) -> tuple[npt.NDArray[np.int32], Integers]:
        """Lays chosen texts side by side, time first, and fills up with `PADDING`.

        Args:
            rows: Which texts, int64 [B].

        Returns:
            Word ids int32 [T, B], where T is the length of the longest (at least 1), and the lengths, int64 [B].
        """
        starts, lengths = self.offsets[rows], self.offsets[rows + 1] - self.offsets[rows]
        steps = np.arange(max(1, lengths.max(initial=0)))[:, None]
        ids = np.full((len(steps), len(rows)), PADDING, np.int32)
        inside = steps < lengths
        ids[inside] = self.ids[(starts + steps)[inside]]
        return ids, lengths


def shuffled_batches(lengths: Integers, size: int, rng: np.random.Generator) -> list[Integers]:
    """Cuts all rows into batches of about equal length, in random order.

    Rows are shuffled, sorted by length within pools of 50 batches, cut, and the batches are shuffled.

    Args:
        lengths: Words in each text, int64 [B].
        size: Rows in a batch; the last may have fewer.
        rng: Source of the order.
    """
    order = rng.permutation(len(lengths))
    pools = (order[start : start + size * _POOL] for start in range(0, len(order), size * _POOL))
    sorted_pools = (pool[np.argsort(lengths[pool], kind="stable")] for pool in pools)
    batches = [pool[start : start + size] for pool in sorted_pools for start in range(0, len(pool), size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def drop_words(ids: npt.NDArray[np.int32], share: float, rng: np.random.Generator) -> npt.NDArray[np.int32]:
    """Replaces a random share of the words by the unknown word; padding stays padding.

    Args:
        ids: Word ids, int32 [T, B].
        share: Probability of each word to be replaced, 0 to 1.
        rng: Source of the choice.
    """
    dropped = (rng.random(ids.shape, np.float32) < share) & (ids != PADDING)
    return np.where(dropped, np.int32(UNKNOWN), ids)


def hold_out(classes: Integers, share: float, rng: np.random.Generator) -> tuple[Integers, Integers]:
    """Splits rows in two with the same share of every class (stratified).

    A class of two rows or more is in both parts, a class of one row only in the first.

    Args:
        classes: Class of each row, int64 [B].
        share: Share of the rows of each class that is held out, above 0 and below 1.
        rng: Source of the choice.

    Returns:
        The rows to keep and the rows held out, ascending, int64.

    Raises:
        ValueError: `share` is not between 0 and 1, or nothing can be held out.
    """
    if not 0 < share < 1:
        raise ValueError(f"the validation share is {share}, expected a number above 0 and below 1")
    held = []
    for group in np.unique(classes):
        rows = rng.permutation(np.flatnonzero(classes == group))
        count = min(max(1, round(share * len(rows))), len(rows) - 1)
        held.append(rows[:count])
    out = np.sort(np.concatenate(held)) if held else np.empty(0, np.int64)
    if len(out) == 0:
        raise ValueError(
            f"all {len(classes)} labels differ, expected classes with two rows or more: is this the column of labels?"
        )
    return np.setdiff1d(np.arange(len(classes)), out), out
