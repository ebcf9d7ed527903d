"""The numbers of the page's pictures, against the model's own."""

from base64 import b64decode
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("pydantic")

from tidegate.inspection.gradient_flow import flow
from tidegate.models.text_model import TextModel
from tidegate.sequences.recurrent import Recurrent
from tidegate.serve import messages, page

Make = Callable[..., TextModel]

TEXT = "a good film , not a bad film : unheard-of"
ROUNDED = 1e-6
DEEP = {"num_layers": 2, "bidirectional": True, "summary": "mean+max", "labels": ("bad", "so-so", "good")}
KINDS: list[dict[str, Any]] = [
    {},
    DEEP,
    {"bias": False},
    {"reset": "off", "update": "off", "candidate": "relu"},
    {"gate": "hard_sigmoid", "candidate": "identity"},
    {"cell": "rnn_tanh", "bidirectional": True},
    {"cell": "rnn_relu"},
    {"cell": "average"},
    {"cell": "compound"},
]


def names(kind: dict[str, Any]) -> str:
    return " ".join(map(str, kind.values())) or "gru"


@pytest.fixture(params=KINDS, ids=names)
def model(random_model: Make, request: pytest.FixtureRequest) -> TextModel:
    """A model of each kind."""
    return random_model(**request.param)


@pytest.fixture(params=KINDS[:7], ids=names)
def recurrent(random_model: Make, request: pytest.FixtureRequest) -> TextModel:
    """A model of each kind that has layers."""
    return random_model(**request.param)


def everywhere(model: TextModel, text: str = TEXT) -> list[messages.Place]:
    """Each layer and direction of a model."""
    directions = (False, True)[: 1 + model.config.bidirectional]
    layers = range(model.config.num_layers)
    return [messages.Place(text=text, layer=layer, reverse=reverse) for layer in layers for reverse in directions]


def values(told: messages.HeatMap) -> npt.NDArray[np.float64]:
    """The values of a heat map, as the page decodes them."""
    steps = np.frombuffer(b64decode(told.values), "<u2").reshape(told.steps, told.units)
    return told.low + steps / 65535 * (told.high - told.low)


def test_words_share_the_scores(model: TextModel) -> None:
    """Bias, initial state and contributions add up to the logits; probabilities are the model's."""
    told = page.words(model, messages.Question(text=TEXT))
    total = np.array(told.bias) + told.initial + np.sum(told.contributions, axis=0)
    np.testing.assert_allclose(total, told.logits, atol=1e-5)
    np.testing.assert_allclose(told.probabilities, model.predict_proba([TEXT])[0], atol=ROUNDED)
    np.testing.assert_allclose(told.probability_after[-1], told.probabilities, atol=ROUNDED)
    assert told.words == model.tokenizer.words(TEXT)
    assert [told.words[t] for t in told.unknown] == [",", "not", ":", "unheard", "-", "of"]
    assert told.error < 1e-5 * max(1, *np.abs(told.logits))
    assert 0 <= told.leading < max(1, model.config.hidden_size)


def test_a_remark_on_the_model_comes_with_the_words(random_model: Make) -> None:
    """What one must know of a model to read its words is told as by `explain`, and nothing of a plain GRU."""
    assert page.words(random_model(), messages.Question(text=TEXT)).remark == ""
    assert "no memory that changes" in page.words(random_model("average"), messages.Question(text=TEXT)).remark


def test_words_beyond_the_longest_text_are_counted(random_model: Make) -> None:
    """What the model does not read is left out, and its number is told."""
    told = page.words(random_model(max_length=3), messages.Question(text="a good film, a bad film"))
    assert (told.words, told.left_out) == (["a", "good", "film"], 4)


def test_vectors_are_read_in_the_place_of_words(model: TextModel) -> None:
    """Steps of numbers are named by their numbers, and none is unknown."""
    told = page.words(model, messages.Question(vectors=[[0.1, 0.2, 0.3, 0.4]] * 3))
    assert (told.words, told.unknown, told.left_out) == (["1", "2", "3"], [], 0)


def test_an_empty_text_has_pictures(model: TextModel) -> None:
    """Nothing fails for a text without a word, and the probabilities are the model's."""
    told = page.words(model, messages.Question(text=" "))
    np.testing.assert_allclose(told.probabilities, model.predict_proba([""])[0], atol=ROUNDED)
    assert told.words == []
    assert told.contributions == []
    for place in everywhere(model, "") if model.config.recurrent else ():
        fields = place.model_dump()
        assert page.heat_map(model, messages.GateQuestion(**fields, gate="hidden")).steps == 0
        assert page.flow_curves(model, place).this.log_norm == []
        assert page.unit(model, messages.UnitQuestion(**fields, unit=0)).hidden == []
        if model.config.cell == "gru":
            assert page.stream(model, place).top == []


def test_a_heat_map_holds_the_gates(recurrent: TextModel) -> None:
    """The values of every map that a model offers are those of its trace, to a 16-bit step."""
    gates = page.facts(recurrent, "name").gates
    assert gates
    for place in everywhere(recurrent):
        trace = place.trace(recurrent)
        for gate in set(gates) - {"kept"}:
            told = page.heat_map(recurrent, messages.GateQuestion(**place.model_dump(), gate=gate))
            step = (told.high - told.low) / 65535
            np.testing.assert_allclose(values(told), getattr(trace, gate)[:, 0], atol=step)


def test_units_are_sorted_by_memory(random_model: Make) -> None:
    """Units come by falling 1 / (1 − mean z)."""
    told = page.heat_map(random_model(), messages.GateQuestion(text=TEXT, gate="update"))
    kept = values(told).mean(axis=0)
    memory = np.array(told.memory)
    np.testing.assert_allclose(memory, 1 / (1 - kept), rtol=1e-3)
    assert (np.diff(memory[told.order]) <= 0).all()


@pytest.mark.parametrize("reverse", [False, True])
def test_kept_is_what_later_gates_leave(random_model: Make, reverse: bool) -> None:
    """The map of what is kept holds the product of the update gates that are walked later."""
    model = random_model(bidirectional=True)
    place: dict[str, Any] = {"text": TEXT, "reverse": reverse}
    z = messages.Place(**place).trace(model).update
    assert z is not None
    told = values(page.heat_map(model, messages.GateQuestion(**place, gate="kept")))
    walk = z[::-1, 0] if reverse else z[:, 0]
    expected = np.array([np.prod(walk[t + 1 :], axis=0) for t in range(len(walk))])
    np.testing.assert_allclose(told, expected[::-1] if reverse else expected, atol=1e-4)


@pytest.mark.parametrize("reverse", [False, True])
def test_the_stream_follows_each_deposit(random_model: Make, reverse: bool) -> None:
    """After each step a band is what is left of a deposit, summed over units by size; the bands add up to all."""
    model = random_model(bidirectional=True)
    place = messages.Place(text=TEXT, reverse=reverse)
    told, walk = page.stream(model, place), place.trace(model).walk()
    assert walk.update is not None
    assert walk.candidate is not None
    deposits, n = np.abs((1 - walk.update) * walk.candidate), len(walk.update)
    left = np.zeros((n, n))
    for s in range(n):
        for t in range(s, n):
            left[s, t] = (deposits[s] * np.prod(walk.update[s + 1 : t + 1], axis=0)).sum()
    if reverse:
        left = left[::-1, ::-1]
    np.testing.assert_allclose(told.amounts[:-1], left[told.top], atol=1e-5)
    np.testing.assert_allclose(np.sum(told.amounts, axis=0), left.sum(axis=0), atol=1e-5)
    np.testing.assert_allclose(told.own, left.diagonal(), atol=1e-5)
    assert set(told.top) == set(np.argsort(-left.sum(axis=1))[: page.TOP_WORDS])


def test_a_network_without_gates_has_no_stream(random_model: Make) -> None:
    """A vanilla RNN keeps nothing: asking for its deposits is an error that says so."""
    with pytest.raises(ValueError, match="writes its state anew"):
        page.stream(random_model("rnn_tanh"), messages.Place(text=TEXT))


def test_gradients_end_at_one(recurrent: TextModel) -> None:
    """In the order in which a layer walks, the last norm is 1, and there is one for each word."""
    for place in everywhere(recurrent):
        told = page.flow_curves(recurrent, place)
        for curve in filter(None, (told.this, told.vanilla)):
            assert len(curve.log_norm) == len(recurrent.tokenizer.words(TEXT))
            assert curve.log_norm[0 if place.reverse else -1] == 0
        assert (told.vanilla is None) == (recurrent.config.cell != "gru")


def test_the_network_beside_a_gru_is_the_rnn_of_its_candidate(random_model: Make) -> None:
    """With r ≡ 1 and z ≡ 0 a GRU is the vanilla RNN whose weights are those of its candidate."""
    model, question = random_model(), messages.Place(text=TEXT)
    arrays = {name.removeprefix("rnn."): array for name, array in model.arrays.items() if name.startswith("rnn.")}
    rnn = Recurrent({name: array[16:] for name, array in arrays.items()}, "rnn_tanh")
    (trace,) = rnn.trace(model.embed(TEXT).x)
    expected = flow(trace, arrays["weight_hh_l0"][16:]).log_frobenius[1:] - np.log10(8) / 2
    told = page.flow_curves(model, question).vanilla
    assert told is not None
    np.testing.assert_allclose(np.array(told.log_norm, float), expected, atol=1e-3)


def test_what_goes_through_a_unit_makes_its_gates(random_model: Make) -> None:
    """Sigmoid and tanh of what comes from input and memory are the gates, and these blend to the state."""
    model = random_model(num_layers=2, bidirectional=True)
    for place in everywhere(model):
        told = page.unit(model, messages.UnitQuestion(**place.model_dump(), unit=5))
        x, h = np.array(told.from_input), np.array(told.from_memory)
        r, z = 1 / (1 + np.exp(-(x[:2] + h[:2])))
        n = np.tanh(x[2] + r * h[2])
        for gate, expected in (("reset", r), ("update", z), ("candidate", n), ("hn", h[2])):
            np.testing.assert_allclose(told.gates[gate], expected, atol=1e-5)
        np.testing.assert_allclose(told.hidden, z * told.previous + (1 - z) * n, atol=1e-5)


def test_what_goes_through_a_unit_of_an_rnn_makes_its_state(random_model: Make) -> None:
    """The state is tanh of what comes from input and memory."""
    told = page.unit(random_model("rnn_tanh"), messages.UnitQuestion(text=TEXT, unit=7))
    np.testing.assert_allclose(told.hidden, np.tanh(np.add(told.from_input, told.from_memory)[0]), atol=1e-5)


def test_a_unit_that_is_not_there_is_refused(random_model: Make) -> None:
    """The error says how many units there are."""
    with pytest.raises(ValueError, match=r"unit is 8, expected 0\.\.7"):
        page.unit(random_model(), messages.UnitQuestion(text=TEXT, unit=8))


@pytest.mark.parametrize("place", [{}, {"layer": 1, "reverse": True}])
def test_a_closed_update_gate_keeps_the_state(random_model: Make, place: dict[str, Any]) -> None:
    """With z set to 1 by hand the unit keeps its state at that step, and the answer says what became of the rest."""
    model = random_model(num_layers=2, bidirectional=True)
    question = messages.WhatIfQuestion(text=TEXT, **place, unit=3, step=4, update=1.0)
    told, old = page.answer(model, question), page.unit(model, messages.UnitQuestion(text=TEXT, **place, unit=3))
    assert told.gates["update"] == 1
    assert told.hidden[4] == pytest.approx(old.previous[4], abs=ROUNDED)
    np.testing.assert_allclose(told.before, model.predict_proba([TEXT])[0], atol=ROUNDED)
    assert told.after != told.before


def test_a_gate_set_to_what_it_is_changes_nothing(random_model: Make) -> None:
    """Nothing set means that nothing changes."""
    told = page.answer(random_model(), messages.WhatIfQuestion(text=TEXT, unit=3, step=4))
    assert told.after == told.before


def test_the_page_knows_its_model(random_model: Make) -> None:
    """Facts name cell, sizes and the maps that there are; what is the same everywhere has no map."""
    told = page.facts(random_model(reset="off", max_length=9, **DEEP), "it")
    assert (told.name, told.cell, told.gated, told.layers, told.directions) == ("it", "gru reset=off", True, 2, 2)
    assert told.gates == ["update", "candidate", "hidden", "kept"]
    assert told.longest == 9
    assert told.off == ["reset"]
    assert page.facts(random_model(update="off"), "it").gates == ["reset", "candidate", "hidden"]
    assert page.facts(random_model(update="off"), "it").off == ["update"]
    assert page.facts(random_model("rnn_relu"), "it").off == []
    assert page.facts(random_model("rnn_relu"), "it").gates == ["hidden", "preactivation"]
    assert page.facts(random_model("average"), "it").layers == 0
