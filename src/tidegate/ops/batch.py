"""What is known of the rows of a batch beside their numbers: one value, checked once, and handed on whole."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate import _native
from tidegate.ops.checks import (
    Sizes,
    check_batch_sizes,
    check_choice,
    check_episode_starts,
    check_ids,
    check_lengths,
)

Integers = npt.NDArray[np.int64]
Marks = npt.NDArray[np.uint8]
IntegersLike = Sequence[int] | npt.NDArray[np.integer[Any]]

EPISODE_STATES = ("zeros", "h0")
"""The states that an episode starts from, when several are packed in one row."""


class Batch:
    """The rows of a batch, padded or packed; not to be changed.

    Attributes:
        T: Steps of the longest row.
        B: Rows.
        lengths: Steps of each row, int64 [B]; None for T everywhere.
        batch_sizes: Rows at each step of a packed sequence, int64 [T]; None for a padded batch.
        episode_starts: Not 0 on the first step of each episode, uint8 [T, B] or packed [N]; None for one episode a row.
        episode_state: What an episode starts from, "zeros" or "h0".
        ids: The row of a table that each step reads, int64 [T·B] or [N]; None where inputs come step by step.
        V: Rows of that table, against which the ids were checked; 0 without.
    """

    __slots__ = ("B", "T", "V", "_native", "batch_sizes", "episode_starts", "episode_state", "ids", "lengths")

    def __init__(
        self,
        T: int,
        B: int,
        lengths: Integers | None = None,
        batch_sizes: Integers | None = None,
        episode_starts: Marks | None = None,
        episode_state: str = "zeros",
        ids: Integers | None = None,
        V: int = 0,
    ) -> None:
        """Takes what has been checked; see `check_batch`."""
        self.T, self.B, self.lengths, self.batch_sizes = T, B, lengths, batch_sizes
        self.episode_starts, self.episode_state = episode_starts, episode_state
        self.ids, self.V = ids, V
        self._native: list[_native.BatchRows | None] = [None, None]

    def native(self, reverse: bool) -> _native.BatchRows:
        """Returns the same for the kernels, made once for each direction."""
        rows = self._native[reverse]
        if rows is None:
            sizes, marks, from_h0 = self.batch_sizes, self.episode_starts, self.episode_state == "h0"
            starts = None if sizes is None else np.cumsum(sizes) - sizes
            rows = _native.BatchRows(self.T, self.B, self.lengths, starts, reverse, marks, from_h0, self.ids, self.V)
            self._native[reverse] = rows  # should two threads come here at once, both make the same
        return rows

    @property
    def leading(self) -> tuple[int, ...]:
        """The leading axes of an array with a row for each step: (T, B), or (N,) when packed."""
        return (self.T, self.B) if self.batch_sizes is None else (int(self.batch_sizes.sum()),)

    def without_ids(self) -> "Batch":
        """Returns the same rows for inputs that come step by step."""
        if self.ids is None:
            return self
        return Batch(self.T, self.B, self.lengths, self.batch_sizes, self.episode_starts, self.episode_state)

    def row_lengths(self) -> Integers:
        """Returns the steps of each row, int64 [B]."""
        return np.full(self.B, self.T) if self.lengths is None else self.lengths


@lru_cache
def dense_batch(T: int, B: int, episode_state: str = "zeros") -> Batch:
    """Returns rows that all have T steps: one value for the calls of a stream or of a training."""
    return Batch(T, B, episode_state=episode_state)


def packed_lengths(batch_sizes: Integers) -> Integers:
    """Returns the steps of each row of a packed sequence, int64 [B]."""
    rows = int(batch_sizes[0]) if len(batch_sizes) else 0
    return np.searchsorted(-batch_sizes, -np.arange(rows), side="left").astype(np.int64)


def check_batch(
    sizes: Sizes,
    *,
    lengths: IntegersLike | None = None,
    batch_sizes: IntegersLike | None = None,
    episode_starts: npt.NDArray[np.bool_] | None = None,
    episode_state: str = "zeros",
    ids: npt.NDArray[np.integer[Any]] | None = None,
) -> Batch:
    """Checks what is said of the rows of a batch against its sizes, and binds the letters that have none yet.

    Args:
        sizes: Those of T and B, or of N for a packed sequence; of V for ids.
        lengths: Steps of each row, ints [B] in 0..T in any order; None for T everywhere.
        batch_sizes: Rows at each step of a packed sequence, ints [T], non-increasing, with sum N.
        episode_starts: True on the first step of each episode, bool [T, B] or [N].
        episode_state: What an episode starts from, "zeros" or "h0".
        ids: The row of a table that each step reads, ints [T, B] or [N] in 0..V-1.

    Raises:
        TypeError: Lengths, batch sizes or ids are no integers, or episode starts no booleans.
        ValueError: A shape or a number does not fit, or lengths and batch sizes are both given.
    """
    letters = "T B" if batch_sizes is None else "N"
    numbers = None if ids is None else check_ids(ids, letters, sizes).ravel()
    V = 0 if ids is None else sizes["V"][0]
    rows: Integers | None = None
    if batch_sizes is not None:
        if lengths is not None:
            raise ValueError("lengths and batch_sizes are both given, expected one: batch_sizes imply the lengths")
        batch_sizes = check_batch_sizes(batch_sizes, sizes)
        rows = packed_lengths(batch_sizes)
    elif lengths is not None:
        rows = check_lengths(lengths, sizes)
    check_choice("episode_state", episode_state, EPISODE_STATES)
    marks = None if episode_starts is None else check_episode_starts(episode_starts, letters, sizes)
    return Batch(sizes["T"][0], sizes["B"][0], rows, batch_sizes, marks, episode_state, numbers, V)
