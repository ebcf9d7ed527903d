"""Traces of recurrent stacks and of models."""

from pathlib import Path

import numpy as np
import pytest

import tidegate
from tidegate import Recurrent, Trace
from tidegate.ops.cells import Cell
from tidegate.ops.names import parameter_letters

I, H, T, B = 5, 7, 11, 3
LENGTHS = np.array([11, 0, 4])


def stack(cell: str = "gru", layers: int = 2, directions: int = 2, summary: str = "last") -> Recurrent:
    """A stack with random weights."""
    rng, gates = np.random.default_rng(layers), Cell.of(cell).G
    sizes = {"G·H": gates * H, "I": I, "H": H, "D·H": directions * H}
    letters = parameter_letters(layers, directions == 2, bias=True)
    weights = {name: rng.standard_normal([sizes[axis] for axis in axes.split()]) / 2 for name, axes in letters.items()}
    return Recurrent(weights, cell, summary)


def inputs() -> np.ndarray:
    return np.random.default_rng(5).standard_normal((T, B, I)).astype(np.float32)


def sigmoid(a: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-a)))


def test_a_trace_equals_a_gru_written_by_hand() -> None:
    """Gates, candidate and state of every layer, direction and step are those of the equations, in float64."""
    model, x = stack(), inputs()
    traces, h0 = model.trace(x, LENGTHS), np.zeros(H)
    assert [(trace.layer, trace.reverse) for trace in traces] == [(0, False), (0, True), (1, False), (1, True)]
    read: np.ndarray = x
    for layer in range(2):
        for trace in traces[2 * layer : 2 * layer + 2]:
            suffix = f"_l{layer}" + "_reverse" * trace.reverse
            w_ih, w_hh, b_ih, b_hh = (
                model.weights[kind + suffix].astype(np.float64)
                for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            for b, length in enumerate(LENGTHS):
                h = h0
                for t in range(length)[:: -1 if trace.reverse else 1]:
                    a, c = np.split(w_ih @ read[t, b] + b_ih, 3), np.split(w_hh @ h + b_hh, 3)
                    r, z = sigmoid(a[0] + c[0]), sigmoid(a[1] + c[1])
                    n = np.tanh(a[2] + r * c[2])
                    h = z * h + (1 - z) * n
                    for name, value in {"reset": r, "update": z, "candidate": n, "hn": c[2], "hidden": h}.items():
                        np.testing.assert_allclose(getattr(trace, name)[t, b], value, atol=2e-6, err_msg=name)
        read = np.concatenate([trace.hidden for trace in traces[2 * layer : 2 * layer + 2]], axis=2)


def test_a_trace_is_zero_beyond_a_rows_length() -> None:
    """Padding holds zeros in every array."""
    for trace in stack().trace(inputs(), LENGTHS):
        for array in (trace.reset, trace.update, trace.candidate, trace.hn, trace.hidden):
            assert array is not None
            assert not array[4:, 2].any()
            assert not array[:, 1].any()


@pytest.mark.parametrize("cell", ["gru", "rnn_tanh", "lstm", "gru reset=before"])
def test_tracing_changes_no_bit(cell: str) -> None:
    """The states of a trace are the outputs, bit for bit."""
    model, x = stack(cell), inputs()
    y, _ = model.outputs(x, LENGTHS)
    traces = model.trace(x, LENGTHS)
    np.testing.assert_array_equal(np.concatenate([trace.hidden for trace in traces[2:]], axis=2), y)


def test_a_walk_follows_the_direction() -> None:
    """The states that steps have read are those that the steps before have written, from the initial state on."""
    h0 = np.random.default_rng(0).standard_normal((4, B, H)).astype(np.float32)
    for i, trace in enumerate(stack().trace(inputs(), LENGTHS, h0)):
        walk = trace.walk(2)
        assert len(walk.hidden) == 4
        np.testing.assert_array_equal(walk.previous[0], h0[i, 2])
        np.testing.assert_array_equal(walk.previous[1:], walk.hidden[:-1])
        np.testing.assert_array_equal(walk.hidden[0], trace.hidden[3 if trace.reverse else 0, 2])
        assert len(trace.walk(1).previous) == 0


@pytest.mark.parametrize("cell", ["gru", "rnn_tanh", "rnn_relu", "lstm", "gru reset=before"])
def test_gradients_reach_the_inputs(cell: str) -> None:
    """The gradient by the inputs is that of finite differences, through all layers and directions."""
    model, x, rng = stack(cell), inputs(), np.random.default_rng(1)
    dy = rng.standard_normal((T, B, 2 * H)).astype(np.float32)
    dh_n = rng.standard_normal((2, 4, B, H) if cell == "lstm" else (4, B, H)).astype(np.float32)
    dx = model.input_gradient(x, model.trace(x, LENGTHS), dy, dh_n)

    def loss(x: np.ndarray) -> float:
        y, h_n = model.outputs(x.astype(np.float32), LENGTHS)
        return float((y.astype(np.float64) * dy).sum() + (h_n.astype(np.float64) * dh_n).sum())

    direction = rng.standard_normal(x.shape).astype(np.float32)
    slope = (loss(x + 2e-3 * direction) - loss(x - 2e-3 * direction)) / 4e-3
    assert slope == pytest.approx(float((dx * direction).sum()), rel=0.02)
    assert not dx[4:, 2].any()


def test_a_model_traces_texts_with_their_words(tiny_model: Path) -> None:
    """The words, the lengths and the states of several texts come together, and end in the summary vectors."""
    model = tidegate.load(tiny_model)
    (trace,) = model.trace(["a good film", "bad"])
    assert trace.tokens == (("a", "good", "film"), ("bad",))
    assert trace.lengths.tolist() == [3, 1]
    vectors = np.stack([trace.hidden[2, 0], trace.hidden[0, 1]])
    np.testing.assert_array_equal(vectors, model.encode(["a good film", "bad"]))


def test_a_model_traces_vectors(tiny_model: Path) -> None:
    """Vectors in the place of words give the same trace as the words that have these vectors."""
    model = tidegate.load(tiny_model)
    (by_text,) = model.trace("a good film")
    (by_vectors,) = model.trace(model.embed("a good film").x[:, 0])
    assert isinstance(by_vectors, Trace)
    assert by_vectors.tokens is None
    np.testing.assert_array_equal(by_vectors.hidden, by_text.hidden)


def test_what_cannot_be_traced_is_refused(tiny_model: Path) -> None:
    """Vectors of another size, numbers that are not finite, and things that are no text are named in the error."""
    model = tidegate.load(tiny_model)
    with pytest.raises(ValueError, match=r"source has shape \(2, 3\), expected \[T, E\]"):
        model.trace(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="1 numbers that are not finite"):
        model.trace(np.array([[0, 0, np.nan, 0]]))
    with pytest.raises(TypeError, match=r"texts\[0\] is 3"):
        model.trace([3])


def test_shares_that_gates_hold_back_follow_their_definitions() -> None:
    """They are |(1 − z) h| over |h| and |(1 − r) hn| over |hn|; the first step of a walk has no past."""
    for trace in stack().trace(inputs(), LENGTHS):
        walk = trace.walk(0)
        h, hn = np.abs(walk.previous[1:]), np.abs(walk.hn[1:])
        np.testing.assert_allclose(
            walk.held_back("update")[1:], ((1 - walk.update[1:]) * h).sum(1) / h.sum(1), atol=1e-6
        )
        np.testing.assert_allclose(
            walk.held_back("reset")[1:], ((1 - walk.reset[1:]) * hn).sum(1) / hn.sum(1), atol=1e-6
        )
        assert walk.held_back("update")[0] == walk.held_back("reset")[0] == 0
        assert trace.walk(1).held_back("update").shape == trace.walk(1).held_back("reset").shape == (0,)


def test_a_vanilla_rnn_lets_nothing_go() -> None:
    """It has no gates, and the error says so."""
    walk = stack("rnn_tanh").trace(inputs(), LENGTHS)[0].walk()
    for gate in ("update", "reset"):
        with pytest.raises(ValueError, match=r"a vanilla RNN \(tanh\) has no gate"):
            walk.held_back(gate)


def test_a_copy_can_be_changed() -> None:
    """What is written into a copy is not written into the trace."""
    trace, other = stack().trace(inputs())[0], stack().trace(inputs()[:9])[0]
    copy, before = trace.copy(), trace.hidden.copy()
    copy.write(slice(2, None), other)
    for name in ("hidden", "reset", "update", "candidate", "hn"):
        np.testing.assert_array_equal(getattr(copy, name)[:2], getattr(trace, name)[:2])
        np.testing.assert_array_equal(getattr(copy, name)[2:], getattr(other, name))
    np.testing.assert_array_equal(trace.hidden, before)


@pytest.mark.parametrize("cell", ["gru", "rnn_tanh"])
@pytest.mark.parametrize(("layer", "reverse"), [(0, False), (0, True), (1, True)])
@pytest.mark.parametrize("step", [0, 4, T - 1])
def test_a_stack_walks_on_from_a_changed_step(cell: str, layer: int, reverse: bool, step: int) -> None:
    """With the state unchanged every bit stays; with another one, the earlier steps and the layers below do."""
    model, x = stack(cell), inputs()
    traces = model.trace(x)
    changed = traces[2 * layer + reverse].copy()
    for trace, same in zip(traces, model.resume(x, traces, changed, step), strict=True):
        np.testing.assert_array_equal(same.hidden, trace.hidden)
    changed.hidden[step] += 0.5
    results = model.resume(x, traces, changed, step)
    for index, (trace, result) in enumerate(zip(traces, results, strict=True)):
        same_steps = (result.hidden == trace.hidden).all(axis=(1, 2))
        if index == 2 * layer + reverse:
            assert np.flatnonzero(~same_steps).tolist() == (list(range(step + 1)) if reverse else list(range(step, T)))
        else:
            assert same_steps.all() == (trace.layer <= layer)
