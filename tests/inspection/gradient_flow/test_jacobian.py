"""The derivatives of one step."""

from typing import Any

import numpy as np
import pytest

from tidegate import Recurrent, Trace
from tidegate.inspection.gradient_flow.jacobian import jacobians, slopes
from tidegate.ops import reference
from tidegate.ops.cells import Cell

EXACT = 1e-9  # against autograd, all in float64
CELLS = [
    *("gru", "rnn_tanh", "rnn_relu"),
    *("gru reset=off candidate=relu", "gru update=off gate=hard_sigmoid", "gru reset=off update=off"),
    *("gru candidate=identity", "gru candidate=relu gate=hard_sigmoid"),
]
I, H, T = 5, 9, 7


def weights(cell: str, seed: int = 0) -> dict[str, Any]:
    """Weights of a layer, float64, by the names of `reference.forward`."""
    rng, G = np.random.default_rng(seed), Cell.of(cell).gates
    shapes = {"w_ih": (G * H, I), "w_hh": (G * H, H), "b_ih": (G * H,), "b_hh": (G * H,)}
    return {name: rng.standard_normal(shape) / 2 for name, shape in shapes.items()}


def traced(cell: str, x: np.ndarray, h0: np.ndarray, **options: Any) -> Trace:
    """A trace in float64, from the specification."""
    y, _, kept = reference.forward(cell, x, **weights(cell), h0=h0, **options)
    gates: dict[str, Any] = {name: array for name, array in kept.items() if name != "h"}
    lengths = np.asarray(options.get("lengths", np.full(x.shape[1], len(x))))
    return Trace(cell=Cell.of(cell), hidden=y, h0=h0, lengths=lengths, reverse=options.get("reverse", False), **gates)


def random_input(B: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Input [T, B, I] and initial states [B, H]."""
    rng = np.random.default_rng(1)
    return rng.standard_normal((T, B, I)), rng.standard_normal((B, H))


def torch_cell(cell: str) -> Any:
    """One step of torch with the same weights, a module in float64."""
    torch = pytest.importorskip("torch")
    if Cell.of(cell).chosen:  # torch has no module for it
        from tidegate.torch.cells import step

        w_ih, w_hh, b_ih, b_hh = map(torch.from_numpy, weights(cell).values())
        return lambda x, h: step(Cell.of(cell), w_ih @ x + b_ih, w_hh @ h + b_hh, h)[0]
    module = torch.nn.GRUCell(I, H) if cell == "gru" else torch.nn.RNNCell(I, H, nonlinearity=cell.removeprefix("rnn_"))
    module.double().load_state_dict(
        {
            {"w": "weight", "b": "bias"}[name[0]] + name[1:]: torch.from_numpy(array)
            for name, array in weights(cell).items()
        }
    )
    return module


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("reverse", [False, True])
def test_jacobians_equal_autograd(cell: str, reverse: bool) -> None:
    """∂h_t/∂h_{t−1} of every step is that of torch's autograd in float64, in both directions and for short rows."""
    torch = pytest.importorskip("torch")
    x, h0 = random_input(B=2)
    trace, step = traced(cell, x, h0, lengths=np.array([T, 4]), reverse=reverse), torch_cell(cell)
    for row, length in enumerate(trace.lengths):
        found = jacobians(trace, weights(cell)["w_hh"], row)
        assert found.shape == (length, H, H)
        order = range(length)[:: -1 if reverse else 1]
        for jacobian, t, h in zip(found, order, trace.walk(row).previous, strict=True):
            x_t = torch.from_numpy(x[t, row])
            expected = torch.autograd.functional.jacobian(lambda h, x_t=x_t: step(x_t, h), torch.from_numpy(h))
            np.testing.assert_allclose(jacobian, expected.numpy(), rtol=0, atol=EXACT)


@pytest.mark.parametrize("cell", CELLS)
def test_slopes_by_inputs_equal_autograd(cell: str) -> None:
    """With the input weights, the slopes give ∂h_t/∂x_t as torch's autograd does."""
    torch = pytest.importorskip("torch")
    x, h0 = random_input()
    trace, step = traced(cell, x, h0), torch_cell(cell)
    w_ih = weights(cell)["w_ih"].reshape(-1, H, I)
    for t, h in enumerate(trace.walk().previous):
        h_t = torch.from_numpy(h)
        expected = torch.autograd.functional.jacobian(lambda x_t, h_t=h_t: step(x_t, h_t), torch.from_numpy(x[t, 0]))
        found = np.einsum("gi,gij->ij", slopes(trace).by_a[t], w_ih)
        np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=EXACT)


def test_an_open_update_gate_hands_everything_on() -> None:
    """An update gate of 1 makes the Jacobian the identity, exactly."""
    ones, h0 = np.ones((3, 1, H)), np.zeros((1, H))
    gates: dict[str, Any] = dict.fromkeys(("reset", "update", "candidate", "hn"), ones)
    trace = Trace(cell=Cell("gru"), hidden=ones, h0=h0, lengths=np.array([3]), **gates)
    np.testing.assert_array_equal(jacobians(trace, weights("gru")["w_hh"]), np.broadcast_to(np.eye(H), (3, H, H)))


def test_a_gru_without_gates_is_the_vanilla_rnn() -> None:
    """With r = 1 and z = 0, what is left is diag(1 − n²) U_n, the factor of the vanilla RNN."""
    n, one, zero = np.random.default_rng(0).uniform(-1, 1, (3, 1, H)), np.ones((3, 1, H)), np.zeros((3, 1, H))
    facts: dict[str, Any] = {"hidden": n, "h0": np.zeros((1, H)), "lengths": np.array([3])}
    w_hh = weights("gru")["w_hh"]
    gated = Trace(cell=Cell("gru"), reset=one, update=zero, candidate=n, hn=n, **facts)
    np.testing.assert_allclose(jacobians(gated, w_hh), jacobians(Trace(cell=Cell("rnn_tanh"), **facts), w_hh[2 * H :]))


def test_a_trace_of_the_kernels_is_taken() -> None:
    """The float32 trace of a layer gives the Jacobians of the float64 one but for rounding."""
    x, h0 = random_input()
    named = {f"{name.replace('w_', 'weight_').replace('b_', 'bias_')}_l0": w for name, w in weights("gru").items()}
    (trace,) = Recurrent(named).trace(x.astype(np.float32), h0=h0[None].astype(np.float32))
    w_hh = weights("gru")["w_hh"]
    np.testing.assert_allclose(jacobians(trace, w_hh), jacobians(traced("gru", x, h0), w_hh), atol=1e-5)


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
