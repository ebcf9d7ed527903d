"""N-grams: a part beside the network, whose logits are sums over runs of words and over the letters of words.

Three sums, each over what a text holds, with c for how often it holds it:

    runs of words       Σ_g (1 + log c_g) idf_g u_g / ‖(1 + log c) ∘ idf‖    a linear model of TF-IDF
    the same, at all    Σ_g v_g                                              weighted naive Bayes (Wang & Manning 2012)
    letters             Σ_w c_w s_w / √(Σ_w c_w² ‖letters of w‖²)            runs of letters inside of words

A run of words may begin before the first word and end behind the last. The letters of a word w count by s_w, the sum
over its runs of letters, which are hashed (Weinberger et al. 2009); so they cost nothing but a look at the word. The
norm takes different words as orthogonal, so that each word has its own share of the sum. The weights are scaled so that
the logits of all parts of a model simply add up.
"""

import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.models.run_index import RunIndex
from tidegate.ops.threads import get_num_threads
from tidegate.text.tokenizer import UNKNOWN, Words

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

SHORTEST_RUN, LONGEST_RUN = 2, 5
"""Letters of a run, the spaces around a word included."""

_LONGEST_WORD = 64  # letters that are looked at
_REMEMBERED = 8192  # unknown words whose sums are remembered: a stream asks for its own again and again
_AT_ONCE = 2**18  # words that are counted at a time, by all threads together, in some 100 MB


class Counted(NamedTuple):
    """Things that are counted in texts, with their weights.

    Attributes:
        weight: Of an amount, before the sum is divided by its norm, float [K, M].
        square: What an amount of 1 adds to the squared norm, float [K].
        presence: Of being there at all, float [K, M]; None for nothing.
        damped: Whether a count c is an amount 1 + log c, or c itself.
    """

    weight: npt.NDArray[np.floating]
    square: npt.NDArray[np.floating]
    presence: npt.NDArray[np.floating] | None
    damped: bool

    def amounts(self, counts: npt.NDArray[np.integer]) -> Array:
        """Returns the amount of each count; that of 0 is 0."""
        if not self.damped:
            return counts.astype(np.float64)
        return np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0.0)

    def sums(self, texts: Integers, items: Integers, B: int) -> Array:
        """Adds up what is in each text, [B, M].

        Args:
            texts: Of each thing found, the text that it is in, int64 [N].
            items: What it is, int64 [N].
            B: The number of texts.
        """
        pairs, counts = np.unique(texts * len(self.square) + items, return_counts=True)
        which, found = np.divmod(pairs, max(1, len(self.square)))
        amounts = self.amounts(counts)
        norms = _root(np.bincount(which, amounts**2 * self.square[found], B))
        sums = _by_text(which, amounts[:, None] * self.weight[found], B) / norms[:, None]
        return sums if self.presence is None else sums + _by_text(which, self.presence[found], B)

    def shares(self, items: Integers) -> Array:
        """Shares what is in one text among the things found, [N, M]: equal ones count alike."""
        _, places, counts = np.unique(items, return_inverse=True, return_counts=True)
        amounts, c = self.amounts(counts), counts[places]
        kinds = np.zeros(len(counts), np.int64)
        kinds[places] = items
        norm = _root(np.array([amounts**2 @ self.square[kinds]]))[0]
        shares: Array = (amounts[places] / norm)[:, None] * self.weight[items].astype(np.float64)
        if self.presence is not None:
            shares += self.presence[items]
        return shares / c[:, None]

    def so_far(self, ends: Integers, items: Integers, closing: tuple[Integers, Integers], T: int) -> Array:
        """Adds up what is in each beginning of one text, [T, M].

        Args:
            ends: Of each thing found, its last step, ascending, int64 [N].
            items: What it is, int64 [N].
            closing: The same of what is there only as long as the text ends at the step.
            T: The number of steps.
        """
        before = _earlier(items)
        amounts, earlier = self.amounts(before + 1), self.amounts(before)
        closed, last = closing
        squares = np.cumsum(np.bincount(ends, (amounts**2 - earlier**2) * self.square[items], T))
        norms = _root(squares + np.bincount(closed, self.square[last], T))
        sums = np.cumsum(_by_text(ends, (amounts - earlier)[:, None] * self.weight[items], T), axis=0)
        result: Array = (sums + _by_text(closed, self.weight[last], T)) / norms[:, None]
        if self.presence is not None:
            new = (before == 0)[:, None] * self.presence[items]
            result += np.cumsum(_by_text(ends, new, T), axis=0) + _by_text(closed, self.presence[last], T)
        return result


class Runs(NamedTuple):
    """Runs of words found in texts, the shorter ones first.

    Attributes:
        texts: The text of each, int64 [N].
        starts: The step of its first word, −1 for the mark before the first word, int64 [N].
        orders: The number of its words, int64 [N].
        keys: The run as one number, see `keys_of`, int64 [N].
    """

    texts: Integers
    starts: Integers
    orders: Integers
    keys: Integers


def keys_of(words: npt.NDArray[np.integer], vocab_size: int) -> Integers:
    """Writes runs of words as numbers, digit by digit.

    Args:
        words: Word ids, int [K, O]; V for the mark before and behind a text, 0 behind the end of a shorter run.
        vocab_size: V.
    """
    keys = np.zeros(len(words), np.int64)
    for column in words.T:
        keys = keys * (vocab_size + 1) + column
    return keys


def runs_of(rows: Sequence[npt.NDArray[np.integer]], order: int, vocab_size: int) -> Runs:
    """Finds all runs of 1..order words in texts, the marks at their ends included.

    Args:
        rows: The word ids of each text, int [T] each.
        order: Most words of a run.
        vocab_size: V, which is also the id of the mark.
    """
    lengths = np.array([len(row) for row in rows], np.int64)
    mark, gap = np.full(1, vocab_size), np.zeros(order, np.int64)
    flat = np.concatenate([part for row in rows for part in (mark, row, mark, gap)] or [gap]).astype(np.int64)
    sizes = lengths + 2 + order
    texts = np.repeat(np.arange(len(rows)), sizes)
    starts = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes) - 1
    found, keys, count = [], np.zeros(len(texts), np.int64), len(texts)
    worded = (flat[:count] != 0) & np.repeat(lengths > 0, sizes)
    for k in range(order):
        step = np.concatenate([flat[k:count], np.zeros(min(k, count), np.int64)])
        worded &= step != 0
        keys = keys + step * (vocab_size + 1) ** (order - 1 - k)
        chosen = np.flatnonzero(worded & (step != vocab_size)) if k == 0 else np.flatnonzero(worded)
        found.append(Runs(texts[chosen], starts[chosen], np.full(len(chosen), k + 1), keys[chosen]))
    return Runs(*(np.concatenate(columns) for columns in zip(*found, strict=True)))


def letters_of(word: str, buckets: int) -> list[int]:
    """Hashes the runs of 2 to 5 letters of a word with a space on either side; each bucket once, ascending."""
    padded = f" {word[:_LONGEST_WORD]} "
    ends = range(SHORTEST_RUN, LONGEST_RUN + 1)
    runs = (padded[i : i + n] for n in ends for i in range(len(padded) - n + 1))
    return sorted({zlib.crc32(run.encode()) % buckets for run in runs})


class Ngrams:
    """The n-grams of a model, ready to read texts.

    Attributes:
        has_letters: Whether words outside the vocabulary are read too, by their letters.
    """

    title = "n-grams"

    def __init__(self, arrays: Mapping[str, npt.NDArray[np.float32]], vocab: Sequence[str], classes: int) -> None:
        """Takes arrays of the shapes of `TextConfig`.

        Args:
            arrays: Those whose names start with `ngrams.`, and others.
            vocab: The V words.
            classes: C.

        Raises:
            ValueError: A run of words has an id beyond V or no word, or comes again or not in ascending order.
        """
        words = arrays["ngrams.words"]
        self._vocab, self._classes, self._order = vocab, classes, words.shape[1]
        if ((words < 0) | (words > len(vocab)) | (words != np.floor(words))).any() or (words[:, 0] == 0).any():
            raise ValueError(f"ngrams.words holds numbers that are no word ids, expected 0..{len(vocab)}")
        keys = keys_of(words.astype(np.int64), len(vocab))
        if (np.diff(keys) <= 0).any():
            raise ValueError("ngrams.words is not in ascending order, expected each n-gram once")
        self._index = RunIndex(keys)
        squares = arrays["ngrams.idf"].astype(np.float64) ** 2
        self._runs = Counted(arrays["ngrams.weight"], squares, arrays["ngrams.presence"], damped=True)
        self._letters, self._letter_idf = arrays.get("ngrams.letters"), arrays.get("ngrams.letter_idf")
        self.has_letters = self._letters is not None
        self._spelled = lru_cache(_REMEMBERED)(self._spell)
        margins = arrays["ngrams.weight"].shape[1]
        self._word_weight, self._word_square = np.zeros((len(vocab), margins)), np.full(len(vocab), np.nan)

    def logits(self, texts: Sequence[Words]) -> Array:
        """Computes what the n-grams add to the logits of B texts, float64 [B, C]."""
        ends = np.cumsum([0, *(len(text.ids) for text in texts)])
        cuts = np.flatnonzero(np.diff(ends[:-1] * get_num_threads() // _AT_ONCE)) + 1
        batches = [texts[a:b] for a, b in pairwise([0, *cuts.tolist(), len(texts)])]
        if len(batches) > 1:  # numpy sorts and searches without Python's lock
            with ThreadPoolExecutor(get_num_threads()) as pool:
                parts = list(pool.map(self._sums, batches))
        else:
            parts = [self._sums(batch) for batch in batches]
        return self._expanded(np.concatenate([*parts, np.zeros((0, self._word_weight.shape[1]))]))

    def credits(self, text: Words) -> Array:
        """Shares these logits among the T words of one text, float64 [T, C]: a run's share evenly among its words."""
        T = len(text.ids)
        runs, items = self._found([text])
        steps = runs.starts[:, None] + np.arange(self._order)
        inside = (steps >= 0) & (steps < T) & (np.arange(self._order) < runs.orders[:, None])
        shares = self._runs.shares(items) / inside.sum(axis=1)[:, None]
        places, which = np.nonzero(inside)[0], steps[inside]
        credited = _by_text(which, shares[places], T)
        if self.has_letters:
            letters, words, _ = self._lettered([text])
            credited += letters.shares(words)
        return self._expanded(credited)

    def logits_so_far(self, text: Words) -> Array:
        """Computes what they add to the logits of one text after each of its words, float64 [T, C]."""
        T, V = len(text.ids), len(self._vocab)
        runs, items = self._found([text])
        ends = runs.starts + runs.orders - 1
        lasting = np.flatnonzero(ends < T)
        lasting = lasting[np.argsort(ends[lasting], kind="stable")]
        padded = np.concatenate([np.full(1, V), text.ids, np.zeros(self._order, np.int64)]).astype(np.int64)
        closing = []
        for k in range(2, self._order + 1):
            steps = np.arange(max(0, k - 3), T)  # of the last word; k − 1 words or marks, and the mark at the end
            windows = np.stack([padded[steps + 3 - k + j] for j in range(k - 1)] + [np.full(len(steps), V)], axis=1)
            rows = self._index.rows(keys_of(np.pad(windows, ((0, 0), (0, self._order - k))), V))
            closing.append((steps[rows >= 0], rows[rows >= 0]))
        closed = tuple(np.concatenate(column) for column in zip(*closing, strict=True)) if closing else ()
        nothing = np.zeros(0, np.int64)
        result = self._runs.so_far(ends[lasting], items[lasting], closed or (nothing, nothing), T)  # type: ignore[arg-type]
        if self.has_letters:
            letters, words, _ = self._lettered([text])
            result += letters.so_far(np.arange(T), words, (nothing, nothing), T)
        return self._expanded(result)

    def _sums(self, texts: Sequence[Words]) -> Array:
        runs, items = self._found(texts)
        sums = self._runs.sums(runs.texts, items, len(texts))
        if self.has_letters:
            letters, words, which = self._lettered(texts)
            sums += letters.sums(which, words, len(texts))
        return sums

    def _found(self, texts: Sequence[Words]) -> tuple[Runs, Integers]:
        """Finds the runs of words that are known, and their rows."""
        runs = runs_of([text.ids for text in texts], self._order, len(self._vocab))
        rows = self._index.rows(runs.keys)
        known = np.flatnonzero(rows >= 0)
        return Runs(*(column[known] for column in runs)), rows[known]

    def _lettered(self, texts: Sequence[Words]) -> tuple[Counted, Integers, Integers]:
        """Returns the words of texts as things to count, and of each word which it is, and its text."""
        which = np.repeat(np.arange(len(texts)), [len(text.ids) for text in texts])
        words = np.concatenate([text.ids for text in texts] or [np.zeros(0, np.int32)]).astype(np.int64)
        for word in np.unique(words).tolist():
            if np.isnan(self._word_square[word]):
                self._word_weight[word], self._word_square[word] = self._spell(self._vocab[word])
        unknown = [word for text in texts for word in text.unknown]
        # in alphabetical order, so that the sum of a text is added up in one order, whatever texts are beside it
        names = {word: len(self._vocab) + i for i, word in enumerate(sorted(set(unknown)))}
        if unknown:
            words[words == UNKNOWN] = [names[word] for word in unknown]
        spelled = [self._spelled(word[:_LONGEST_WORD]) for word in names]
        weight = np.concatenate([self._word_weight, *(weight[None] for weight, _ in spelled)])
        square = np.concatenate([self._word_square, np.array([square for _, square in spelled], np.float64)])
        return Counted(weight, square, None, damped=False), words, which

    def _spell(self, word: str) -> tuple[Array, float]:
        """Adds up the weights and the squares of the letters of a word."""
        assert self._letters is not None  # noqa: S101 - for mypy: this is asked where there are letters
        assert self._letter_idf is not None  # noqa: S101
        runs = letters_of(word, len(self._letters))
        squares = self._letter_idf[runs].astype(np.float64) ** 2
        return self._letters[runs].sum(axis=0, dtype=np.float64), float(squares.sum())

    def _expanded(self, margins: Array) -> Array:
        """Makes logits of two classes of their difference; those of more are what they are."""
        if self._classes > 2:
            return margins
        return np.concatenate([-margins / 2, margins / 2], axis=1)


def _root(squares: npt.NDArray[Any]) -> Array:
    """Returns norms of squared norms; 1 where there is nothing to divide."""
    norms: Array = np.sqrt(np.where(squares > 0, squares, 1.0))
    return norms


def _by_text(which: Integers, values: npt.NDArray[np.floating], B: int) -> Array:
    """Adds up rows [N, M] by text, [B, M], one after another, so that a sum depends on its text alone."""
    columns = [np.bincount(which, values[:, m], B).astype(np.float64) for m in range(values.shape[1])]
    return np.stack(columns, axis=1)  # of no rows at all the sums were integers


def _earlier(items: Integers) -> Integers:
    """Counts how often each thing came before, int64 [N]."""
    order = np.argsort(items, kind="stable")
    ordered = items[order]
    firsts = np.flatnonzero(np.diff(ordered, prepend=-1))
    sizes = np.diff(firsts, append=len(items))
    result = np.empty(len(items), np.int64)
    result[order] = np.arange(len(items)) - np.repeat(firsts, sizes)
    return result
