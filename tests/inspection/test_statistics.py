"""Rank correlations and bootstrap intervals against what is known of them."""

import numpy as np
import pytest

from tidegate.inspection.statistics import bootstrap, rank_correlation


def test_ranks_are_correlated_as_spearman_does() -> None:
    """Order alone counts; equal numbers share the mean of their ranks."""
    assert rank_correlation([1, 2, 3, 9], [0.1, 0.2, 0.25, 70]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3, 9], [5, 4, 3, 2]) == pytest.approx(-1)
    # Ranks 1, 2.5, 2.5, 4 and 1, 3, 2, 4: covariance 4.5, squares 4.5 and 5.
    assert rank_correlation([1, 2, 2, 3], [1, 3, 2, 4]) == pytest.approx(4.5 / np.sqrt(4.5 * 5))


@pytest.mark.parametrize("numbers", [[], [7.0], [2.0, 2.0, 2.0]])
def test_ranks_that_do_not_differ_correlate_with_nothing(numbers: list[float]) -> None:
    """Where all numbers are equal, the correlation is 0."""
    assert rank_correlation(numbers, list(range(len(numbers)))) == 0


def test_the_bootstrap_interval_is_that_of_the_mean() -> None:
    """For many values it is close to ± 1.96 standard errors, and it follows from the seed."""
    values = np.random.default_rng(0).standard_normal(400) + 3
    interval, half = bootstrap(values, seed=0), 1.96 * values.std() / 20
    assert interval.mean == values.mean()
    assert interval.low == pytest.approx(values.mean() - half, abs=0.02)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.02)
    assert bootstrap(values, seed=0) == interval


@pytest.mark.parametrize("values", [[], [[1.0]]])
def test_a_bootstrap_needs_values(values: list[float]) -> None:
    """Without a value there is no mean."""
    with pytest.raises(ValueError, match=r"expected \[n\] with n ≥ 1"):
        bootstrap(values, seed=0)
