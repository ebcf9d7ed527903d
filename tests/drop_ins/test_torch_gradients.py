"""Gradients of the drop-ins: which are computed, a second time, of each other, and what is kept for them."""

import functools
import gc
import math
import weakref
from contextlib import nullcontext
from typing import Any

import pytest

pytest.importorskip("torch")
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from tidegate.torch.fallback import twice_differentiable
from tidegate.torch.modules import DropIn
from tidegate.torch.tensors import with_rows

from .layers import (  # noqa: TID252 - pytest takes tests by their paths
    CELLS,
    B,
    H,
    I,
    T,
    assert_close,
    dense,
    flat,
    leaf,
    packed_unsorted,
    padded,
    states,
    twins,
    with_lengths,
)

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


def test_batched_gradients() -> None:
    """Jacobians by one batched backward pass, which runs torch's own operations, equal those by many passes."""
    layer, _ = twins("gru", num_layers=2, bidirectional=True)

    def jacobian(x: Tensor, *, vectorize: bool) -> Any:
        functional: Any = torch.autograd.functional
        return functional.jacobian(lambda x: layer(x)[1], x, vectorize=vectorize)

    x = leaf(2, B, I).detach()
    assert_close([jacobian(x, vectorize=True)], [jacobian(x, vectorize=False)])
