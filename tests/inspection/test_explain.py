"""Explanations of answers."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate.inspection import explain as module
from tidegate.inspection.explain import Explanation, explain, margin
from tidegate.inspection.ledger import draw_ledger
from tidegate.inspection.network import read
from tidegate.models.architecture import cell_names
from tidegate.models.config import TextConfig
from tidegate.models.text_model import TextModel
from tidegate.sequences.summaries import SUMMARIES
from tidegate.text.tokenizer import Tokenizer

EXACT = 1e-5
TEXT = "A fine plot , and then a dull , dull film"
TOKENIZER = Tokenizer.train([TEXT], min_frequency=1)

KINDS = [
    *(
        ("gru", {"summary": summary, "bidirectional": bidirectional, "num_layers": layers})
        for summary in SUMMARIES
        for bidirectional in (False, True)
        for layers in (1, 2)
    ),
    *(("rnn_tanh", {"summary": summary}) for summary in SUMMARIES),
    ("rnn_relu", {"bias": False, "bidirectional": True}),
    ("gru update=off reset=off candidate=relu", {}),
    ("gru reset=before", {"bidirectional": True}),
    *(("lstm", {"summary": summary}) for summary in SUMMARIES),
    ("lstm", {"summary": "mean+max", "bidirectional": True, "num_layers": 2}),
    ("lstm", {"bias": False, "bidirectional": True, "num_layers": 2}),
    ("average", {}),
    ("compound", {}),
]


def make_model(
    cell: str = "gru", labels: tuple[str, ...] = ("bad", "good", "so-so"), tokenizer: Tokenizer = TOKENIZER, **rest: Any
) -> TextModel:
    """A model with random weights."""
    config = TextConfig(
        cell=cell, labels=labels, vocab_size=len(tokenizer), **{"embedding_size": 6, "hidden_size": 5} | rest
    )
    rng = np.random.default_rng(5)
    arrays = {name: rng.uniform(-0.7, 0.7, shape) for name, shape in config.shapes().items()}
    return TextModel(config, tokenizer, {name: array.astype(np.float32) for name, array in arrays.items()})


@pytest.mark.parametrize(("cell", "changes"), KINDS)
def test_contributions_add_up_to_the_logits(cell: str, changes: dict[str, Any]) -> None:
    """Bias, initial state and contributions are the logits, for every cell, summary, direction and depth."""
    model = make_model(cell, **changes)
    explanation = explain(model, TEXT)
    logits = model.scores([TEXT])[0]
    np.testing.assert_array_equal(explanation.logits, logits)
    total = explanation.bias + explanation.initial + explanation.contributions.sum(axis=0)
    np.testing.assert_allclose(total, logits, rtol=0, atol=EXACT)
    assert explanation.error == np.abs(total - logits).max()
    np.testing.assert_allclose(explanation.probabilities, model.predict_proba([TEXT])[0], rtol=1e-5)
    shape = (len(explanation.words), model.config.summary_size)
    assert explanation.deposits.shape == explanation.balance.shape == shape


@pytest.mark.parametrize(("cell", "changes"), KINDS)
def test_probabilities_after_each_word_are_those_of_the_model(cell: str, changes: dict[str, Any]) -> None:
    """Words and probabilities are those of `probability_after`, to the bit."""
    model = make_model(cell, **changes)
    explanation = explain(model, TEXT)
    words, after = model.probability_after(TEXT)
    assert explanation.words == tuple(words)
    np.testing.assert_array_equal(explanation.probability_after, after)


@pytest.fixture(scope="module")
def reviews(data: Path) -> list[str]:
    """1,000 real reviews."""
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(data / "imdb" / "test.parquet", columns=["text"])
    chosen = np.random.default_rng(0).choice(len(table), 1000, replace=False)
    return [table["text"][i].as_py() for i in chosen.tolist()]


@pytest.mark.parametrize(("cell", "changes"), KINDS)
def test_real_reviews_add_up(cell: str, changes: dict[str, Any], reviews: list[str]) -> None:
    """The contributions of the words of 1,000 real reviews add up to their logits."""
    # Both directions read every beginning of a text anew, in time that grows with the square of its length.
    longest = 40 if changes.get("bidirectional") else None
    model = make_model(cell, tokenizer=Tokenizer.train(reviews, vocab_size=3000), max_length=longest, **changes)
    assert max(explain(model, review).error for review in reviews) < EXACT


def test_a_wrong_ledger_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check of the sum can fail: a deposit that is not the one made leaves a difference."""

    def wrong(*arguments: Any) -> Any:
        ledger = draw_ledger(*arguments)
        return replace(ledger, deposits=ledger.deposits + 1e-3)

    monkeypatch.setattr(module, "draw_ledger", wrong)
    assert explain(make_model(), TEXT).error > EXACT


def test_a_vanilla_rnn_keeps_nothing() -> None:
    """The last state of a vanilla RNN is credited to the last word alone."""
    explanation = explain(make_model("rnn_tanh"), TEXT)
    assert explanation.kept.tolist() == [0] * (len(explanation.words) - 1) + [1]
    assert not explanation.contributions[:-1].any()


@pytest.mark.parametrize(
    ("cell", "changes", "remark"),
    [
        ("gru", {}, ""),
        ("gru reset=off candidate=relu", {}, ""),
        ("gru reset=before", {}, ""),
        ("lstm", {}, "each contribution includes the factor by which the output shows"),
        ("gru update=off", {}, "no gate keeps what was written"),
        ("rnn_tanh", {}, "no gate keeps what was written"),
        ("rnn_relu", {}, "no gate keeps what was written"),
        ("average", {}, "an average has no memory that changes"),
        ("compound", {}, "compounding has no gates"),
    ],
)
def test_a_model_that_keeps_otherwise_is_remarked_on(cell: str, changes: dict[str, Any], remark: str) -> None:
    """Where the ledger reads otherwise than that of a GRU with its update gate, a remark says why."""
    said = explain(make_model(cell, **changes), TEXT).remark
    assert said.startswith(remark)
    assert bool(said) == bool(remark)


def test_an_average_and_compounding_keep_what_their_formulas_say() -> None:
    """An average keeps 1/T of every word, compounding rateⁿ of the word n places before the end."""
    average, compound = (explain(make_model(cell), TEXT) for cell in ("average", "compound"))
    T = len(average.words)
    np.testing.assert_allclose(average.kept, 1 / T)
    rate = abs(float(make_model("compound").arrays["rate"][0]))
    np.testing.assert_allclose(compound.kept, rate ** np.arange(T)[::-1])
    assert average.traces == compound.traces == ()


def test_one_number_alone_is_its_own_margin() -> None:
    """Of a single output, as in a regression, the margin is the output itself."""
    assert margin(np.array([[2.5]]), 0).tolist() == [2.5]


def test_a_reading_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has been read once is explained without another run, and the explanation is the same."""
    model = make_model(num_layers=2)
    reading, expected = read(model, TEXT), explain(model, TEXT)
    monkeypatch.setattr(TextModel, "trace", None)
    found = explain(model, reading)
    np.testing.assert_array_equal(found.contributions, expected.contributions)
    assert found.words == expected.words
    assert found.traces == reading.traces


def test_the_first_word_alone_is_kept_whole() -> None:
    """With one word, all that was paid in is in memory, and what it adds is what the logits have beyond the bias."""
    explanation = explain(make_model(), "fine")
    assert explanation.kept.tolist() == [1]
    np.testing.assert_allclose(explanation.contributions[0], explanation.logits - explanation.bias, atol=EXACT)


@pytest.mark.parametrize(("cell", "changes"), KINDS)
def test_a_text_without_words_is_the_bias(cell: str, changes: dict[str, Any]) -> None:
    """No word contributes nothing."""
    explanation = explain(make_model(cell, **changes), "")
    assert (explanation.words, explanation.contributions.shape, explanation.kept.shape) == ((), (0, 3), (0,))
    np.testing.assert_array_equal(explanation.logits, explanation.bias)


@pytest.mark.parametrize("cell", cell_names())
def test_vectors_take_the_place_of_words(cell: str) -> None:
    """Vectors of numbers are explained like the words that they belong to, their names being their places."""
    model = make_model(cell)
    by_text = explain(model, TEXT)
    by_vectors = explain(model, model.embed(TEXT).x[:, 0].astype(np.float64))
    assert by_vectors.words == tuple(str(t + 1) for t in range(len(by_text.words)))
    np.testing.assert_array_equal(by_vectors.contributions, by_text.contributions)


def test_towards_a_class_of_two_are_log_odds() -> None:
    """Of two classes, the words and the bias add up to log(p / (1 − p))."""
    explanation = explain(make_model(labels=("no", "yes")), TEXT)
    p = explanation.probabilities[1]
    total = explanation.towards(1).sum() + margin(explanation.bias, 1)
    assert total == pytest.approx(np.log(p / (1 - p)), abs=EXACT)
    np.testing.assert_allclose(explanation.towards(0), -explanation.towards(1))


def test_towards_a_class_of_three_is_its_lead() -> None:
    """Of more classes, it is the margin over the mean of the others."""
    assert margin(np.array([1.0, 2.0, 6.0]), 2) == 6 - 1.5


def test_as_dict_holds_the_fields_of_the_sum() -> None:
    """JSON has the words, the classes and all parts of the sum, and says what the arrays say."""
    explanation = explain(make_model(), TEXT)
    record = json.loads(json.dumps(explanation.as_dict()))
    fields = ["words", "labels", "logits", "bias", "initial", "contributions", "probability_after", "kept"]
    assert list(record) == fields
    assert record["words"] == list(explanation.words)
    for name in fields[2:]:
        np.testing.assert_array_equal(record[name], getattr(explanation, name))


def test_explanations_hold_the_gates() -> None:
    """The traces of the run are there, with the words, and need no second run."""
    explanation = explain(make_model(num_layers=2, bidirectional=True), TEXT)
    assert [(trace.layer, trace.reverse) for trace in explanation.traces] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert all(trace.tokens == (explanation.words,) for trace in explanation.traces)
    assert isinstance(explanation, Explanation)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (["a fine film"], TypeError, r"source is \['a fine film'\], expected one text \(str\) or vectors"),
        (None, TypeError, "source is None, expected one text"),
        (make_model().embed(["a", "b"]), ValueError, "source has 2 texts, expected one"),
        (np.zeros((3, 7), np.float32), ValueError, r"source has shape \(3, 7\), expected \[T, E\]"),
        (np.full((3, 6), np.nan), ValueError, "source holds 18 numbers that are not finite"),
    ],
)
def test_other_sources_are_refused(source: Any, error: type[Exception], message: str) -> None:
    """What is no single text is named in the error."""
    with pytest.raises(error, match=message):
        explain(make_model(), source)
