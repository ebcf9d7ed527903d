"""The drop-ins under torch.func: gradients, batches, per-sample gradients and Jacobians, at any depth."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vmap

from tidegate.torch import GRU, LSTM, RNN
from tidegate.torch.fallback import twice_differentiable

T, B, I, H = 5, 4, 3, 4
LENGTHS = [2, 5, 0, 4]
Parameters = dict[str, Tensor]
CELLS = {"gru": (GRU, torch.nn.GRU), "lstm": (LSTM, torch.nn.LSTM), "rnn": (RNN, torch.nn.RNN)}

# torch's own use of it; the category is another one since torch 2.14
pytestmark = [
    pytest.mark.filterwarnings(f"ignore:.*torch.jit.*:{kind}") for kind in ("DeprecationWarning", "FutureWarning")
]


def twins(cell: str = "gru", **options: Any) -> tuple[Any, Any]:
    torch.manual_seed(0)
    ours, theirs = (kind(I, H, **options) for kind in CELLS[cell])
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def inputs(seed: int = 1) -> Tensor:
    return torch.randn(T, B, I, generator=torch.Generator().manual_seed(seed))


def parameters(module: torch.nn.Module) -> Parameters:
    return {name: parameter.detach() for name, parameter in module.named_parameters()}


def states_of(hx: Any) -> tuple[Tensor, ...]:
    """Final states, one or more."""
    return hx if isinstance(hx, tuple) else (hx,)


def loss(module: torch.nn.Module, **options: Any) -> Callable[[Parameters, Tensor], Tensor]:
    """A scalar function of the parameters and an input."""

    def of(values: Parameters, x: Tensor) -> Tensor:
        with twice_differentiable() if type(module) is torch.nn.LSTM else nullcontext():
            y, hx = functional_call(module, values, (x,), options)
        total: Tensor = y.square().sum() + sum(state.sum() for state in states_of(hx))
        return total

    return of


def close(actual: Any, expected: Any) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True, "bias": False}])
def test_gradients(cell: str, options: dict[str, Any]) -> None:
    """Grad by inputs and parameters is torch's, and so is its own gradient."""
    results = []
    for module in twins(cell, **options):
        of, values = loss(module), parameters(module)
        penalty = grad(lambda v, of=of: grad(of, argnums=1)(v, inputs()).square().sum())
        results.append([grad(of, argnums=(0, 1))(values, inputs()), penalty(values)])
    close(*results)


def test_gradients_with_lengths() -> None:
    """Grad of ragged rows, and its own gradient, equal those of plain autograd."""
    layer, _ = twins(bidirectional=True)
    of, values = loss(layer, lengths=LENGTHS), parameters(layer)
    x = inputs().requires_grad_()
    (first,) = torch.autograd.grad(of(values, x), x, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), x)
    close(grad(of, argnums=1)(values, inputs()), first.detach())
    close(grad(lambda x: grad(of, argnums=1)(values, x).square().sum())(inputs()), second)


@pytest.mark.parametrize("cell", CELLS)
def test_a_batch_of_inputs(cell: str) -> None:
    """Vmap over inputs, states and lengths equals one call for each sample; so does one in another."""
    layer, _ = twins(cell, bidirectional=True)
    xs = torch.stack([inputs(seed) for seed in range(3)], 1)
    states = tuple(torch.randn(layer.cell.S, 3, 2, B, H))
    lengths = torch.tensor([LENGTHS, [1, 1, 1, 1], [5, 4, 3, 2]])

    def run(x: Tensor, n: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        hx: Any = states if len(states) > 1 else states[0]
        assert layer.route(x, hx)
        y, hx = layer(x, hx, lengths=n)
        return y, *states_of(hx)

    batched = vmap(run, in_dims=(1, 0, *[0] * len(states)))(xs, lengths, *states)
    single = [run(xs[:, i], lengths[i], *[state[i] for state in states]) for i in range(3)]
    close(batched, tuple(map(torch.stack, zip(*single, strict=True))))
    nested = vmap(vmap(lambda x: layer(x)[0], in_dims=1), in_dims=1)(xs)  # x is one sequence [T, I]
    close(nested, torch.stack([layer(xs[:, i])[0].transpose(0, 1) for i in range(3)]))


def test_a_batch_of_parameters() -> None:
    """Vmap over parameters runs an ensemble of layers on one input."""
    layer, _ = twins(num_layers=2)
    ensemble = {name: torch.stack([value, 2 * value]) for name, value in parameters(layer).items()}
    x = inputs()
    batched = vmap(lambda values: functional_call(layer, values, (x,)))(ensemble)
    single = [functional_call(layer, {name: value[i] for name, value in ensemble.items()}, (x,)) for i in range(2)]
    close(batched, tuple(map(torch.stack, zip(*single, strict=True))))


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_of_each_sample(cell: str) -> None:
    """Vmap of grad gives the gradients by the parameters for each sample alone."""
    layer, reference = twins(cell, num_layers=2)
    values = parameters(layer)
    batched = vmap(grad(loss(layer)), in_dims=(None, 1))(values, inputs())
    single = [grad(loss(reference))(values, inputs()[:, b]) for b in range(B)]
    close(batched, {name: torch.stack([gradients[name] for gradients in single]) for name in values})


def test_gradients_of_a_batch_of_inputs() -> None:
    """Grad of vmap equals the gradient of the sum over samples."""
    layer, reference = twins()
    values = parameters(layer)
    whole = grad(lambda v: vmap(loss(layer), in_dims=(None, 1))(v, inputs()).sum())(values)
    single = [grad(loss(reference))(values, inputs()[:, b]) for b in range(B)]
    close(whole, {name: sum(gradients[name] for gradients in single) for name in values})


@pytest.mark.parametrize("transform", [jacrev, jacfwd, hessian, lambda f: jacrev(jacrev(f))])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_jacobians(cell: str, transform: Callable[..., Any]) -> None:
    """Jacobians and Hessians, in reverse and in forward mode, are torch's."""
    results = []
    for module in twins(cell):
        of, values = loss(module), parameters(module)
        results.append(transform(lambda x, of=of, values=values: of(values, x))(inputs()[:2, :1]))
    close(*results)


def test_forward_mode_runs_torchs_own_operations() -> None:
    """Jvp falls back to torch's own code, with lengths too, and `route` says so."""
    layer, reference = twins()
    x, v = inputs(), inputs(seed=2)
    routes = []

    def ask(x: Tensor) -> Tensor:
        routes.append(layer.route(x))
        y: Tensor = layer(x)[0]
        return y

    close(jvp(ask, (x,), (v,)), jvp(lambda x: reference(x)[0], (x,), (v,)))
    assert [(route.native, route.reason) for route in routes] == [(False, "forward-mode differentiation is active")]
    product = jvp(lambda x: layer(x, lengths=LENGTHS)[0], (x,), (v,))[1]
    for b, n in enumerate(LENGTHS):
        if n:
            close(product[:n, b], jvp(lambda x, b=b, n=n: reference(x[:n, b])[0], (x,), (v,))[1])
        assert not product[n:, b].any()


def test_transforms_run_natively() -> None:
    """Under grad and vmap, `route` names the native way."""
    layer, _ = twins()
    routes = []

    def ask(values: Parameters, x: Tensor) -> Tensor:
        routes.append(layer.route(x))
        return loss(layer)(values, x)

    grad(ask)(parameters(layer), inputs())
    vmap(ask, in_dims=(None, 1))(parameters(layer), inputs())
    assert [route.native for route in routes] == [True, True]
