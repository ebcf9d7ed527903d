"""The ways that a call takes: which and why, under transforms, hooks, threads and workers."""

import sys
import threading
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

pytest.importorskip("torch")
import torch
from torch import Tensor
from torch.nn.utils import rnn

import tidegate
from tidegate.torch import GRU, Route

from .layers import (  # noqa: TID252 - pytest takes tests by their paths
    CELLS,
    INPUTS,
    LENGTHS,
    B,
    H,
    I,
    T,
    assert_close,
    by_torch,
    leaf,
    twins,
    values_and_gradients,
)

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # torch's own


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", INPUTS)
def test_projections_run_torchs_own_code(kind: str, batch_first: bool) -> None:
    """An LSTM with `proj_size` gives torch's numbers for any form of input, and `route` says why."""
    options: dict[str, Any] = {"proj_size": 2, "num_layers": 2, "bidirectional": True, "batch_first": batch_first}
    layer, reference = twins("lstm", **options)
    call, make_input, rows = INPUTS[kind]
    x, hx = make_input(layer), (leaf(4, *rows, 2), leaf(4, *rows, H))
    assert layer.route(x, hx) == Route(native=False, reason="proj_size is 2, native kernels do not project")
    if kind != "lengths":
        assert_close(*(values_and_gradients(module, call, x, hx) for module in (layer, reference)))
        return
    y, (h_n, c_n) = layer(x, hx, lengths=LENGTHS)
    for b, n in enumerate(LENGTHS):
        y_b, x_b = (y[b], x[b]) if batch_first else (y[:, b], x[:, b])
        assert not y_b[n:].any()
        alone = (y_b[:n], (h_n[:, b], c_n[:, b]))
        own = (hx[0][:, b], hx[1][:, b])
        assert_close(alone, reference(x_b[:n], own) if n else (y_b[:0], own))
    with pytest.raises(ValueError, match="return_trace given for proj_size=2"):
        layer(x, return_trace=True)


def in_autocast(layer: Any, x: Tensor) -> Route:
    with torch.autocast("cpu", torch.float16):
        route: Route = layer.route(x)
    return route


def in_vmap(layer: Any, x: Tensor) -> Route:
    routes: list[Route] = []

    def ask(row: Tensor) -> Tensor:
        routes.append(layer.route(row))
        return row

    torch.func.vmap(ask, in_dims=1)(x)
    return routes[0]


def in_forward_mode(layer: Any, x: Tensor) -> Route:
    with torch.autograd.forward_ad.dual_level():
        route: Route = layer.route(x)
    return route


class Tagged(torch.Tensor):
    pass


REASONS: dict[str, tuple[Callable[[Any, Tensor], Route], bool, str]] = {
    "native": (lambda layer, x: layer.route(x), True, "float32 on the CPU"),
    "packed": (lambda layer, x: layer.route(rnn.pack_sequence([x[:, 0]])), True, "float32 on the CPU"),
    "input": (
        lambda layer, x: layer.route(x.double()),
        False,
        "input has dtype float64, native kernels compute in float32",
    ),
    "half": (lambda layer, x: layer.route(x.bfloat16()), False, "input has dtype bfloat16"),
    "weights": (lambda layer, x: layer.double().route(x), False, "weight_ih_l0 has dtype float64"),
    "one weight": (
        lambda layer, x: layer.to("meta").route(x),
        False,
        "weight_ih_l0 is on meta, native kernels run on the CPU",
    ),
    "hx": (lambda layer, x: layer.route(x, torch.zeros(1, B, H).double()), False, "hx has dtype float64"),
    "device": (lambda layer, x: layer.route(x.to("meta")), False, "input is on meta, native kernels run on the CPU"),
    "subclass": (lambda layer, x: layer.route(x.as_subclass(Tagged)), False, "input is a Tagged, not a plain tensor"),
    "sparse": (lambda layer, x: layer.route(x.to_sparse()), False, "input has layout torch.sparse_coo"),
    "shape": (lambda layer, x: layer.route(x[..., :2]), False, "the shapes do not fit"),
    "empty": (lambda layer, x: layer.route(x[:0]), False, "input is empty"),
    "autocast": (in_autocast, False, "autocast is active in float16"),
    "vmap": (in_vmap, True, "float32 on the CPU"),
    "forward mode": (in_forward_mode, False, "forward-mode differentiation is active"),
}


@pytest.mark.parametrize("case", REASONS)
def test_path_says_which_way_and_why(case: str) -> None:
    """`route` names the way that a call goes and the reason, and is true for the native one."""
    ask, native, reason = REASONS[case]
    route = ask(GRU(I, H), torch.zeros(T, B, I))
    assert route.native is native
    assert bool(route) is native
    assert route.reason.startswith(reason)
    assert repr(route) == f"Route(native={native}, reason={route.reason!r})"


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("cell", CELLS)
def test_other_dtypes_run_torchs_own_code(cell: str, dtype: torch.dtype) -> None:
    """A module in another dtype gives exactly torch's result."""
    layer, reference = (module.to(dtype) for module in twins(cell, bidirectional=True))
    x = leaf(T, B, I).to(dtype)
    assert_close(layer(x), reference(x), tolerance=0)


@pytest.mark.parametrize("cell", CELLS)
def test_autocast_runs_torchs_own_code(cell: str) -> None:
    """Under autocast the result is exactly torch's on a processor that does not multiply bfloat16."""
    layer, reference = twins(cell)
    x = leaf(T, B, I)
    with torch.autocast("cpu"), mock.patch("tidegate.torch.autocast._MULTIPLIES", False):
        expected = by_torch(lambda: reference(x))
        actual = layer(x)
    assert actual[0].dtype is expected[0].dtype
    assert_close(actual, expected, tolerance=0)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")  # torch's own use of it
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning")  # likewise, since torch 2.14
def test_transforms_of_torch_func() -> None:
    """Gradients by torch.func and forward-mode derivatives pass through the layer as through torch's."""
    x, v = leaf(T, B, I).detach(), leaf(T, B, I, seed=3).detach()
    gradients, products = [], []
    for module in twins():
        gradients.append(torch.func.grad(lambda x, module=module: module(x)[0].square().sum())(x))
        products.append(torch.func.jvp(lambda x, module=module: module(x)[0], (x,), (v,))[1])
    assert_close(gradients[:1], gradients[1:])
    assert_close(products[:1], products[1:])


def test_compiled_models() -> None:
    """A model under torch.compile gives the numbers of the same model without it, forward and backward."""
    layer, _ = twins("gru")
    model = torch.nn.Sequential(layer)
    x = leaf(T, B, I)
    results = []
    for call in (model, torch.compile(model, backend="aot_eager")):
        y, h_n = call(x)
        results.append([y, h_n, *torch.autograd.grad(y.square().sum(), [x, *layer.parameters()])])
    assert_close(*results)


def test_hooks_are_called() -> None:
    """Forward and backward hooks of the module see what torch's see."""
    seen = []
    for module in twins():
        sums: list[Tensor] = []
        module.register_forward_pre_hook(lambda module, args, sums=sums: sums.append(args[0].sum().detach()))
        module.register_forward_hook(lambda module, args, output, sums=sums: sums.append(output[0].sum().detach()))
        module.register_full_backward_hook(lambda module, dx, dy, sums=sums: sums.extend([dx[0].sum(), dy[0].sum()]))
        module(leaf(T, B, I))[0].square().sum().backward()
        seen.append(sums)
    assert len(seen[0]) == 4
    assert_close(*seen)


def test_threads_may_call_at_once() -> None:
    """Four Python threads that share a module get the same result as one."""
    layer, _ = twins("gru", 8, 16)
    x = leaf(50, 4, 8).detach()
    expected = layer(x)[0]
    results: list[Tensor] = []
    threads = [threading.Thread(target=lambda: results.extend(layer(x)[0] for _ in range(10))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 40
    assert all(torch.equal(result, expected) for result in results)


class Asking(torch.utils.data.Dataset[tuple[int, Tensor]]):
    """Each item is the number of threads in the process that makes it, and a sum over a layer's output there."""

    def __init__(self) -> None:
        self.layer, _ = twins()

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[int, Tensor]:
        with torch.no_grad():
            return tidegate.get_num_threads(), self.layer(torch.ones(T, B, I))[0].sum()


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")
def test_one_thread_in_loader_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A DataLoader worker computes the same as its parent, on one thread."""
    for variable in ("TIDEGATE_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(variable, raising=False)
    dataset = Asking()
    _, expected = dataset[0]
    loader = torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=1, multiprocessing_context="fork")
    for threads, total in loader:
        assert threads == 1
        assert total == expected
