"""Simple forecasts of the next word or character, which a network must beat; each counts what is trained on.

They are the same for all, the frequency of each token, and what follows the last tokens: interpolated Kneser-Ney (Ney,
Essen & Kneser 1994; Chen & Goodman 1999, section 2.7), with one discount for each order.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.models.metrics.tokens import TokensReport
from tidegate.training.data.corpus import Corpus, Integers
from tidegate.training.data.examples import TextExamples
from tidegate.training.data.next_tokens import Running

Array = npt.NDArray[np.float64]

ORDERS = {"words": 3, "characters": 6}
"""Tokens of the longest runs that are counted."""

_HALF = 0.5  # a discount where too little is there to estimate one


class _Order(NamedTuple):
    """What was counted of runs of one length: k tokens of context and the one that follows.

    Attributes:
        contexts: Sorted keys of the contexts, see `_keys`, int64 [U].
        totals: How often each context was counted, [U].
        kinds: How many different tokens followed each context, [U].
        runs: Sorted keys of the runs, int64 [R].
        counts: How often each run was counted, [R].
        discount: What is taken from each count.
    """

    contexts: Integers
    totals: Array
    kinds: Array
    runs: Integers
    counts: Array
    discount: float


class KneserNey:
    """The probability of a token after those before it, from counts of runs of tokens.

    Attributes:
        size: V, the number of different tokens.
    """

    def __init__(self, train: Running, size: int, order: int) -> None:
        """Counts runs.

        Args:
            train: The texts.
            size: V.
            order: Tokens of the longest runs.
        """
        self.size = size
        self._tables: list[_Order] = []
        contexts, ids = _contexts(train.corpus, order - 1), np.zeros(len(train.targets), np.int64)
        known, runs = [np.zeros(1, np.int64)], [ids + train.targets]  # of no context, and so on
        for tokens in contexts:
            found, ids = np.unique(_keys(ids, tokens, size), return_inverse=True)
            known.append(found)
            runs.append(_keys(ids, train.targets, size))
        counted = np.arange(len(runs[0]))  # places that count: all of the longest runs
        for k in reversed(range(order)):
            # Shorter ones count once for each different token before them: how readily they follow anything.
            found, counts = np.unique(runs[k][counted], return_counts=True)
            self._tables.insert(0, _counted(known[k], found, counts.astype(np.float64), size))
            counted = np.unique(runs[k], return_index=True)[1]

    def probabilities(self, texts: Running) -> Array:
        """Computes the probability of each token of texts, float64 [N]."""
        contexts = list(_contexts(texts.corpus, len(self._tables) - 1))
        p = np.full(len(texts.targets), 1 / self.size)
        ids = np.zeros(len(p), np.int64)
        for k, table in enumerate(self._tables):
            if k:
                keys = np.where(ids < 0, -1, _keys(ids, contexts[k - 1], self.size))
                ids = _places(table.contexts, keys)
            total, kinds = table.totals[ids], table.kinds[ids]
            run = _places(table.runs, np.where(ids < 0, -1, _keys(ids, texts.targets, self.size)))
            count = np.where(run < 0, 0.0, table.counts[run])
            seen = (np.maximum(count - table.discount, 0) + table.discount * kinds * p) / np.maximum(total, 1)
            p = np.where(ids < 0, p, seen)
        return p


def _contexts(corpus: Corpus, longest: int) -> list[npt.NDArray[np.int32]]:
    """Lists the token at each place, the one before it, and so on; before a text there is always its first."""
    starts, here = np.repeat(corpus.offsets[:-1], corpus.lengths), np.arange(len(corpus.steps))
    return [corpus.steps[np.maximum(here - lag, starts)] for lag in range(longest)]


def _keys(ids: Integers, tokens: npt.NDArray[np.integer], size: int) -> Integers:
    """Makes one number of what is known of a place and one more token."""
    return ids * size + tokens


def _places(known: Integers, keys: Integers) -> Integers:
    """Finds keys among those that are known, sorted; −1 for those that are not."""
    found = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.where(known[found] == keys, found, -1)


def _counted(contexts: Integers, runs: Integers, counts: Array, size: int) -> _Order:
    """Sums up the runs of each context, and estimates the discount."""
    of = runs // size
    once, twice = (int((counts == n).sum()) for n in (1, 2))
    discount = once / (once + 2 * twice) if once and twice else _HALF
    totals, kinds = (np.bincount(of, each, len(contexts)) for each in (counts, np.ones_like(counts)))
    return _Order(contexts, totals.astype(np.float64), kinds.astype(np.float64), runs, counts, discount)


def token_forecasts(examples: TextExamples) -> dict[str, TokensReport]:
    """Judges simple forecasts of held-out texts.

    Args:
        examples: Texts whose words or characters are to be foreseen.

    Returns:
        The report of each forecast by its name.
    """
    train, held, size = examples.train, examples.validation, len(examples.tokenizer)
    assert isinstance(train, Running) and isinstance(held, Running)  # noqa: S101, PT018 - for mypy
    counts, order = np.bincount(train.targets, minlength=size) + _HALF, ORDERS[examples.tokenizer.unit]
    found = {
        "all alike": np.full(len(held.targets), 1 / size),
        "frequency": (counts / counts.sum())[held.targets],
        f"{order}-grams": KneserNey(train, size, order).probabilities(held),
    }
    return {name: held.report(np.log(p)) for name, p in found.items()}
