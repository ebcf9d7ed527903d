"""Batches, dropped words, and what is held out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.text.tokenizer import PADDING, UNKNOWN
from tidegate.training.data.sampling import add_noise, drop_words, hold_out, shuffled_batches


@given(st.lists(st.integers(0, 30), min_size=1, max_size=300), st.integers(1, 40), st.integers(0, 5))
def test_every_text_is_in_one_batch(lengths: list[int], size: int, seed: int) -> None:
    """An epoch sees each text once, in batches of at most the size asked for."""
    batches = shuffled_batches(np.array(lengths), size, np.random.default_rng(seed))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert max(map(len, batches)) <= size
    assert len(batches) == -(-len(lengths) // size)


def test_batches_hold_texts_of_about_equal_length() -> None:
    """Less than a twentieth of a batch is padding, where without sorting it is about half."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 401, 10_000)
    batches = shuffled_batches(lengths, 32, rng)
    padded = sum(len(batch) * lengths[batch].max() for batch in batches)
    assert lengths.sum() / padded > 0.95


def test_batches_do_not_come_by_length() -> None:
    """The lengths of consecutive batches are unrelated."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 401, 10_000)
    longest = np.array([lengths[batch].max() for batch in shuffled_batches(lengths, 32, rng)])
    assert abs(np.corrcoef(longest[1:], longest[:-1])[0, 1]) < 0.2


def test_dropped_words_become_unknown() -> None:
    """About the share asked for is replaced, all else stays, and padding is never touched."""
    ids = np.full((200, 100), 7, np.int32)
    ids[150:] = PADDING
    dropped = drop_words(ids, 0.25, np.random.default_rng(0))
    assert (dropped[150:] == PADDING).all()
    assert set(np.unique(dropped[:150])) == {UNKNOWN, 7}
    assert (dropped[:150] == UNKNOWN).mean() == pytest.approx(0.25, abs=0.02)
    assert (ids[:150] == 7).all()


def test_no_word_is_dropped_at_a_share_of_zero() -> None:
    """A share of 0 is exact."""
    ids = np.arange(10_000, dtype=np.int32).reshape(100, 100)
    assert (drop_words(ids, 0.0, np.random.default_rng(0)) == ids).all()


def test_noise_is_added_to_features_alone() -> None:
    """It is normal, of the spread that is asked for, and what says that a value is missing stays as it is."""
    x = np.ones((50, 40, 5), np.float32)
    noisy = add_noise(x, 0.5, 3, np.random.default_rng(0))
    assert noisy.dtype == np.float32
    np.testing.assert_allclose(noisy[..., :3].std(axis=(0, 1)), 0.5, rtol=0.1)
    np.testing.assert_allclose(noisy[..., :3].mean(axis=(0, 1)), 1, atol=0.1)
    np.testing.assert_array_equal(noisy[..., 3:], 1)
    np.testing.assert_array_equal(x, 1)


def test_hold_out_keeps_the_share_of_every_class() -> None:
    """Of 80 and 20 rows a tenth of each is held out, and no row is in both parts."""
    classes = np.array([0] * 80 + [1] * 20)
    kept, held = hold_out(classes, 0.1, np.random.default_rng(0))
    assert np.bincount(classes[held]).tolist() == [8, 2]
    assert sorted([*kept.tolist(), *held.tolist()]) == list(range(100))


def test_hold_out_is_the_same_for_the_same_seed() -> None:
    """The choice depends on the seed alone."""
    classes = np.arange(100) % 3
    first, again, other = (hold_out(classes, 0.3, np.random.default_rng(seed))[1] for seed in (1, 1, 2))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_rare_classes_stay_in_training() -> None:
    """A class of one row is trained on, a class of two is in both parts, whatever the share."""
    classes = np.array([0] * 50 + [1, 1, 2])
    for share in (0.01, 0.9):
        kept, held = hold_out(classes, share, np.random.default_rng(0))
        assert set(classes[kept]) == {0, 1, 2}
        assert set(classes[held]) == {0, 1}


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 10.0, float("nan")])
def test_a_share_is_between_zero_and_one(share: float) -> None:
    """Other shares are refused by name."""
    with pytest.raises(ValueError, match=f"the validation share is {share}, expected a number above 0 and below 1"):
        hold_out(np.array([0, 0, 1, 1]), share, np.random.default_rng(0))


def test_nothing_to_hold_out_is_an_error() -> None:
    """Single rows of each class cannot be split."""
    with pytest.raises(ValueError, match="all 2 labels differ, expected classes with two rows or more"):
        hold_out(np.array([0, 1]), 0.5, np.random.default_rng(0))
