"""How far figures may be trusted: rank correlation and bootstrap intervals, on numpy alone."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


def rank_correlation(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Correlates the ranks of two rows of numbers: Spearman's ρ, equal numbers sharing the mean of their ranks.

    Args:
        first: Numbers, float [n].
        second: As many numbers.

    Returns:
        −1..1; 0 where one of the rows is the same number throughout, which tells nothing.
    """
    deviations = []
    for numbers in (first, second):
        _, place, counts = np.unique(np.asarray(numbers), return_inverse=True, return_counts=True)
        ranks = (counts.cumsum() - (counts - 1) / 2)[place]
        deviations.append(ranks - ranks.mean() if len(ranks) else ranks)
    a, b = deviations
    return float(a @ b / (np.sqrt(a @ a * (b @ b)) or 1))


@dataclass(frozen=True)
class Interval:
    """A mean, and the interval that holds it with a confidence of 95 %."""

    mean: float
    low: float
    high: float


def bootstrap(values: npt.ArrayLike, seed: int, resamples: int = 2000) -> Interval:
    """Tells how far the mean of some values may be trusted, by the percentile bootstrap (Efron 1979).

    Pairs are compared by passing their differences.

    Args:
        values: One value for each unit that was drawn by chance, such as a text, float [n] with n ≥ 1.
        seed: Of the resampling.
        resamples: How often n values are drawn, with replacement, to see how the mean moves.

    Raises:
        ValueError: There is no value.
    """
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or not len(array):
        raise ValueError(f"values has shape {array.shape}, expected [n] with n ≥ 1")
    rng = np.random.default_rng(seed)
    means = [array[rng.integers(len(array), size=len(array))].mean() for _ in range(resamples)]
    low, high = np.quantile(means, (0.025, 0.975)).tolist()
    return Interval(float(array.mean()), low, high)
