"""Tests of padding: sequences side by side, and batches of bounded size."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tidegate.sequences.padding import STEPS_PER_BATCH, batches, pad


def test_pad_fills_up_with_zeros() -> None:
    """Sequences stand side by side, time first, followed by 0."""
    x, lengths = pad([np.ones((2, 1)), np.ones((0, 1)), np.ones((3, 1))], 1)
    assert x[:, :, 0].tolist() == [[1, 0, 1], [1, 0, 1], [0, 0, 1]]
    assert lengths.tolist() == [2, 0, 3]
    assert pad([], 4)[0].shape == (0, 0, 4)


@given(st.lists(st.integers(0, 3 * STEPS_PER_BATCH), max_size=60))
def test_batches_are_bounded_and_hold_every_sequence_once(lengths: list[int]) -> None:
    """Every position comes once, longest first, and only a sequence alone exceeds the size of a batch."""
    found = list(batches(lengths))
    positions = [int(row) for rows in found for row in rows]
    assert sorted(positions) == list(range(len(lengths)))
    assert [lengths[row] for row in positions] == sorted(lengths, reverse=True)
    assert all(len(rows) == 1 or len(rows) * lengths[rows[0]] <= STEPS_PER_BATCH for rows in found)
