"""Tests of weighing the parts of a sum of logits."""

import numpy as np
import pytest

pytest.importorskip("scipy")

from tidegate.models.metrics.reports import score
from tidegate.sequences.embedded import softmax
from tidegate.training.ngrams.weighing import weigh


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
