"""Gates set by hand."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tidegate.inspection.counterfactual import what_if
from tidegate.inspection.ledger import draw_ledger
from tidegate.models.config import TextConfig
from tidegate.models.text_model import TextModel
from tidegate.ops.cells import Cell
from tidegate.text.tokenizer import Tokenizer

EXACT = 1e-5
TEXT = "A fine plot , and then a dull , dull film"
TOKENIZER = Tokenizer.train([TEXT], min_frequency=1)
STACKS = [(layers, bidirectional) for layers in (1, 2) for bidirectional in (False, True)]
H = 5


def make_model(cell: str = "gru", **changes: Any) -> TextModel:
    """A model with random weights."""
    sizes = {"embedding_size": 6, "hidden_size": H} | changes
    config = TextConfig(cell=cell, labels=("bad", "good", "so-so"), vocab_size=len(TOKENIZER), **sizes)
    rng = np.random.default_rng(5)
    arrays = {name: rng.uniform(-0.7, 0.7, shape) for name, shape in config.shapes().items()}
    return TextModel(config, TOKENIZER, {name: array.astype(np.float32) for name, array in arrays.items()})


def sigmoid(a: Any) -> Any:
    return 1 / (1 + np.exp(-a))


ACTIVATIONS: dict[str, Any] = {
    "sigmoid": sigmoid,
    "hard_sigmoid": lambda a: np.clip(a / 6 + 1 / 2, 0, 1),
    "tanh": np.tanh,
    "relu": lambda a: np.maximum(a, 0),
    "identity": lambda a: a,
}


def gru_step(model: TextModel, x: Any, states: Any, weights: Any, hand: dict[str, float]) -> Any:
    """One step of a GRU as its equations say, with values of unit 2 set by hand."""
    (h,), (w_ih, w_hh, b_ih, b_hh) = states, weights
    gate, activation = (ACTIVATIONS[model.config.recurrent_cell.options[name]] for name in ("gate", "candidate"))
    a, b = np.split(w_ih @ x + b_ih, 3), np.split(w_hh @ h + b_hh, 3)
    r, z = gate(a[0] + b[0]), gate(a[1] + b[1])
    r[2], z[2] = hand.get("reset", r[2]), hand.get("update", z[2])
    if "reset=before" in model.config.cell:
        n = activation(a[2] + w_hh[2 * H :] @ (r * h) + b_hh[2 * H :])
    else:
        n = activation(a[2] + r * b[2])
    n[2] = hand.get("candidate", n[2])
    return (z * h + (1 - z) * n,)


def lstm_step(model: TextModel, x: Any, states: Any, weights: Any, hand: dict[str, float]) -> Any:
    """One step of an LSTM as its equations say, with values of unit 2 set by hand."""
    (h, c), (w_ih, w_hh, b_ih, b_hh) = states, weights
    i, f, g, o = np.split(w_ih @ x + b_ih + w_hh @ h + b_hh, 4)
    values = {"input": sigmoid(i), "forget": sigmoid(f), "candidate": np.tanh(g), "output": sigmoid(o)}
    for name, value in hand.items():
        values[name][2] = value
    c = values["forget"] * c + values["input"] * values["candidate"]
    return values["output"] * np.tanh(c), c


def by_hand(
    model: TextModel, at: tuple[int, bool, int], hand: dict[str, float]
) -> tuple[list[npt.NDArray[Any]], npt.NDArray[Any]]:
    """A stack in float64, step by step, with values set at one place: outputs by layer and direction, and logits."""
    take = lstm_step if model.config.cell == "lstm" else gru_step
    arrays = {name: array.astype(np.float64) for name, array in model.arrays.items()}
    x, states = model.embed(TEXT).x[:, 0], []
    for layer in range(model.config.num_layers):
        outputs = []
        for reverse in (False, True)[: 1 + model.config.bidirectional]:
            suffix = f"_l{layer}" + "_reverse" * reverse
            weights = [arrays[f"rnn.{name}{suffix}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
            state, y = (np.zeros(H),) * (2 if take is lstm_step else 1), np.zeros((len(x), H))
            for t in range(len(x))[:: -1 if reverse else 1]:
                state = take(model, x[t], state, weights, hand if (layer, reverse, t) == at else {})
                y[t] = state[0]
            outputs.append(y)
        states += outputs
        x = np.concatenate(outputs, axis=1)
    summary = np.concatenate([y[0 if d else -1] for d, y in enumerate(outputs)])
    return states, arrays["head.weight"] @ summary + arrays["head.bias"]


VALUES: list[tuple[str, dict[str, float]]] = [
    *(("gru", some) for some in ({"reset": 0.0}, {"update": 1.0}, {"candidate": 0.9}, {"reset": 1.0, "update": 0.2})),
    *(("lstm", some) for some in ({"forget": 0.0}, {"input": 1.0, "candidate": -0.5}, {"output": 0.1})),
]


@pytest.mark.parametrize(("layers", "bidirectional"), STACKS)
@pytest.mark.parametrize(("cell", "values"), VALUES)
def test_a_gate_set_by_hand_follows_the_equations(
    layers: int, bidirectional: bool, cell: str, values: dict[str, float]
) -> None:
    """States and logits are those of a cell written by hand, whatever gate is set, wherever it is."""
    model = make_model(cell, num_layers=layers, bidirectional=bidirectional)
    T = len(model.embed(TEXT).x)
    for layer in range(layers):
        for reverse in (False, True)[: 1 + bidirectional]:
            for step in (0, 4, T - 1):
                result = what_if(model, TEXT, layer=layer, reverse=reverse, step=step, unit=2, **values)
                states, logits = by_hand(model, (layer, reverse, step), values)
                index = layer * (1 + bidirectional) + reverse
                np.testing.assert_allclose(result.hidden, states[index], atol=EXACT)
                np.testing.assert_allclose(result.logits, logits, atol=EXACT)
                for trace, expected in zip(result.traces, states, strict=True):
                    np.testing.assert_allclose(trace.hidden[:, 0], expected, atol=EXACT)


@pytest.mark.parametrize("cell", ["gru", "lstm", "gru reset=before"])
@pytest.mark.parametrize(("layers", "bidirectional"), STACKS)
def test_the_values_that_gates_have_change_no_bit(layers: int, bidirectional: bool, cell: str) -> None:
    """Who sets a gate to what it is gets the same states, logits and gates, bit for bit."""
    known = Cell.of(cell)
    model = make_model(cell, num_layers=layers, bidirectional=bidirectional, summary="mean+max")
    for trace in model.trace(TEXT):
        for step in (0, 5, len(trace.hidden) - 1):
            gates = {name: float(trace.values[name][step, 0, 1]) for name in known.blocks}
            place: dict[str, Any] = {"layer": trace.layer, "reverse": trace.reverse, "step": step, "unit": 1}
            for some in (gates, *({name: value} for name, value in gates.items()), {}):
                result = what_if(model, TEXT, **place | some)
                np.testing.assert_array_equal(result.hidden, trace.hidden[:, 0])
                np.testing.assert_array_equal(result.logits, result.logits_before)
    np.testing.assert_array_equal(result.logits_before, model.scores([TEXT])[0])


@pytest.mark.parametrize("cell", ["gru candidate=relu", "gru candidate=identity gate=hard_sigmoid", "gru reset=before"])
def test_gates_of_other_grus_are_set_by_their_equations(cell: str) -> None:
    """The candidate that follows from a reset gate is that of the model's own equations."""
    model = make_model(cell)
    result = what_if(model, TEXT, step=4, unit=2, reset=0.9)
    states, logits = by_hand(model, (0, False, 4), {"reset": 0.9})
    np.testing.assert_allclose(result.hidden, states[0], atol=EXACT)
    np.testing.assert_allclose(result.logits, logits, atol=EXACT)


def test_a_reset_gate_before_the_product_moves_all_units() -> None:
    """All candidates read r ∘ h: with another r of one unit, each unit's candidate and state at the step are others."""
    model = make_model("gru reset=before")
    (before,), (after,) = model.trace(TEXT), what_if(model, TEXT, step=4, unit=2, reset=0.0).traces
    for name in ("candidate", "hidden"):
        assert (after.values[name][4, 0] != before.values[name][4, 0]).all()
    for name in ("reset", "reset_hidden"):
        assert np.flatnonzero(after.values[name][4, 0] != before.values[name][4, 0]).tolist() == [2]
    np.testing.assert_array_equal(after.update[4], before.update[4])


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
    assert result.traces[1].update[3, 0, 0] == 0


def test_the_ledger_of_an_lstm_adds_up_after_a_gate_was_set() -> None:
    """Cell state and output of the changed step go together: the account of the other run gives its own summary."""
    result = what_if(make_model("lstm", num_layers=2), TEXT, layer=1, step=10, unit=0, forget=0.0, output=0.9)
    assert draw_ledger(result.traces).error < EXACT
    assert result.traces[1].forget[10, 0, 0] == 0


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
        ({"forget": 0.5}, "'forget' can't be set, expected one of reset, update, candidate: the cell is gru"),
        ({"hn": 0.5}, "'hn' can't be set"),
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
