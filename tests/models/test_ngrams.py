"""Tests of the n-gram part: its sums against a plain count, its shares, its answers after each word, its arrays."""

from collections import Counter
from itertools import product
from math import log, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tidegate.inspection.attribution import integrated_gradients, occlusion
from tidegate.inspection.counterfactual import what_if
from tidegate.inspection.gradient_flow.losses import loss_gradients
from tidegate.models import ngrams
from tidegate.models.config import TextConfig
from tidegate.models.loading import load
from tidegate.models.ngrams import letters_of
from tidegate.models.text_model import TextModel
from tidegate.text.tokenizer import Tokenizer, Words

TOLERANCE = 1e-5
SENTENCES = ["a fine film , a fine plot", "not a dull film", "dull , dull , dull", "see it"]
TEXTS = [*SENTENCES, "", "film", "Unheard-of naïve words, words", "a fine a fine a fine dull dull", "film " * 40]
TOKENIZER = Tokenizer.train(SENTENCES, min_frequency=1)
V = len(TOKENIZER)
LETTERS = 64


def make_model(cell: str = "gru", classes: int = 2, order: int = 3, letters: int = LETTERS, seed: int = 0) -> TextModel:
    """A model with random weights and half of all n-grams that its sentences could hold."""
    rng = np.random.default_rng(seed)
    ids = range(1, V + 1)
    runs = [run + (0,) * (order - k) for k in range(1, order + 1) for run in product(ids, repeat=k) if run != (V,)]
    runs = sorted(run for run in runs if rng.random() < (0.9 if order < 3 else 0.5))
    sizes: dict[str, Any] = {"embedding_size": 4, "hidden_size": 5} if cell != "none" else {"embedding_size": 0}
    labels = ("bad", "good", "so-so")[:classes]
    config = TextConfig(
        cell=cell, labels=labels, vocab_size=V, ngrams=len(runs), ngram_order=order, ngram_letters=letters, **sizes
    )
    arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in config.shapes().items()}
    arrays["ngrams.words"] = np.array(runs, np.float32)
    return TextModel(config, TOKENIZER, arrays)


def margins(model: TextModel, text: str) -> npt.NDArray[np.float64]:
    """What the n-grams add to the logits, counted run by run as the formulas say."""
    a = model.arrays
    words = [word.lower() for word in TOKENIZER.words(text)]
    (ids,) = TOKENIZER.encode_batch([text])
    order, known = model.config.ngram_order, {tuple(run): i for i, run in enumerate(a["ngrams.words"].astype(int))}
    marked = [V, *ids.tolist(), V]
    counts: Counter[int] = Counter()
    for k in range(1, order + 1):
        for i in range(len(marked) - k + 1 if words else 0):
            run = tuple(marked[i : i + k])
            if run != (V,) and (row := known.get(run + (0,) * (order - k))) is not None:
                counts[row] += 1
    result = np.zeros(a["ngrams.weight"].shape[1])
    norm = sqrt(sum(((1 + log(c)) * float(a["ngrams.idf"][g])) ** 2 for g, c in counts.items())) or 1.0
    for g, c in counts.items():
        result += (1 + log(c)) * a["ngrams.weight"][g].astype(float) / norm + a["ngrams.presence"][g]
    if model.config.ngram_letters:
        spelled = {word: letters_of(word, LETTERS) for word in words}
        often = Counter(words)
        squares = {w: sum(float(a["ngrams.letter_idf"][q]) ** 2 for q in runs) for w, runs in spelled.items()}
        norm = sqrt(sum(often[w] ** 2 * squares[w] for w in often)) or 1.0
        for w in often:
            result += often[w] * sum(a["ngrams.letters"][q].astype(float) for q in spelled[w]) / norm
    return np.array([-result[0] / 2, result[0] / 2]) if len(result) == 1 else result


KINDS = [
    ("gru", 2, 1, 0),
    ("gru", 3, 2, LETTERS),
    ("average", 2, 3, LETTERS),
    ("none", 2, 2, LETTERS),
    ("none", 3, 3, 0),
]


@pytest.mark.parametrize(("cell", "classes", "order", "letters"), KINDS)
def test_logits_are_those_of_a_plain_count(cell: str, classes: int, order: int, letters: int) -> None:
    """The n-grams add to the network's logits what the formulas say, run by run, known words or not."""
    model = make_model(cell, classes, order, letters)
    rows = TOKENIZER.encode_batch(TEXTS)
    network = model.head(model.summaries(rows, model.arrays["embedding.weight"]))
    expected = network + np.array([margins(model, text) for text in TEXTS])
    assert np.abs(expected - network).max() > 0.1
    assert model.scores(TEXTS) == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize(("cell", "classes", "order", "letters"), KINDS)
def test_the_account_of_every_word_adds_up(cell: str, classes: int, order: int, letters: int) -> None:
    """Bias and contributions are the logits, and the probability after each word is that of the text up to it."""
    model = make_model(cell, classes, order, letters)
    for text in TEXTS:
        explanation = model.explain(text)
        assert explanation.error < TOLERANCE
        assert explanation.logits == pytest.approx(model.scores([text])[0], abs=TOLERANCE)
        assert explanation.ngrams is not None
        assert explanation.ngrams.sum(axis=0) == pytest.approx(margins(model, text), abs=TOLERANCE)
        words, after = model.probability_after(text)
        beginnings = [" ".join(words[:t]) for t in range(1, len(words) + 1)]
        assert explanation.probability_after == pytest.approx(after, abs=TOLERANCE)
        if words:
            assert after == pytest.approx(model.predict_proba(beginnings), abs=TOLERANCE)


def test_the_share_of_a_run_is_split_evenly_among_its_words() -> None:
    """Two words that occur in one bigram only are credited with half of it each; the marks at the ends get nothing."""
    config = TextConfig(cell="none", labels=("no", "yes"), vocab_size=V, embedding_size=0, ngrams=2, ngram_order=2)
    see, it = (TOKENIZER.vocab.index(word) for word in ("see", "it"))
    arrays = {name: np.zeros(shape, np.float32) for name, shape in config.shapes().items()}
    arrays["ngrams.words"] = np.array(sorted([(see, it), (it, V)]), np.float32)
    firsts = arrays["ngrams.words"][:, :1]
    arrays["ngrams.presence"] = np.where(firsts == it, 3, 1).astype(np.float32)
    shares = TextModel(config, TOKENIZER, arrays).explain("see it").towards(1)
    assert shares == pytest.approx([0.5, 3.5])


def test_a_text_has_the_same_bits_in_any_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scores of a text depend neither on the others nor on how they are batched."""
    model = make_model()
    together = model.scores(TEXTS)
    assert together.tobytes() == np.concatenate([model.scores([text]) for text in TEXTS]).tobytes()
    monkeypatch.setattr(ngrams, "_AT_ONCE", 2)
    assert together.tobytes() == model.scores(TEXTS).tobytes()


@pytest.mark.parametrize("cell", ["gru", "none"])
def test_a_file_holds_all_parts(cell: str, tmp_path: Path) -> None:
    """A model with n-grams, with or without a network, is the same after it was written and read."""
    model = make_model(cell)
    model.save(tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors", TextModel)
    assert loaded.scores(TEXTS).tobytes() == model.scores(TEXTS).tobytes()
    assert loaded.config == model.config


def test_other_views_know_the_n_grams() -> None:
    """Integrated gradients, occlusion, what-if and the loss's gradient start from the logits of the whole model."""
    model, text = make_model(), "a fine naïve film"
    (logits,) = model.scores([text])
    views = integrated_gradients(model, text), occlusion(model, text)
    for view in views:
        assert view.logits == pytest.approx(logits, abs=TOLERANCE)
    assert views[0].error < 1e-4
    without = model.scores(["a fine film"])[0]
    assert views[1].contributions[2] == pytest.approx(logits - without, abs=TOLERANCE)
    assert what_if(model, text, step=1, unit=0).logits == pytest.approx(logits, abs=TOLERANCE)
    assert loss_gradients(model, text, 0, of="logit").value == pytest.approx(logits[0], abs=TOLERANCE)


def test_without_a_network_what_needs_one_says_so() -> None:
    """A model of n-grams alone has no gates and no summary vectors, and the errors say it."""
    model = make_model("none")
    with pytest.raises(ValueError, match="'none' has no recurrent layer"):
        model.trace("a film")
    with pytest.raises(ValueError, match="n-grams alone, and no network"):
        model.encode(["a film"])
    assert "no network" in model.explain("a film").remark


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ngrams": 2}, "expected ngrams and ngram_order above 0"),
        ({"ngram_letters": 2}, "expected ngrams and ngram_order above 0"),
        ({"ngrams": 2, "ngram_order": 6}, "expected 0..5"),
        ({"ngrams": 2, "ngram_order": 5, "vocab_size": 2**20}, "expected less"),
        ({"ngrams": 2, "ngram_order": 1, "task": "regression"}, "expected classification"),
        ({"cell": "none", "embedding_size": 0}, "neither a network nor n-grams"),
        ({"cell": "none", "ngrams": 2, "ngram_order": 1}, "embedding_size is 3, expected 0"),
    ],
)
def test_configurations_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    """Sizes of an n-gram part go together, and one part at least is there."""
    values: dict[str, Any] = {"cell": "gru", "labels": ("a", "b"), "vocab_size": 9, "embedding_size": 3}
    with pytest.raises(ValueError, match=message):
        TextConfig(**values | changes)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([[2, 0], [2, 0]], "ascending"),
        ([[3, 0], [2, 0]], "ascending"),
        ([[2.5, 0], [3, 0]], "no word ids"),
        ([[0, 2], [3, 0]], "no word ids"),
        ([[2, 0], [V + 1, 0]], "no word ids"),
    ],
)
def test_arrays_that_are_no_n_grams_are_refused(words: list[list[float]], message: str) -> None:
    """Word ids are integers of the vocabulary, and each run of words is there once."""
    config = TextConfig(cell="none", labels=("no", "yes"), vocab_size=V, embedding_size=0, ngrams=2, ngram_order=2)
    arrays = {name: np.zeros(shape, np.float32) for name, shape in config.shapes().items()}
    with pytest.raises(ValueError, match=message):
        TextModel(config, TOKENIZER, arrays | {"ngrams.words": np.array(words, np.float32)})


def test_words_outside_the_vocabulary_are_read_in_any_way_alike() -> None:
    """A batch of texts and one text alone list the same unknown words, with all of their accents."""
    texts = ["Nai\u0308ve a \ufeffQu\xadx film Zo\u0301e", "film"]
    batch = TOKENIZER.read_batch(texts)
    for text, read in zip(texts, batch, strict=True):
        cut = TOKENIZER.cut(text)
        assert read.ids.tolist() == cut.ids.tolist()
        assert list(read.unknown) == [word.lower() for word, i in zip(cut.words, cut.ids, strict=True) if i == 1]
    assert batch[0].take(np.array([1, 2])).unknown == batch[0].unknown[1:2]
    assert Words(batch[1].ids).take(np.array([0])).unknown == ()
