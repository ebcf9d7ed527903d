"""Models that foresee words: how probable texts are, what follows them, and configurations that cannot be."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate
from tidegate.models.config import NetworkConfig, SequenceConfig, TextConfig
from tidegate.models.metrics.tokens import score_tokens
from tidegate.models.text_model import TextModel
from tidegate.text.tokenizer import PADDING, UNKNOWN, Tokenizer

TEXTS = ["a fine film, it isn't bad", "a", ""]
GOOD: dict[str, Any] = {"cell": "gru", "task": "next-token", "vocab_size": 9, "embedding_size": 4}


@pytest.fixture(params=["words", "characters"])
def model(request: pytest.FixtureRequest) -> TextModel:
    """A model with random weights, of words or of characters."""
    tokenizer = Tokenizer.train(TEXTS * 2, unit=request.param)
    cell = "lstm" if request.param == "words" else "gru"
    config = TextConfig(
        cell=cell, task="next-token", vocab_size=len(tokenizer), embedding_size=4, hidden_size=6, num_layers=2
    )
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in config.shapes().items()}
    return TextModel(config, tokenizer, arrays)


def test_likelihoods_are_those_of_what_follows_each_beginning(model: TextModel) -> None:
    """Each word has the probability that `predict_proba` gives it after the words before; so has the end."""
    for text, found in zip(TEXTS, model.log_likelihoods(TEXTS), strict=True):
        ids = model.tokenizer.encode_batch([text])[0].tolist()
        spans = model.tokenizer.cut(text).spans
        beginnings = ["", *(text[:end] for _, end in spans.tolist())]
        probabilities = model.predict_proba(beginnings)
        expected = np.log(probabilities[np.arange(len(ids) + 1), [*ids, PADDING]])
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_texts_do_not_depend_on_each_other(model: TextModel) -> None:
    """Alone or together, likelihoods have the same bits."""
    together = model.log_likelihoods(TEXTS)
    for text, found in zip(TEXTS, together, strict=True):
        np.testing.assert_array_equal(model.log_likelihoods([text])[0], found)
    with pytest.raises(TypeError, match="texts is one text"):
        model.log_likelihoods("a text")


def test_long_texts_are_read_in_pieces(model: TextModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bits are those of whole texts, also beside texts that have ended before."""
    whole = model.log_likelihoods(TEXTS)
    monkeypatch.setattr("tidegate.models.language.STEPS_PER_BATCH", 3)
    for found, expected in zip(model.log_likelihoods(TEXTS), whole, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("temperature", [1e-320, 1e300])
def test_any_temperature_can_be_drawn_at(model: TextModel, temperature: float) -> None:
    """Near 0 it is the most probable word, and however high it is, none that cannot be written."""
    drawn = [model.forecast(["a fine"], 1, temperature=temperature, seed=seed)[0] for seed in range(60)]
    assert "[UNK]" not in drawn
    assert (set(drawn) == {model.forecast(["a fine"], 1)[0]}) == (temperature < 1)


def test_a_stream_foresees_what_a_whole_text_does(model: TextModel) -> None:
    """From before the first letter on, a stream has the bits of the text so far, also from a state that was stored."""
    session = model.stream()
    np.testing.assert_array_equal(session.probabilities, model.predict_proba([""])[0])
    for character in TEXTS[0]:
        session.push(character)
    session = model.stream(session.state).finish()
    np.testing.assert_array_equal(session.probabilities, model.predict_proba(TEXTS[:1])[0])
    assert session.prediction == model.predict(TEXTS[:1])[0]


def test_the_most_probable_words_follow(model: TextModel) -> None:
    """Without temperature each next word is the most probable that can be written, and the file keeps that."""
    probabilities = model.predict_proba(["a fine"])[0]
    probabilities[[PADDING, UNKNOWN]] = 0
    expected = model.vocabulary[int(probabilities.argmax())]
    assert model.forecast(["a fine"], 1) in ([expected], [""])
    assert model.forecast(["a fine", "a"], 4)[0] == model.forecast(["a fine"], 4)[0]


def test_words_are_drawn_by_their_probabilities(model: TextModel) -> None:
    """At temperature 1 first words come as often as they are probable, at another seed others; near 0 the best one."""
    drawn = [model.forecast([""], 1, temperature=1.0, seed=seed)[0] for seed in range(400)]
    p = model.predict_proba([""])[0].astype(np.float64)
    p[UNKNOWN] = 0
    p /= p.sum()
    likely = int(p[2:].argmax()) + 2
    share = np.mean([word == model.vocabulary[likely] for word in drawn])
    assert share == pytest.approx(p[likely], abs=4 * np.sqrt(p[likely] * (1 - p[likely]) / 400))
    assert model.forecast([""], 5, temperature=1e-6, seed=3) == model.forecast([""], 5)
    assert model.forecast(["a"], 9, temperature=2.0, seed=1) == model.forecast(["a"], 9, temperature=2.0, seed=1)


def test_each_text_is_drawn_by_itself(model: TextModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same text three times goes on in three ways; what is drawn for one depends on its position alone."""
    texts = ["a fine", "a", "a", "", "a"]
    found = model.forecast(texts, 6, temperature=1.5, seed=4)
    assert len({found[1], found[2], found[4]}) == 3
    assert [model.forecast([text], 6, temperature=1.5, seed=4, first=b)[0] for b, text in enumerate(texts)] == found
    monkeypatch.setattr("tidegate.models.language._AT_ONCE", 2)
    assert model.forecast(texts, 6, temperature=1.5, seed=4) == found
    assert model.forecast(texts, 6) == [model.forecast([text], 6)[0] for text in texts]


def test_a_text_ends_where_nothing_follows(model: TextModel) -> None:
    """Where the end is the most probable, nothing is written."""
    arrays = dict(model.arrays)
    arrays["head.bias"] = np.where(np.arange(len(model.vocabulary)) == PADDING, 99, 0).astype(np.float32)
    assert TextModel(model.config, model.tokenizer, arrays).forecast(["a", ""], 5) == ["", ""]


def test_a_file_keeps_it(model: TextModel, tmp_path: Path) -> None:
    """What is read from the file has the same bits, compressed word vectors or not, and cuts into the same units."""
    for each in (model, model.compress("bfloat16")):
        each.save(tmp_path / "model.safetensors")
        read = tidegate.load(tmp_path / "model.safetensors", TextModel)
        assert read.tokenizer.unit == model.tokenizer.unit
        np.testing.assert_array_equal(read.log_likelihoods(TEXTS)[0], each.log_likelihoods(TEXTS)[0])


def test_what_it_reads_begins_with_nothing(model: TextModel) -> None:
    """A trace has one more step than the text has words, the state that foresees the first."""
    words = model.trace("a fine film")[0].tokens
    assert words is not None
    assert words[0] == ("[PAD]", *model.tokenizer.words("a fine film"))
    with pytest.raises(ValueError, match="expected one whose answers are explained"):
        model.explain("a film")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: model.forecast(["a"], 0), "steps is 0, expected an integer of 1 or more"),
        (lambda model: model.forecast(["a"], 2.5), r"steps is 2\.5"),
        (lambda model: model.forecast(["a"], 2, temperature=-1.0), r"temperature is -1\.0, expected 0 or more"),
        (
            lambda model: model.forecast(["a"], 2, temperature=np.inf),
            "temperature is inf, expected 0 or more and finite",
        ),
    ],
)
def test_what_cannot_be_foreseen_is_refused(model: TextModel, call: Any, message: str) -> None:
    """Numbers that mean nothing are errors that name them."""
    with pytest.raises(ValueError, match=message):
        call(model)


def test_other_models_foresee_no_words() -> None:
    """A classifier has no likelihoods of words."""
    tokenizer = Tokenizer.train(["a b"], min_frequency=1)
    config = TextConfig(cell="average", labels=("x", "y"), vocab_size=len(tokenizer), embedding_size=1)
    zeros = {name: np.zeros(shape, np.float32) for name, shape in config.shapes().items()}
    model = TextModel(config, tokenizer, zeros)
    for call in (model.log_likelihoods, model.forecast):
        with pytest.raises(ValueError, match="this is a network for classification, expected one that foresees words"):
            call(["a"])


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        (TextConfig, {"labels": ("a", "b")}, r"labels has 2 names, expected 0\.\.0 for next-token"),
        (TextConfig, {"classes": ()}, "classes has 0 values"),
        (TextConfig, {"horizon": 2}, "horizon is 2, but the task is 'next-token', which foresees one token"),
        (TextConfig, {"bidirectional": True}, "needs a recurrent cell that reads forward"),
        (TextConfig, {"summary": "mean"}, "the summary 'last'"),
        (TextConfig, {"cell": "average"}, "needs a recurrent cell"),
        (TextConfig, {"ngrams": 3, "ngram_order": 2}, "the task is 'next-token', expected classification"),
        (TextConfig, {"task": "next", "labels": ("a",)}, "foresees steps of numbers, but the model reads texts"),
        (NetworkConfig, {}, "foresees words, but the model reads no texts"),
        (SequenceConfig, {}, "foresees words, but the model reads no texts"),
    ],
)
def test_configurations_that_cannot_be_are_refused(kind: Any, wrong: dict[str, Any], message: str) -> None:
    """Labels, several steps, other summaries and models that read no texts are errors."""
    good = {TextConfig: GOOD, NetworkConfig: {"input_size": 3}, SequenceConfig: {"features": 3}}[kind]
    with pytest.raises(ValueError, match=message):
        kind(**{"cell": "gru", "task": "next-token", **good, **wrong})


def test_bits_are_those_of_characters() -> None:
    """A report sums up nats over tokens, and bits over characters, of which each text has one more for its end."""
    report = score_tokens(np.array([3, 7]), np.array([[-4.0, 2], [-8.0, 4]]), ())
    assert (report.n, report.characters, report.nats) == (6, 12, 2.0)
    assert report.perplexity == pytest.approx(np.exp(2))
    assert report.bits_per_character == pytest.approx(12 / np.log(2) / 12)
    assert report.errors.mean() == pytest.approx(report.nats)
    better = score_tokens(np.array([3, 7]), np.array([[-2.0, 2], [-8.0, 4]]), ())
    assert better.gains(report).tolist() == pytest.approx([2 / 3, 0])
    with pytest.raises(ValueError, match="there is no text to score"):
        score_tokens(np.zeros(0, int), np.zeros((0, 2)), ())
