"""Networks of the studies: their starts, their training and their scores."""

import numpy as np
import pytest
import torch

from tidegate.study.networks import Fit, Reader, evaluate, fit, score
from tidegate.study.tasks import Batch, adding, copying, deciding_word


def test_a_short_distance_is_learnt() -> None:
    """A GRU learns a task that it can, to a score near 1 on sequences it has not seen, and stops when it is enough."""
    torch.manual_seed(0)
    task = deciding_word(2)
    reader = Reader(task, "gru", 8)
    assert evaluate(reader, task, 0)["score"] < 0.7
    found = fit(reader, task, 0, steps=300, learning_rate=0.02, enough=0.99)
    assert evaluate(reader, task, 0)["score"] > 0.97
    assert len(found.scores) < 300


def test_a_seed_gives_the_same_training() -> None:
    """Everything random follows from the seeds."""
    found = []
    for _ in range(2):
        torch.manual_seed(3)
        reader = Reader(adding(5), "rnn_tanh", 4)
        found.append(fit(reader, adding(5), 3, steps=10, learning_rate=0.01).scores)
    assert found[0] == found[1]


def test_a_loss_that_is_not_finite_ends_the_training() -> None:
    """Training stops there, says at which step, and its network scores nothing."""
    task = adding(5)
    reader = Reader(task, "rnn_relu", 4)
    with torch.no_grad():
        reader.head.bias.fill_(torch.inf)
    assert fit(reader, task, 0, steps=10, learning_rate=0.01) == Fit([], 0)
    assert evaluate(reader, task, 0)["score"] == 0


@pytest.mark.parametrize(("start", "gain"), [("orthogonal", 1.0), ("orthogonal", 1.5), ("identity", 1.0)])
def test_a_start_has_the_norm_it_should(start: str, gain: float) -> None:
    """Every direction is passed on with the same factor, and biases start at 0."""
    weights = Reader(adding(5), "rnn_tanh", 8, start=start, gain=gain).weights()
    assert np.allclose(np.linalg.svd(weights["weight_hh_l0"], compute_uv=False), gain, atol=1e-5)
    assert not weights["bias_hh_l0"].any()


def test_steps_until_good_are_those_of_a_mean() -> None:
    """One lucky batch is not enough, and what is never reached takes None."""
    assert Fit([0.0, 1.0, 0.0, 1.0, 1.0, 1.0], None).steps_to(0.9, over=2) == 5
    assert Fit([0.0, 1.0] * 20, None).steps_to(0.9, over=2) is None
    assert Fit([1.0], None).steps_to(0.9, over=2) is None


def test_scores_are_accuracy_or_explained_variance() -> None:
    """Of classes the share that is right, of numbers R², 0 if the mean would be better."""
    classes = Batch(np.zeros((1, 2, 1), np.float32), np.array([0, 1]), None)
    assert score(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), classes) == 0.5
    numbers = Batch(np.zeros((1, 3, 1), np.float32), np.array([[0.0], [1.0], [2.0]], np.float32), None)
    assert score(torch.tensor([[0.0], [1.0], [2.0]]), numbers) == 1
    assert score(torch.tensor([[9.0], [9.0], [9.0]]), numbers) == 0


def test_marked_steps_are_answered_in_their_order() -> None:
    """The answers at marked steps are those of the states there, time first."""
    task = copying(2, 3)
    reader, drawn = Reader(task, "gru", 4), task.draw(np.random.default_rng(0), 3)
    assert drawn.where is not None
    states = reader.rnn(torch.from_numpy(drawn.x))[0]
    expected = torch.stack([reader.head(states[t, b]) for t, b in np.argwhere(drawn.where)])
    assert torch.allclose(reader.answer(drawn), expected)
