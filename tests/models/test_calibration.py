"""Confidence against the share that is right, counted by hand."""

import numpy as np
import pytest

from tidegate.models.metrics.calibration import calibration_error
from tidegate.models.metrics.reports import score


def test_perfectly_calibrated_predictions_have_no_error() -> None:
    """Of rows with a confidence of 0.75 three quarters are right."""
    correct = np.array([True, True, True, False])
    assert calibration_error(correct, np.full(4, 0.75)) == pytest.approx(0)


def test_calibration_error_is_weighted_by_rows() -> None:
    """Three sure and right rows and one sure and wrong row, each in its own bin."""
    correct = np.array([True, True, True, False])
    assert calibration_error(correct, np.array([0.9, 0.9, 0.9, 0.6])) == pytest.approx((3 * 0.1 + 0.6) / 4)


def test_errors_in_opposite_directions_cancel_within_a_bin_only() -> None:
    """Two rows of confidence 0.5, one right and one wrong, agree with their accuracy as long as they share a bin."""
    correct = np.array([True, False])
    assert calibration_error(correct, np.array([0.5, 0.5])) == pytest.approx(0)
    assert calibration_error(correct, np.array([0.3, 0.7])) == pytest.approx(0.7)


def test_a_confidence_of_one_belongs_to_the_last_bin() -> None:
    """Certainty neither falls out of the bins nor gets one of its own."""
    assert calibration_error(np.array([True, False]), np.array([1.0, 0.97]), bins=10) == pytest.approx((1.97 - 1) / 2)


def test_reliability_counts_every_row_once() -> None:
    """The bins hold all rows, each between its bounds, with the share that is right; they are those of the error."""
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([1, 1, 1], 500)
    report = score(rng.integers(3, size=500), probabilities, ["a", "b", "c"])
    bins = report.reliability()
    assert sum(b.n for b in bins) == 500
    assert all(b.low <= b.confidence <= b.high for b in bins)
    assert sum(b.n * b.accuracy for b in bins) / 500 == pytest.approx(report.accuracy)
    assert sum(b.n * abs(b.accuracy - b.confidence) for b in bins) / 500 == pytest.approx(report.ece)
