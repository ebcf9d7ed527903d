"""Stacking the margins of n-grams, where there are more than two classes."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from tidegate.text.tokenizer import Words
from tidegate.training.data.sampling import hold_out
from tidegate.training.ngrams.ngrams import Counts, coming_again, fit_ngrams
from tidegate.training.ngrams.weighing import Stacking, stack

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_FEWEST = 2  # texts of a class: one for either half
_MOST = 100  # classes: what is found is a number for each two of them
_MOST_MARGINS = 400_000  # texts times classes from which on a sample of the texts will do, for a few seconds


def fit_stacking(
    texts: Sequence[Words],
    targets: Integers,
    vocab: Sequence[str],
    classes: int,
    importance: Array | None = None,
    *,
    counts: Counts,
    check: Callable[[], None] = lambda: None,
    **options: bool,
) -> Stacking | None:
    """Fits n-grams to either half of the texts, and finds on the other half how margins make logits.

    Args:
        texts: As in `fit_ngrams`, and so are all others but one.
        targets: As in `fit_ngrams`.
        vocab: As in `fit_ngrams`.
        classes: As in `fit_ngrams`.
        importance: How much each class counts, [C]; None for each text the same.
        counts: As in `fit_ngrams`.
        check: As in `fit_ngrams`.
        options: Whether classes are balanced.

    Returns:
        None for two classes, which have one margin, for more than a hundred, and where a class or the runs of words
        that come again are in one half alone.
    """
    if not 2 < classes <= _MOST or np.bincount(targets, minlength=classes).min() < _FEWEST:
        return None
    halves = _halves(targets)
    if not all(len(coming_again(counts.amounts[rows])) for rows in halves):
        return None
    sample = _sample(targets, classes)
    logits = np.zeros((2, len(sample), classes))
    for fitted_to, others in (halves, halves[::-1]):
        own = counts.of(fitted_to)
        some = [texts[b] for b in fitted_to]
        model = fit_ngrams(some, targets[fitted_to], vocab, classes, counts=own, check=check, **options)
        judged = np.isin(sample, others)
        logits[:, judged] = model.logits([texts[b] for b in sample[judged]])
        check()
    return stack(list(logits), targets[sample], importance, check)


def _halves(targets: Integers) -> tuple[Integers, Integers]:
    """Splits texts in two with every second text of each class."""
    order = np.argsort(targets, kind="stable")
    return np.sort(order[::2]), np.sort(order[1::2])


def _sample(targets: Integers, classes: int) -> Integers:
    """Chooses the texts to stack on, of each class the same share; all of them where they are not too many."""
    share = _MOST_MARGINS / (len(targets) * classes)
    return np.arange(len(targets)) if share >= 1 else hold_out(targets, share, np.random.default_rng(0))[1]
