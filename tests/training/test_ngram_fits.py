"""Tests of fitting n-grams: against scikit-learn's own features, and what is learned of small texts."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("scipy")

from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from tidegate.models.ngrams import Ngrams
from tidegate.text.tokenizer import Tokenizer, Words
from tidegate.training.ngrams import ngrams
from tidegate.training.ngrams.ngrams import FEW_COSTS, FittedNgrams, fit_ngrams

RNG = np.random.default_rng(0)
WORDS = np.array(["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"])
TEXTS = [" ".join(RNG.choice(WORDS, RNG.integers(3, 12))) for _ in range(120)]
TOKENIZER = Tokenizer.train(TEXTS)
READ = [Words(ids) for ids in TOKENIZER.encode_batch(TEXTS)]


def classes_of(words: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """The class of a text is the word of these that it holds most of."""
    return np.array([np.argmax([text.split().count(word) for word in words]) for text in TEXTS])


def fitted(classes: int, **options: Any) -> tuple[FittedNgrams, npt.NDArray[np.int64]]:
    """N-grams of the texts, and their classes."""
    targets = classes_of(("alpha", "beta", "gamma")[:classes])
    return fit_ngrams(READ, targets, TOKENIZER.vocab, classes, **options), targets


@pytest.mark.parametrize("classes", [2, 3])
def test_counts_are_weighed_as_by_scikit_learn(classes: int) -> None:
    """The first model is a logistic regression of the TF-IDF that scikit-learn makes of the same runs of words."""
    found, targets = fitted(classes, letters=False)
    marked = [f"§ {text} §" for text in TEXTS]
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\S+", sublinear_tf=True)
    everything = vectorizer.fit(marked).vocabulary_
    counts = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\S+", use_idf=False, norm=None).fit(marked)
    often = np.asarray(counts.transform(marked).sum(axis=0)).ravel()
    kept = sorted(run for run, i in counts.vocabulary_.items() if run != "§" and often[i] >= 2)
    assert len(kept) == found.sizes["ngrams"] < len(everything)
    x = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\S+", sublinear_tf=True, vocabulary=kept).fit_transform(
        marked
    )
    rows = sparse.csr_array((x.data, x.indices.astype(np.int32), x.indptr.astype(np.int32)), shape=x.shape)
    expected = []
    for c in range(classes - 1 if classes == 2 else 0, classes):
        model = LogisticRegression(C=FEW_COSTS.counts, solver="liblinear", random_state=0).fit(rows, targets == c)
        expected.append(model.decision_function(rows))
    logits = found.logits(READ)[0]
    margins = logits[:, 1:] - logits[:, :1] if classes == 2 else logits
    assert margins == pytest.approx(np.array(expected).T, abs=2e-3)


def test_presence_is_weighed_by_log_count_ratios() -> None:
    """A run in texts of one class alone has a weight for it, one of no class in particular has almost none."""
    found, targets = fitted(2, letters=False)
    runs = {tuple(run): i for i, run in enumerate(found.arrays["ngrams.words"].astype(int).tolist())}
    weight = found.arrays["ngrams.presence"][:, 0]
    alpha, beta, zeta = (weight[runs[(TOKENIZER.vocab.index(word), 0)]] for word in ("alpha", "beta", "zeta"))
    assert alpha < -5 * abs(zeta)
    assert beta > 5 * abs(zeta)
    assert (found.logits(READ)[1].argmax(axis=1) == targets).mean() > 0.85


def test_letters_say_something_of_unknown_words() -> None:
    """A word that was never read counts by the runs of letters that it shares with others."""
    texts = [f"it is {stem}{end}" for stem in ("lov", "hat") for end in ("e", "ed", "ing", "er", "ers", "es")] * 3
    tokenizer = Tokenizer.train(texts)
    read, targets = tokenizer.read_batch(texts), np.array([int("lov" in text) for text in texts])
    found = fit_ngrams(read, targets, tokenizer.vocab, 2)
    unknown = tokenizer.read_batch(["it is lovingly", "it is hatefully"])
    assert all(text.unknown for text in unknown)
    assert found.logits(unknown)[0].argmax(axis=1).tolist() == [1, 0]


def test_weights_of_the_models_multiply_their_logits() -> None:
    """The n-grams of a model with weights have the weighted sum of the logits of both, the bias apart."""
    found, _ = fitted(3)
    one, other = found.logits(READ)
    weighed = found.weighed(0.5, 2.0)
    sums = Ngrams(weighed.arrays, TOKENIZER.vocab, 3).logits(READ) + weighed.bias
    assert sums == pytest.approx(0.5 * one + 2 * other, abs=1e-4)


def test_the_runs_that_tell_most_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for two runs alone, these hold the words that make the classes."""
    monkeypatch.setattr(ngrams, "_MOST_RUNS", 2)
    found, _ = fitted(2, letters=False)
    telling = {TOKENIZER.vocab.index(word) for word in ("alpha", "beta")}
    runs = found.arrays["ngrams.words"].astype(int).tolist()
    assert len(runs) == 2
    assert all(telling & set(run) for run in runs)


def test_balanced_classes_weigh_the_same() -> None:
    """With few texts of a class, balancing makes it more probable."""
    targets = (np.arange(len(READ)) % 10 == 0).astype(np.int64)
    plain, balanced = (fit_ngrams(READ, targets, TOKENIZER.vocab, 2, balanced=flag) for flag in (False, True))
    for one, other in zip(plain.logits(READ), balanced.logits(READ), strict=True):
        assert other[:, 1].mean() > one[:, 1].mean() + 0.3


def test_without_a_word_that_comes_again_there_is_nothing_to_learn() -> None:
    """Texts whose words stand once each are refused with what to do."""
    tokenizer = Tokenizer.train(["one two", "three four"], min_frequency=1)
    read = tokenizer.read_batch(["one two", "three four"])
    with pytest.raises(ValueError, match="no word comes again"):
        fit_ngrams(read, np.array([0, 1]), tokenizer.vocab, 2)
