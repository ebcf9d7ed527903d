"""Fitting how the margins of n-grams are mixed, where there are more than two classes."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tidegate.text.tokenizer import Words
from tidegate.training.ngrams.ngrams import Counts, coming_again, fit_ngrams
from tidegate.training.ngrams.weighing import Mixing, mix

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_FEWEST = 2  # texts of a class: one for either half
_MOST = 100  # classes: what is found is a number for each two of them


def fit_mixing(
    texts: Sequence[Words],
    targets: Integers,
    vocab: Sequence[str],
    classes: int,
    importance: Array | None = None,
    *,
    counts: Counts,
    **options: bool,
) -> Mixing | None:
    """Fits n-grams to either half of the texts, and finds on the other half how classes are mixed.

    Args:
        texts: As in `fit_ngrams`, and so are all others but one.
        targets: As in `fit_ngrams`.
        vocab: As in `fit_ngrams`.
        classes: As in `fit_ngrams`.
        importance: How much each class counts, [C]; None for each text the same.
        counts: As in `fit_ngrams`.
        options: Whether there are letters, and whether classes are balanced.

    Returns:
        None for two classes, which have one margin, for more than a hundred, and where a class or the runs of words
        that come again are in one half alone.
    """
    if not 2 < classes <= _MOST or np.bincount(targets, minlength=classes).min() < _FEWEST:
        return None
    halves = _halves(targets)
    if not all(len(coming_again(counts.amounts[rows])) for rows in halves):
        return None
    logits = np.zeros((2, len(texts), classes))
    for fitted_to, rest in (halves, halves[::-1]):
        own = counts._replace(amounts=counts.amounts[fitted_to])
        some = [texts[b] for b in fitted_to]
        model = fit_ngrams(some, targets[fitted_to], vocab, classes, counts=own, **options)
        logits[:, rest] = model.logits([texts[b] for b in rest])
    return mix(list(logits), targets, importance)


def _halves(targets: Integers) -> tuple[Integers, Integers]:
    """Splits texts in two with every second text of each class."""
    order = np.argsort(targets, kind="stable")
    return np.sort(order[::2]), np.sort(order[1::2])
