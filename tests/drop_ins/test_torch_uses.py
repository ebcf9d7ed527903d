"""What PyTorch users do with a module around its calls: optimizers, checkpoints, replicas, pruning, norms, modes."""

import copy
import functools
import threading
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor
from torch.nn.utils import parametrizations, prune
from torch.utils.checkpoint import checkpoint

from tidegate.torch import GRU

T, B, I, H = 6, 4, 3, 5


l1_unstructured: Callable[..., Any] = prune.l1_unstructured


def twins(**options: Any) -> tuple[Any, Any]:
    torch.manual_seed(0)
    reference = torch.nn.GRU(I, H, **options)
    layer = GRU(I, H, **options)
    layer.load_state_dict(reference.state_dict())
    return layer, reference


def inputs(seed: int = 1) -> Tensor:
    return torch.randn(T, B, I, generator=torch.Generator().manual_seed(seed))


def close(actual: Any, expected: Any) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "sgd": functools.partial(torch.optim.SGD, lr=0.1, momentum=0.9),
    "sgd foreach": functools.partial(torch.optim.SGD, lr=0.1, foreach=True),
    "sgd fused": functools.partial(torch.optim.SGD, lr=0.1, fused=True),
    "adam": functools.partial(torch.optim.Adam, lr=0.01),
    "adamw foreach": functools.partial(torch.optim.AdamW, lr=0.01, foreach=True),
    "adamw fused": functools.partial(torch.optim.AdamW, lr=0.01, fused=True),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_train_as_with_torch(name: str) -> None:
    """Every step of an optimizer, in its single, foreach and fused forms, is seen by the next call."""
    losses = []
    for module in twins(num_layers=2):
        optimizer = OPTIMIZERS[name](module.parameters())
        for _ in range(5):
            optimizer.zero_grad()
            loss = module(inputs())[0].square().mean()
            loss.backward()
            optimizer.step()
        losses.append(module.eval()(inputs())[0].detach())
    close(*losses)


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_checkpoints_in_both_forms(use_reentrant: bool) -> None:
    """Inside torch.utils.checkpoint, reentrant or not, gradients are the same, dropout included."""
    layer, _ = twins(num_layers=2, dropout=0.3)
    results = []
    for call in (layer, functools.partial(checkpoint, layer, use_reentrant=use_reentrant)):
        torch.manual_seed(4)
        x = inputs().requires_grad_()
        layer.zero_grad()
        call(x)[0].square().sum().backward()
        results.append([x.grad, *[parameter.grad for parameter in layer.parameters()]])
    torch.testing.assert_close(*results, rtol=0, atol=0)


def test_threads_train_replicas_and_share_a_module() -> None:
    """Threads that train copies of a module, each its own, while all read a shared one, get what one thread gets."""
    shared, _ = twins()
    shared.eval()

    def train(layer: Any) -> Tensor:
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
        for _ in range(10):
            optimizer.zero_grad()
            layer(inputs())[0].square().sum().backward()
            optimizer.step()
            with torch.no_grad():
                last: Tensor = shared(inputs())[0]
        return torch.cat([layer(inputs())[0].detach(), last])

    expected = train(copy.deepcopy(shared).train())
    results: list[Tensor] = []
    replicas = [copy.deepcopy(shared).train() for _ in range(4)]
    threads = [threading.Thread(target=lambda layer=layer: results.append(train(layer))) for layer in replicas]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert all(torch.equal(result, expected) for result in results)


def test_replicas_of_data_parallel() -> None:
    """A replica as DataParallel makes it, whose weights are no parameters, computes the same and gives gradients."""
    layer, _ = twins()
    replica = layer._replicate_for_data_parallel()
    weights = {name: parameter.clone() for name, parameter in layer.named_parameters()}
    replica._parameters = {}
    for name, weight in weights.items():
        setattr(replica, name, weight)
    torch.testing.assert_close(replica(inputs()), layer(inputs()), rtol=0, atol=0)
    replica(inputs())[0].sum().backward()
    assert all(parameter.grad is not None for parameter in layer.parameters())


CHANGES: dict[str, Callable[[Any], Any]] = {
    "weight_norm": lambda module: parametrizations.weight_norm(module, "weight_hh_l0"),
    "spectral_norm": lambda module: parametrizations.spectral_norm(module, "weight_hh_l0", n_power_iterations=50),
    "orthogonal": lambda module: parametrizations.orthogonal(module, "weight_hh_l0"),
    "prune": lambda module: l1_unstructured(module, "weight_ih_l0", amount=0.5),
}


@pytest.mark.parametrize("name", CHANGES)
def test_weights_computed_from_others(name: str) -> None:
    """Norms, orthogonal weights and pruning give torch's outputs and gradients, and steps of training are seen."""
    results = []
    for module in twins():
        torch.manual_seed(2)
        CHANGES[name](module)
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            y, _ = module(inputs())
            y.square().mean().backward()
            optimizer.step()
        results.append([y.detach(), *[parameter.grad for parameter in module.parameters()]])
    close(*results)


def test_pruned_weights_of_a_batch_of_slices() -> None:
    """Weights that are views of larger tensors are read right, and their gradients reach the larger ones."""
    results = []
    for module in twins():
        larger = {name: torch.stack([value, 2 * value]).requires_grad_() for name, value in module.state_dict().items()}
        slices = {name: value[1] for name, value in larger.items()}
        y, _ = torch.func.functional_call(module, slices, (inputs(),))
        results.append([y, *torch.autograd.grad(y.square().mean(), list(larger.values()))])
    close(*results)


def test_inference_mode_and_back() -> None:
    """Calls in inference mode give the same numbers, as tensors of inference, and training goes on afterwards."""
    layer, reference = twins()
    with torch.inference_mode():
        y, _ = layer.eval()(inputs())
    assert y.is_inference()
    close(y.clone(), reference(inputs())[0].detach())
    layer.train()(inputs())[0].sum().backward()
    assert layer.weight_hh_l0.grad is not None


def test_default_dtype_of_float64() -> None:
    """With another default dtype a module is made in it, runs torch's own code, and says so."""
    torch.set_default_dtype(torch.float64)
    try:
        layer, reference = twins()
        x = inputs()
        assert layer.route(x).reason == "input has dtype float64, native kernels compute in float32"
        torch.testing.assert_close(layer(x), reference(x), rtol=0, atol=0)
        single = layer.float()
        assert single.route(x.float())
        assert single(x.float())[0].dtype is torch.float32
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("wanted", ["x", "hx", "weight_ih_l0", "bias_hh_l0"])
def test_any_subset_of_inputs_may_want_gradients(wanted: str) -> None:
    """One input or weight alone gets its gradient, and nothing else does."""
    results = []
    for module in twins():
        module.requires_grad_(False)
        given = {"x": inputs(), "hx": torch.ones(1, B, H)} | dict(module.named_parameters())
        given[wanted].requires_grad_()
        y, h_n = module(given["x"], given["hx"])
        (y.square().mean() + h_n.mean()).backward()
        results.append(given[wanted].grad)
        assert [name for name, tensor in given.items() if tensor.grad is not None] == [wanted]
    close(*results)
