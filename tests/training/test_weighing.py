"""Tests of weighing the parts of a sum of logits."""

from importlib import import_module

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("threadpoolctl")

from tidegate.models.metrics.reports import score
from tidegate.sequences.embedded import softmax
from tidegate.training.ngrams.weighing import stack, weigh


def test_weights_calibrate() -> None:
    """Logits that are twice too large get half the weight, and a part of noise next to none."""
    rng = np.random.default_rng(1)
    true = rng.normal(size=(4000, 3)) * 2
    targets = np.array([rng.choice(3, p=p) for p in softmax(true)])
    weighing = weigh([2 * true + [0, 0, 1], rng.normal(size=(4000, 3))], targets)
    assert weighing.weights == pytest.approx([0.5, 0], abs=0.05)
    assert weighing.bias - weighing.bias[2] == pytest.approx([0.5, 0.5, 0], abs=0.15)
    probabilities = softmax(weighing.sum([2 * true + [0, 0, 1], rng.normal(size=(4000, 3))]))
    assert score(targets, probabilities, ["a", "b", "c"]).ece < 0.03


def test_weights_are_not_negative() -> None:
    """A part that is wrong more often than right is left out and not turned round."""
    targets = np.arange(200) % 2
    wrong = np.eye(2)[1 - targets] * 3
    assert weigh([wrong, -wrong], targets).weights[0] == 0


def test_few_texts_leave_the_weights_about_equal() -> None:
    """Four texts do not decide between two parts that are both right."""
    targets = np.array([0, 1, 0, 1])
    right = np.eye(2)[targets]
    weights = weigh([right, right * 0.9], targets).weights
    assert weights == pytest.approx([0.5, 0.5], abs=0.25)


def test_margins_of_neighbours_find_the_class_between_them() -> None:
    """Where a line cannot part the middle one of three classes from the rest, the margins of its neighbours find it."""
    place = np.random.default_rng(2).uniform(-3, 3, 3000)
    targets = np.digitize(place, [-1, 1])
    margins = np.stack([-place - 1, -place, place - 1], axis=1)
    found = stack([margins, 0.5 * margins], targets)
    stacked = np.mean([margins @ found.matrices[0], 0.5 * margins @ found.matrices[1]], axis=0) + found.bias
    assert (weigh([margins], targets).sum([margins]).argmax(axis=1) == targets).mean() < 0.8
    assert (stacked.argmax(axis=1) == targets).mean() > 0.95


def test_few_texts_stack_next_to_nothing() -> None:
    """Two texts of each of three classes leave each class about to its own margin."""
    targets = np.arange(6) % 3
    found = stack([np.eye(3)[targets]], targets)
    assert found.matrices[0] / found.matrices[0].trace() * 3 == pytest.approx(np.eye(3), abs=0.35)


def test_the_number_of_threads_changes_no_bit() -> None:
    """BLAS with one thread and with two finds the same matrices."""
    rng = np.random.default_rng(3)
    targets = rng.integers(0, 5, 30_000)
    margins = [rng.normal(size=(30_000, 5)) + size * np.eye(5)[targets] for size in (1, 2)]
    found = []
    for threads in (1, 2):
        with import_module("threadpoolctl").threadpool_limits(threads, user_api="blas"):
            found.append((stack(margins, targets), weigh(margins, targets)))
    (one, one_weighing), (two, two_weighing) = found
    assert one.matrices.tobytes() == two.matrices.tobytes()
    assert one.bias.tobytes() == two.bias.tobytes()
    assert one_weighing.weights.tobytes() == two_weighing.weights.tobytes()


def test_a_search_can_be_ended() -> None:
    """What is raised while a matrix is sought comes out at the step where it was raised."""
    targets = np.random.default_rng(4).integers(0, 4, 400)
    steps = iter(range(12))

    def check() -> None:
        if next(steps) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stack([np.eye(4)[targets], -np.eye(4)[targets[::-1]]], targets, check=check)
    assert next(steps) == 6
