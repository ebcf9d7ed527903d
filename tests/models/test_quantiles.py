"""Quantiles: names, order and scores."""

from typing import Any

import numpy as np
import pytest

from tidegate.models.metrics.quantiles import check_levels, ordered, quantile_labels, read_labels, score_quantiles
from tidegate.models.tasks import TASKS

LABELS = quantile_labels(["load", "a b"], [0.1, 0.5, 0.9])


def test_labels_hold_names_and_levels() -> None:
    """What labels were made of can be read of them, names with spaces too."""
    assert LABELS[3] == "a b 0.1"
    assert read_labels(LABELS) == (("load", "a b"), (0.1, 0.5, 0.9))


@pytest.mark.parametrize(
    "labels",
    [("load",), ("load 0.5", "load 0.1"), ("x 0.1", "y 0.2"), ("x 0.1", "y 0.1", "x 0.2"), ("x nan",), ("x 1",)],
)
def test_other_labels_are_refused(labels: tuple[str, ...]) -> None:
    """Each number has the same levels, in ascending order, one behind the other."""
    with pytest.raises(ValueError, match="expected a name and a level"):
        read_labels(labels)


@pytest.mark.parametrize("levels", [(), (0.0, 0.5), (0.5, 1.0), (0.9, 0.1), (0.5, 0.5), (float("nan"),)])
def test_levels_ascend_between_0_and_1(levels: tuple[float, ...]) -> None:
    """Others are an error that lists them."""
    with pytest.raises(ValueError, match="expected ascending numbers between 0 and 1"):
        check_levels(levels)


def test_levels_keep_all_their_digits() -> None:
    """Levels that differ late are two labels, and are read as given; those of few digits are short."""
    levels = (1e-05, 0.1, 0.1000001, 0.12345649, 0.9999999)
    assert read_labels(quantile_labels(["y"], levels)) == (("y",), levels)
    assert quantile_labels(["y"], (1e-05, 0.0001, 0.25)) == ("y 1e-05", "y 0.0001", "y 0.25")


@pytest.mark.parametrize("levels", ["0.1,0.5", 0.5, None, ["0.1"], [None]])
def test_levels_are_a_list_of_numbers(levels: Any) -> None:
    """A text or a number alone is refused by what is expected."""
    with pytest.raises(TypeError, match=r"expected (a list of )?numbers between 0 and 1: \[0.1"):
        check_levels(levels)


def test_quantiles_never_cross() -> None:
    """Those of each number are sorted by themselves."""
    assert ordered(np.array([[3.0, 1, 2, 9, 8, 7]]), LABELS).tolist() == [[1, 2, 3, 7, 8, 9]]


def test_the_loss_is_that_of_scikit_learn() -> None:
    """Pinball losses are scikit-learn's; the true quantiles score 0, and the coverage is counted."""
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    truth, predicted = rng.normal(size=(50, 2)), np.sort(rng.normal(size=(50, 2, 3)), axis=2).reshape(50, 6)
    report = score_quantiles(truth, predicted, LABELS)
    losses = [
        metrics.mean_pinball_loss(truth[:, n], predicted[:, 3 * n + i], alpha=q)
        for n in range(2)
        for i, q in enumerate((0.1, 0.5, 0.9))
    ]
    assert report.pinball == pytest.approx(np.mean(losses))
    within = [(truth[:, n] >= predicted[:, 3 * n]) & (truth[:, n] <= predicted[:, 3 * n + 2]) for n in range(2)]
    assert report.coverage == np.mean(within)
    constant = np.repeat(np.quantile(truth, (0.1, 0.5, 0.9), axis=0).T.reshape(1, 6), 50, axis=0)
    assert score_quantiles(truth, constant, LABELS).r1 == pytest.approx(0)
    assert report.as_dict()["below"]["load 0.5"] == (truth[:, 0] <= predicted[:, 1]).mean()


def test_what_does_not_fit_is_refused() -> None:
    """Shapes that do not fit, and nothing at all, are errors."""
    with pytest.raises(ValueError, match=r"truth has shape \(3, 1\)"):
        score_quantiles(np.zeros((3, 1)), np.zeros((3, 6)), LABELS)
    with pytest.raises(ValueError, match="there is no row"):
        score_quantiles(np.zeros((0, 2)), np.zeros((0, 6)), LABELS)


@pytest.mark.parametrize(("levels", "foremost"), [((0.1, 0.5, 0.9), 1), ((0.9,), 0), ((0.1, 0.2, 0.45, 0.7), 2)])
def test_the_median_is_looked_at_first(levels: tuple[float, ...], foremost: int) -> None:
    """Where no number is asked for, it is the first one's quantile that is nearest to the median."""
    assert TASKS["quantiles"].foremost(quantile_labels(["heat", "load"], levels)) == foremost
    assert TASKS["regression"].foremost(["heat", "load"]) == 0
