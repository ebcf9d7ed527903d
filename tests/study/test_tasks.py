"""The tasks made by rule: what is asked follows from what is read."""

import numpy as np
import pytest

from tidegate.study.tasks import Task, adding, copying, deciding_word, deciding_words, starting_afresh

TASKS = [deciding_word(7), deciding_words(20), adding(10), copying(3, 4), starting_afresh(6)]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_batch_has_the_shapes_of_its_task(task: Task) -> None:
    """Inputs are float32 [T, B, I]; there is one answer for each row, or for each step that is marked."""
    x, target, where = task.draw(np.random.default_rng(0), 5)
    asked = 5 if where is None else int(where.sum())
    assert x.dtype == np.float32
    assert x.shape[1:] == (5, task.inputs)
    assert target.shape == ((asked, task.outputs) if target.dtype.kind == "f" else (asked,))
    assert where is None or where.shape == x.shape[:2]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_seed_draws_the_same_batch(task: Task) -> None:
    """The same seed draws the same sequences, and another seed others."""
    first, again, other = (task.draw(np.random.default_rng(seed), 5).x for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_deciding_word_stands_where_it_should() -> None:
    """It is the only one of its kind, so many words before the end, and it is the answer."""
    x, target, _ = deciding_word(distance=7).draw(np.random.default_rng(0), 50)
    deciding = x[..., :2].sum(axis=2)
    assert np.array_equal(deciding.argmax(axis=0), np.full(50, len(x) - 8))
    assert (deciding.sum(axis=0) == 1).all()
    assert np.array_equal(x[len(x) - 8, :, :2].argmax(axis=1), target)


def test_mixed_distances_are_spread_over_the_whole_range() -> None:
    """Near and far distances both occur, none beyond the longest."""
    rng = np.random.default_rng(0)
    lengths = [len(deciding_words(100).draw(rng, 1).x) - 6 for _ in range(300)]
    assert min(lengths) == 1
    assert 80 < max(lengths) <= 100
    assert 5 < np.median(lengths) < 20


def test_adding_asks_for_the_sum_of_the_marked_numbers() -> None:
    """Two numbers are marked, one in each half, and the target is their sum."""
    x, target, _ = adding(10).draw(np.random.default_rng(0), 50)
    assert (x[:5, :, 1].sum(axis=0) == 1).all()
    assert (x[5:, :, 1].sum(axis=0) == 1).all()
    assert np.allclose((x[..., 0] * x[..., 1]).sum(axis=0), target[:, 0])


def test_copying_asks_for_what_was_read_first() -> None:
    """From the sign on, each step asks for one symbol, in the order of reading."""
    x, target, where = copying(symbols=3, delay=4, kinds=4).draw(np.random.default_rng(0), 5)
    assert where is not None
    assert where[:, 0].tolist() == [False] * 7 + [True] * 3
    assert np.array_equal(x[:3].argmax(axis=2).ravel(), target)
    assert (x[7].argmax(axis=1) == 5).all()


def test_a_marker_cuts_the_past_off() -> None:
    """At a marker the answer is the step's own numbers; elsewhere it is computed with the answer before."""
    x, target, _ = starting_afresh(steps=20, numbers=3, share=0.3).draw(np.random.default_rng(0), 8)
    y, numbers, marked = target.reshape(20, 8, 3), x[..., :3], x[..., 3] == 1
    assert marked[0].all()
    assert 0.15 < marked[1:].mean() < 0.5
    assert np.array_equal(y[marked], numbers[marked])
    expected = np.abs(np.roll(y[:-1], 1, axis=2) - numbers[1:])
    assert np.allclose(y[1:][~marked[1:]], expected[~marked[1:]])
