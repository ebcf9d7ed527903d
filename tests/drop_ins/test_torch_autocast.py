"""`torch.autocast("cpu", dtype=torch.bfloat16)`: products in bfloat16 on native kernels, where the processor can."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence

import tidegate
import tidegate.torch
from tidegate.torch import autocast as rules
from tidegate.torch.autocast import _MULTIPLIES

from .layers import by_torch  # noqa: TID252 - pytest takes tests by their paths

KINDS: dict[str, dict[str, str]] = {"GRU": {}, "LSTM": {}, "RNN": {}, "GRU before": {"reset": "before"}}
every_kind = pytest.mark.parametrize("kind", KINDS)
native = pytest.mark.skipif(not _MULTIPLIES, reason="this processor does not multiply bfloat16")
T, B, I, H = 17, 21, 37, 70  # odd, and more than one panel, tile and block of rows

# An element of bfloat16 is off by at most 2^-9 of itself; sums of many such products by about that share of the whole.
TOLERANCE = 2**-7


def cast(enabled: bool = True) -> torch.autocast:
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled)


def layer_of(kind: str, *sizes: int, **options: Any) -> Any:
    torch.manual_seed(0)
    return getattr(tidegate.torch, kind.split(maxsplit=1)[0])(*(sizes or (I, H)), **KINDS[kind], **options)


def numbers(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def states_of(layer: Any, rows: int = B) -> Any:
    D = layer.num_layers * (2 if layer.bidirectional else 1)
    states = [numbers(D, rows, layer.hidden_size, seed=5 + s).requires_grad_() for s in range(layer.cell.S)]
    return states[0] if len(states) == 1 else tuple(states)


def tensors(value: Any) -> list[Tensor]:
    return [value] if isinstance(value, Tensor) else [tensor for each in value for tensor in tensors(each)]


def trained(layer: Any, x: Tensor, hx: Any = None, enabled: bool = True, **facts: Any) -> list[Tensor]:
    """Returns outputs, states and gradients by everything."""
    x = x.detach().clone().requires_grad_()
    layer.zero_grad()
    with cast(enabled):
        outputs = tensors(layer(x, hx, **facts))
    loss = torch.stack([(output.double() * numbers(*output.shape, seed=9)).sum() for output in outputs]).sum()
    inputs = [x, *([] if hx is None else tensors(hx)), *layer.parameters()]
    return [*[output.detach() for output in outputs], *torch.autograd.grad(loss, inputs)]


def error(found: Tensor, expected: Tensor) -> float:
    """Returns the norm of the difference, as a share of that of what is expected."""
    found, expected = found.detach().double(), expected.detach().double()
    return float((found - expected).norm() / expected.norm().clamp(min=1e-30))


def errors(found: list[Tensor], expected: list[Tensor]) -> list[float]:
    return [error(*pair) for pair in zip(found, expected, strict=True)]


def in_float64(layer: Any, x: Tensor, hx: Any = None, **facts: Any) -> list[Tensor]:
    states: Any = [] if hx is None else [state.detach().double().requires_grad_() for state in tensors(hx)]
    hx = None if hx is None else states[0] if len(states) == 1 else tuple(states)
    return trained(copy.deepcopy(layer).double(), x.double(), hx, enabled=False, **facts)


@native
@every_kind
def test_outputs_and_gradients_are_those_of_float64(kind: str) -> None:
    """Every output, state and gradient differs from float64 by no more than rounded products explain, in float32."""
    for options in ({}, {"bidirectional": True, "num_layers": 2}, {"bias": False, "recompute_every": 5}):
        layer, x = layer_of(kind, **options), numbers(T, B, I)
        found, expected = trained(layer, x, hx := states_of(layer)), in_float64(layer, x, hx)
        assert max(errors(found, expected)) < TOLERANCE
        assert {tensor.dtype for tensor in found} == {torch.float32}
        assert max(errors(found, trained(layer, x, hx, enabled=False))) > 2**-13  # so products were rounded


@native
@pytest.mark.parametrize("kind", ["GRU", "LSTM", "RNN"])
def test_errors_are_below_those_of_torch(kind: str) -> None:
    """Outputs and gradients are closer to float64 than torch's own under autocast."""
    layer, x = layer_of(kind, 64, 96), numbers(25, 33, 64)
    theirs = getattr(torch.nn, kind)(64, 96)
    theirs.load_state_dict(layer.state_dict())
    expected = in_float64(layer, x)
    pairs = zip(errors(trained(layer, x), expected), errors(trained(theirs, x), expected), strict=True)
    assert all(ours < torchs for ours, torchs in pairs)


@native
def test_an_lstm_goes_on_counting() -> None:
    """A cell that adds 2^-9 at every step holds 2000 of them in the end, where a bfloat16 stops growing."""
    layer = layer_of("LSTM", 1, 2)
    with torch.no_grad():
        for name, weight in layer.named_parameters():
            weight.zero_()
            if name == "bias_ih_l0":  # i = f = 1, g = tanh(b)
                weight.copy_(torch.tensor([200.0, 200, 200, 200, 2**-9, 2**-9, 0, 0]))
        with cast():
            _, (_, c) = layer(torch.zeros(2000, 32, 1))
            _, (_, kept) = layer(torch.zeros(2000, 32, 1), (torch.zeros(1, 32, 2), torch.full((1, 32, 2), 2.0)))
    torch.testing.assert_close(c, torch.full_like(c, 2000 / 512), rtol=1e-4, atol=0)
    torch.testing.assert_close(kept, torch.full_like(c, 2 + 2000 / 512), rtol=1e-4, atol=0)


@native
@every_kind
def test_same_bits_however_it_is_cut(kind: str) -> None:
    """Neighbours, padding, pieces, packing and threads change no bit, and threads none of the gradients."""
    layer, x, lengths = layer_of(kind), numbers(T, B, I), torch.arange(B) % (T + 1)
    whole = trained(layer, x, lengths=lengths)
    tidegate.set_num_threads(1)
    alone = trained(layer, x, lengths=lengths)
    tidegate.set_num_threads(2)
    assert all(map(torch.equal, whole, alone))
    with torch.no_grad(), cast():
        y, _ = layer(x)
        for b in (0, 5, B - 1):
            assert torch.equal(layer(x[: lengths[b], b])[0] if lengths[b] else y[:0, b], y[: lengths[b], b])
            assert torch.equal(whole[0][: lengths[b], b], y[: lengths[b], b])
        first, hx = layer(x[:6])
        steps = [first]
        for t in range(6, T):
            output, hx = layer(x[t : t + 1], hx)
            steps.append(output)
        assert torch.equal(torch.cat(steps), y)
        packed, _ = layer(pack_padded_sequence(x, [T] * B))
        assert torch.equal(packed.data.view(T, B, H), y)


@native
@every_kind
def test_what_is_not_finite_stays_with_its_row(kind: str) -> None:
    """Infinities and NaN are rounded to themselves, and no other row learns of them."""
    layer, x = layer_of(kind), numbers(T, B, I)
    expected = trained(layer, x)[0]
    x[3, 1], x[2, 4, 0] = float("nan"), float("inf")
    found = trained(layer, x)[0]
    assert found[3:, 1].isnan().all()
    assert torch.equal(found[:2, 4], expected[:2, 4])
    others = [b for b in range(B) if b not in {1, 4}]
    assert torch.equal(found[:, others], expected[:, others])


@native
@every_kind
def test_ids_and_episodes(kind: str) -> None:
    """Rows of a table and episodes give what the gathered rows and the separate episodes give."""
    layer, table = layer_of(kind), numbers(30, I)
    ids = torch.randint(30, (T, B), generator=torch.Generator().manual_seed(2))
    starts = torch.zeros(T, B, dtype=torch.bool)
    starts[7] = True
    found = trained(layer, table, ids=ids, episode_starts=starts)
    expected = trained(layer, table[ids], episode_starts=starts)
    assert torch.equal(found[0], expected[0])
    assert max(errors(found[-4:], expected[-4:])) < TOLERANCE
    with torch.no_grad(), cast():
        assert torch.equal(layer(table[ids[7:]])[0], found[0][7:])


@native
def test_bfloat16_inputs() -> None:
    """What operations under autocast return is taken as it is, and gets its gradient."""
    layer, before = layer_of("LSTM"), torch.nn.Linear(9, I)
    with cast():
        y, _ = torch.nn.Sequential(before, layer)(numbers(T, B, 9))
        packed, _ = layer(pack_padded_sequence(numbers(T, B, I).bfloat16(), [T] * B))
        hx = tuple(state.bfloat16() for state in states_of(layer))
        assert layer.route(numbers(T, B, I).bfloat16(), hx)
        layer(numbers(T, B, I), hx)
    y.sum().backward()
    assert y.dtype is packed.data.dtype is torch.float32
    assert before.weight.grad is not None


@native
@every_kind
def test_transforms(kind: str) -> None:
    """torch.compile and torch.func run the same kernels, and second derivatives torch's own operations."""
    layer, x = layer_of(kind), numbers(T, B, I).requires_grad_()
    with cast():
        expected = layer(x)[0]
        compiled = torch.compile(layer, backend="eager", fullgraph=True)(x)[0]  # type: ignore[no-untyped-call]
        gradient = torch.func.grad(lambda x: layer(x)[0].square().sum())(x)
    assert torch.equal(compiled, expected)
    (first,) = torch.autograd.grad(expected.square().sum(), x, retain_graph=True)
    (compiled_first,) = torch.autograd.grad(compiled.square().sum(), x)
    assert torch.equal(gradient, first)
    assert torch.equal(compiled_first, first)
    (again,) = torch.autograd.grad(expected.square().sum(), x, create_graph=True)
    torch.autograd.grad(again.sum(), x)
    assert max(errors([again], [first])) < TOLERANCE


@native
def test_training_comes_as_far() -> None:
    """A task is learned as well as in float32, with a gradient scaler too."""
    losses = []
    for enabled in (False, True):
        model = torch.nn.ModuleList([layer_of("GRU", 2, 32), torch.nn.Linear(32, 1)])
        optimizer, scaler = torch.optim.Adam(model.parameters(), 0.01), torch.amp.GradScaler("cpu", enabled=enabled)
        x = numbers(20, 64, 2)
        x[:, :, 1] = (torch.arange(20) % 7 == 3)[:, None]
        target = (x[:, :, 0] * x[:, :, 1]).sum(0)
        for _ in range(60):
            optimizer.zero_grad()
            with cast(enabled):
                guess = model[1](model[0](x)[0][-1]).float().squeeze(1)
            loss = (guess - target).square().mean()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        losses.append(float(loss.detach()))
    assert losses[1] < losses[0] + 0.05
    assert losses[1] < 0.3


def test_elsewhere_torch_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Float16, and processors that do not multiply bfloat16, run torch's own code, and the route says so."""
    layer, x = layer_of("LSTM"), numbers(T, B, I)
    with torch.autocast("cpu", dtype=torch.float16):
        assert layer.route(x).reason == "autocast is active in float16"
    monkeypatch.setattr(rules, "_MULTIPLIES", False)
    theirs = torch.nn.LSTM(I, H)
    theirs.load_state_dict(layer.state_dict())
    with cast():
        assert layer.route(x).reason == "autocast is active, and this processor does not multiply bfloat16"
        expected = by_torch(lambda: theirs(x))
        found = layer(x)
    assert found[0].dtype is expected[0].dtype is torch.bfloat16
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    with cast(enabled=False):
        assert layer.route(x).reason == "float32 on the CPU"
