"""Tests of calls that go to native code at once: which ones take this short way, and that nothing but time tells."""

from threading import Event, Thread
from typing import Any
from unittest.mock import patch

import pytest

pytest.importorskip("torch")

import torch
from torch.nn.utils.rnn import pack_padded_sequence

from tidegate.torch import GRU, LSTM, RNN
from tidegate.torch.one_call import run_at_once

I, H, B = 19, 37, 3
KINDS: dict[str, Any] = {"gru": GRU, "lstm": LSTM, "rnn": RNN}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "layers": {"num_layers": 3},
    "both directions": {"bidirectional": True, "num_layers": 2},
    "batch first": {"batch_first": True, "num_layers": 2},
    "no bias": {"bias": False},
    "dropout": {"dropout": 0.5, "num_layers": 2},
}


@pytest.mark.parametrize("steps", [2**30, 2**26])
@pytest.mark.parametrize("gradients", [False, True])
def test_results_beyond_any_memory_are_an_error(steps: int, gradients: bool) -> None:
    """A tensor that repeats one number may have more rows than there is memory for the states of."""
    x = torch.empty(1, 1, 1).expand(steps, 2**28, 1)
    with torch.set_grad_enabled(gradients), pytest.raises((MemoryError, RuntimeError, ValueError)):
        GRU(1, 16)(x)


def _short(module: Any, *args: Any, **options: Any) -> tuple[Any, bool]:
    """The result of a call, and whether it took the short way."""
    results: list[Any] = []

    def record(*given: Any) -> Any:
        results.append(run_at_once(*given))
        return results[-1]

    with patch("tidegate.torch.modules.drop_in.run_at_once", record):
        output = module(*args, **options)
    return output, bool(results) and results[0] is not None


def _leaves(output: Any) -> list[torch.Tensor]:
    y, finals = output
    return [y, *(finals if isinstance(finals, tuple) else (finals,))]


def _problem(kind: str, options: dict[str, Any], T: int, rows: int | None) -> tuple[Any, torch.Tensor, Any]:
    """A module, an input of some rows or of one sequence, and states."""
    torch.manual_seed(0)
    module = KINDS[kind](I, H, **options).eval()
    leading: tuple[int, ...] = (T,) if rows is None else (T, rows)
    x = torch.randn(*(leading[::-1] if options.get("batch_first") and rows else leading), I)
    places = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    states = [torch.randn(places, *leading[1:], H) for _ in range(module.cell.S)]
    return module, x, tuple(states) if len(states) > 1 else states[0]


@pytest.mark.parametrize("given", [True, False], ids=["states", "no states"])
@pytest.mark.parametrize("rows", [1, B, None])
@pytest.mark.parametrize("T", [1, 5])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_short_way_has_the_bits_of_the_general_one(
    kind: str, options: str, T: int, rows: int | None, given: bool
) -> None:
    """Dense input of any form takes the short way when no gradients are wanted, and gets the same bits and layout."""
    module, x, hx = _problem(kind, OPTIONS[options], T, rows)
    hx = hx if given else None
    expected = module(x, hx)
    with torch.no_grad():
        output, short = _short(module, x, hx)
    assert short
    for one, other in zip(_leaves(output), _leaves(expected), strict=True):
        assert torch.equal(one, other.detach())
        assert one.stride() == other.stride()
        assert not one.requires_grad


@pytest.mark.parametrize("given", [True, False], ids=["states", "no states"])
@pytest.mark.parametrize("T", [1, 5])
@pytest.mark.parametrize("options", ["plain", "both directions", "batch first", "no bias"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_recorded_layer_has_the_bits_of_the_general_way(kind: str, options: str, T: int, given: bool) -> None:
    """A dense batch through a single layer takes the short way with gradients too, which are the same to the bit."""
    module, x, hx = _problem(kind, OPTIONS[options] | {"num_layers": 1}, T, B)
    wanted = [x, *(hx if isinstance(hx, tuple) else (hx,)), *module.parameters()][0 if T > 1 else 1 :]

    def found(*, at_once: bool) -> list[Any]:
        for tensor in wanted:
            tensor.requires_grad_()
        if at_once:
            output, short = _short(module, x, hx if given else None)
            assert short
        else:
            with patch("tidegate.torch.modules.drop_in.run_at_once", return_value=None):
                output = module(x, hx if given else None)
        leaves = _leaves(output)
        loss = torch.stack([(i + 1) * leaf.square().sum() for i, leaf in enumerate(leaves)]).sum()
        return [*leaves, *torch.autograd.grad(loss, wanted, allow_unused=True)]

    for one, other in zip(found(at_once=True), found(at_once=False), strict=True):
        assert (one is None) == (other is None)
        assert one is None or (torch.equal(one, other) and one.stride() == other.stride())


def test_a_recorded_layer_keeps_nothing_of_the_call_before() -> None:
    """Between recorded calls, shapes, states, layout and what a module chooses may change: each call has its own."""
    torch.manual_seed(3)
    module, h = GRU(I, H), torch.randn(1, B, H)
    changes: list[tuple[str, Any]] = [("recompute_every", 2), ("reset", "off"), ("batch_first", True), ("bias", True)]
    for name, value in [("training", True), *changes]:
        setattr(module, name, value)
        fresh = GRU(I, H, reset=module.reset, batch_first=module.batch_first)
        fresh.load_state_dict(module.state_dict())
        for T in (4, 6, 4):
            x = torch.randn(*((B, T) if module.batch_first else (T, B)), I, requires_grad=True)
            for states in (None, h):
                pairs = list(zip(module(x, states), fresh(x, states), strict=True))
                assert all(torch.equal(one, other) for one, other in pairs)
                mine, theirs = (sum(output.sum() for output in outputs) for outputs in zip(*pairs, strict=True))
                found = torch.autograd.grad(mine, [x, *module.parameters()])
                for one, other in zip(found, torch.autograd.grad(theirs, [x, *fresh.parameters()]), strict=True):
                    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.enable_grad])
def test_memory_of_results_stays_theirs(mode: Any) -> None:
    """What is made of a large result without a copy outlives it, and no later call writes there."""
    module, x = GRU(4, 64), torch.randn(64, 64, 4)
    with mode():
        array = module(x)[0].detach().numpy()
        before = array.copy()
        for scale in (2, 3):
            module(scale * x)
    assert (array == before).all()


def test_a_tensor_that_has_left_torch_func() -> None:
    """What torch.func has wrapped, and left behind, is read as the tensor that it is, and has a gradient."""
    module, x, left = GRU(I, H), torch.randn(2, B, I), []

    def leave(x: torch.Tensor) -> torch.Tensor:
        left.append(x)
        return x.sum()

    torch.func.grad(leave)(x)
    outputs, expected = module(left[0]), module(x)
    assert all(map(torch.equal, outputs, expected))
    losses = [torch.cat(pair).sum() for pair in (outputs, expected)]
    assert all(map(torch.equal, *[torch.autograd.grad(loss, [*module.parameters()]) for loss in losses]))


def test_results_share_no_memory() -> None:
    """Outputs, final states, inputs and initial states of a single step are apart: each may be changed in place."""
    module, x, h = _problem("gru", {}, 1, 1)
    with torch.no_grad():
        y, h_n = module(x, h)
        pieces = [tensor.data_ptr() for tensor in (x, h, y, h_n)]
        assert len(set(pieces)) == len(pieces)
        before = h.clone()
        assert torch.equal(y[0], h_n[0])
        y.zero_()
        assert h_n.abs().sum() > 0
        assert torch.equal(h, before)


@pytest.mark.parametrize("stride", ["every second column", "every second row", "expanded rows"])
@pytest.mark.parametrize("T", [1, 4])
def test_inputs_with_gaps(T: int, stride: str) -> None:
    """Inputs that lie with gaps, or have their rows from one place, have the results of a copy."""
    torch.manual_seed(1)
    module = GRU(I, H)
    x = {
        "every second column": torch.randn(T, B, 2 * I)[..., ::2],
        "every second row": torch.randn(T, 2 * B, I)[:, ::2],
        "expanded rows": torch.randn(T, 1, I).expand(T, B, I),
    }[stride]
    with torch.no_grad():
        for one, other in zip(module(x), module(x.contiguous()), strict=True):
            assert torch.equal(one, other)


def test_numbers_that_are_to_be_negated() -> None:
    """The imaginary part of a conjugate, whose numbers in memory have the other sign, is read as what it is."""
    module, _, h = _problem("gru", {}, 1, 1)
    x = torch.randn(1, 1, I, 1, dtype=torch.complex64).conj().imag.squeeze(-1)
    one_number = torch._neg_view(torch.randn(1, 1, I))
    assert x.is_neg()
    assert one_number.is_contiguous()
    with torch.no_grad():
        for given in (x, one_number):
            for actual, expected in zip(module(given, h), module(given.resolve_neg().contiguous(), h), strict=True):
                assert torch.equal(actual, expected)


@pytest.mark.parametrize("which", ["a weight", "the input", "a state"])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.enable_grad])
@pytest.mark.parametrize("T", [1, 4])
def test_memory_that_was_freed(T: int, mode: Any, which: str) -> None:
    """A tensor whose storage was freed is an error, with gradients and without."""
    module, x, hx = _problem("lstm", {}, T, 1)
    freed = {"a weight": module.weight_hh_l0, "the input": x, "a state": hx[1]}[which]
    freed.untyped_storage().resize_(0)
    with mode(), pytest.raises(RuntimeError, match="has no memory"):
        module(x, hx)


def test_memory_that_was_cut_behind_the_last_row() -> None:
    """An input with gaps needs more memory than its numbers: that it has as much as them is not enough."""
    x = torch.zeros(100, 2, I)[::10]
    x.untyped_storage().resize_(4 * x.numel())
    with torch.no_grad(), pytest.raises(RuntimeError, match="has no memory"):
        GRU(I, H)(x)


@pytest.mark.parametrize(("T", "layers", "gradients"), [(1, 2, False), (5, 2, False), (3, 2, True), (3, 1, True)])
def test_weights_that_another_thread_moves(T: int, layers: int, gradients: bool) -> None:
    """While another thread gives the weights other memory with the same numbers, every call has the same bits."""
    torch.manual_seed(2)
    module, x, ended = GRU(64, 64, num_layers=layers), torch.randn(T, 2, 64), Event()
    module.requires_grad_(gradients)
    expected = module(x)[0].detach().clone()

    def move() -> None:
        while not ended.is_set():
            for weight in module.parameters():
                weight.data = weight.data.clone()

    mover = Thread(target=move)
    mover.start()
    try:
        for _ in range(300):
            assert torch.equal(module(x)[0].detach(), expected)
    finally:
        ended.set()
        mover.join()


def _other_calls() -> dict[str, Any]:
    module, x, h = _problem("gru", {}, 3, B)
    dropping = GRU(I, H, num_layers=2, dropout=0.5)
    return {
        "gradients of several layers": lambda: _grad(dropping, x),
        "gradients of one sequence": lambda: _grad(module, x[:, 0]),
        "gradients of nothing": lambda: _grad(module, x[:, :0]),
        "lengths": lambda: _short(module, x, h, lengths=[1, 2, 3]),
        "a trace": lambda: _short(module, x, return_trace=True),
        "packed": lambda: _short(module, pack_padded_sequence(x, [3, 2, 1])),
        "dropout": lambda: _short(dropping, x),
        "float64": lambda: _short(GRU(I, H).double(), x.double()),
        "autocast": lambda: _autocast(module, x),
        "a projection": lambda: _short(LSTM(I, H, proj_size=5), x),
        "another state": lambda: _short(module, x, h.repeat(1, 1, 2)[..., ::2]),
        "nothing": lambda: _short(module, x[:, :0], h[:, :0]),
        "a subclass": lambda: _short(module, x.as_subclass(_Subclass)),
    }


class _Subclass(torch.Tensor):
    pass


def _grad(module: Any, x: torch.Tensor) -> tuple[Any, bool]:
    with torch.enable_grad():
        return _short(module, x)


def _autocast(module: Any, x: torch.Tensor) -> tuple[Any, bool]:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return _short(module, x)


@pytest.mark.filterwarnings("ignore:LSTM with projections")  # torch, of its own way
@pytest.mark.parametrize("name", _other_calls())
def test_all_other_calls_take_the_general_way(name: str) -> None:
    """What needs more than a dense batch and states is left to the general way."""
    with torch.no_grad():
        assert not _other_calls()[name]()[1]
