"""Explanations of answers, and gates set by hand."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tidegate.inspection import explain as module
from tidegate.inspection.explain import Explanation, explain, margin, what_if
from tidegate.inspection.ledger import draw_ledger
from tidegate.models.config import TextConfig, cell_names
from tidegate.models.text_model import TextModel
from tidegate.ops import reference
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
    ("gru", {"update": "off", "reset": "off", "candidate": "relu"}),
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
    sizes = {"V": len(tokenizer), "E": 6, "H": 5, "G": 3 if cell == "gru" else 1, "D": 1 + config.bidirectional}
    sizes |= {"C": len(labels), "F": config.summary_size, "R": 1}
    rng = np.random.default_rng(5)
    arrays = {
        name: rng.uniform(-0.7, 0.7, [np.prod([sizes[letter] for letter in axis.split("·")]) for axis in shape.split()])
        for name, shape in config.letters().items()
    }
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
        ("gru", {"reset": "off", "candidate": "relu"}, ""),
        ("gru", {"update": "off"}, "without an update gate nothing is kept"),
        ("rnn_tanh", {}, "without an update gate nothing is kept"),
        ("rnn_relu", {}, "without an update gate nothing is kept"),
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


# Gates set by hand ---------------------------------------------------------------------------------------------------

STACKS = [(layers, bidirectional) for layers in (1, 2) for bidirectional in (False, True)]


def gru_by_hand(
    model: TextModel, x: npt.NDArray[Any], at: tuple[int, bool, int, int], values: dict[str, float]
) -> tuple[list[npt.NDArray[Any]], npt.NDArray[Any]]:
    """A GRU stack in float64, step by step, with gates set at one place: all states by layer and direction, logits."""
    sigmoid, activation = (reference.ACTIVATIONS[name].function for name in (model.config.gate, model.config.candidate))
    weights = {name: array.astype(np.float64) for name, array in model.arrays.items()}
    H, states = model.config.hidden_size, []
    for layer in range(model.config.num_layers):
        outputs = []
        for reverse in (False, True)[: 1 + model.config.bidirectional]:
            suffix = f"_l{layer}" + "_reverse" * reverse
            w_ih, w_hh, b_ih, b_hh = (
                weights[f"rnn.{name}{suffix}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            h, y = np.zeros(H), np.zeros((len(x), H))
            for t in range(len(x))[:: -1 if reverse else 1]:
                a, b = w_ih @ x[t] + b_ih, w_hh @ h + b_hh
                r, z = sigmoid(a[:H] + b[:H]), sigmoid(a[H : 2 * H] + b[H : 2 * H])
                here = (layer, reverse, t) == at[:3]
                r[at[3]] = values.get("reset", r[at[3]]) if here else r[at[3]]
                z[at[3]] = values.get("update", z[at[3]]) if here else z[at[3]]
                n = activation(a[2 * H :] + r * b[2 * H :])
                n[at[3]] = values.get("candidate", n[at[3]]) if here else n[at[3]]
                y[t] = h = z * h + (1 - z) * n
            outputs.append(y)
        states += outputs
        x = np.concatenate(outputs, axis=1)
    summary = np.concatenate([y[0 if d else -1] for d, y in enumerate(states[-len(outputs) :])])
    return states, weights["head.weight"] @ summary + weights["head.bias"]


@pytest.mark.parametrize(("layers", "bidirectional"), STACKS)
@pytest.mark.parametrize("values", [{"reset": 0.0}, {"update": 1.0}, {"candidate": 0.9}, {"reset": 1.0, "update": 0.2}])
def test_a_gate_set_by_hand_follows_the_equations(layers: int, bidirectional: bool, values: dict[str, float]) -> None:
    """States and logits are those of a GRU written by hand, whatever gate is set, wherever it is."""
    model = make_model(num_layers=layers, bidirectional=bidirectional)
    x = model.embed(TEXT).x[:, 0]
    for layer in range(layers):
        for reverse in (False, True)[: 1 + bidirectional]:
            for step in (0, 4, len(x) - 1):
                result = what_if(model, TEXT, layer=layer, reverse=reverse, step=step, unit=2, **values)
                states, logits = gru_by_hand(model, x, (layer, reverse, step, 2), values)
                index = layer * (1 + bidirectional) + reverse
                np.testing.assert_allclose(result.hidden, states[index], atol=EXACT)
                np.testing.assert_allclose(result.logits, logits, atol=EXACT)
                for trace, expected in zip(result.traces, states, strict=True):
                    np.testing.assert_allclose(trace.hidden[:, 0], expected, atol=EXACT)


@pytest.mark.parametrize(("layers", "bidirectional"), STACKS)
def test_the_values_that_gates_have_change_no_bit(layers: int, bidirectional: bool) -> None:
    """Who sets a gate to what it is gets the same states, logits and gates, bit for bit."""
    model = make_model(num_layers=layers, bidirectional=bidirectional, summary="mean+max")
    for trace in model.trace(TEXT):
        for step in range(len(trace.hidden)):
            gates = {name: float(getattr(trace, name)[step, 0, 1]) for name in ("reset", "update", "candidate")}
            place: dict[str, Any] = {"layer": trace.layer, "reverse": trace.reverse, "step": step, "unit": 1}
            for some in (gates, {"update": gates["update"]}, {"reset": gates["reset"]}, {}):
                result = what_if(model, TEXT, **place | some)
                np.testing.assert_array_equal(result.hidden, trace.hidden[:, 0])
                np.testing.assert_array_equal(result.logits, result.logits_before)
    np.testing.assert_array_equal(result.logits_before, model.scores([TEXT])[0])


@pytest.mark.parametrize("choices", [{"candidate": "relu"}, {"candidate": "identity", "gate": "hard_sigmoid"}])
def test_gates_of_other_grus_are_set_by_their_equations(choices: dict[str, Any]) -> None:
    """The candidate that follows from a reset gate is that of the model's own activation."""
    model = make_model(**choices)
    result = what_if(model, TEXT, step=4, unit=2, reset=0.9)
    states, logits = gru_by_hand(model, model.embed(TEXT).x[:, 0], (0, False, 4, 2), {"reset": 0.9})
    np.testing.assert_allclose(result.hidden, states[0], atol=EXACT)
    np.testing.assert_allclose(result.logits, logits, atol=EXACT)


def test_an_open_update_gate_copies_the_state() -> None:
    """With z = 1 the unit's state is that of the step before, to the bit, and other units of the step stay."""
    model = make_model()
    result, before = what_if(model, TEXT, step=4, unit=3, update=1.0), model.trace(TEXT)[0].hidden[:, 0]
    assert result.hidden[4, 3] == result.hidden[3, 3]
    assert np.flatnonzero(result.hidden[4] != before[4]).tolist() == [3]
    np.testing.assert_array_equal(result.hidden[:4], before[:4])
    assert (result.probabilities != result.probabilities_before).any()


def test_the_ledger_adds_up_after_a_gate_was_set() -> None:
    """The traces of the other run hold the gate as it was set: deposits and shares give its own summary."""
    result = what_if(make_model(num_layers=2), TEXT, layer=1, step=3, unit=0, update=0.0, reset=0.5)
    assert draw_ledger(result.traces).error < EXACT
    assert result.traces[1].update is not None
    assert result.traces[1].update[3, 0, 0] == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer": 1}, r"layer is 1, expected 0\.\.0 for this model"),
        ({"reverse": True}, r"reverse is 1, expected 0\.\.0"),
        ({"step": 11}, r"step is 11, expected 0\.\.10"),
        ({"step": -1}, "step is -1"),
        ({"unit": 5}, r"unit is 5, expected 0\.\.4"),
        ({"reset": 1.5}, r"reset is 1.5, expected 0\.\.1"),
        ({"update": float("nan")}, r"update is nan, expected 0\.\.1"),
        ({"candidate": float("inf")}, "candidate is inf, expected a finite number"),
    ],
)
def test_places_and_values_out_of_range_are_refused(changes: dict[str, Any], message: str) -> None:
    """The error names what is out of range and what the range is."""
    with pytest.raises(ValueError, match=message):
        what_if(make_model(), TEXT, **{"step": 0, "unit": 0} | changes)


@pytest.mark.parametrize(("cell", "lacks"), [("rnn_tanh", "gates"), ("average", "recurrent layer")])
def test_a_model_without_gates_has_none_to_set(cell: str, lacks: str) -> None:
    """A vanilla RNN and an average are refused."""
    with pytest.raises(ValueError, match=f"a model with the cell '{cell}' has no {lacks}"):
        what_if(make_model(cell), TEXT, step=0, unit=0, update=1.0)
