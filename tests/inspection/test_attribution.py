"""Integrated gradients, occlusion, and what is said of the three views."""

import json
from typing import Any, get_args

import numpy as np
import pytest

from tidegate.inspection import attribution
from tidegate.inspection.attribution import FRACTIONS, METHODS, Method, compare, integrated_gradients, occlusion
from tidegate.inspection.explain import Attribution, explain
from tidegate.inspection.network import words_of
from tidegate.models.config import TextConfig
from tidegate.models.text_model import TextModel
from tidegate.sequences.embedded import Embedded
from tidegate.sequences.summaries import SUMMARIES
from tidegate.text.tokenizer import Tokenizer

TEXT = "a fine plot , and then a dull , dull film"
TOKENIZER = Tokenizer.train([TEXT], min_frequency=1)
KINDS: list[tuple[str, dict[str, Any]]] = [
    *(("gru", {"summary": summary, "bidirectional": True, "num_layers": 2}) for summary in SUMMARIES),
    ("gru", {}),
    ("lstm", {"summary": "mean+max", "bidirectional": True, "num_layers": 2}),
    ("gru reset=before", {}),
    ("rnn_tanh", {"summary": "mean"}),
    ("average", {}),
    ("compound", {}),
]


def make_model(cell: str = "gru", **changes: Any) -> TextModel:
    """A model with random weights and three classes."""
    rng = np.random.default_rng(3)
    sizes: dict[str, Any] = {"vocab_size": len(TOKENIZER), "embedding_size": 6, "hidden_size": 5}
    config = TextConfig(cell=cell, labels=("bad", "good", "so-so"), **sizes | changes)
    arrays = {name: rng.uniform(-0.9, 0.9, shape) for name, shape in config.shapes().items()}
    return TextModel(config, TOKENIZER, {name: array.astype(np.float32) for name, array in arrays.items()})


@pytest.mark.parametrize(("cell", "changes"), KINDS)
def test_integrated_gradients_are_complete(cell: str, changes: dict[str, Any]) -> None:
    """With the logits of zeros, the contributions are the logits of the text, and what is missing is reported."""
    model = make_model(cell, **changes)
    result = integrated_gradients(model, TEXT, steps=200)
    np.testing.assert_array_equal(result.logits, model.scores([TEXT])[0])
    zeros = model.head(model.summaries([np.arange(11)], np.zeros((11, 6), np.float32)))[0]
    np.testing.assert_array_equal(result.baseline, zeros)
    missing = np.abs(result.baseline + result.contributions.sum(axis=0) - result.logits).max()
    assert result.error == missing
    # The maximum has kinks, at each of which the rule errs.
    assert result.error < (1e-2 if "max" in changes.get("summary", "") else 1e-5)


def test_few_steps_miss_more_and_say_so() -> None:
    """The error grows as the steps become fewer."""
    errors = [integrated_gradients(make_model(), TEXT, steps=steps).error for steps in (1, 2, 8)]
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize(("cell", "changes"), KINDS)
def test_gradients_are_those_of_finite_differences(cell: str, changes: dict[str, Any]) -> None:
    """One step of the rule is the gradient halfway, times the word; central differences say the same."""
    model = make_model(cell, **changes)
    x = model.embed(TEXT).x[:, 0]
    result, small = integrated_gradients(model, x, steps=1), 1e-2
    for t in range(len(x)):
        ends = []
        for sign in (-1, 1):
            moved: Any = x / np.float32(2)
            moved[t] += np.float32(sign * small) * x[t]
            ends.append(model.head(model.summaries([np.arange(len(x))], moved))[0].astype(np.float64))
        np.testing.assert_allclose(result.contributions[t], (ends[1] - ends[0]) / (2 * small), atol=2e-4)


def test_the_text_may_be_walked_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many points are looked at together does not matter but for rounding."""
    model = make_model(bidirectional=True)
    whole = integrated_gradients(model, TEXT)
    monkeypatch.setattr(attribution, "_STEPS_AT_ONCE", 33)
    np.testing.assert_allclose(integrated_gradients(model, TEXT).contributions, whole.contributions, atol=1e-12)


@pytest.mark.parametrize("cell", ["average", "compound"])
def test_views_of_a_linear_model_agree(cell: str) -> None:
    """Where the logits are linear in the words, integrated gradients say what the ledger says."""
    model = make_model(cell)
    np.testing.assert_allclose(integrated_gradients(model, TEXT).contributions, explain(model, TEXT).contributions)


@pytest.mark.parametrize(("cell", "changes"), KINDS)
def test_occlusion_is_what_is_lost_without_the_word(cell: str, changes: dict[str, Any]) -> None:
    """Each contribution is the difference to the logits of the text without this word, to the bit."""
    model, words = make_model(cell, **changes), TEXT.split()
    result = occlusion(model, TEXT)
    without = model.scores([" ".join(words[:t] + words[t + 1 :]) for t in range(len(words))]).astype(np.float64)
    np.testing.assert_array_equal(result.contributions, model.scores([TEXT])[0].astype(np.float64) - without)
    assert result.words == tuple(words)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("text", ["", "fine"])
def test_texts_of_no_word_and_of_one(method: str, text: str) -> None:
    """Every view takes the shortest texts, for every kind of model."""
    for cell, changes in KINDS:
        model = make_model(cell, **changes)
        result = METHODS[method](model, text)
        assert result.contributions.shape == (len(text.split()), 3)
        np.testing.assert_array_equal(result.logits, model.scores([text])[0])


def test_wrong_arguments_are_named() -> None:
    """There must be a step, and one text."""
    with pytest.raises(ValueError, match="steps is 0, expected 1 or more"):
        integrated_gradients(make_model(), TEXT, steps=0)
    with pytest.raises(TypeError, match="expected one text"):
        occlusion(make_model(), [TEXT])  # type: ignore[arg-type]


def feeling_model() -> TextModel:
    """A GRU of one unit that moves up at "good" and down at "bad", and keeps what it has at all other words."""
    tokenizer = Tokenizer.train(["good bad the film is a"], min_frequency=1)
    feelings = {"good": 1.0, "bad": -1.0}
    arrays = {
        # The first number is the feeling; the second opens the update gate.
        "embedding.weight": [[feelings.get(word, 0), word in feelings] for word in tokenizer.vocab],
        "rnn.weight_ih_l0": [[0, 0], [0, -9], [2, 0]],
        "rnn.weight_hh_l0": [[0], [0], [0]],
        "rnn.bias_ih_l0": [0, 8, 0],
        "rnn.bias_hh_l0": [0, 0, 0],
        "head.weight": [[-2], [2]],
        "head.bias": [0, 0],
    }
    sizes = {"vocab_size": len(tokenizer), "embedding_size": 2, "hidden_size": 1}
    config = TextConfig(cell="gru", labels=("no", "yes"), **sizes)  # type: ignore[arg-type]
    return TextModel(config, tokenizer, {name: np.array(array, np.float32) for name, array in arrays.items()})


def feeling_texts(count: int = 30) -> list[str]:
    """Texts of neutral words with a few that decide."""
    rng = np.random.default_rng(1)
    texts = []
    for feeling in rng.choice(["good", "bad"], count):
        words = rng.choice(["the", "film", "is", "a"], 30)
        words[rng.choice(30, 3, replace=False)] = feeling
        texts.append(" ".join(words))
    return texts


def guess(model: Any, source: str | Embedded) -> Attribution:
    """A view that knows nothing: it credits the words at random."""
    embedded = model.embed(source)
    rng = np.random.default_rng(int(embedded.x.sum()) + 100)
    return Attribution(
        words=words_of(embedded),
        labels=model.config.labels,
        logits=explain(model, embedded).logits,
        contributions=rng.standard_normal((len(embedded.x), 2)),
    )


def test_views_that_know_beat_random_words_and_a_guess_does_not() -> None:
    """Removing what a view names moves the probability faster than chance, unless the view names words by chance."""
    record = compare(feeling_model(), feeling_texts(), views=METHODS | {"guess": guess})
    for method in METHODS:
        assert record["gains"][method]["low"] > 0.1
        assert record["curves"][method][0] == record["curves"]["random"][0]
        assert record["curves"][method][3] < record["curves"]["random"][3] - 0.1
    assert record["gains"]["guess"]["low"] < 0.05
    assert record["agreement"]["integrated-gradients, occlusion"]["low"] > 0.5
    assert abs(record["agreement"]["ledger, guess"]["mean"]) < 0.2


def test_the_record_is_plain_and_the_same_again() -> None:
    """What `compare` returns can be written as JSON, follows from the seed, and says how exact the sums are."""
    model, texts = feeling_model(), [*feeling_texts(5), "", "good"]
    record = compare(model, iter(texts), seed=4)
    assert json.loads(json.dumps(record)) == record
    assert compare(model, texts, seed=4) == record
    assert compare(model, texts, seed=5)["curves"]["random"] != record["curves"]["random"]
    assert (record["texts"], record["fractions"]) == (5, list(FRACTIONS))
    assert set(record["gains"]) == set(METHODS)
    assert set(record["curves"]) == {*METHODS, "random"}
    assert set(record["errors"]) == {"ledger", "integrated-gradients"}
    assert record["errors"]["ledger"] < 1e-5


def test_nothing_to_compare_is_an_error() -> None:
    """There must be a text of two words."""
    with pytest.raises(ValueError, match="texts has none of two words or more"):
        compare(feeling_model(), ["good", ""])


def test_every_method_has_its_name() -> None:
    """The names that a command takes are those of the views."""
    assert get_args(Method) == tuple(METHODS)
