"""Tests of weights that are promised not to change: the same bits, and a promise that ends when it should."""

import copy
import io
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch.nn.utils import prune

from tidegate.torch import GRU, LSTM, RNN, freeze

I, H, B = 19, 37, 3
KINDS: dict[str, Any] = {"gru": GRU, "lstm": LSTM, "rnn": RNN}


def _leaves(output: Any) -> list[torch.Tensor]:
    y, finals = output
    return [y, *(finals if isinstance(finals, tuple) else (finals,))]


@pytest.mark.parametrize("rows", [1, B, None])
@pytest.mark.parametrize("T", [1, 5])
@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "num_layers": 2}, {"num_layers": 3, "bias": False}])
@pytest.mark.parametrize("kind", KINDS)
def test_a_frozen_layer_has_the_same_bits(kind: str, options: dict[str, Any], T: int, rows: int | None) -> None:
    """Freezing changes no bit of outputs and final states, with initial states and without."""
    torch.manual_seed(0)
    module = KINDS[kind](I, H, **options).eval()
    leading: tuple[int, ...] = (T,) if rows is None else (T, rows)
    x, places = torch.randn(*leading, I), options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    states = [torch.randn(places, *leading[1:], H) for _ in range(module.cell.S)]
    hx = tuple(states) if len(states) > 1 else states[0]
    with torch.no_grad():
        expected = [_leaves(module(x, given)) for given in (None, hx)]
        freeze(module)
        for given, wanted in zip((None, hx), expected, strict=True):
            for one, other in zip(_leaves(module(x, given)), wanted, strict=True):
                assert torch.equal(one, other)


def _pickled(model: Any) -> Any:
    buffer = io.BytesIO()
    torch.save(model, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)


def _reset(model: Any) -> None:
    model[0].reset_parameters()


def _replaced(model: Any) -> None:
    model[0].weight_hh_l0 = torch.nn.Parameter(2 * model[0].weight_hh_l0)


ENDS: dict[str, Callable[[Any], Any]] = {
    "train": lambda model: model.train().eval(),
    "load_state_dict": lambda model: model.load_state_dict(model.state_dict()),
    "to": lambda model: model.to(torch.float32),
    "share_memory": lambda model: model.share_memory(),
    "reset_parameters": _reset,
    "another parameter": _replaced,
    "freeze": freeze,
    "a copy": copy.deepcopy,
    "a pickled one": _pickled,
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("T", [1, 4])
def test_when_a_change_is_seen(T: int, end: str) -> None:
    """A change of a frozen layer's weights is seen once the promise has ended, and not before."""
    torch.manual_seed(1)
    layer: Any = GRU(I, H)
    model: Any = torch.nn.ModuleList([layer])
    x = torch.randn(T, B, I)
    with torch.no_grad():
        freeze(model)
        before = model[0](x)[0]
        layer.weight_ih_l0[1, 2] += 1
        assert torch.equal(model[0](x)[0], before)
        returned = ENDS[end](model)
        after: Any = returned if isinstance(returned, torch.nn.Module) else model
        fresh = GRU(I, H)
        fresh.load_state_dict(layer.state_dict())
        assert not torch.equal(after[0](x)[0], before)
        assert torch.equal(after[0](x)[0], fresh(x)[0])


@pytest.mark.parametrize("T", [1, 4])
def test_weights_of_one_call(T: int) -> None:
    """A frozen layer reads the parameters that `functional_call` gives it, and then its own again."""
    torch.manual_seed(3)
    layer, other = freeze(GRU(I, H)), GRU(I, H)
    x = torch.randn(T, B, I)
    with torch.no_grad():
        before = layer(x)[0]
        given = torch.func.functional_call(layer, dict(other.named_parameters()), (x,))[0]
        assert torch.equal(given, other(x)[0])
        assert not torch.equal(given, before)
        assert torch.equal(layer(x)[0], before)


@pytest.mark.parametrize("T", [1, 4])
def test_pruned_weights_are_read(T: int) -> None:
    """Pruning puts other tensors in the place of frozen ones: the outputs are those of the pruned weights."""
    torch.manual_seed(4)
    layer, expected = freeze(GRU(I, H)), GRU(I, H)
    x = torch.randn(T, B, I)
    with torch.no_grad():
        before = layer(x)[0]
        prune.l1_unstructured(layer, "weight_ih_l0", amount=0.5)  # type: ignore[no-untyped-call]
        for name, weight in expected.named_parameters():
            weight.copy_(getattr(layer, name))
        after = layer(x)[0]
        assert not torch.equal(after, before)
        assert torch.equal(after, expected(x)[0])


def test_calls_with_gradients_read_the_weights() -> None:
    """Where gradients are recorded, a frozen layer reads its weights, and hands them gradients."""
    torch.manual_seed(2)
    layer: Any = freeze(GRU(I, H))
    x = torch.randn(2, B, I)
    before = layer(x)[0]
    layer.weight_ih_l0.data[1, 2] += 1
    after = layer(x)[0]
    assert not torch.equal(before, after)
    after.sum().backward()
    assert layer.weight_ih_l0.grad is not None


@pytest.mark.filterwarnings("ignore:LSTM with projections")  # torch, of its own way
def test_layers_that_native_kernels_do_not_run() -> None:
    """Layers in another dtype, or with a projection, are left to torch's own code, frozen or not."""
    for layer, dtype in ((GRU(I, H).double(), torch.float64), (LSTM(I, H, proj_size=5), torch.float32)):
        x = torch.randn(2, B, I, dtype=dtype)
        with torch.no_grad():
            expected = layer(x)[0]
            torch.testing.assert_close(freeze(layer)(x)[0], expected)


def test_a_model_without_a_drop_in() -> None:
    """Where there is nothing to freeze, the error says what to do."""
    with pytest.raises(ValueError, match=r"give it convert\(model\)"):
        freeze(torch.nn.GRU(I, H))
