"""Scores against counts made by hand."""

import numpy as np
import pytest

from tidegate.models.metrics.reports import score, score_numbers

LABELS = ("a", "b", "c")


def one_hot(predicted: list[int], classes: int = 3) -> np.ndarray:
    """Probabilities that are sure of the predicted classes."""
    return np.eye(classes)[predicted]


def test_accuracy_is_the_share_of_right_rows() -> None:
    """Three of four rows are right."""
    report = score(np.array([0, 1, 2, 2]), one_hot([0, 1, 2, 1]), LABELS)
    assert report.accuracy == 0.75
    assert report.n == 4
    assert report.correct.tolist() == [True, True, True, False]


def test_confusion_has_true_classes_in_rows() -> None:
    """A row of class c that is taken for b counts in row c, column b."""
    report = score(np.array([0, 1, 2, 2]), one_hot([0, 1, 2, 1]), LABELS)
    assert report.confusion.tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 1]]


def test_each_class_has_its_scores() -> None:
    """Precision is over the predictions of a class, recall over its rows, F1 their harmonic mean."""
    report = score(np.array([0, 0, 0, 1, 1, 2]), one_hot([0, 0, 1, 1, 2, 2]), LABELS)
    a, b, c = report.per_class
    assert (a.precision, a.recall, a.f1, a.support) == (1.0, 2 / 3, 0.8, 3)
    assert (b.precision, b.recall, b.f1, b.support) == (0.5, 0.5, 0.5, 2)
    assert (c.precision, c.recall, c.f1, c.support) == (0.5, 1.0, 2 / 3, 1)
    assert report.macro_f1 == pytest.approx((0.8 + 0.5 + 2 / 3) / 3)


def test_a_class_that_never_occurs_is_no_part_of_macro_f1() -> None:
    """A class without rows and predictions has no F1, one that is only predicted has an F1 of 0."""
    truth = np.array([0, 0, 1])
    assert score(truth, one_hot([0, 0, 1]), LABELS).macro_f1 == 1.0
    assert score(truth, one_hot([0, 2, 1]), LABELS).macro_f1 == pytest.approx((2 / 3 + 1 + 0) / 3)


def test_a_class_without_rows_scores_zero_and_not_nan() -> None:
    """Divisions by zero rows give 0."""
    c = score(np.array([0, 1]), one_hot([0, 1]), LABELS).per_class[2]
    assert (c.precision, c.recall, c.f1, c.support) == (0.0, 0.0, 0.0, 0)


def test_as_dict_is_plain_numbers() -> None:
    """The figures survive JSON unchanged."""
    import json

    figures = score(np.array([0, 1, 2, 2]), one_hot([0, 1, 2, 1]).astype(np.float32), LABELS).as_dict()
    assert set(figures) == {"accuracy", "macro_f1", "per_class", "confusion", "log_loss", "ece", "n"}
    assert list(figures["per_class"]) == list(LABELS)
    assert json.loads(json.dumps(figures)) == figures


@pytest.mark.parametrize(
    ("rows", "shape", "message"),
    [
        (2, (3, 3), r"probabilities have shape \(3, 3\), expected \[B, C\] = \(2, 3\): B=2 true classes, C=3 labels"),
        (2, (2, 2), r"probabilities have shape \(2, 2\), expected \[B, C\] = \(2, 3\)"),
        (0, (0, 3), "there is no row to score"),
    ],
)
def test_what_does_not_fit_is_refused(rows: int, shape: tuple[int, int], message: str) -> None:
    """Shapes that do not fit, and nothing at all, are errors that name what was found."""
    with pytest.raises(ValueError, match=message):
        score(np.zeros(rows, np.int64), np.zeros(shape), LABELS)


def test_the_log_loss_is_that_of_the_true_classes() -> None:
    """The log-loss is the mean of −log of the true class's probability, finite even where that is 0."""
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
    report = score(np.array([0, 0, 1]), probabilities, ["no", "yes"])
    assert report.log_loss == pytest.approx(-np.log([0.9, 0.2, 0.5]).mean())
    assert np.isfinite(score(np.array([1]), np.array([[1.0, 0.0]]), ["no", "yes"]).log_loss)


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1.0, 1e6])
def test_the_explained_share_has_no_unit(scale: float) -> None:
    """Predictions that are 5, 1 and 4 off where the truth is 3, 0 and 3 off its mean: 1 - 42/18."""
    truth, predicted = np.array([[1.0], [4.0], [7.0]]), np.array([[6.0], [5.0], [3.0]])
    report = score_numbers(truth * scale, predicted * scale, ["x"])
    assert report.r2 == pytest.approx(1 - 42 / 18)
    assert report.mae == pytest.approx(10 / 3 * scale)
