"""Tests of weights that are read where they are: every change is seen, and none is read where it must not be."""

import random
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from tidegate.ops.batch import Batch
from tidegate.ops.cells import Cell
from tidegate.torch import GRU, LSTM
from tidegate.torch.native import NativeLayer, Plan, sizes_of

I, H, B = 40, 33, 3
PAIRS: dict[str, tuple[Any, Any]] = {"gru": (GRU, torch.nn.GRU), "lstm": (LSTM, torch.nn.LSTM)}
MODES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "training": nullcontext,
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
}


def _by_optimizer(layer: Any) -> None:
    layer(torch.ones(2, B, I))[0].sum().backward()
    torch.optim.SGD(layer.parameters(), lr=0.1).step()


def _through_a_vector(layer: Any) -> None:
    vector = parameters_to_vector(layer.parameters()).detach()
    vector[7] += 1
    vector_to_parameters(vector, layer.parameters())


DOORS: dict[str, Callable[[Any], object]] = {
    "an optimizer": _by_optimizer,
    "a vector": _through_a_vector,
    "in place": lambda layer: layer.weight_ih_l0.detach().mul_(0.5),
    "one number": lambda layer: layer.weight_ih_l0.detach()[1, 2].add_(1),
    "one number through data": lambda layer: layer.weight_ih_l0.data[1, 2].add_(1),
    "other data": lambda layer: setattr(layer.weight_ih_l0, "data", layer.weight_ih_l0.data * 0.5),
    "another parameter": lambda layer: setattr(layer, "bias_hh_l0", torch.nn.Parameter(torch.randn(3 * H))),
    "load_state_dict": lambda layer: layer.load_state_dict(GRU(I, H).state_dict()),
    "a numpy view": lambda layer: layer.bias_ih_l0.detach().numpy()[:1].__iadd__(1),
    "memory that processes share": lambda layer: layer.share_memory().bias_ih_l0.data.add_(1),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("T", [1, 6])
def test_any_change_is_seen(T: int, mode: str, door: str) -> None:
    """A change by any door is seen by the next call, in every mode, whether a call has one step or several."""
    torch.manual_seed(0)
    layer, reference, x = GRU(I, H), torch.nn.GRU(I, H), torch.randn(T, B, I)
    for _ in range(2):
        with MODES[mode]():
            before = layer(x)[0].detach().clone()
        DOORS[door](layer)
        reference.load_state_dict(layer.state_dict())
        with MODES[mode]():
            after, expected = layer(x), reference(x)
        assert not torch.equal(after[0], before)
        torch.testing.assert_close(after, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_finite_differences_of_single_weights(cell: str) -> None:
    """In eval mode and without gradients, single numbers changed through `data` one after another move the outputs."""
    layer, reference, x = PAIRS[cell][0](H, 64), PAIRS[cell][1](H, 64), torch.randn(6, B, H)
    reference.load_state_dict(layer.state_dict())
    with torch.inference_mode():
        layer.eval()(x)
        for k in range(40):
            for module in (layer, reference):
                module.weight_hh_l0.data[k * 37 % 192, k * 11 % 64] += 0.1
            torch.testing.assert_close(layer(x), reference(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("T", [1, 4])
def test_any_single_number_is_seen(T: int) -> None:
    """A change of any number of any weight of any layer and direction moves the outputs or the final states."""
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


def _in_numpy(weight: Tensor, place: int, value: float) -> None:
    weight.detach().numpy().reshape(-1)[place] = value


def _by_a_step(weight: Tensor, place: int, value: float) -> None:
    weight.grad = torch.zeros_like(weight)
    weight.grad.view(-1)[place] = weight.detach().view(-1)[place] - value
    torch.optim.SGD([weight], lr=1.0).step()
    weight.grad = None


def _from_a_vector(weight: Tensor, place: int, value: float) -> None:
    vector = weight.detach().flatten()
    vector[place] = value
    vector_to_parameters(vector, [weight])


# Those of one number are quick, the others are taken now and then.
SINGLE: list[Callable[[Tensor, int, float], object]] = [
    lambda weight, place, value: weight.data.view(-1)[place].fill_(value),
    lambda weight, place, value: weight.detach().view(-1)[place].fill_(value),
    _in_numpy,
]
WHOLE: list[Callable[[Tensor, int, float], object]] = [_by_a_step, _from_a_vector]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shared", [False, True], ids=["own memory", "shared memory"])
def test_no_single_change_is_missed(shared: bool, mode: str) -> None:
    """Of 10,000 changes of a single number, by any door and in every mode, none is missed by the next call."""
    draw, missed, changes = random.Random(f"{mode} {shared}"), [], 10_000 // (2 * len(MODES)) + 1
    torch.manual_seed(5)
    module = GRU(48, 64)
    module = module.share_memory() if shared else module
    x, hx = torch.randn(2, 2, 48), torch.randn(1, 2, 64)
    for k in range(changes):
        steps = 1 + k // 5 % 2  # a single step reads the weights where they are, several pack them
        if k % 5 == 0:
            with MODES[mode]():
                before = module(x[:steps], hx)[0].detach()
        weight = draw.choice(list(module.parameters()))
        place, door = draw.randrange(weight.numel()), draw.choice(WHOLE if k % 20 == 0 else SINGLE)
        old = weight.detach().view(-1)[place].item()
        door(weight, place, old + (0.25 if old < 0 else -0.25))
        with MODES[mode]():
            after = module(x[:steps], hx)[0].detach()
        if torch.equal(before, after):
            missed.append(k)
        before = after
    assert not missed


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
    """Where weights are put elsewhere between the passes, as by those who shard parameters, gradients are right."""
    torch.manual_seed(3)
    module: Any = GRU(I, H)
    x = torch.randn(T, B, I, requires_grad=True)
    expected = torch.autograd.grad(module(x)[0].sum(), [x, *module.parameters()])
    y = module(x)[0]
    for parameter in module.parameters():
        before = parameter.data
        parameter.data = before.clone()
        before.fill_(torch.nan)
    actual = torch.autograd.grad(y.sum(), [x, *module.parameters()])
    for one, other in zip(actual, expected, strict=True):
        assert torch.equal(one, other)


def _freed(weight: Tensor) -> Tensor:
    weight.untyped_storage().resize_(0)
    return weight


def _part_of_freed(weight: Tensor) -> Tensor:
    flat = torch.cat([torch.zeros(64), weight.flatten()])
    part = flat[64:].view(weight.shape)
    flat.untyped_storage().resize_(0)
    return part


def _shrunk(weight: Tensor) -> Tensor:
    weight.untyped_storage().resize_(weight.untyped_storage().nbytes() - 4)
    return weight


def _freed_with_gaps(weight: Tensor) -> Tensor:
    turned = weight.t().contiguous().t()
    turned.untyped_storage().resize_(0)
    return turned


@pytest.mark.parametrize("spoil", [_freed, _part_of_freed, _shrunk, _freed_with_gaps])
def test_weights_without_memory_are_refused(spoil: Callable[[Tensor], Tensor]) -> None:
    """A weight whose memory has been freed, all of it or some, is an error, and not an address to read from."""
    weights: list[Tensor] = [torch.randn(3 * H, I), spoil(torch.randn(3 * H, H))]
    layer = NativeLayer(Plan(Cell.of("gru"), Batch(2, B)), sizes_of(weights), 0)
    with pytest.raises(RuntimeError, match="a weight has no memory"):
        layer.run((torch.randn(2, B, I), *weights))


@pytest.mark.parametrize("unpack", [Tensor.half, lambda tensor: tensor[:1]], ids=["another dtype", "another shape"])
def test_hooks_that_hand_back_something_else(unpack: Callable[[Tensor], Tensor]) -> None:
    """Tensors that hooks have changed between the passes are an error, and not memory to read from."""
    module, x = GRU(I, H), torch.randn(4, B, I)
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor, unpack):
        y = module(x)[0]
    with pytest.raises(RuntimeError, match="a tensor that was saved for the backward pass as float32"):
        y.sum().backward()


def test_negative_views_are_read_as_what_they_stand_for() -> None:
    """A view that torch negates as it is read has the negated numbers, though its memory has not."""
    torch.manual_seed(4)
    module: Any = GRU(I, H)
    x = torch.randn(2, B, I)
    expected = module(x)[0].detach()
    numbers = -module.weight_hh_l0.detach()
    module.weight_hh_l0 = torch.nn.Parameter(torch._neg_view(numbers))
    assert torch.equal(module(x)[0].detach(), expected)
