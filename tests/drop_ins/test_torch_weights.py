"""Tests of weights that are read where they are: every change is seen, and none is read where it must not be."""

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from tidegate.ops.cells import Cell
from tidegate.torch import GRU, LSTM
from tidegate.torch.weights import borrow

I, H, B = 40, 33, 3
MODES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "training": nullcontext,
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
}


def _by_optimizer(module: torch.nn.Module) -> None:
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    torch.optim.SGD(module.parameters(), lr=0.1).step()


def _one_number(module: Any) -> None:
    module.weight_ih_l0.data[5, 7] += 3


DOORS: dict[str, Callable[[Any], None]] = {
    "an optimizer": _by_optimizer,
    "one number through .data": _one_number,
    "a numpy view": lambda module: module.weight_ih_l0.detach().numpy().__setitem__((0, 0), 3.0),
    "vector_to_parameters": lambda module: vector_to_parameters(
        parameters_to_vector(module.parameters()).detach() * 2, module.parameters()
    ),
    "another parameter": lambda module: setattr(
        module, "bias_hh_l0", torch.nn.Parameter(torch.ones(len(module.bias_hh_l0)))
    ),
    "other memory": lambda module: setattr(module.bias_ih_l0, "data", torch.ones(len(module.bias_ih_l0))),
    "memory that processes share": lambda module: _one_number(module.share_memory()),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("T", [1, 6])
def test_any_change_is_seen(T: int, mode: str, door: str) -> None:
    """A change by any door is seen by the next call, in every mode, whether a call has one step or several."""
    torch.manual_seed(0)
    module, x = GRU(I, H), torch.randn(T, B, I)
    with MODES[mode]():
        before = module(x)[0].detach().clone()
    DOORS[door](module)
    with MODES[mode]():
        after = module(x)[0].detach()
    fresh = copy.deepcopy(module)
    assert not torch.equal(after, before)
    with torch.no_grad():
        assert torch.equal(after, fresh(x)[0])


@pytest.mark.parametrize("T", [1, 4])
def test_any_single_number_is_seen(T: int) -> None:
    """A change of any number of any weight of any layer and direction moves the output, or one of its gradients."""
    torch.manual_seed(1)
    module = LSTM(5, 3, num_layers=2, bidirectional=True).eval()
    # A step from c0 = 0 forgets nothing of it, and reads no state.
    x, hx = torch.randn(T, 2, 5), (torch.randn(4, 2, 3), torch.randn(4, 2, 3))
    with torch.no_grad():
        for name, weight in module.named_parameters():
            numbers = weight.data.view(-1)
            for place in range(len(numbers)):
                y, (h, c) = module(x, hx)
                numbers[place] += 0.5
                changed, (h_changed, c_changed) = module(x, hx)
                same = torch.equal(y, changed) and torch.equal(h, h_changed) and torch.equal(c, c_changed)
                assert not same, f"{name}[{place}]"


@pytest.mark.parametrize("T", [1, 6])
def test_weights_in_any_layout(T: int) -> None:
    """Weights that lie transposed, or are a part of something larger, give the same bits."""
    torch.manual_seed(2)
    module: Any = GRU(I, H)
    x = torch.randn(T, B, I)
    expected = module(x)[0].detach()
    module.weight_ih_l0 = torch.nn.Parameter(module.weight_ih_l0.detach().t().contiguous().t())
    larger = torch.randn(3 * H, H + 4)
    larger[:, 2:-2] = module.weight_hh_l0.detach()
    module.weight_hh_l0 = torch.nn.Parameter(larger[:, 2:-2])
    assert not module.weight_ih_l0.is_contiguous()
    assert not module.weight_hh_l0.is_contiguous()
    assert module.route(x)
    assert torch.equal(module(x)[0].detach(), expected)


def test_weights_of_another_shape_are_not_read() -> None:
    """A weight whose shape does not fit is left to torch, whose checks say what is wrong."""
    module, x = GRU(I, H), torch.randn(2, B, I)
    module.weight_hh_l0 = torch.nn.Parameter(torch.randn(H, 3 * H))
    assert not module.route(x)
    with pytest.raises(RuntimeError):
        module(x)


@pytest.mark.parametrize("T", [1, 6])
def test_weights_that_move_before_the_backward_pass(T: int) -> None:
    """Where memory is freed and filled again elsewhere, as by those who shard parameters, gradients are right."""
    torch.manual_seed(3)
    module, x = GRU(I, H), torch.randn(T, B, I, requires_grad=True)
    expected = torch.autograd.grad(module(x)[0].sum(), [x, *module.parameters()])
    y = module(x)[0]
    for parameter in module.parameters():
        storage, numbers = parameter.untyped_storage(), parameter.detach().clone()
        size = storage.nbytes()
        storage.resize_(0)
        keep = torch.empty(size)  # takes the memory that has become free
        storage.resize_(size)
        with torch.no_grad():
            parameter.data.copy_(numbers)
        del keep
    actual = torch.autograd.grad(y.sum(), [x, *module.parameters()])
    for one, other in zip(actual, expected, strict=True):
        assert torch.equal(one, other)


def test_freed_weights_are_refused() -> None:
    """A weight whose memory has been freed is an error, and not an address to read from."""
    weights: list[Tensor] = [torch.randn(3 * H, I), torch.randn(3 * H, H)]
    weights[1].untyped_storage().resize_(0)
    with pytest.raises(RuntimeError, match="a weight has no memory"):
        borrow(Cell.of("gru"), weights)
