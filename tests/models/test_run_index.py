"""Runs of words are found where they are, whatever else is hashed to their slots."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.models.run_index import RunIndex

KEYS = st.integers(0, 2**62) | st.integers(0, 40)


@given(st.sets(KEYS, max_size=80), st.lists(KEYS, max_size=40))
@settings(max_examples=200, deadline=None)
def test_rows_are_those_of_the_keys(known: set[int], others: list[int]) -> None:
    """Every known key has its row, and every other one has none."""
    keys = sorted(known)
    places = {key: row for row, key in enumerate(keys)}
    asked = [*keys, *others]
    found = RunIndex(np.array(keys, np.int64)).rows(np.array(asked, np.int64))
    assert found.tolist() == [places.get(key, -1) for key in asked]


def test_many_keys_share_slots() -> None:
    """At the size of a real model, where keys do meet in a slot, all are found, and their neighbours are not."""
    keys = np.unique(np.random.default_rng(0).integers(0, 2**45, 50_000)) * 2
    index = RunIndex(keys)
    assert len(np.unique(index._hashed(keys))) < len(keys)
    assert np.array_equal(index.rows(keys), np.arange(len(keys)))
    assert (index.rows(keys + 1) == -1).all()
