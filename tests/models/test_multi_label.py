"""Scores of sets of labels, held against scikit-learn, and counted by hand."""

import json

import numpy as np
import pytest

from tidegate.models.metrics.multi_label import score_sets

LABELS = ("fun", "love", "war")


def test_the_figures_are_those_of_scikit_learn() -> None:
    """F1, subset accuracy and log-loss are what scikit-learn computes; a dictionary of them is ready for JSON."""
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    truth = (rng.random((50, 3)) < [0.5, 0.3, 0.1]).astype(np.float32)
    p = rng.random((50, 3)).astype(np.float32)
    report, predicted = score_sets(truth, p, LABELS), p >= 0.5
    assert report.micro_f1 == pytest.approx(metrics.f1_score(truth, predicted, average="micro"))
    assert report.macro_f1 == pytest.approx(metrics.f1_score(truth, predicted, average="macro"))
    assert report.subset_accuracy == pytest.approx(metrics.accuracy_score(truth, predicted))
    rows = metrics.f1_score(truth, predicted, average="samples", zero_division=1)
    assert report.f1.mean() == pytest.approx(rows)
    losses = [metrics.log_loss(truth[:, c], p[:, c].astype(np.float64)) for c in range(3)]
    assert report.log_loss == pytest.approx(np.mean(losses))
    figures = report.as_dict()
    assert json.loads(json.dumps(figures)) == figures
    assert list(figures["per_label"]) == list(LABELS)


def test_a_row_counts_by_its_own_f1() -> None:
    """A rightly empty row counts 1, a wrong one 0, and the difference of two models is in points of F1."""
    truth = np.array([[1, 1, 0], [0, 0, 0], [0, 0, 1]])
    report = score_sets(truth, np.array([[0.9, 0.1, 0.1], [0.1, 0.2, 0.3], [0.9, 0.1, 0.0]]), LABELS)
    np.testing.assert_allclose(report.f1, [2 / 3, 1, 0])
    assert report.correct.tolist() == [False, True, False]
    assert np.isfinite(report.log_loss)
    np.testing.assert_allclose(score_sets(truth, truth, LABELS).gains(report), [100 / 3, 0, 100])


@pytest.mark.parametrize(
    ("truth", "p", "message"),
    [
        (np.zeros((2, 3)), np.zeros((2, 2)), r"probabilities have shape \(2, 2\), expected \[B, C\] = \(2, 3\)"),
        (np.zeros((2, 2)), np.zeros((2, 2)), r"expected \[B, C\]"),
        (np.zeros((0, 3)), np.zeros((0, 3)), "there is no row to score"),
    ],
)
def test_what_does_not_fit_is_refused(truth: np.ndarray, p: np.ndarray, message: str) -> None:
    """Shapes that do not fit, and nothing at all, are errors that name what was found."""
    with pytest.raises(ValueError, match=message):
        score_sets(truth, p, LABELS)
