"""Traces of the torch layers: what they hold, on every route, and that they change nothing."""

import copy
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor
from torch.nn.utils import rnn

from tidegate import Recurrent, Trace
from tidegate.torch import GRU, LSTM, RNN

T, B, I, H = 7, 4, 3, 5
LENGTHS = [2, 7, 0, 5]
LAYERS: dict[str, Any] = {
    "gru": lambda **options: GRU(I, H, num_layers=2, bidirectional=True, **options),
    "rnn": lambda **options: RNN(I, H, num_layers=2, bidirectional=True, nonlinearity="relu", **options),
    "other gru": lambda **options: GRU(
        I, H, num_layers=2, bidirectional=True, reset="off", candidate="relu", **options
    ),
    "reset before": lambda **options: GRU(I, H, num_layers=2, bidirectional=True, reset="before", **options),
    "lstm": lambda **options: LSTM(I, H, num_layers=2, bidirectional=True, **options),
    "one direction": lambda **options: GRU(I, H, bias=False, gate="hard_sigmoid", **options),
}

every_layer = pytest.mark.parametrize("kind", LAYERS)


def layer_of(kind: str, **options: Any) -> Any:
    torch.manual_seed(0)
    return LAYERS[kind](**options)


def inputs() -> Tensor:
    return torch.randn(T, B, I, generator=torch.Generator().manual_seed(1))


def states(layer: Any, dtype: torch.dtype = torch.float32) -> Any:
    """Initial states as torch takes them."""
    shape = (layer.cell.S, layer.num_layers * (1 + layer.bidirectional), B, H)
    found = torch.randn(shape, generator=torch.Generator().manual_seed(2)).to(dtype)
    return tuple(found) if layer.cell.S > 1 else found[0]


def close(trace: Trace, expected: Trace, tolerance: float = 2e-6) -> None:
    """Compares all that two traces hold."""
    assert (trace.cell, trace.layer, trace.reverse) == (expected.cell, expected.layer, expected.reverse)
    np.testing.assert_array_equal(trace.lengths, expected.lengths)
    assert list(trace.values) == list(expected.values) == ["hidden", *trace.cell.trace, *trace.cell.states[1:]]
    np.testing.assert_allclose(trace.h0, expected.h0, rtol=0, atol=tolerance)
    for name, wanted in expected.values.items():
        np.testing.assert_allclose(getattr(trace, name), wanted, rtol=0, atol=tolerance, err_msg=name)


@every_layer
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
@pytest.mark.parametrize("way", ["training", "no_grad", "recompute", "float64"])
def test_traces_are_those_of_the_numpy_stack(kind: str, lengths: Any, way: str) -> None:
    """Every way to run a layer gives the traces that `Recurrent.trace`, tested on equations by hand, gives."""
    layer, x = layer_of(kind, recompute_every=2 if way == "recompute" else None), inputs()
    weights = {name: weight.numpy() for name, weight in layer.state_dict().items()}
    hx = states(layer)
    expected = Recurrent(weights, layer.cell).trace(
        x.numpy(), lengths, (torch.stack(hx) if isinstance(hx, tuple) else hx).numpy()
    )
    dtype = torch.float64 if way == "float64" else torch.float32
    with torch.set_grad_enabled(way != "no_grad"):
        y, h_n, traces = layer.to(dtype)(x.to(dtype), states(layer, dtype), lengths=lengths, return_trace=True)
    assert len(traces) == len(expected) == len(h_n[0] if isinstance(h_n, tuple) else h_n)
    for trace, wanted in zip(traces, expected, strict=True):
        close(trace, wanted)
        assert trace.hidden.dtype is dtype
        assert not any(getattr(trace, name).requires_grad for name in ("h0", *trace.values))
    H_last = torch.cat([trace.hidden for trace in traces if trace.layer == traces[-1].layer], dim=-1)
    torch.testing.assert_close(y, H_last, rtol=0, atol=0)


def sigmoid(a: Any) -> Any:
    return 1 / (1 + np.exp(-a))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_trace_equals_a_gru_written_by_hand(dtype: torch.dtype) -> None:
    """Gates, candidate and state of every step are those of the equations."""
    torch.manual_seed(0)
    layer, x = GRU(I, H, dtype=dtype), inputs().to(dtype)
    w_ih, w_hh, b_ih, b_hh = (weight.detach().double().numpy() for weight in layer.parameters())
    _, _, (trace,) = layer(x, return_trace=True)
    for b in range(B):
        h = np.zeros(H)
        for t in range(T):
            a, c = np.split(w_ih @ x[t, b].double().numpy() + b_ih, 3), np.split(w_hh @ h + b_hh, 3)
            r, z = sigmoid(a[0] + c[0]), sigmoid(a[1] + c[1])
            n = np.tanh(a[2] + r * c[2])
            h = z * h + (1 - z) * n
            for name, value in {"reset": r, "update": z, "candidate": n, "hn": c[2], "hidden": h}.items():
                np.testing.assert_allclose(getattr(trace, name)[t, b], value, rtol=0, atol=2e-6, err_msg=name)


@every_layer
@pytest.mark.parametrize("episode_state", ["zeros", "h0"])
def test_episodes_are_traced_alike_on_both_ways(kind: str, episode_state: str) -> None:
    """Where rows hold several episodes, torch's operations find the gates that the kernels keep."""
    layer = layer_of(kind)
    episode_starts = torch.arange(T * B).reshape(T, B) % 4 == 1
    rows: dict[str, Any] = {
        "lengths": LENGTHS,
        "episode_starts": episode_starts,
        "episode_state": episode_state,
        "return_trace": True,
    }
    exact = copy.deepcopy(layer).double()
    _, _, native = layer(inputs(), states(layer), **rows)
    _, _, others = exact(inputs().double(), states(layer, torch.float64), **rows)
    for trace, other in zip(native, others, strict=True):
        close(trace, other)
    for trace in (*native, *others):  # whose steps have not all read the states before them
        with pytest.raises(ValueError, match="the trace has rows of several episodes, expected one episode a row"):
            trace.walk()


@every_layer
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("recompute", [None, 3])
def test_tracing_changes_no_value_and_no_gradient(kind: str, dtype: torch.dtype, recompute: int | None) -> None:
    """Outputs and all gradients are the same with and without a trace; natively to the bit, dropout included."""
    native = dtype is torch.float32  # torch's own code draws dropout for packed rows
    dropout = 0.3 if native and kind != "one direction" else 0.0
    layer = layer_of(kind, recompute_every=recompute, dropout=dropout).to(dtype)
    results = []
    for options in ({}, {"return_trace": True}):
        torch.manual_seed(5)
        x, hx = inputs().to(dtype).requires_grad_(), states(layer, dtype)
        starts = [state.detach().requires_grad_() for state in (hx if isinstance(hx, tuple) else (hx,))]
        y, h_n, *_ = layer(x, tuple(starts) if len(starts) > 1 else starts[0], lengths=LENGTHS, **options)
        h_n = torch.stack(h_n) if isinstance(h_n, tuple) else h_n
        loss = y.square().sum() + h_n.square().sum()
        results.append([y, h_n, *torch.autograd.grad(loss, [x, *starts, *layer.parameters()])])
    torch.testing.assert_close(*results, rtol=0, atol=0 if native else 1e-12)


def test_a_trace_is_the_memory_of_the_backward_pass() -> None:
    """The gates are not copied: they lie where the saved tensors of the graph lie, and a change of them is noticed."""
    torch.manual_seed(0)
    layer = GRU(I, H)
    y, _, (trace,) = layer(inputs(), return_trace=True)
    saved = {tensor.untyped_storage().data_ptr() for tensor in y.grad_fn.saved_tensors if tensor is not None}
    for name in ("hidden", *trace.cell.trace):
        assert getattr(trace, name).untyped_storage().data_ptr() in saved
    trace.reset.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_second_derivatives_beside_a_trace_that_keeps_more_than_the_backward_pass_reads() -> None:
    """With `recompute_every` a trace holds gates that the backward pass does not read: gradients of any order pass."""
    layer, x = LSTM(I, H, recompute_every=2), inputs().requires_grad_()
    y, _, _ = layer(x, return_trace=True)
    (dx,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    (expected,) = torch.autograd.grad(layer(x)[0].square().sum(), x, create_graph=True)
    torch.testing.assert_close(dx, expected)
    twice = [torch.autograd.grad(each.square().sum(), x)[0] for each in (dx, expected)]
    torch.testing.assert_close(*twice)


def test_the_forms_of_an_input() -> None:
    """Batch-first input has traces with time first, one sequence a batch of one, a batch without steps empty ones."""
    layer = GRU(I, H, batch_first=True)
    with torch.no_grad():
        y, _, (trace,) = layer(inputs().transpose(0, 1), return_trace=True)
        torch.testing.assert_close(trace.hidden, y.transpose(0, 1), rtol=0, atol=0)
        y, h_n, (trace,) = layer(inputs()[:, 0], return_trace=True)
        assert (trace.update.shape, y.shape, h_n.shape) == ((T, 1, H), (T, H), (1, H))
        assert trace.walk().hidden.shape == (T, H)
        _, _, (trace,) = layer(torch.zeros(B, 0, I), lengths=[0] * B, return_trace=True)
        assert trace.update.shape == (0, B, H)


@pytest.mark.parametrize("choices", [{}, {"reset": "off"}], ids=str)
def test_what_cannot_be_traced_is_refused(choices: Any) -> None:
    """Packed sequences, transforms and wrong shapes raise errors that say so."""
    layer = GRU(I, H, **choices)
    with pytest.raises(ValueError, match="return_trace given with a packed sequence, expected a padded tensor"):
        layer(rnn.pack_sequence([torch.zeros(2, I)]), return_trace=True)
    with pytest.raises(ValueError, match="return_trace given under a transform of torch"):
        torch.func.vmap(lambda x: layer(x, return_trace=True)[0], in_dims=1)(inputs())
    with pytest.raises(RuntimeError, match=r"input.size\(-1\) must be equal to input_size"):
        layer(torch.zeros(T, B, I + 1), return_trace=True)
