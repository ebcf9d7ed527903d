"""The drop-ins with several episodes in a row (`episode_starts`), and with gates computed again (`recompute_every`)."""

from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor

from tidegate.torch import GRU, LSTM, RNN, convert

T, B, I, H = 11, 4, 3, 5


def stack(kind: Any = GRU, **options: Any) -> Any:
    """Two layers, both directions."""
    torch.manual_seed(0)
    return kind(I, H, num_layers=2, bidirectional=True, **options)


def before(*sizes: int, **options: Any) -> GRU:
    """A GRU that torch has not."""
    return GRU(*sizes, reset="before", **options)


def states(layer: Any) -> Any:
    """Initial states as torch takes them."""
    found = torch.randn(layer.cell.S, layer.num_layers * (1 + layer.bidirectional), B, H)
    return tuple(found) if layer.cell.S > 1 else found[0]


every_kind = pytest.mark.parametrize("kind", [GRU, LSTM, before])


def marks(*shape: int) -> Tensor:
    """Marks on a fifth of the steps, some of them first steps."""
    found = torch.rand(shape, generator=torch.Generator().manual_seed(1)) < 0.2
    found[0, 0] = True
    return found


def gradients(layer: Any, x: Tensor, hx: Any, **options: Any) -> list[Tensor]:
    """Outputs, and the gradients of input, initial states and parameters of a loss on all of them."""
    starts = [state.clone().to(x.dtype).requires_grad_() for state in (hx if isinstance(hx, tuple) else (hx,))]
    x = x.clone().requires_grad_()
    y, finals = layer(x, tuple(starts) if len(starts) > 1 else starts[0], **options)
    finals = finals if isinstance(finals, tuple) else (finals,)
    loss = y.sin().sum() + sum((2 * final).cos().sum() for final in finals)
    return [
        y.detach(),
        *[final.detach() for final in finals],
        *torch.autograd.grad(loss, [x, *starts, *layer.parameters()]),
    ]


@pytest.mark.parametrize("episode_state", ["zeros", "h0"])
@pytest.mark.parametrize("lengths", [None, [T, 0, 4, 9]])
@pytest.mark.parametrize("batch_first", [False, True])
@every_kind
def test_native_episodes_equal_those_of_torch(kind: Any, episode_state: str, lengths: Any, batch_first: bool) -> None:
    """float32 on native kernels and float64 by torch's own code agree in outputs and in all gradients."""
    layer, episode_starts = stack(kind, batch_first=batch_first), marks(T, B)
    x, hx = torch.randn(T, B, I), states(layer)
    if batch_first:
        x, episode_starts = x.transpose(0, 1), episode_starts.T
    options = {"episode_starts": episode_starts, "episode_state": episode_state, "lengths": lengths}
    assert layer.route(x, hx, **options)
    found = gradients(layer, x, hx, **options)
    layer.double()
    assert not layer.route(x.double(), **options)
    expected = gradients(layer, x.double(), hx, **options)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=1e-5)


def test_episodes_do_not_touch_each_other() -> None:
    """With one direction, an episode's outputs are those of the episode alone, to the bit."""
    layer, x = GRU(I, H), torch.randn(T, B, I)
    episode_starts = torch.zeros(T, B, dtype=torch.bool)
    episode_starts[6] = True
    with torch.no_grad():
        y, h_n = layer(x, torch.ones(1, B, H), episode_starts=episode_starts)
        torch.testing.assert_close(y[6:], layer(x[6:])[0], rtol=0, atol=0)
        torch.testing.assert_close(h_n, layer(x[6:])[1], rtol=0, atol=0)


@every_kind
def test_a_step_at_a_time_is_the_whole_rollout(kind: Any) -> None:
    """Whoever carries the states on step by step, as in acting, gets what training reads, from any initial states."""
    torch.manual_seed(0)
    layer, x, episode_starts = kind(I, H, 2), torch.randn(T, B, I), marks(T, B)
    hx = states(layer)
    with torch.no_grad():
        y, finals = layer(x, hx, episode_starts=episode_starts)
        for t in range(T):
            step, hx = layer(x[t : t + 1], hx, episode_starts=episode_starts[t : t + 1])
            torch.testing.assert_close(step[0], y[t], rtol=0, atol=0)
    torch.testing.assert_close(hx, finals, rtol=0, atol=0)


def test_second_derivatives_of_episodes() -> None:
    """The gradient of a gradient agrees with float64."""
    layer, episode_starts = RNN(I, H), marks(T, B)
    x = torch.randn(T, B, I)
    results = []
    for dtype in (torch.float32, torch.float64):
        layer.to(dtype)
        inputs = x.to(dtype).requires_grad_()
        (first,) = torch.autograd.grad(
            layer(inputs, episode_starts=episode_starts)[0].sin().sum(), inputs, create_graph=True
        )
        (second,) = torch.autograd.grad((first * first).sum(), inputs)
        results.append(second.double())
    torch.testing.assert_close(*results, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("kind", "recompute_every"), [(GRU, None), (GRU, 4), (LSTM, 4)])
def test_episodes_under_compile(kind: Any, recompute_every: int | None) -> None:
    """A compiled model takes episode starts, and gives the eager numbers and gradients."""
    layer, episode_starts = kind(I, H, recompute_every=recompute_every), marks(T, B)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    x, hx = torch.randn(T, B, I), states(layer)
    found = gradients(compiled, x, hx, episode_starts=episode_starts, episode_state="h0")
    for ours, theirs in zip(
        found, gradients(layer, x, hx, episode_starts=episode_starts, episode_state="h0"), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_episodes_of_each_sample() -> None:
    """Vmap over samples that each have their own episodes gives what a loop gives, and so do per-sample gradients."""
    layer, episode_starts, x = GRU(I, H), marks(3, T, B), torch.randn(3, T, B, I)
    parameters = {name: p.detach() for name, p in layer.named_parameters()}

    def loss(parameters: dict[str, Tensor], x: Tensor, episode_starts: Tensor) -> Tensor:
        y: Tensor = torch.func.functional_call(layer, parameters, (x,), {"episode_starts": episode_starts})[0]
        return y.sin().sum()

    found = torch.func.vmap(torch.func.grad(loss), (None, 0, 0))(parameters, x, episode_starts)
    for n in range(3):
        expected = torch.func.grad(loss)(parameters, x[n], episode_starts[n])
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name][n], gradient, rtol=0, atol=1e-5)


WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "dtype": ({"episode_starts": torch.zeros(T, B)}, TypeError, "episode_starts has dtype float32, expected bool"),
    "shape": (
        {"episode_starts": torch.zeros(B, T).bool()},
        ValueError,
        rf"episode_starts has shape \({B}, {T}\), expected \[T, B\]",
    ),
    "episode_state": (
        {"episode_starts": torch.zeros(T, B).bool(), "episode_state": "one"},
        ValueError,
        "episode_state is 'one', expected",
    ),
}


@pytest.mark.parametrize(("options", "error", "message"), WRONG.values(), ids=WRONG)
def test_wrong_episode_starts_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    """An error says what marks should look like, on either route."""
    for dtype in (torch.float32, torch.float64):
        with pytest.raises(error, match=message):
            GRU(I, H, dtype=dtype)(torch.zeros(T, B, I, dtype=dtype), **options)


def test_one_sequence_and_packed_sequences_take_no_episode_starts() -> None:
    """Marks belong to the rows of a padded batch."""
    layer, episode_starts = GRU(I, H), torch.zeros(T, 1, dtype=torch.bool)
    with pytest.raises(ValueError, match="episode_starts given with an input of 2 axes"):
        layer(torch.zeros(T, I), episode_starts=episode_starts)
    packed = torch.nn.utils.rnn.pack_sequence([torch.zeros(T, I)])
    with pytest.raises(ValueError, match="episode_starts given with a packed sequence"):
        layer(packed, episode_starts=episode_starts)


@pytest.mark.parametrize("every", [1, 5, 1000])
@pytest.mark.parametrize("form", ["padded", "packed", "one sequence"])
@every_kind
def test_gates_computed_again_give_the_same_gradients(kind: Any, every: int, form: str) -> None:
    """`recompute_every` changes what is kept, and nothing else."""
    layer = stack(kind)
    x: Any = torch.randn(T, B, I)
    if form == "packed":
        x = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor([11, 9, 9, 2]))
    elif form == "one sequence":
        x = x[:, 0]

    def parameter_gradients() -> list[Tensor]:
        layer.zero_grad()
        y, finals = layer(x)
        finals = torch.stack(finals) if isinstance(finals, tuple) else finals
        ((y.data if form == "packed" else y).sin().sum() + finals.cos().sum()).backward()
        return [p.grad for p in layer.parameters()]

    expected = parameter_gradients()
    layer.recompute_every = every
    for ours, theirs in zip(parameter_gradients(), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=2e-6)


def test_no_trace_is_kept_where_gates_are_computed_again() -> None:
    """What a layer saves for the backward pass has no gates, four or five times the output, among it."""
    for kind, every, most in ((GRU, None, 4), (GRU, 7, 1), (LSTM, None, 5), (LSTM, 7, 1)):
        y, _ = kind(I, H, recompute_every=every)(torch.randn(T, B, I))
        assert y.grad_fn is not None
        x, _, _, _, _, *kept = y.grad_fn.saved_tensors  # without the weights
        assert max(each.numel() for each in (x, *kept) if each is not None) == most * T * B * H


def test_wrong_recompute_every_is_refused() -> None:
    """A segment has at least one step."""
    for layer in (GRU, LSTM, RNN):
        with pytest.raises(ValueError, match="recompute_every is 0, expected 1 or more"):
            layer(I, H, recompute_every=0)


def test_converted_modules_take_episode_starts_and_recompute_every() -> None:
    """A module that was made by torch has the options of a drop-in once it is one."""
    layer: Any = convert(torch.nn.GRU(I, H))
    assert layer.recompute_every is None
    layer.recompute_every = 3
    y, _ = layer(torch.randn(T, B, I), episode_starts=marks(T, B))
    y.sum().backward()
    assert layer.weight_hh_l0.grad is not None


def test_marks_may_be_reused_before_the_backward_pass() -> None:
    """A rollout buffer that is written over after the forward pass changes no gradient."""
    layer: Any = GRU(I, H)
    x, episode_starts = torch.randn(T, B, I), marks(T, B)

    def gradient(episode_starts: Tensor, *, reuse: bool) -> Tensor:
        layer.zero_grad()
        y, _ = layer(x, episode_starts=episode_starts)
        if reuse:
            episode_starts.logical_or_(torch.tensor(data=True))
        y.sum().backward()
        found: Tensor = layer.weight_hh_l0.grad.clone()
        return found

    torch.testing.assert_close(
        gradient(episode_starts.clone(), reuse=True), gradient(episode_starts, reuse=False), rtol=0, atol=0
    )


def test_no_steps_at_all() -> None:
    """An empty batch with marks keeps the initial states, on either route."""
    for dtype in (torch.float32, torch.float64):
        hx = torch.randn(1, B, H, dtype=dtype)
        y, h_n = GRU(I, H, dtype=dtype)(torch.zeros(0, B, I, dtype=dtype), hx, episode_starts=torch.zeros(0, B).bool())
        assert y.shape == (0, B, H)
        torch.testing.assert_close(h_n, hx)


def test_episodes_under_autocast() -> None:
    """They give the same, by whatever code runs them, with lengths and a state."""
    layer, x, episode_starts = GRU(I, H), torch.randn(T, B, I), marks(T, B)
    expected = layer(x, lengths=[T, 3, 0, 5], episode_starts=episode_starts)[0]
    with torch.autocast("cpu", torch.bfloat16):
        y, _ = layer(x, torch.zeros(1, B, H), lengths=[T, 3, 0, 5], episode_starts=episode_starts)
    torch.testing.assert_close(y.float(), expected, rtol=0, atol=0.05)
