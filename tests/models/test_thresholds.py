"""Thresholds on the probability of one class, counted by hand."""

import numpy as np
import pytest

from tidegate.models.thresholds import at_recall, at_threshold


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
