"""Simple forecasts of the next steps, which a network must beat; each is fitted to what is trained on.

Of numbers they are the last value, the value a season ago (Hyndman & Athanasopoulos, "Forecasting: Principles and
Practice", section 5.2), and a linear model of the last steps, by least squares. Of features that are 0 or 1 they are
the frequency of a 1, and its frequency after a 0 and after a 1. Of labels of steps, see `labelled_steps`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.training.baselines.token_forecasts import token_forecasts
from tidegate.training.data.corpus import Corpus
from tidegate.training.data.examples import Examples, SequenceExamples, TextExamples
from tidegate.training.data.labelled import Labelled
from tidegate.training.data.labelled_steps import without_memory

Array = npt.NDArray[np.floating[Any]]

MOST_SEASON = 400  # steps of a season that is looked for
_SEASONAL = 0.3  # autocorrelation from which there is a season
_LAGS = 8  # steps that the linear model reads, or a season if that is shorter
_MOST_INPUTS = 2048  # of the linear model
_RIDGE = 1e-3  # of the mean square of an input, against inputs that are copies of each other


def forecasts(examples: Examples) -> dict[str, Any]:
    """Judges simple forecasts of what is held out.

    Args:
        examples: Sequences whose next steps or the labels of whose steps are to be predicted, or texts.

    Returns:
        The report of each forecast by its name.
    """
    if isinstance(examples, TextExamples):
        return token_forecasts(examples)
    assert isinstance(examples, SequenceExamples)  # noqa: S101 - for mypy: there is nothing else
    if examples.aim.labels_steps:
        return without_memory(examples, lambda corpus: _lagged(corpus, _LAGS)[:, :-1])
    features, horizon = len(examples.features.center), examples.horizon
    found: dict[str, Callable[[Corpus], Array]] = {}
    train = examples.whole  # a season may be longer than a part
    if examples.aim.has_probabilities:
        found["frequency"] = _frequency(train)
        found["last value"] = _after_last(train, features, horizon)
    else:

        def unscaled(x: Array) -> Array:
            steps = x.astype(np.float64).reshape(len(x), horizon, features)
            return examples.features.unscaled(steps).reshape(x.shape)

        season = find_season(train.corpus)
        found["last value"] = lambda corpus: unscaled(seasonal(corpus, 1, horizon))
        if season > 1:
            found[f"seasonal naive ({season})"] = lambda corpus: unscaled(seasonal(corpus, season, horizon))
        if features <= _MOST_INPUTS // _LAGS:
            found["linear"] = linear(train)
    held = examples.validation
    return {name: examples.aim.score(held.targets, read(held.corpus), examples.labels) for name, read in found.items()}


def find_season(corpus: Corpus) -> int:
    """Finds the number of steps after which sequences are most alike; 1 if there is no such number.

    It is the first peak of the mean autocorrelation, of all features and sequences, that is as high as the highest but
    for a tenth.

    Args:
        corpus: Scaled sequences.
    """
    total = np.zeros(MOST_SEASON + 1)
    for b in range(len(corpus)):
        x = corpus.row(b).astype(np.float64)
        x = x - x.mean(axis=0) if len(x) else x
        if len(x) < 4:
            continue
        spectrum = np.abs(np.fft.rfft(x, 2 * len(x), axis=0)) ** 2
        lags = np.fft.irfft(spectrum, axis=0)[: min(len(x) // 2, MOST_SEASON) + 1].sum(axis=1)
        total[: len(lags)] += lags
    alike = total / (total[0] or 1.0)
    peaks = [m for m in range(2, MOST_SEASON) if alike[m] > max(_SEASONAL, alike[m - 1]) and alike[m] >= alike[m + 1]]
    return next((m for m in peaks if alike[m] >= 0.9 * max(alike[p] for p in peaks)), 1)


def seasonal(corpus: Corpus, season: int, horizon: int) -> Array:
    """Repeats what was a season ago; the last value where there was none.

    Args:
        corpus: Sequences of N steps in all.
        season: Steps of a season; 1 for the last value.
        horizon: Steps to foresee.

    Returns:
        For each step the next ones, [N, h·K].
    """
    N, starts = len(corpus.steps), np.repeat(corpus.offsets[:-1], corpus.lengths)
    here = np.arange(N)
    places = [here + j - season * -(-j // season) for j in range(1, horizon + 1)]
    return np.concatenate([corpus.steps[np.where(place >= starts, place, here)] for place in places], axis=1)


def _lagged(corpus: Corpus, lags: int) -> Array:
    """Lays the last steps beside each step, and a 1; before the first step there is the first, [N, lags·K + 1]."""
    starts, here = np.repeat(corpus.offsets[:-1], corpus.lengths), np.arange(len(corpus.steps))
    steps = [corpus.steps[np.maximum(here - lag, starts)] for lag in range(lags)]
    return np.concatenate([*steps, np.ones((len(here), 1), np.float32)], axis=1)


def linear(train: Labelled) -> Callable[[Corpus], Array]:
    """Fits a linear model of the last 8 steps, by least squares; before the first step it reads the first.

    Args:
        train: Scaled sequences of N steps in all, and what follows each step, [N, h·K].

    Returns:
        What foresees the next steps of each step, [N, h·K].
    """
    x = _lagged(train.corpus, _LAGS).astype(np.float64)
    center = train.targets.mean(axis=0, dtype=np.float64)
    products = x.T @ x
    products[np.diag_indices(len(products))] += _RIDGE * np.diag(products).mean()
    weights = np.linalg.solve(products, x.T @ (train.targets - center))
    return lambda corpus: _lagged(corpus, _LAGS) @ weights + center


def _frequency(train: Labelled) -> Callable[[Corpus], Array]:
    share = (train.targets.sum(axis=0, dtype=np.float64) + 0.5) / (len(train.targets) + 1)
    return lambda corpus: np.broadcast_to(share, (len(corpus.steps), len(share)))


def _after_last(train: Labelled, features: int, horizon: int) -> Callable[[Corpus], Array]:
    def last(corpus: Corpus) -> Array:
        return np.tile(corpus.steps[:, :features], horizon)

    before = last(train.corpus) > 0
    after = [
        (np.where(before == on, train.targets, 0).sum(axis=0) + 0.5) / ((before == on).sum(axis=0) + 1) for on in (0, 1)
    ]
    return lambda corpus: np.where(last(corpus) > 0, after[1], after[0])
