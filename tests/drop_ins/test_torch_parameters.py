"""Parameters of the drop-ins are torch's: names, state dicts, copies, what is saved, weights made elsewhere."""

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("torch")
import torch
from torch import Tensor
from torch.nn.utils import parametrize

from tidegate.torch import GRU

from .layers import (  # noqa: TID252 - pytest takes tests by their paths
    CELLS,
    B,
    H,
    I,
    T,
    assert_close,
    leaf,
    twins,
)


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
