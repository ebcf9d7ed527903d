"""The derivatives of one step."""

from typing import Any

import numpy as np
import pytest

from tidegate import Recurrent, Trace
from tidegate.inspection.gradient_flow.jacobian import each_jacobian, jacobians, steps_of
from tidegate.ops import reference
from tidegate.ops.cells import Cell

EXACT = 1e-9  # against autograd, all in float64
CELLS = [
    *("gru", "lstm", "rnn_tanh", "rnn_relu", "gru reset=before"),
    *("gru reset=off candidate=relu", "gru update=off gate=hard_sigmoid", "gru reset=off update=off"),
    *("gru candidate=identity", "gru candidate=relu gate=hard_sigmoid", "gru reset=before candidate=relu update=off"),
]
I, H, T = 5, 9, 7


def weights(cell: str, seed: int = 0) -> dict[str, Any]:
    """Weights of a layer, float64, by the names of `reference.Layer`."""
    rng, G = np.random.default_rng(seed), Cell.of(cell).G
    shapes = {"w_ih": (G * H, I), "w_hh": (G * H, H), "b_ih": (G * H,), "b_hh": (G * H,)}
    return {name: rng.standard_normal(shape) / 2 for name, shape in shapes.items()}


def traced(cell: str, x: np.ndarray, h0: np.ndarray, **options: Any) -> Trace:
    """A trace in float64, from the specification."""
    known = Cell.of(cell)
    y, _, kept = reference.Layer(cell, **weights(cell)).forward(x, h0, **options)
    lengths = np.asarray(options.get("lengths", np.full(x.shape[1], len(x))))
    values = [kept[name] for name in (*known.trace, *known.states[1:])]
    return Trace.of(known, y, values, h0=h0, lengths=lengths, reverse=options.get("reverse", False))


def random_input(cell: str = "gru", B: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Input [T, B, I] and initial states, [B, H] or [S, B, H]."""
    rng, S = np.random.default_rng(1), Cell.of(cell).S
    return rng.standard_normal((T, B, I)), rng.standard_normal((B, H) if S == 1 else (S, B, H))


def torch_cell(cell: str) -> Any:
    """One step of torch with the same weights in float64: from x [I] and states [S·H] to states [S·H]."""
    torch = pytest.importorskip("torch")
    modules = {"gru": torch.nn.GRUCell, "lstm": torch.nn.LSTMCell, "rnn_tanh": torch.nn.RNNCell}
    if cell not in modules:  # torch has no module for it
        from tidegate.torch.cells import step

        known = Cell.of(cell)
        w_ih, w_hh, b_ih, b_hh = map(torch.from_numpy, weights(cell).values())
        return lambda x, s: torch.cat(step(known, w_ih @ x + b_ih, lambda v: w_hh @ v + b_hh, s.chunk(known.S))[0])
    module = modules[cell](I, H).double()
    named = {
        name.replace("w_", "weight_").replace("b_", "bias_"): torch.from_numpy(w) for name, w in weights(cell).items()
    }
    module.load_state_dict(named)
    if cell == "lstm":
        return lambda x, s: torch.cat(module(x, s.chunk(2)))
    return module


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("reverse", [False, True])
def test_jacobians_equal_autograd(cell: str, reverse: bool) -> None:
    """∂s_t/∂s_{t−1} of every step is that of torch's autograd in float64, in both directions and for short rows."""
    torch = pytest.importorskip("torch")
    x, h0 = random_input(cell, B=2)
    trace, step = traced(cell, x, h0, lengths=np.array([T, 4]), reverse=reverse), torch_cell(cell)
    S = trace.cell.S
    for row, length in enumerate(trace.lengths):
        found, walk = jacobians(trace, weights(cell)["w_hh"], row), trace.walk(row)
        assert found.shape == (length, S * H, S * H)
        order = range(length)[:: -1 if reverse else 1]
        for i, (jacobian, t) in enumerate(zip(found, order, strict=True)):
            x_t = torch.from_numpy(x[t, row])
            states = torch.from_numpy(np.concatenate([walk.before[name][i] for name in trace.cell.states]))
            expected = torch.autograd.functional.jacobian(lambda s, x_t=x_t: step(x_t, s), states)
            np.testing.assert_allclose(jacobian, expected.numpy(), rtol=0, atol=EXACT)


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_by_inputs_equal_autograd(cell: str) -> None:
    """With the input weights, the gradients by W x + b are those by x, as torch's autograd has them."""
    torch = pytest.importorskip("torch")
    x, h0 = random_input(cell)
    trace, step = traced(cell, x, h0), torch_cell(cell)
    steps, S = steps_of(trace, weights(cell)["w_hh"]), trace.cell.S
    units = np.eye(S * H).reshape(S * H, S, H).swapaxes(0, 1)
    for t in range(T):
        states = torch.from_numpy(np.concatenate(steps.before[:, t]))
        expected = torch.autograd.functional.jacobian(lambda x_t, s=states: step(x_t, s), torch.from_numpy(x[t, 0]))
        found = steps.back(t, units)[0] @ weights(cell)["w_ih"]
        np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=EXACT)


@pytest.mark.parametrize("cell", CELLS)
def test_jacobians_are_those_of_the_backward_pass(cell: str) -> None:
    """What is put together from slopes and U is what the cell's backward pass makes of unit vectors."""
    steps = steps_of(traced(cell, *random_input(cell)), weights(cell)["w_hh"])
    S = steps.cell.S
    units = np.eye(S * H).reshape(S * H, S, H).swapaxes(0, 1)
    for t, jacobian in zip(reversed(range(T)), each_jacobian(steps), strict=True):
        rows = steps.back(t, units)[1].swapaxes(0, 1).reshape(S * H, S * H)
        np.testing.assert_allclose(jacobian, rows, rtol=0, atol=1e-14)


def test_an_open_update_gate_hands_everything_on() -> None:
    """An update gate of 1 makes the Jacobian the identity, exactly."""
    ones, h0 = np.ones((3, 1, H)), np.zeros((1, H))
    trace = Trace.of(Cell.of("gru"), ones, [ones] * 4, h0=h0, lengths=np.array([3]))
    np.testing.assert_array_equal(jacobians(trace, weights("gru")["w_hh"]), np.broadcast_to(np.eye(H), (3, H, H)))


def test_a_gru_without_gates_is_the_vanilla_rnn() -> None:
    """With r = 1 and z = 0, what is left is diag(1 − n²) U_n, the factor of the vanilla RNN."""
    n, one, zero = np.random.default_rng(0).uniform(-1, 1, (3, 1, H)), np.ones((3, 1, H)), np.zeros((3, 1, H))
    facts: dict[str, Any] = {"h0": np.zeros((1, H)), "lengths": np.array([3])}
    w_hh = weights("gru")["w_hh"]
    gated = Trace.of(Cell.of("gru"), n, [one, zero, n, n], **facts)
    vanilla = Trace.of(Cell.of("rnn_tanh"), n, [n], **facts)
    np.testing.assert_allclose(jacobians(gated, w_hh), jacobians(vanilla, w_hh[2 * H :]))


def test_an_lstm_that_forgets_nothing_hands_its_cell_state_on() -> None:
    """With f = 1 and i = o = 0, c is handed on and h is not: ∂c′/∂c is the identity, all else 0."""
    one, zero = np.ones((3, 1, H)), np.zeros((3, 1, H))
    trace = Trace.of(Cell.of("lstm"), zero, [zero, one, zero, zero, one], h0=np.ones((2, 1, H)), lengths=np.array([3]))
    expected = np.zeros((2 * H, 2 * H))
    expected[H:, H:] = np.eye(H)
    np.testing.assert_array_equal(jacobians(trace, weights("lstm")["w_hh"])[1], expected)


@pytest.mark.parametrize("cell", ["gru", "lstm", "gru reset=before"])
def test_a_trace_of_the_kernels_is_taken(cell: str) -> None:
    """The float32 trace of a layer gives the Jacobians of the float64 one but for rounding."""
    x, h0 = random_input(cell)
    named = {f"{name.replace('w_', 'weight_').replace('b_', 'bias_')}_l0": w for name, w in weights(cell).items()}
    (trace,) = Recurrent(named, cell).trace(x.astype(np.float32), h0=h0[..., None, :, :].astype(np.float32))
    w_hh = weights(cell)["w_hh"]
    np.testing.assert_allclose(jacobians(trace, w_hh), jacobians(traced(cell, x, h0), w_hh), atol=1e-5)


def test_states_that_are_not_finite_are_named() -> None:
    """A network that came apart has no derivatives, and the error says so."""
    trace = traced("rnn_relu", *random_input())
    trace.hidden[3, 0, 2] = np.inf
    with pytest.raises(FloatingPointError, match="1 numbers that are not finite"):
        jacobians(trace, weights("rnn_relu")["w_hh"])


def test_weights_of_another_layer_are_refused() -> None:
    """State weights that do not fit the trace are named with the shape expected."""
    trace = traced("gru", *random_input())
    with pytest.raises(ValueError, match=r"w_hh has shape \(9, 9\), expected \[G·H, H\] = \(27, 9\)"):
        jacobians(trace, np.zeros((H, H)))
