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
from tidegate.ops.cells import Cell
from tidegate.ops.trace import Trace
from tidegate.sequences.recurrent import Recurrent
from tidegate.serve.page import messages
from tidegate.serve.page.messages import QuestionError
from tidegate.serve.page.pictures import TOP_WORDS, Page

Make = Callable[..., TextModel]

TEXT = "a good film , not a bad film : unheard-of"
ROUNDED = 1e-6
DEEP = {"num_layers": 2, "bidirectional": True, "summary": "mean+max", "labels": ("bad", "so-so", "good")}
KINDS: list[dict[str, Any]] = [
    {},
    DEEP,
    {"bias": False},
    {"cell": "gru reset=off update=off candidate=relu"},
    {"cell": "gru candidate=identity gate=hard_sigmoid"},
    {"cell": "gru reset=before", "bidirectional": True},
    {"cell": "lstm"},
    {"cell": "lstm", "num_layers": 2, "bidirectional": True, "summary": "mean+max"},
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


@pytest.fixture(params=KINDS[:10], ids=names)
def recurrent(random_model: Make, request: pytest.FixtureRequest) -> TextModel:
    """A model of each kind that has layers."""
    return random_model(**request.param)


def everywhere(model: TextModel, text: str = TEXT) -> list[messages.Place]:
    """Each layer and direction of a model."""
    directions = (False, True)[: 1 + model.config.bidirectional]
    layers = range(model.config.num_layers)
    return [messages.Place(text=text, layer=layer, reverse=reverse) for layer in layers for reverse in directions]


def traced(model: TextModel, place: messages.Place) -> Trace:
    """What the layer in question did."""
    return place.find(model.trace(place.text or ""))


def values(told: messages.HeatMap) -> npt.NDArray[np.float64]:
    """The values of a heat map, as the page decodes them."""
    steps = np.frombuffer(b64decode(told.values), "<u2").reshape(told.steps, told.units)
    return told.low + steps / 65535 * (told.high - told.low)


def test_words_share_the_scores(model: TextModel) -> None:
    """Bias, initial state and contributions add up to the logits; probabilities are the model's."""
    told = Page(model).words(messages.Question(text=TEXT))
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
    assert Page(random_model()).words(messages.Question(text=TEXT)).remark == ""
    assert "no memory that changes" in Page(random_model("average")).words(messages.Question(text=TEXT)).remark


def test_words_beyond_the_longest_text_are_counted(random_model: Make) -> None:
    """What the model does not read is left out, and its number is told."""
    told = Page(random_model(max_length=3)).words(messages.Question(text="a good film, a bad film"))
    assert (told.words, told.left_out) == (["a", "good", "film"], 4)


def test_vectors_are_read_in_the_place_of_words(model: TextModel) -> None:
    """Steps of numbers are named by their numbers, and none is unknown."""
    told = Page(model).words(messages.Question(vectors=[[0.1, 0.2, 0.3, 0.4]] * 3))
    assert (told.words, told.unknown, told.left_out) == (["1", "2", "3"], [], 0)


def test_an_empty_text_has_pictures(model: TextModel) -> None:
    """Nothing fails for a text without a word, and the probabilities are the model's."""
    told = Page(model).words(messages.Question(text=" "))
    np.testing.assert_allclose(told.probabilities, model.predict_proba([""])[0], atol=ROUNDED)
    assert told.words == []
    assert told.contributions == []
    for place in everywhere(model, "") if model.config.recurrent else ():
        fields = place.model_dump()
        assert Page(model).heat_map(messages.GateQuestion(**fields, gate="hidden")).steps == 0
        assert Page(model).flow(place).this.log_norm == []
        assert Page(model).unit(messages.UnitQuestion(**fields, unit=0)).after["hidden"] == []
        if model.stack and model.stack.cell.keeps:
            assert Page(model).stream(place).top == []


def test_a_heat_map_holds_the_gates(recurrent: TextModel) -> None:
    """The values of every map that a model offers are those of its trace, to a 16-bit step."""
    page = Page(recurrent)
    gates = page.facts().maps
    assert gates
    for place in everywhere(recurrent):
        trace = traced(recurrent, place)
        for gate in set(gates) - {"kept"}:
            told = page.heat_map(messages.GateQuestion(**place.model_dump(), gate=gate))
            step = (told.high - told.low) / 65535
            np.testing.assert_allclose(values(told), getattr(trace, gate)[:, 0], atol=step)


@pytest.mark.parametrize(("cell", "gate"), [("gru", "update"), ("lstm", "forget")])
def test_units_are_sorted_by_memory(random_model: Make, cell: str, gate: str) -> None:
    """Units come by falling 1 / (1 − mean of the gate that keeps)."""
    told = Page(random_model(cell)).heat_map(messages.GateQuestion(text=TEXT, gate=gate))
    kept = values(told).mean(axis=0)
    memory = np.array(told.memory)
    np.testing.assert_allclose(memory, 1 / (1 - kept), rtol=1e-3)
    assert (np.diff(memory[told.order]) <= 0).all()


@pytest.mark.parametrize(("cell", "gate"), [("gru", "update"), ("lstm", "forget")])
@pytest.mark.parametrize("reverse", [False, True])
def test_kept_is_what_later_gates_leave(random_model: Make, reverse: bool, cell: str, gate: str) -> None:
    """The map of what is kept holds the product of the keeping gates that are walked later."""
    model = random_model(cell, bidirectional=True)
    place: dict[str, Any] = {"text": TEXT, "reverse": reverse}
    z = traced(model, messages.Place(**place)).values[gate]
    told = values(Page(model).heat_map(messages.GateQuestion(**place, gate="kept")))
    walk = z[::-1, 0] if reverse else z[:, 0]
    expected = np.array([np.prod(walk[t + 1 :], axis=0) for t in range(len(walk))])
    np.testing.assert_allclose(told, expected[::-1] if reverse else expected, atol=1e-4)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("reverse", [False, True])
def test_the_stream_follows_each_deposit(random_model: Make, reverse: bool, cell: str) -> None:
    """After each step a band is what is left of a deposit, summed over units by size; the bands add up to all."""
    model = random_model(cell, bidirectional=True)
    place = messages.Place(text=TEXT, reverse=reverse)
    told, walk = Page(model).stream(place), traced(model, place).walk()
    written, carry = (1 - walk.update, walk.update) if cell == "gru" else (walk.input, walk.forget)
    deposits, n = np.abs(written * walk.candidate), len(carry)
    left = np.zeros((n, n))
    for s in range(n):
        for t in range(s, n):
            left[s, t] = (deposits[s] * np.prod(carry[s + 1 : t + 1], axis=0)).sum()
    if reverse:
        left = left[::-1, ::-1]
    np.testing.assert_allclose(told.amounts[:-1], left[told.top], atol=1e-5)
    np.testing.assert_allclose(np.sum(told.amounts, axis=0), left.sum(axis=0), atol=1e-5)
    np.testing.assert_allclose(told.own, left.diagonal(), atol=1e-5)
    assert set(told.top) == set(np.argsort(-left.sum(axis=1))[:TOP_WORDS])


def test_a_network_without_gates_has_no_stream(random_model: Make) -> None:
    """A vanilla RNN keeps nothing: asking for its deposits is an error that says so."""
    with pytest.raises(ValueError, match="writes its state anew"):
        Page(random_model("rnn_tanh")).stream(messages.Place(text=TEXT))


def test_gradients_end_at_one(recurrent: TextModel) -> None:
    """In the order in which a layer walks, the last norm is 1, and there is one for each word."""
    page = Page(recurrent)
    for place in everywhere(recurrent):
        told = page.flow(place)
        for curve in filter(None, (told.this, told.vanilla)):
            assert len(curve.log_norm) == len(recurrent.tokenizer.words(TEXT))
            assert curve.log_norm[0 if place.reverse else -1] == 0
        assert (told.vanilla is None) == (recurrent.config.recurrent_cell.name != "gru")  # its gates alone can be off


def test_the_network_beside_a_gru_is_the_rnn_of_its_candidate(random_model: Make) -> None:
    """With r ≡ 1 and z ≡ 0 a GRU is the vanilla RNN whose weights are those of its candidate."""
    model, question = random_model(), messages.Place(text=TEXT)
    arrays = {name.removeprefix("rnn."): array for name, array in model.arrays.items() if name.startswith("rnn.")}
    rnn = Recurrent({name: array[16:] for name, array in arrays.items()}, "rnn_tanh")
    (trace,) = rnn.trace(model.embed(TEXT).x)
    expected = flow(trace, arrays["weight_hh_l0"][16:]).log_frobenius[1:] - np.log10(8) / 2
    told = Page(model).flow(question).vanilla
    assert told is not None
    np.testing.assert_allclose(np.array(told.log_norm, float), expected, atol=1e-3)


def sigmoid(a: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return 1 / (1 + np.exp(-a))


@pytest.mark.parametrize("reset", ["after", "before"])
def test_what_goes_through_a_unit_makes_its_gates(random_model: Make, reset: str) -> None:
    """Sigmoid and tanh of what comes from input and memory are the gates, and these blend to the state."""
    model = random_model(f"gru reset={reset}", num_layers=2, bidirectional=True)
    for place in everywhere(model):
        told = Page(model).unit(messages.UnitQuestion(**place.model_dump(), unit=5))
        x, h = ({name: np.array(row) for name, row in part.items()} for part in (told.from_input, told.from_memory))
        r, z = (sigmoid(x[name] + h[name]) for name in ("reset", "update"))
        n = np.tanh(x["candidate"] + (r if reset == "after" else 1) * h["candidate"])
        for gate, expected in (("reset", r), ("update", z), ("candidate", n)):
            np.testing.assert_allclose(told.gates[gate], expected, atol=1e-5)
        np.testing.assert_allclose(told.after["hidden"], z * told.before["hidden"] + (1 - z) * n, atol=1e-5)
        assert set(told.gates) == {"reset", "update", "candidate"}
        assert told.reads_first == (reset == "before")


def test_what_goes_through_a_unit_of_an_lstm_makes_its_states(random_model: Make) -> None:
    """The gates are those of what comes in, the cell state is f c + i g, and the output o tanh(c)."""
    model = random_model("lstm", num_layers=2, bidirectional=True)
    for place in everywhere(model):
        told = Page(model).unit(messages.UnitQuestion(**place.model_dump(), unit=5))
        sums = {name: np.add(told.from_input[name], told.from_memory[name]) for name in told.from_input}
        i, f, o = (sigmoid(sums[name]) for name in ("input", "forget", "output"))
        c = f * told.before["cell_state"] + i * np.tanh(sums["candidate"])
        np.testing.assert_allclose(told.after["cell_state"], c, atol=1e-5)
        np.testing.assert_allclose(told.after["hidden"], o * np.tanh(c), atol=1e-5)
        np.testing.assert_allclose(told.gates["forget"], f, atol=1e-5)


def test_what_goes_through_a_unit_of_an_rnn_makes_its_state(random_model: Make) -> None:
    """The state is tanh of what comes from input and memory."""
    told = Page(random_model("rnn_tanh")).unit(messages.UnitQuestion(text=TEXT, unit=7))
    total = np.add(told.from_input["preactivation"], told.from_memory["preactivation"])
    np.testing.assert_allclose(told.after["hidden"], np.tanh(total), atol=1e-5)


def test_a_unit_that_is_not_there_is_refused(random_model: Make) -> None:
    """The error says how many units there are."""
    with pytest.raises(ValueError, match=r"unit is 8, expected 0\.\.7"):
        Page(random_model()).unit(messages.UnitQuestion(text=TEXT, unit=8))


@pytest.mark.parametrize("place", [{}, {"layer": 1, "reverse": True}])
def test_a_closed_update_gate_keeps_the_state(random_model: Make, place: dict[str, Any]) -> None:
    """With z set to 1 by hand the unit keeps its state at that step, and the answer says what became of the rest."""
    model = random_model(num_layers=2, bidirectional=True)
    question = messages.WhatIfQuestion(text=TEXT, **place, unit=3, step=4, values={"update": 1.0})
    told, old = Page(model).what_if(question), Page(model).unit(messages.UnitQuestion(text=TEXT, **place, unit=3))
    assert told.gates["update"] == 1
    assert told.after["hidden"][4] == pytest.approx(old.before["hidden"][4], abs=ROUNDED)
    np.testing.assert_allclose(told.probabilities_before, model.predict_proba([TEXT])[0], atol=ROUNDED)
    assert told.probabilities != told.probabilities_before


def test_a_gate_set_to_what_it_is_changes_nothing(random_model: Make) -> None:
    """Nothing set means that nothing changes."""
    told = Page(random_model()).what_if(messages.WhatIfQuestion(text=TEXT, unit=3, step=4))
    assert told.probabilities == told.probabilities_before


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"step": 99}, r"step is 99, expected 0\.\.11"),
        ({"unit": 8}, r"unit is 8, expected 0\.\.7"),
        ({"layer": 1}, "the model has no layer 1"),
        ({"values": {"forget": 0.5}}, "'forget' can't be set, expected one of reset, update, candidate"),
        ({"values": {"update": 1.5}}, r"update is 1.5, expected 0\.\.1"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(random_model: Make, fields: dict[str, Any], complaint: str) -> None:
    """A place or a gate that is not there, and a share beyond 1, are refused with what there is."""
    question: dict[str, Any] = {"text": TEXT, "unit": 0, "step": 0} | fields
    with pytest.raises(QuestionError, match=complaint):
        Page(random_model()).what_if(messages.WhatIfQuestion(**question))


def test_an_answer_says_what_the_changed_unit_reads(random_model: Make) -> None:
    """With a reset gate before the product, set to 0 by hand, the candidate reads what is left of the other units."""
    model = random_model("gru reset=before")
    place: dict[str, Any] = {"text": TEXT, "unit": 3}
    told = Page(model).what_if(messages.WhatIfQuestion(**place, step=4, values={"reset": 0.0}))
    old = Page(model).unit(messages.UnitQuestion(**place))
    n = np.tanh(old.from_input["candidate"][4] + told.from_memory["candidate"])
    assert told.gates["candidate"] == pytest.approx(n, abs=1e-5)
    assert told.from_memory["candidate"] != old.from_memory["candidate"][4]
    assert told.from_memory["update"] == old.from_memory["update"][4]


def test_a_text_is_read_once_for_all_pictures(random_model: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked of a text, the model reads it once, and again only when other texts have come between."""
    model = random_model(num_layers=2)
    runs: list[Any] = []
    trace, place = model.trace, {"text": TEXT, "layer": 1}

    def counted(source: Any) -> list[Trace]:
        runs.append(source)
        return trace(source)

    monkeypatch.setattr(model, "trace", counted)
    page = Page(model)
    page.words(messages.Question(text=TEXT))
    page.heat_map(messages.GateQuestion(**place, gate="update"))  # type: ignore[arg-type]
    page.stream(messages.Place(**place))  # type: ignore[arg-type]
    page.flow(messages.Place(**place))  # type: ignore[arg-type]
    page.unit(messages.UnitQuestion(**place, unit=0))  # type: ignore[arg-type]
    page.what_if(messages.WhatIfQuestion(**place, unit=0, step=0, values={"update": 1}))  # type: ignore[arg-type]
    assert len(runs) == 1
    for text in ("a film", "film", TEXT):
        page.words(messages.Question(text=text))
    assert len(runs) == 4


def test_the_page_knows_its_model(random_model: Make) -> None:
    """Facts name cell, sizes and the maps that there are; what is the same everywhere has no map."""

    def facts(*arguments: Any, **rest: Any) -> messages.Facts:
        return Page(random_model(*arguments, **rest), "it").facts()

    deep = facts("gru reset=off", max_length=9, **DEEP)
    assert (deep.name, deep.kind, deep.title, deep.layers, deep.directions) == (
        *("it", "GRU", "GRU, reset gate off"),
        *(2, 2),
    )
    assert deep.maps == ["update", "candidate", "hidden", "kept"]
    assert deep.longest == 9
    assert [value.name for value in deep.values if value.off] == ["reset"]
    assert facts("gru update=off").maps == ["reset", "candidate", "hidden"]
    assert facts("rnn_relu").maps == ["hidden", "preactivation"]
    assert facts("average").layers == 0
    assert (facts("average").title, facts("compound").title) == (
        "average of word vectors",
        "compounding of word vectors",
    )
    assert facts("gru reset=before candidate=relu gate=hard_sigmoid").title == (
        "GRU, reset gate before, relu candidate, hard sigmoid gate"
    )


def test_the_values_of_a_cell_are_those_that_it_declares(recurrent: TextModel) -> None:
    """Each block of weights and each state is there with its symbol, and each gate that has a role has that role."""
    assert recurrent.stack is not None
    cell, facts = recurrent.stack.cell, Page(recurrent).facts()
    named = {value.name: value for value in facts.values if value.name != "kept"}
    assert set(named) == {*cell.blocks, *cell.states}
    for name, value in named.items():
        assert value.symbol == cell.symbols[name]
        assert value.label.endswith(f" {value.symbol}")
    roles = {value.role: value.name for value in facts.values}
    for role in ("keeps", "reads", "writes", "shows"):
        assert roles.get(role) == getattr(cell, role)
    assert [value.role for value in facts.values if value.name in cell.states] == (
        ["state"] if cell.S == 1 else ["output", "memory"]
    )


def test_an_lstm_is_described(random_model: Make) -> None:
    """Gates, candidate, both states and what is kept have their labels, the gate that keeps first."""
    labels = [value.label for value in Page(random_model("lstm")).facts().values]
    assert labels == [
        *("Forget gate f", "Input gate i", "Output gate o", "Candidate g"),
        *("Hidden state h", "Cell state c", "Kept at the end"),
    ]


def test_a_cell_that_the_page_has_never_seen_is_described(random_model: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the page says comes from the declaration alone: another title and other symbols are what it shows."""
    model = random_model("lstm")
    kind = type(Cell.of("lstm"))
    monkeypatch.setattr(kind, "title", "box of gates")
    monkeypatch.setattr(kind, "symbols", dict.fromkeys([*kind.blocks, *kind.states], "ξ"))
    facts = Page(model).facts()
    assert facts.title == "box of gates"
    assert {value.symbol for value in facts.values} == {"ξ", ""}
