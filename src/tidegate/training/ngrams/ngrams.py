"""Fitting the n-gram part of a model: which runs of words, and two linear models by scikit-learn's solvers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.models.ngrams import Ngrams, letters_of, runs_of
from tidegate.text.tokenizer import UNKNOWN, Words
from tidegate.training.ngrams.weighing import Stacking, one_thread

try:
    from scipy import sparse
    from sklearn.linear_model import LogisticRegression
except ImportError as error:
    raise ImportError(
        "n-grams need scikit-learn: pip install 'tidegate[train]', or train with --parts network"
    ) from error

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

MANY = 16_000
"""Texts from which runs of three words are read, and weights are held back more."""
FEW_ORDER, MANY_ORDER = 2, 3
"""Most words of a run, for less than `MANY` texts and for more."""

_MOST_RUNS = 100_000  # those that tell most; more made no set better
_RAREST = 2  # times that a run must occur
_MOST_LETTERED = 1_000_000  # words of all texts up to which their letters are read: they cost much, and help few texts
_BUCKETS = 2**16
_TOLERANCE = 1e-3  # of the dual problem
_SMOOTHING = 1.0  # of naive Bayes, in texts
_AT_ONCE = 1024


def reads_letters(steps: int) -> bool:
    """Decides whether the letters of words are read, given the number of words of all texts."""
    return steps <= _MOST_LETTERED


class Costs(NamedTuple):
    """How much errors cost compared with weights, C of scikit-learn's models.

    Attributes:
        counts: Of the model of TF-IDF.
        presence: Of the model weighted by naive Bayes.
    """

    counts: float
    presence: float


FEW_COSTS, MANY_COSTS = Costs(3.0, 0.2), Costs(10.0, 0.1)
"""For less than `MANY` texts and for more, chosen on validation parts."""


@dataclass(frozen=True, eq=False)
class FittedNgrams:
    """Two linear models of the same n-grams, not weighed against each other yet.

    Attributes:
        arrays: As in the model file.
        biases: Of both models, each [M].
        vocab: The V words.
        classes: C.
    """

    arrays: Mapping[str, npt.NDArray[np.float32]]
    biases: tuple[Array, Array]
    vocab: Sequence[str]
    classes: int

    @property
    def sizes(self) -> dict[str, int]:
        """The fields of a `TextConfig` that say what arrays there are."""
        P, order = self.arrays["ngrams.words"].shape
        return {"ngrams": P, "ngram_order": order, "ngram_letters": len(self.arrays.get("ngrams.letters", ()))}

    def logits(self, texts: Sequence[Words]) -> list[Array]:
        """Computes the logits of both models for B texts, [B, C] each."""
        alone = (self.weighed(1, 0), self.weighed(0, 1))
        return [Ngrams(part.arrays, self.vocab, self.classes).logits(texts) + part.bias for part in alone]

    def weighed(self, counts: float, presence: float) -> "FittedNgrams":
        """Multiplies the weights of both models, so that their sum is one."""
        factors = {"ngrams.weight": counts, "ngrams.letters": counts, "ngrams.presence": presence}
        arrays = {name: np.float32(factors.get(name, 1)) * array for name, array in self.arrays.items()}
        return replace(self, arrays=arrays, biases=(counts * self.biases[0], presence * self.biases[1]))

    def stacked(self, stacking: Stacking | None) -> "FittedNgrams":
        """Makes logits of the margins of more than two classes; None changes nothing."""
        if stacking is None:
            return self
        counts, presence = stacking.matrices
        of = {"ngrams.weight": counts, "ngrams.letters": counts, "ngrams.presence": presence}
        with one_thread():
            arrays = {
                name: (array @ of[name]).astype(np.float32) if name in of else array
                for name, array in self.arrays.items()
            }
            one, other = (
                bias @ matrix + stacking.bias for bias, matrix in zip(self.biases, stacking.matrices, strict=True)
            )
        return replace(self, arrays=arrays, biases=(one, other))

    @property
    def bias(self) -> Array:
        """What both add to every logit, [C]."""
        margins = self.biases[0] + self.biases[1]
        return np.array([-margins[0], margins[0]]) / 2 if self.classes == 2 else margins


class Letters(NamedTuple):
    """The runs of letters of words, see `Ngrams`.

    Attributes:
        words: How often each text holds each word, sparse [B, W].
        spelled: Whether each word has each run, 1 or nothing, sparse [W, Q].
        amounts: How often each text holds each run, sparse [B, Q].
    """

    words: Any
    spelled: Any
    amounts: Any


class Counts(NamedTuple):
    """How often each text holds each run of words that comes again, and each run of letters.

    Attributes:
        order: Most words of a run.
        keys: The runs of words as numbers, ascending, int64 [K].
        amounts: How often, sparse [B, K].
        letters: Of the words, if they are read.
    """

    order: int
    keys: Integers
    amounts: Any
    letters: Letters | None = None

    def of(self, rows: Integers | slice) -> "Counts":
        """Returns the counts of some texts."""
        letters = self.letters
        if letters:
            letters = letters._replace(words=letters.words[rows], amounts=letters.amounts[rows])
        return self._replace(amounts=self.amounts[rows], letters=letters)


def fit_ngrams(
    texts: Sequence[Words],
    targets: Integers,
    vocab: Sequence[str],
    classes: int,
    *,
    letters: bool = True,
    balanced: bool = False,
    counts: Counts | None = None,
    check: Callable[[], None] = lambda: None,
) -> FittedNgrams:
    """Chooses n-grams of texts, and fits two linear models of them.

    Args:
        texts: B texts, with their words outside the vocabulary.
        targets: Index of the class of each, int64 [B].
        vocab: The V words.
        classes: C.
        letters: Whether runs of letters are read too, see `reads_letters`, where they are counted here.
        balanced: Whether each class weighs the same, however many texts it has.
        counts: What `count` has counted in these texts and in others that follow them; None to count here.
        check: Called now and then; what it raises ends the fit.
    """
    counts = (counts or count(texts, vocab, letters=letters)).of(slice(len(texts)))
    costs = MANY_COSTS if counts.order > FEW_ORDER else FEW_COSTS
    found = _choose(counts, targets, classes)
    features, letter_idf, P = _normed(found.amounts @ sparse.diags_array(found.idf)), None, len(found.keys)
    if counts.letters:
        spelled, letter_idf = _lettered(counts.letters)
        features = sparse.hstack([features, spelled], "csr")
    solver = _Solver(targets, classes, balanced, check)
    weight, bias = solver.fit([features] * solver.M, costs.counts)
    ratios = [found.present @ sparse.diags_array(row) for row in found.ratios]
    presence, present_bias = solver.fit(ratios, costs.presence)
    arrays = {
        "words": _words_of(found.keys, counts.order, len(vocab)),
        "idf": found.idf,
        "weight": weight[:P] * found.idf[:, None],
        "presence": presence * found.ratios.T,
    }
    if letter_idf is not None:
        arrays |= {"letters": weight[P:] * letter_idf[:, None], "letter_idf": letter_idf}
    named = {f"ngrams.{name}": np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}
    return FittedNgrams(named, (bias, present_bias), vocab, classes)


def count(texts: Sequence[Words], vocab: Sequence[str], *, letters: bool = True) -> Counts:
    """Counts the runs of words of B texts, those of three words if there are many texts, and the runs of letters.

    Args:
        texts: The texts, with their words outside the vocabulary.
        vocab: The V words.
        letters: Whether runs of letters are counted too.
    """
    order = MANY_ORDER if len(texts) >= MANY else FEW_ORDER
    which, keys = [], []
    for start in range(0, len(texts), _AT_ONCE):
        runs = runs_of([text.ids for text in texts[start : start + _AT_ONCE]], order, len(vocab))
        ascending = np.argsort(runs.keys)  # to look up what is in order is much faster
        which.append((runs.texts[ascending] + start).astype(np.int32))
        keys.append(runs.keys[ascending])
    known, counts = np.unique(np.concatenate([*keys, np.zeros(0, np.int64)]), return_counts=True)
    known = known[counts >= _RAREST]
    rows, columns = [np.zeros(0, np.int32)], [np.zeros(0, np.int32)]
    for some_texts, some_keys in zip(which, keys, strict=True) if len(known) else ():
        places = np.minimum(np.searchsorted(known, some_keys), len(known) - 1)
        found = np.flatnonzero(known[places] == some_keys)
        rows.append(some_texts[found])
        columns.append(places[found].astype(np.int32))
    pairs = np.concatenate(rows), np.concatenate(columns)
    amounts = sparse.csr_array((np.ones(len(pairs[0]), np.float32), pairs), shape=(len(texts), len(known)))
    amounts.sum_duplicates()
    return Counts(order, known, amounts, _spell(texts, vocab) if letters else None)


def coming_again(amounts: Any) -> Integers:
    """Returns the columns of runs that are in the texts often enough to be read, int64.

    Args:
        amounts: How often each text holds each run, sparse [B, K].
    """
    return np.flatnonzero(np.asarray(amounts.sum(axis=0)).ravel() >= _RAREST)


class _Chosen(NamedTuple):
    """The P runs of words that tell most.

    Attributes:
        keys: As numbers, ascending, int64 [P].
        amounts: 1 + log of how often each text holds each, sparse [B, P].
        present: Whether it does, sparse [B, P].
        ratios: Log-count ratios of each margin, [M, P].
        idf: Inverse document frequencies, [P].
    """

    keys: Integers
    amounts: Any
    present: Any
    ratios: Array
    idf: Array


def _choose(counts: Counts, targets: Integers, classes: int) -> _Chosen:
    """Chooses the runs of words that tell most of the classes of texts.

    Raises:
        ValueError: None comes again.
    """
    amounts, B = counts.amounts, len(targets)
    often = coming_again(amounts)
    if not len(often):
        raise ValueError(
            "no word comes again in the texts, so there are no n-grams to learn: train with --parts network"
        )
    present = amounts.copy()
    present.data = np.ones_like(present.data)
    by_class = np.stack([np.asarray(present[targets == c].sum(axis=0)).ravel() for c in range(classes)])[:, often]
    ratios, texts_of = _log_ratios(by_class), by_class.sum(axis=0)
    telling = np.abs(ratios).max(axis=0) * np.sqrt(texts_of)
    chosen = np.sort(np.argsort(-telling, kind="stable")[:_MOST_RUNS])
    kept, idf = amounts[:, often[chosen]], _idf(texts_of[chosen], B)
    present = kept.copy()
    present.data = np.ones_like(present.data)
    kept.data = 1 + np.log(kept.data)
    return _Chosen(counts.keys[often[chosen]], kept, present, ratios[:, chosen], idf)


class _Solver:
    """Fits a linear model for each margin: one of two classes, or one-vs-rest.

    Attributes:
        M: The number of margins.
    """

    def __init__(self, targets: Integers, classes: int, balanced: bool, check: Callable[[], None]) -> None:
        self._check = check
        self.M = 1 if classes == 2 else classes
        self._truths = [targets == c for c in range(classes - self.M, classes)]
        self._class_weight = "balanced" if balanced else None

    def fit(self, features: Sequence[Any], cost: float) -> tuple[Array, Array]:
        """Returns weights [·, M] and biases [M].

        Args:
            features: What each margin is a sum of, sparse [B, ·].
            cost: C of scikit-learn.
        """
        columns, biases = [], []
        for rows, truth in zip(features, self._truths, strict=True):
            self._check()
            x = rows.tocsr()
            options = {"C": cost, "class_weight": self._class_weight, "random_state": 0}
            # the dual problem has the same solution, which is found in a tenth of the time
            model = LogisticRegression(solver="liblinear", dual=True, tol=_TOLERANCE, **options)
            # liblinear takes indices of 32 bits alone, and products of scipy's sparse arrays have 64
            indices, ends = x.indices.astype(np.int32), x.indptr.astype(np.int32)
            model.fit(sparse.csr_array((x.data, indices, ends), shape=x.shape), truth)
            columns.append(model.coef_[0])
            biases.append(model.intercept_[0])
        return np.stack(columns, axis=1), np.array(biases)


def _log_ratios(by_class: Array) -> Array:
    """Computes how much more often each run is in texts of a class than in others, as a logarithm, [M, ·].

    Wang & Manning 2012, "Baselines and Bigrams", eq. 2, for presence.
    """
    smoothed = by_class + _SMOOTHING
    rows = []
    for c in range(1 if len(by_class) == 2 else 0, len(by_class)):
        inside, outside = smoothed[c], smoothed.sum(axis=0) - smoothed[c]
        rows.append(np.log(inside / inside.sum()) - np.log(outside / outside.sum()))
    return np.stack(rows)


def _idf(counts: Array, texts: int) -> Array:
    """Computes inverse document frequencies as scikit-learn does, smoothed: log((1 + B) / (1 + df)) + 1."""
    idf: Array = np.log((1 + texts) / (1 + counts)) + 1
    return idf


def _normed(rows: Any) -> Any:
    """Divides the rows of a sparse array by their norms."""
    norms = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    return sparse.diags_array(1 / np.where(norms > 0, norms, 1.0)) @ rows


def _spell(texts: Sequence[Words], vocab: Sequence[str]) -> Letters:
    """Counts words in texts, and runs of letters in words."""
    unknown = dict.fromkeys(word for text in texts for word in text.unknown)
    names = {word: len(vocab) + i for i, word in enumerate(unknown)}
    ids = np.concatenate([text.ids for text in texts]).astype(np.int64)
    ids[ids == UNKNOWN] = [names[word] for text in texts for word in text.unknown]
    which = np.repeat(np.arange(len(texts)), [len(text.ids) for text in texts])
    read, words = np.unique(ids, return_inverse=True)
    everything = [*vocab, *unknown]
    runs = [letters_of(everything[word], _BUCKETS) for word in read.tolist()]
    ends = np.cumsum([0, *map(len, runs)])
    columns = np.array([run for listed in runs for run in listed], np.int32)
    spelled = sparse.csr_array((np.ones(len(columns), np.float32), columns, ends), shape=(len(read), _BUCKETS))
    of_texts = sparse.csr_array((np.ones(len(words), np.float32), (which, words)), shape=(len(texts), len(read)))
    of_texts.sum_duplicates()
    return Letters(of_texts, spelled, of_texts @ spelled)


def _lettered(letters: Letters) -> tuple[Any, Array]:
    """Returns the runs of letters of B texts, weighed and normed as in `Ngrams`, sparse [B, Q], and idf, [Q]."""
    words, spelled, amounts = letters
    idf = _idf(np.bincount(amounts.indices, minlength=_BUCKETS).astype(np.float64), amounts.shape[0])
    norms = np.sqrt(words.multiply(words) @ (spelled @ idf**2))
    weighed = amounts @ sparse.diags_array(idf)
    return sparse.diags_array(1 / np.where(norms > 0, norms, 1.0)) @ weighed, idf


def _words_of(keys: Integers, order: int, vocab_size: int) -> Integers:
    """Turns keys back into runs of word ids, [·, O]."""
    columns = [keys // (vocab_size + 1) ** (order - 1 - k) % (vocab_size + 1) for k in range(order)]
    return np.stack(columns, axis=1)
