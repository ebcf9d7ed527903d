"""Tests of the drop-ins: they equal torch in values, gradients, parameters and errors, and name the route taken."""

import copy
import functools
import gc
import io
import itertools
import math
import pickle
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any
from unittest import mock

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor
from torch.nn.utils import parametrize, rnn
from torch.utils.checkpoint import checkpoint

import tidegate
from tidegate.torch import GRU, LSTM, RNN, Route
from tidegate.torch.fallback import twice_differentiable
from tidegate.torch.modules import DropIn
from tidegate.torch.tensors import with_rows

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # torch's own

T, B, I, H = 6, 4, 3, 5
LENGTHS = [2, 6, 0, 5]
Outputs = tuple[Tensor, Any]
Call = Callable[[Any, Tensor, Any], Outputs]

CELLS: dict[str, tuple[Any, Any, dict[str, str]]] = {
    "gru": (GRU, torch.nn.GRU, {}),
    "lstm": (LSTM, torch.nn.LSTM, {}),
    "tanh": (RNN, torch.nn.RNN, {"nonlinearity": "tanh"}),
    "relu": (RNN, torch.nn.RNN, {"nonlinearity": "relu"}),
}


def twins(cell: str = "gru", *sizes: int, **options: Any) -> tuple[Any, Any]:
    """A drop-in and torch's own module with the same parameters."""
    ours, theirs, kind = CELLS[cell]
    sizes = sizes or (I, H)
    torch.manual_seed(0)
    reference = theirs(*sizes, **kind, **options)
    layer = ours(*sizes, **kind, **options)
    layer.load_state_dict(reference.state_dict())
    return layer, reference


def leaf(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def states(layer: Any, *rows: int) -> Any:
    """Initial states as torch takes them: one tensor, or two of an LSTM."""
    shape = (layer.num_layers * (2 if layer.bidirectional else 1), *rows, H)
    return (leaf(*shape, seed=1), leaf(*shape, seed=2)) if isinstance(layer, torch.nn.LSTM) else leaf(*shape, seed=1)


def flat(*values: Any) -> list[Tensor]:
    """The tensors of outputs or inputs, those of tuples too."""
    return [tensor for tensor in torch.utils._pytree.tree_leaves(values) if tensor is not None]


def padded(layer: Any) -> Tensor:
    return leaf(*((B, T) if layer.batch_first else (T, B)), I)


def dense(layer: Any, x: Tensor, hx: Any) -> Outputs:
    y, h_n = layer(x, hx)
    return y, h_n


def packed_sorted(layer: Any, x: Tensor, hx: Any) -> Outputs:
    packed = rnn.pack_padded_sequence(x, [6, 5, 2, 1], batch_first=layer.batch_first)
    y, h_n = layer(packed, hx)
    return y.data, h_n


def packed_unsorted(layer: Any, x: Tensor, hx: Any) -> Outputs:
    packed = rnn.pack_padded_sequence(x, [2, 6, 1, 5], batch_first=layer.batch_first, enforce_sorted=False)
    y, h_n = layer(packed, hx)
    assert isinstance(y, rnn.PackedSequence)
    return rnn.pad_packed_sequence(y, batch_first=layer.batch_first)[0], h_n


def with_lengths(layer: Any, x: Tensor, hx: Any) -> Outputs:
    """Ragged rows; torch's own module, which takes no lengths, runs each row alone."""
    if isinstance(layer, DropIn):
        y, h_n = layer(x, hx, lengths=LENGTHS)
        return y, h_n
    directions = 2 if layer.bidirectional else 1
    rows = []
    for b, length in enumerate(LENGTHS):
        row = x[b] if layer.batch_first else x[:, b]
        own = flat(states(layer, B))
        starts = [state[:, b] for state in (map(torch.zeros_like, own) if hx is None else flat(hx))]
        h0 = tuple(starts) if len(starts) > 1 else starts[0]
        rest = x.new_zeros(T - length, H * directions)
        y_row, h_row = layer(row[:length], h0) if length else (x.new_zeros(0, H * directions), h0)
        rows.append((torch.cat([y_row, rest]), *flat(h_row)))
    outputs, *finals = zip(*rows, strict=True)
    found = tuple(torch.stack(final, 1) for final in finals)
    return torch.stack(outputs, 0 if layer.batch_first else 1), found if len(found) > 1 else found[0]


INPUTS = {
    "dense": (dense, padded, (B,)),
    "unbatched": (dense, lambda layer: leaf(T, I), ()),
    "packed": (packed_sorted, padded, (B,)),
    "packed unsorted": (packed_unsorted, padded, (B,)),
    "lengths": (with_lengths, padded, (B,)),
}


def values_and_gradients(layer: Any, call: Call, x: Tensor, hx: Any) -> list[Tensor]:
    """Outputs, and the gradients of a random linear function of them by inputs and parameters."""
    outputs = flat(*call(layer, x, hx))
    loss = torch.stack([(output * leaf(*output.shape, seed=i).detach()).sum() for i, output in enumerate(outputs)])
    return [*outputs, *torch.autograd.grad(loss.sum(), flat(x, hx, *layer.parameters()))]


def assert_close(actual: Sequence[Any], expected: Sequence[Any], *, tolerance: float = 1e-5) -> None:
    actual, expected = flat(*actual), flat(*expected)
    assert len(actual) == len(expected)
    for a, e in zip(actual, expected, strict=True):
        assert a.shape == e.shape
        torch.testing.assert_close(a, e, rtol=tolerance, atol=tolerance, check_dtype=False)


@pytest.mark.parametrize("state", [False, True], ids=["", "h0"])
@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize(
    ("num_layers", "bias", "batch_first", "bidirectional"), list(itertools.product([1, 2], *[[True, False]] * 3))
)
@pytest.mark.parametrize("cell", CELLS)
def test_drop_in_equals_torch(
    cell: str, num_layers: int, bias: bool, batch_first: bool, bidirectional: bool, kind: str, state: bool
) -> None:
    """Outputs, final states and all gradients are torch's, for every option and form of input, on the native route."""
    layer, reference = twins(
        cell, num_layers=num_layers, bias=bias, batch_first=batch_first, bidirectional=bidirectional
    )
    call, make_input, rows = INPUTS[kind]
    x, hx = make_input(layer), states(layer, *rows) if state else None
    assert layer.route(x, hx)
    actual, expected = (values_and_gradients(module, call, x, hx) for module in (layer, reference))
    assert_close(actual, expected)

    with torch.no_grad():
        assert_close(call(layer.eval(), x, hx), expected[: 1 + layer.cell.S])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("inputs", "hidden"), [(1, 1), (16, 17), (33, 64), (100, 40)])
def test_drop_in_equals_torch_in_other_sizes(cell: str, inputs: int, hidden: int) -> None:
    """Sizes below, at and beyond multiples of the vector width give torch's numbers."""
    layer, reference = twins(cell, inputs, hidden, num_layers=2, bidirectional=True)
    x = leaf(7, 3, inputs)
    assert_close(*(values_and_gradients(module, dense, x, None) for module in (layer, reference)))


STRIDED = {
    "every second feature": lambda: leaf(T, B, 2 * I)[:, :, ::2],
    "features first": lambda: leaf(I, T, B).permute(1, 2, 0),
    "one row for all": lambda: leaf(T, 1, I).expand(T, B, I),
    "one number for all": lambda: leaf(1, 1, 1).expand(T, B, I),
    "negative bit": lambda: torch.complex(leaf(T, B, I), leaf(T, B, I, seed=2)).conj().imag,
}


@pytest.mark.parametrize("kind", STRIDED)
def test_any_memory_layout_is_read_right(kind: str) -> None:
    """Views with gaps, repeated or negated elements give torch's numbers, natively."""
    layer, reference = twins(bidirectional=True)
    x = STRIDED[kind]()
    assert layer.route(x)
    assert_close(*(values_and_gradients(module, dense, x, None) for module in (layer, reference)))


LOSSES = {
    "sum of y": lambda y, h_n: y.sum(),
    "last of y": lambda y, h_n: y[-1].square().sum(),
    "h_n only": lambda y, h_n: h_n.square().sum(),
    "one direction": lambda y, h_n: y[:, :, H:].square().sum(),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_of_part_of_the_outputs(loss: str) -> None:
    """A loss that reads only y, only h_n or a part of them gets torch's gradients."""
    gradients = []
    for module in twins(bidirectional=True, num_layers=2):
        x = leaf(T, B, I)
        gradients.append(torch.autograd.grad(LOSSES[loss](*module(x)), [x, *module.parameters()]))
    assert_close(*gradients)


@pytest.mark.parametrize("repeated", [(0, 1, 2), (0, 2), (1, 2), (0,), (2,)], ids=str)
def test_gradients_that_repeat_take_a_row(repeated: tuple[int, ...]) -> None:
    """A gradient of y that is expanded, as that of a sum is, gives the bits of its copy without one."""
    layer, _ = twins(bidirectional=True)
    y, _ = layer(leaf(T, B, I))
    given = leaf(*[1 if axis in repeated else size for axis, size in enumerate(y.shape)]).detach().expand(y.shape)
    gradients = [torch.autograd.grad(y, layer.parameters(), dy, retain_graph=True) for dy in (given, given.clone())]
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))
    written = with_rows(given)
    assert torch.equal(written, given)
    sizes = [1 if axis in repeated and axis < 2 else size for axis, size in enumerate(y.shape)]
    assert written.untyped_storage().nbytes() <= 4 * math.prod(sizes)


def test_only_needed_gradients_are_computed() -> None:
    """Frozen weights and inputs without gradient get none, and the others get the right ones."""
    gradients = []
    for module in twins():
        module.weight_ih_l0.requires_grad_(False)
        y, _ = module(leaf(T, B, I).detach())
        y.square().sum().backward()
        assert module.weight_ih_l0.grad is None
        gradients.append([module.weight_hh_l0.grad, module.bias_ih_l0.grad])
    assert_close(*gradients)


def test_nothing_is_recorded_without_gradients() -> None:
    """Outputs require no gradient under no_grad, nor when no parameter and no input does."""
    layer, _ = twins()
    with torch.no_grad():
        assert not layer(leaf(T, B, I))[0].requires_grad
    layer.requires_grad_(False)
    assert not layer(leaf(T, B, I).detach())[0].requires_grad
    assert layer(leaf(T, B, I))[0].requires_grad


# --- lengths


@pytest.mark.parametrize("form", [list, tuple, np.array, torch.tensor, lambda v: np.array(v, np.uint8)])
def test_lengths_come_in_any_form_of_integers(form: Callable[[Any], Any]) -> None:
    """Lists, arrays and tensors of lengths mean the same."""
    layer, _ = twins()
    x = leaf(T, B, I)
    assert_close(layer(x, lengths=form(LENGTHS)), layer(x, lengths=LENGTHS), tolerance=0)


@pytest.mark.parametrize("batch_first", [False, True])
def test_padding_is_never_read(batch_first: bool) -> None:
    """NaN beyond a row's length reaches neither outputs nor gradients, natively and on torch's own route."""
    for dtype in (torch.float32, torch.float64):
        layer = twins(batch_first=batch_first, bidirectional=True)[0].to(dtype)
        clean = padded(layer).detach().to(dtype)
        spoiled = clean.clone()
        for b, length in enumerate(LENGTHS):
            (spoiled[b] if batch_first else spoiled[:, b])[length:] = torch.nan
        results = [values_and_gradients(layer, with_lengths, x.requires_grad_(), None) for x in (clean, spoiled)]
        assert_close(*results, tolerance=0)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("lengths", [LENGTHS, [0, 0, 0, 0], [6, 6, 6, 6], [1, 0, 0, 3]])
def test_lengths_work_on_torchs_own_route(cell: str, lengths: list[int]) -> None:
    """Ragged rows in float64, which run torch's own code, give what the native route gives."""
    layer, _ = twins(cell, num_layers=2, bidirectional=True, batch_first=True)
    exact = copy.deepcopy(layer).double()
    x, hx = padded(layer), states(layer, B)
    assert not exact.route(x.double())
    double = torch.utils._pytree.tree_map(torch.Tensor.double, hx)
    assert_close(layer(x, hx, lengths=lengths), exact(x.double(), double, lengths=lengths))


@pytest.mark.parametrize("shape", [(0, B, I), (T, 0, I)])
def test_no_steps_and_no_rows_are_fine_with_lengths(shape: tuple[int, ...]) -> None:
    """A batch without steps or without rows, which torch refuses or packs badly, returns empty outputs."""
    layer, _ = twins()
    y, h_n = layer(torch.zeros(shape), lengths=[0] * shape[1])
    assert y.shape == (*shape[:2], H)
    assert h_n.shape == (1, shape[1], H)
    assert not h_n.any()


WRONG_LENGTHS = {
    "too long": ([1, 7, 2, 3], ValueError, r"lengths\[1\] is 7, expected 0..6: T=6 comes from input"),
    "negative": ([1, -1, 2, 3], ValueError, r"lengths\[1\] is -1, expected 0..6"),
    "too few": ([1, 2, 3], ValueError, r"lengths has shape \(3,\), expected \[B\] = \(4,\): B=4 comes from input"),
    "floats": ([1.0, 2.0, 3.0, 4.0], TypeError, "lengths has dtype float64, expected integers"),
}


@pytest.mark.parametrize("case", WRONG_LENGTHS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_wrong_lengths(case: str, dtype: torch.dtype) -> None:
    """Lengths that do not fit are refused with the value found and the value expected, on both routes."""
    lengths, error, message = WRONG_LENGTHS[case]
    with pytest.raises(error, match=message):
        GRU(I, H, dtype=dtype)(torch.zeros(T, B, I, dtype=dtype), lengths=lengths)


def test_lengths_need_a_padded_batch() -> None:
    """Lengths beside a packed sequence or a single sequence are refused."""
    layer = GRU(I, H)
    with pytest.raises(ValueError, match="lengths given with a packed sequence"):
        layer(rnn.pack_sequence([torch.zeros(2, I)]), lengths=[2])
    with pytest.raises(ValueError, match="lengths given with an input of 2 axes, expected 3"):
        layer(torch.zeros(T, I), lengths=[2])


# --- constructor, parameters, copies


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "options",
    [{}, {"num_layers": 2, "bias": False, "dropout": 0.5}, {"bidirectional": True, "batch_first": True}],
)
def test_constructor_repr_and_parameters_are_torchs(cell: str, options: dict[str, Any]) -> None:
    """The same arguments and seed give the same repr, the same parameter names and the same initial values."""
    ours, theirs, kind = CELLS[cell]
    torch.manual_seed(3)
    layer = ours(I, H, **kind, **options)
    torch.manual_seed(3)
    reference = theirs(I, H, **kind, **options)
    assert repr(layer) == repr(reference)
    assert isinstance(layer, torch.nn.RNNBase)
    assert list(layer.state_dict()) == list(reference.state_dict())
    assert_close(list(layer.parameters()), list(reference.parameters()), tolerance=0)


def test_state_dict_travels_both_ways() -> None:
    """Parameters saved by one module load into the other, strictly."""
    layer, reference = twins(num_layers=2, bidirectional=True)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(0.5)
    reference.load_state_dict(layer.state_dict(), strict=True)
    x = leaf(T, B, I)
    assert_close(layer(x), reference(x))
    fresh = GRU(I, H, num_layers=2, bidirectional=True)
    fresh.load_state_dict(reference.state_dict(), strict=True)
    assert_close(fresh(x), reference(x))


WRONG_CONSTRUCTORS = {
    "proj_size": (lambda module: module(3, 4, proj_size=2)),
    "hidden_size": (lambda module: module(3, 0)),
    "input_size": (lambda module: module("3", 4)),
    "num_layers": (lambda module: module(3, 4, num_layers=0)),
    "dropout": (lambda module: module(3, 4, num_layers=2, dropout=1.5)),
    "bias": (lambda module: module(3, 4, bias=1)),
    "unknown": (lambda module: module(3, 4, colour="red")),
}

PACKED_ROWS = rnn.pack_sequence([torch.zeros(3, I), torch.zeros(2, I)])

WRONG_INPUTS = {
    "no axis": lambda module: module(torch.zeros(())),
    "one axis": lambda module: module(torch.zeros(3)),
    "four axes": lambda module: module(torch.zeros(1, 2, 3, 4)),
    "features": lambda module: module(torch.zeros(T, B, I + 1)),
    "features, unbatched": lambda module: module(torch.zeros(T, I + 1)),
    "features, packed": lambda module: module(rnn.pack_sequence([torch.zeros(2, I + 1)])),
    "no steps": lambda module: module(torch.zeros(0, B, I)),
    "dtype": lambda module: module(torch.zeros(T, B, I, dtype=torch.float64)),
    "integers": lambda module: module(torch.zeros(T, B, I, dtype=torch.int64)),
    "rows of hx": lambda module: module(torch.zeros(T, B, I), torch.zeros(1, B + 1, H)),
    "layers of hx": lambda module: module(torch.zeros(T, B, I), torch.zeros(2, B, H)),
    "axes of hx": lambda module: module(torch.zeros(T, B, I), torch.zeros(B, H)),
    "axes of hx, unbatched": lambda module: module(torch.zeros(T, I), torch.zeros(1, 1, H)),
    "hx of a packed sequence": lambda module: module(PACKED_ROWS, torch.zeros(1, 3, H)),
    "dtype of hx": lambda module: module(torch.zeros(T, B, I), torch.zeros(1, B, H, dtype=torch.float64)),
    "tuple of states": lambda module: module(torch.zeros(T, B, I), (torch.zeros(1, B, H), torch.zeros(1, B, H))),
    "numpy": lambda module: module(np.zeros((T, B, I), np.float32)),
    "missing": lambda module: module(),
}


def error_of(call: Callable[..., Any], *args: Any) -> tuple[type, str]:
    """Type and message of the error that a call raises."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one it is, the caller compares
        call(*args)
    return type(caught.value), str(caught.value)


TAKEN_BY_LSTM = {"proj_size", "tuple of states", "features, packed"}  # the last one torch does not notice


@pytest.mark.parametrize(
    ("cell", "case"),
    [(c, case) for c in CELLS for case in WRONG_CONSTRUCTORS if c != "lstm" or case not in TAKEN_BY_LSTM],
)
def test_wrong_constructor_arguments(cell: str, case: str) -> None:
    """What torch's constructor refuses is refused with the same error."""
    ours, theirs, _ = CELLS[cell]
    assert error_of(WRONG_CONSTRUCTORS[case], ours) == error_of(WRONG_CONSTRUCTORS[case], theirs)


@pytest.mark.parametrize(
    ("cell", "case"), [(c, case) for c in CELLS for case in WRONG_INPUTS if c != "lstm" or case not in TAKEN_BY_LSTM]
)
def test_wrong_inputs(cell: str, case: str) -> None:
    """What torch's module refuses is refused with the same error."""
    layer, reference = twins(cell)
    theirs = error_of(WRONG_INPUTS[case], reference)
    ours = error_of(WRONG_INPUTS[case], layer)
    assert ours[0] is theirs[0]
    assert ours[1].replace("DropIn", type(reference).__name__) == theirs[1]


WRONG_PAIRS = {
    "one state": lambda module: module(torch.zeros(T, B, I), (torch.zeros(1, B, H),)),
    "rows of c": lambda module: module(torch.zeros(T, B, I), (torch.zeros(1, B, H), torch.zeros(1, B + 1, H))),
    "axes of c": lambda module: module(torch.zeros(T, B, I), (torch.zeros(1, B, H), torch.zeros(B, H))),
    "axes of h, unbatched": lambda module: module(torch.zeros(T, I), (torch.zeros(1, 1, H), torch.zeros(1, 1, H))),
    "dtype of c": lambda module: module(torch.zeros(T, B, I), (torch.zeros(1, B, H), torch.zeros(1, B, H).double())),
}


@pytest.mark.parametrize("case", WRONG_PAIRS)
def test_wrong_states_of_an_lstm(case: str) -> None:
    """Pairs of states that torch refuses are refused with the same error."""
    layer, reference = twins("lstm")
    assert error_of(WRONG_PAIRS[case], layer) == error_of(WRONG_PAIRS[case], reference)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", INPUTS)
def test_projections_run_torchs_own_code(kind: str, batch_first: bool) -> None:
    """An LSTM with `proj_size` gives torch's numbers for any form of input, and `route` says why."""
    options: dict[str, Any] = {"proj_size": 2, "num_layers": 2, "bidirectional": True, "batch_first": batch_first}
    layer, reference = twins("lstm", **options)
    call, make_input, rows = INPUTS[kind]
    x, hx = make_input(layer), (leaf(4, *rows, 2), leaf(4, *rows, H))
    assert layer.route(x, hx) == Route(native=False, reason="proj_size is 2, native kernels do not project")
    if kind != "lengths":
        assert_close(*(values_and_gradients(module, call, x, hx) for module in (layer, reference)))
        return
    y, (h_n, c_n) = layer(x, hx, lengths=LENGTHS)
    for b, n in enumerate(LENGTHS):
        y_b, x_b = (y[b], x[b]) if batch_first else (y[:, b], x[:, b])
        assert not y_b[n:].any()
        alone = (y_b[:n], (h_n[:, b], c_n[:, b]))
        own = (hx[0][:, b], hx[1][:, b])
        assert_close(alone, reference(x_b[:n], own) if n else (y_b[:0], own))
    with pytest.raises(ValueError, match="return_trace given for proj_size=2"):
        layer(x, return_trace=True)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
@pytest.mark.parametrize("cell", CELLS)
def test_copies_are_independent(cell: str, clone: Callable[[Any], Any]) -> None:
    """A deep copy or an unpickled module computes the same, and changes of one do not reach the other."""
    layer, _ = twins(cell)
    x = leaf(T, B, I)
    layer.eval()
    with torch.no_grad():
        before = layer(x)
        other = clone(layer)
        assert type(other) is type(layer)
        assert_close(other(x), before, tolerance=0)
        other.weight_hh_l0.zero_()
        assert_close(layer(x), before, tolerance=0)
        assert not torch.equal(other(x)[0], before[0])


def test_saved_modules_hold_parameters_only() -> None:
    """What is packed for the kernels is not part of a saved module."""
    layer, _ = twins(cell="gru")
    untouched = len(pickle.dumps(layer))
    layer(leaf(T, B, I))
    assert len(pickle.dumps(layer)) == untouched
    buffer = io.BytesIO()
    torch.save(layer, buffer)
    buffer.seek(0)
    assert_close(torch.load(buffer, weights_only=False)(leaf(T, B, I)), layer(leaf(T, B, I)), tolerance=0)


# --- weights that change


def test_weights_made_in_inference_mode() -> None:
    """Weights of which torch counts no versions work, and their changes are seen."""
    with torch.inference_mode():
        layer, reference = twins()
        layer.eval()
        x = torch.ones(T, B, I)
        layer(x)
        layer.weight_hh_l0[1, 2] += 1
        reference.load_state_dict(layer.state_dict())
        assert_close(layer(x), reference(x))


def test_functional_call() -> None:
    """Weights given for one call are used for that call, with their gradients, and not later."""
    x = leaf(T, B, I)
    results = []
    for module in twins(num_layers=2):
        others = {name: leaf(*value.shape, seed=9) for name, value in module.state_dict().items()}
        y, _ = torch.func.functional_call(module, others, (x,))
        results.append([y, *torch.autograd.grad(y.sum(), list(others.values())), module(x)[0]])
    assert_close(*results)


class Halved(torch.nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight * 0.5


def test_parametrized_weights() -> None:
    """Weights under torch.nn.utils.parametrize are used, and gradients reach their originals."""
    x = leaf(T, B, I)
    results = []
    for module in twins():
        parametrize.register_parametrization(module, "weight_hh_l0", Halved())
        y, _ = module(x)
        y.square().sum().backward()
        results.append([y, module.parametrizations.weight_hh_l0.original.grad, module.bias_hh_l0.grad])
    assert_close(*results)


# --- dropout


@pytest.mark.parametrize("kind", ["dense", "packed", "unbatched"])
def test_dropout_draws_the_same_numbers_as_torch(kind: str) -> None:
    """Between layers in training mode, a seed gives torch's own dropout; in eval mode there is none."""
    call, make_input, _ = INPUTS[kind]
    layer, reference = twins(num_layers=3, dropout=0.4, bidirectional=True)
    x = make_input(layer)
    results = []
    for module in (layer, reference):
        torch.manual_seed(11)
        results.append(values_and_gradients(module, call, x, None))
    assert_close(*results)
    assert_close(call(layer.eval(), x, None), call(reference.eval(), x, None))


def test_dropout_keeps_the_mean_with_lengths() -> None:
    """Averaged over many draws, the first layer's states reach the second one undiminished."""
    layer = RNN(1, 1, num_layers=2, nonlinearity="relu", dropout=0.5, bias=False)
    with torch.no_grad():
        for weight, value in zip(layer.parameters(), (1, 0, 1, 0), strict=True):
            weight.fill_(value)
    y, _ = layer(torch.ones(20_000, 2, 1), lengths=[20_000, 5])
    assert set(y[:, 0, 0].tolist()) == {0.0, 2.0}
    assert abs(y[:, 0].mean().item() - 1) < 0.05
    assert not y[5:, 1].any()


# --- autograd


SECOND = {
    "dense": (dense, None),
    "h0": (dense, 1),
    "packed": (packed_unsorted, 1),
    "lengths": (with_lengths, 1),
}


@pytest.mark.parametrize("kind", SECOND)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_second_derivatives_are_torchs(cell: str, bidirectional: bool, kind: str) -> None:
    """A penalty on the gradient by the input has torch's value and torch's gradients."""
    call, with_state = SECOND[kind]
    results = []
    for module in twins(cell, num_layers=2, bidirectional=bidirectional):
        x, hx = padded(module), states(module, B) if with_state else None
        with nullcontext() if isinstance(module, DropIn) else twice_differentiable():  # torch's own LSTM is not
            y, *finals = flat(*call(module, x, hx))
        inputs = flat(x, hx)
        loss = torch.stack([y.square().sum(), *[final.sum() for final in finals]]).sum()
        first = torch.autograd.grad(loss, inputs, create_graph=True)
        penalty = torch.stack([gradient.square().sum() for gradient in first]).sum()
        results.append([*first, penalty, *torch.autograd.grad(penalty, [*inputs, *module.parameters()])])
    assert_close(*results, tolerance=2e-5)


def test_backward_twice() -> None:
    """With retain_graph the backward pass can be repeated; without it torch says so."""
    layer, _ = twins(bidirectional=True)
    x = leaf(T, B, I)
    loss = layer(x)[0].square().sum()
    (first,) = torch.autograd.grad(loss, x, retain_graph=True)
    (second,) = torch.autograd.grad(loss, x)
    assert_close([first], [second], tolerance=0)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        torch.autograd.grad(loss, x)


@pytest.mark.parametrize("what", ["x", "hx", "weight"])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_changed_inputs_are_detected(cell: str, what: str) -> None:
    """An input or weight that is changed in place before the backward pass raises torch's error."""
    for module in twins(cell):
        x, hx = leaf(T, B, I).clone(), torch.utils._pytree.tree_map(torch.clone, states(module, B))
        loss = module(x, hx)[0].sum()
        with torch.no_grad():
            {"x": x, "hx": flat(hx)[-1], "weight": module.weight_hh_l0}[what].mul_(2)
        with pytest.raises(RuntimeError, match=r"modified (by an inplace operation|inplace)"):
            loss.backward()


@pytest.mark.parametrize("cell", CELLS)
def test_outputs_may_be_changed_in_place(cell: str) -> None:
    """As with torch, y and h_n may be changed in place, also through views, and gradients are right."""
    results = []
    for module in twins(cell, bidirectional=True, num_layers=2):
        x = leaf(T, B, I)
        y, *finals = flat(*module(x))
        y.transpose(0, 1)[1:].mul_(3)
        y.relu_()
        for n, final in enumerate(finals):
            final.mul_(2 + n)
        loss = torch.stack([y.sum(), *[final.sum() for final in finals]]).sum()
        del y, finals, final
        results.append(torch.autograd.grad(loss, [x, *module.parameters()]))
    assert_close(*results)


def test_gradient_checkpointing() -> None:
    """Inside torch.utils.checkpoint, values and gradients are the same, dropout included."""
    layer, _ = twins("gru", num_layers=2, dropout=0.3)
    x = leaf(T, B, I)
    results = []
    for call in (layer, functools.partial(checkpoint, layer, use_reentrant=False)):
        torch.manual_seed(4)
        y, h_n = call(x)
        results.append([y, h_n, *torch.autograd.grad(y.square().sum(), [x, *layer.parameters()])])
    assert_close(*results, tolerance=0)


def test_saved_tensors_hooks_see_everything_large() -> None:
    """Tensors kept for the backward pass go through torch's hooks, so they can be offloaded: x, y, and the trace."""
    layer, _ = twins("gru")
    sizes = []

    def pack(tensor: Tensor) -> Tensor:
        sizes.append(tensor.numel())
        return tensor.clone()

    x = leaf(T, B, I)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y, _ = layer(x)
    assert {x.numel(), T * B * H, T * B * 4 * H} <= set(sizes)
    assert_close([torch.autograd.grad(y.sum(), x)[0]], [torch.autograd.grad(layer(x)[0].sum(), x)[0]], tolerance=0)


def test_no_reference_cycles() -> None:
    """Dropping the outputs frees the graph at once, without the garbage collector."""
    layer, _ = twins("gru")
    gc.disable()
    try:
        y, h_n = layer(leaf(T, B, I))
        node = weakref.ref(y.grad_fn)
        del y, h_n
        assert node() is None
    finally:
        gc.enable()


def test_training_follows_torch() -> None:
    """Thirty steps of Adam on a ragged batch give torch's losses."""
    losses = []
    for module in twins(num_layers=2, bidirectional=True):
        optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
        x, target = leaf(T, B, I).detach(), leaf(B, H, seed=8).detach().tanh()
        for _ in range(30):
            optimizer.zero_grad()
            _, h_n = packed_unsorted(module, x, None)
            loss = (h_n[-1] - target).square().mean()
            loss.backward()
            optimizer.step()
        losses.append(loss.detach())
    assert losses[0] < 0.3
    assert_close(losses[:1], losses[1:], tolerance=1e-4)


# --- routes


def in_autocast(layer: Any, x: Tensor) -> Route:
    with torch.autocast("cpu", torch.float16):
        route: Route = layer.route(x)
    return route


def in_vmap(layer: Any, x: Tensor) -> Route:
    routes: list[Route] = []

    def ask(row: Tensor) -> Tensor:
        routes.append(layer.route(row))
        return row

    torch.func.vmap(ask, in_dims=1)(x)
    return routes[0]


def in_forward_mode(layer: Any, x: Tensor) -> Route:
    with torch.autograd.forward_ad.dual_level():
        route: Route = layer.route(x)
    return route


class Tagged(torch.Tensor):
    pass


REASONS: dict[str, tuple[Callable[[Any, Tensor], Route], bool, str]] = {
    "native": (lambda layer, x: layer.route(x), True, "float32 on the CPU"),
    "packed": (lambda layer, x: layer.route(rnn.pack_sequence([x[:, 0]])), True, "float32 on the CPU"),
    "input": (
        lambda layer, x: layer.route(x.double()),
        False,
        "input has dtype float64, native kernels compute in float32",
    ),
    "half": (lambda layer, x: layer.route(x.bfloat16()), False, "input has dtype bfloat16"),
    "weights": (lambda layer, x: layer.double().route(x), False, "weight_ih_l0 has dtype float64"),
    "one weight": (
        lambda layer, x: layer.to("meta").route(x),
        False,
        "weight_ih_l0 is on meta, native kernels run on the CPU",
    ),
    "hx": (lambda layer, x: layer.route(x, torch.zeros(1, B, H).double()), False, "hx has dtype float64"),
    "device": (lambda layer, x: layer.route(x.to("meta")), False, "input is on meta, native kernels run on the CPU"),
    "subclass": (lambda layer, x: layer.route(x.as_subclass(Tagged)), False, "input is a Tagged, not a plain tensor"),
    "sparse": (lambda layer, x: layer.route(x.to_sparse()), False, "input has layout torch.sparse_coo"),
    "shape": (lambda layer, x: layer.route(x[..., :2]), False, "the shapes do not fit"),
    "empty": (lambda layer, x: layer.route(x[:0]), False, "input is empty"),
    "autocast": (in_autocast, False, "autocast is active in float16"),
    "vmap": (in_vmap, True, "float32 on the CPU"),
    "forward mode": (in_forward_mode, False, "forward-mode differentiation is active"),
}


@pytest.mark.parametrize("case", REASONS)
def test_path_says_which_way_and_why(case: str) -> None:
    """`route` names the way that a call goes and the reason, and is true for the native one."""
    ask, native, reason = REASONS[case]
    route = ask(GRU(I, H), torch.zeros(T, B, I))
    assert route.native is native
    assert bool(route) is native
    assert route.reason.startswith(reason)
    assert repr(route) == f"Route(native={native}, reason={route.reason!r})"


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("cell", CELLS)
def test_other_dtypes_run_torchs_own_code(cell: str, dtype: torch.dtype) -> None:
    """A module in another dtype gives exactly torch's result."""
    layer, reference = (module.to(dtype) for module in twins(cell, bidirectional=True))
    x = leaf(T, B, I).to(dtype)
    assert_close(layer(x), reference(x), tolerance=0)


@pytest.mark.parametrize("cell", CELLS)
def test_autocast_runs_torchs_own_code(cell: str) -> None:
    """Under autocast the result is exactly torch's on a processor that does not multiply bfloat16."""
    layer, reference = twins(cell)
    x = leaf(T, B, I)
    with torch.autocast("cpu"), mock.patch("tidegate.torch.autocast._MULTIPLIES", False):
        actual, expected = layer(x), reference(x)
    assert actual[0].dtype is expected[0].dtype
    assert_close(actual, expected, tolerance=0)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")  # torch's own use of it
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning")  # likewise, since torch 2.14
def test_transforms_of_torch_func() -> None:
    """Gradients by torch.func and forward-mode derivatives pass through the layer as through torch's."""
    x, v = leaf(T, B, I).detach(), leaf(T, B, I, seed=3).detach()
    gradients, products = [], []
    for module in twins():
        gradients.append(torch.func.grad(lambda x, module=module: module(x)[0].square().sum())(x))
        products.append(torch.func.jvp(lambda x, module=module: module(x)[0], (x,), (v,))[1])
    assert_close(gradients[:1], gradients[1:])
    assert_close(products[:1], products[1:])


def test_batched_gradients() -> None:
    """Jacobians by one batched backward pass, which runs torch's own operations, equal those by many passes."""
    layer, _ = twins("gru", num_layers=2, bidirectional=True)

    def jacobian(x: Tensor, *, vectorize: bool) -> Any:
        functional: Any = torch.autograd.functional
        return functional.jacobian(lambda x: layer(x)[1], x, vectorize=vectorize)

    x = leaf(2, B, I).detach()
    assert_close([jacobian(x, vectorize=True)], [jacobian(x, vectorize=False)])


def test_compiled_models() -> None:
    """A model under torch.compile gives the numbers of the same model without it, forward and backward."""
    layer, _ = twins("gru")
    model = torch.nn.Sequential(layer)
    x = leaf(T, B, I)
    results = []
    for call in (model, torch.compile(model, backend="aot_eager")):
        y, h_n = call(x)
        results.append([y, h_n, *torch.autograd.grad(y.square().sum(), [x, *layer.parameters()])])
    assert_close(*results)


def test_hooks_are_called() -> None:
    """Forward and backward hooks of the module see what torch's see."""
    seen = []
    for module in twins():
        sums: list[Tensor] = []
        module.register_forward_pre_hook(lambda module, args, sums=sums: sums.append(args[0].sum().detach()))
        module.register_forward_hook(lambda module, args, output, sums=sums: sums.append(output[0].sum().detach()))
        module.register_full_backward_hook(lambda module, dx, dy, sums=sums: sums.extend([dx[0].sum(), dy[0].sum()]))
        module(leaf(T, B, I))[0].square().sum().backward()
        seen.append(sums)
    assert len(seen[0]) == 4
    assert_close(*seen)


def test_threads_may_call_at_once() -> None:
    """Four Python threads that share a module get the same result as one."""
    layer, _ = twins("gru", 8, 16)
    x = leaf(50, 4, 8).detach()
    expected = layer(x)[0]
    results: list[Tensor] = []
    threads = [threading.Thread(target=lambda: results.extend(layer(x)[0] for _ in range(10))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 40
    assert all(torch.equal(result, expected) for result in results)


class Asking(torch.utils.data.Dataset[tuple[int, Tensor]]):
    """Each item is the number of threads in the process that makes it, and a sum over a layer's output there."""

    def __init__(self) -> None:
        self.layer, _ = twins()

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[int, Tensor]:
        with torch.no_grad():
            return tidegate.get_num_threads(), self.layer(torch.ones(T, B, I))[0].sum()


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")
def test_one_thread_in_loader_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A DataLoader worker computes the same as its parent, on one thread."""
    for variable in ("TIDEGATE_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(variable, raising=False)
    dataset = Asking()
    _, expected = dataset[0]
    loader = torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=1, multiprocessing_context="fork")
    for threads, total in loader:
        assert threads == 1
        assert total == expected


def test_missing_torch_names_the_install_line() -> None:
    """Without torch, the import says what to install."""
    program = "import sys; sys.modules['torch'] = None; import tidegate.torch"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ImportError: tidegate.torch needs PyTorch: pip install 'tidegate[train]'" in done.stderr


def test_lengths_may_be_reused_before_the_backward_pass() -> None:
    """The backward pass uses the lengths that the forward pass was given, whatever has become of their array."""
    layer, x = GRU(3, 4), torch.randn(5, 2, 3)
    lengths = torch.tensor([5, 2])
    layer(x, lengths=lengths)[0].sum().backward()
    expected = layer.weight_hh_l0.grad
    layer.zero_grad()
    y, _ = layer(x, lengths=lengths)
    lengths.fill_(1)
    y.sum().backward()
    assert expected is not None
    assert layer.weight_hh_l0.grad is not None
    torch.testing.assert_close(layer.weight_hh_l0.grad, expected, rtol=0, atol=0)
