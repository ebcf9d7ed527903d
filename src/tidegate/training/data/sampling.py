"""What chance decides while a network is trained: batches, dropped words, and what is held out."""

import numpy as np
import numpy.typing as npt

from tidegate.text.tokenizer import PADDING, UNKNOWN
from tidegate.training.data.corpus import Integers

_POOL = 50  # batches sorted by length together: enough for little padding, few enough to stay shuffled


def shuffled_batches(lengths: Integers, size: int, rng: "np.random.Generator") -> list[Integers]:
    """Cuts all rows into batches of about equal length, in random order.

    Rows are shuffled, sorted by length within pools of 50 batches, cut, and the batches are shuffled.

    Args:
        lengths: Steps of each sequence, int64 [B].
        size: Rows in a batch; the last may have fewer.
        rng: Source of the order.
    """
    order = rng.permutation(len(lengths))
    pools = (order[start : start + size * _POOL] for start in range(0, len(order), size * _POOL))
    sorted_pools = (pool[np.argsort(lengths[pool], kind="stable")] for pool in pools)
    batches = [pool[start : start + size] for pool in sorted_pools for start in range(0, len(pool), size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def drop_words(ids: npt.NDArray[np.int32], share: float, rng: "np.random.Generator") -> npt.NDArray[np.int32]:
    """Replaces a random share of the words by the unknown word; padding stays padding.

    Args:
        ids: Word ids, int32 [T, B].
        share: Probability of each word to be replaced, 0 to 1.
        rng: Source of the choice.
    """
    dropped = (rng.random(ids.shape, np.float32) < share) & (ids != PADDING)
    return np.where(dropped, np.int32(UNKNOWN), ids)


def add_noise(
    x: npt.NDArray[np.float32], deviation: float, features: int, rng: "np.random.Generator"
) -> npt.NDArray[np.float32]:
    """Adds normal noise to the features of vectors; what says whether they are missing stays.

    Args:
        x: Scaled and without gaps, float32 [T, B, I], with the features first.
        deviation: Standard deviation of the noise.
        features: K, how many features there are.
        rng: Source of the noise.
    """
    noisy = x.copy()
    noisy[..., :features] += np.float32(deviation) * rng.standard_normal((*x.shape[:-1], features), np.float32)
    return noisy


def hold_out(groups: Integers, share: float, rng: "np.random.Generator") -> tuple[Integers, Integers]:
    """Splits rows in two with the same share of every group, such as a class (stratified).

    A group of two rows or more is in both parts, a group of one row only in the first.

    Args:
        groups: Group of each row, int64 [B]; all the same to hold out any rows.
        share: Share of the rows of each group that is held out, above 0 and below 1.
        rng: Source of the choice.

    Returns:
        The rows to keep and the rows held out, ascending, int64.

    Raises:
        ValueError: `share` is not between 0 and 1, or nothing can be held out.
    """
    if not 0 < share < 1:
        raise ValueError(f"the validation share is {share}, expected a number above 0 and below 1")
    held = []
    for group in np.unique(groups):
        rows = rng.permutation(np.flatnonzero(groups == group))
        count = min(max(1, round(share * len(rows))), len(rows) - 1)
        held.append(rows[:count])
    out = np.sort(np.concatenate(held)) if held else np.empty(0, np.int64)
    if len(out) == 0:
        raise ValueError(
            f"all {len(groups)} labels differ, expected classes with two rows or more: is this the column of labels?"
        )
    return np.setdiff1d(np.arange(len(groups)), out), out
