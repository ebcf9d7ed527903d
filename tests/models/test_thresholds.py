"""Thresholds on the probability of one class, counted by hand."""

import numpy as np
import pytest

from tidegate.models.metrics.thresholds import at_best_f1, at_recall, at_threshold, chosen_labels


def test_operating_points() -> None:
    """A threshold takes the rows at or above it; the one for a recall is the highest that finds this share."""
    positive, p = np.array([True, True, True, True, False]), np.array([0.9, 0.8, 0.3, 0.2, 0.5])
    assert at_threshold(positive, p, 0.5) == (0.5, 2 / 3, 0.5)
    assert at_recall(positive, p, 0.5) == (0.8, 1.0, 0.5)
    assert at_recall(positive, p, 1.0) == (0.2, 0.8, 1.0)
    assert at_recall(positive, p, 1e-11) == (0.9, 1.0, 0.25)
    with pytest.raises(ValueError, match="recall is 0"):
        at_recall(positive, p, 0)
    with pytest.raises(ValueError, match="no row is of the class"):
        at_recall(~positive[:4], p[:4], 0.5)


@pytest.mark.parametrize(
    ("positive", "p", "expected"),
    [
        ([1, 1, 0, 1, 0], [0.9, 0.8, 0.7, 0.6, 0.1], (0.6, 0.75, 1.0)),
        ([1, 0, 0], [0.5, 0.5, 0.1], (0.5, 0.5, 1.0)),  # equals are taken together
        ([0, 0], [0.9, 0.1], (0.5, 0.0, 0.0)),
    ],
)
def test_the_best_threshold(positive: list[int], p: list[float], expected: tuple[float, ...]) -> None:
    """F1 is largest at the threshold that is found; a class that does not occur keeps 0.5."""
    assert at_best_f1(np.array(positive) > 0, np.array(p)) == expected


def test_labels_are_chosen_by_thresholds_and_number() -> None:
    """A threshold may be one for all labels or one for each, and the most probable ones are taken first."""
    p = np.array([[0.9, 0.6, 0.7], [0.1, 0.2, 0.5]])
    assert chosen_labels(p).tolist() == [[True, True, True], [False, False, True]]
    assert chosen_labels(p, [0.95, 0.2, 0.6]).tolist() == [[False, True, True], [False, True, False]]
    assert chosen_labels(p, 0.15, most=1).tolist() == [[True, False, False], [False, False, True]]
