"""Tools for PyTorch give with a drop-in what they give with torch's own module: outputs, gradients, names, hooks."""

import copy
import io
import pickle
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import load_model, save_model
from torch import Tensor, distributed, nn
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.nn import utils
from torch.nn.utils import parametrizations, parametrize, prune
from torch.optim.swa_utils import AveragedModel
from torch.package.package_exporter import PackageExporter
from torch.package.package_importer import PackageImporter

from tidegate.torch import GRU

from .layers import by_torch  # noqa: TID252 - pytest takes tests by their paths
from .models import KINDS, B, H, I, Model, T, every_kind, inputs  # noqa: TID252 - pytest takes tests by their paths

pytestmark = pytest.mark.filterwarnings(  # all of them torch's own
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore:TypedStorage is deprecated:UserWarning"
)

jit: Any = torch.jit  # parts of it are not annotated
Make = Callable[..., Any]


def trained(module: Any) -> list[Tensor]:
    """Outputs of a module and gradients of all its parameters."""
    result = module(inputs())
    y: Tensor = result if isinstance(result, Tensor) else result[0]
    torch.autograd.backward(y.square().sum())
    return [y.detach(), *[p.grad for p in module.parameters() if p.grad is not None]]


def changed(change: Callable[[Any], object], make: Make) -> list[Tensor]:
    """The same of a layer to which a tool has done something."""
    layer = make(I, H)
    change(layer)
    return trained(layer)


def normed_for_a_time(layer: Any) -> None:
    parametrizations.weight_norm(layer, "weight_hh_l0")
    kind = type(layer)
    parametrize.remove_parametrizations(layer, "weight_hh_l0")
    assert type(layer) is kind.__base__


def pruned_for_good(layer: Any) -> None:
    torch.manual_seed(2)
    cut: Any = prune.random_unstructured
    cut(layer, "weight_hh_l0", amount=0.5)
    made_permanent: Any = prune.remove
    made_permanent(layer, "weight_hh_l0")


def pruned_together(layer: Any) -> None:
    cut: Any = prune.global_unstructured
    cut([(layer, "weight_hh_l0"), (layer, "weight_ih_l0")], prune.L1Unstructured, amount=0.3)


def halved(layer: Any) -> None:
    utils.vector_to_parameters(utils.parameters_to_vector(layer.parameters()) / 2, layer.parameters())


CHANGES: dict[str, Callable[[Any], object]] = {
    "weight_norm of old": lambda layer: utils.weight_norm(layer, "weight_hh_l0"),
    "weight_norm removed": normed_for_a_time,
    "spectral_norm of old": lambda layer: utils.spectral_norm(layer, "weight_hh_l0"),
    "pruned and made permanent": pruned_for_good,
    "pruned globally": pruned_together,
    "vector_to_parameters": halved,
    "gradient hook": lambda layer: layer.weight_hh_l0.register_hook(lambda gradient: gradient * 0),
    "share_memory": lambda layer: layer.share_memory(),
    "to float64 and back": lambda layer: layer.double().float(),
    "another parameter": lambda layer: setattr(layer, "weight_hh_l0", nn.Parameter(layer.weight_hh_l0.detach() * 2)),
    "anomaly detection": lambda layer: torch.autograd.set_detect_anomaly(True),
    "frozen bias": lambda layer: layer.bias_hh_l0.requires_grad_(False),
}


@every_kind
@pytest.mark.parametrize("name", CHANGES)
def test_changed_layers_train_like_torchs(kind: Any, name: str) -> None:
    """Norms, pruning, hooks and conversions do to a layer what they do to torch's."""
    results = []
    for make in (kind, KINDS[kind]):
        torch.manual_seed(0)
        try:
            results.append(changed(CHANGES[name], make))
        finally:
            torch.autograd.set_detect_anomaly(False)
    torch.testing.assert_close(*results, rtol=1e-5, atol=1e-5)


def through_file(model: nn.Module, **options: Any) -> Any:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, **options)


def through_mapped_file(model: Model, folder: Path) -> Any:
    torch.save(model.state_dict(), folder / "weights.pt")
    with torch.device("meta"):
        loaded = Model(type(model.rnn)(I, H))
    loaded.load_state_dict(torch.load(folder / "weights.pt", mmap=True), assign=True)
    return loaded


def through_safetensors(model: Model, folder: Path) -> Any:
    save_model(model, str(folder / "model.safetensors"))
    with torch.device("meta"):
        loaded = Model(type(model.rnn)(I, H))
    loaded.to_empty(device="cpu")
    load_model(loaded, str(folder / "model.safetensors"))
    return loaded


def through_package(model: Any, folder: Path) -> Any:
    with PackageExporter(folder / "package.pt") as package:
        package.extern(["torch.**", "tidegate.**"])
        package.save_pickle("layers", "rnn.pkl", model.rnn)
    model.rnn = PackageImporter(folder / "package.pt").load_pickle("layers", "rnn.pkl")
    return model


def through_jit(compiled: Any) -> Any:
    file = io.BytesIO()
    jit.save(compiled, file)
    file.seek(0)
    return jit.load(file)


def through_export(model: nn.Module, folder: Path) -> Any:
    torch.export.save(torch.export.export(model, (inputs(),)), folder / "program.pt2")
    return torch.export.load(folder / "program.pt2").module()


COPIES: dict[str, Callable[[Any, Path], Any]] = {
    "deepcopy": lambda model, folder: copy.deepcopy(model),
    "pickle": lambda model, folder: pickle.loads(pickle.dumps(model)),
    "torch.save": lambda model, folder: through_file(model, weights_only=False),
    "mapped weights": through_mapped_file,
    "safetensors": through_safetensors,
    "torch.package": through_package,
    "torch.jit.trace": lambda model, folder: through_jit(jit.trace(model, inputs())),
    "torch.jit.script": lambda model, folder: through_jit(jit.script(model)),
    "torch.jit.freeze": lambda model, folder: through_jit(jit.freeze(jit.script(model.eval()))),
    "torch.fx": lambda model, folder: through_file(torch.fx.symbolic_trace(model), weights_only=False),
    "torch.export": through_export,
    "averaged": lambda model, folder: AveragedModel(model),
    "DataParallel": lambda model, folder: nn.DataParallel(model),
}


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@every_kind
@pytest.mark.parametrize("name", COPIES)
def test_copies_and_files_hold_the_same_model(kind: Any, name: str, tmp_path: Path) -> None:
    """A model that was copied, saved, packaged, traced or exported gives the same outputs."""
    model = Model(kind(I, H))
    with torch.no_grad():
        expected = model(inputs())
        torch.testing.assert_close(COPIES[name](model, tmp_path)(inputs()), expected, rtol=1e-6, atol=1e-6)


@every_kind
def test_files_of_modules_need_no_other_trust(kind: Any) -> None:
    """A saved module loads with weights_only where its class is declared safe, as torch's does."""
    layer = kind(I, H)
    with torch.serialization.safe_globals([kind, set]):
        loaded = through_file(layer, weights_only=True)
    torch.testing.assert_close(loaded(inputs()), layer(inputs()), rtol=0, atol=0)


def autocast(make: Make) -> Any:
    slow = mock.patch("tidegate.torch.autocast._MULTIPLIES", False)
    with torch.autocast("cpu", dtype=torch.bfloat16), slow:
        return make(I, H)(inputs())


def in_float64(make: Make) -> Any:
    torch.set_default_dtype(torch.float64)
    try:
        return make(I, H)(inputs().double())
    finally:
        torch.set_default_dtype(torch.float32)


def with_default_device(make: Make, device: str) -> Any:
    layer = make(I, H, num_layers=2, bidirectional=True)
    torch.set_default_device(device)
    try:
        return layer(inputs_on_cpu)
    finally:
        torch.set_default_device(None)


inputs_on_cpu = inputs()
MODES: dict[str, Callable[[Make], Any]] = {
    "autocast": autocast,
    "default dtype": in_float64,
    "default device cpu": partial(with_default_device, device="cpu"),
    "default device meta": partial(with_default_device, device="meta"),
    "functional_call": lambda make: torch.func.functional_call(
        layer := make(I, H), {name: value / 2 for name, value in layer.state_dict().items()}, (inputs(),)
    ),
}


@every_kind
@pytest.mark.parametrize("name", MODES)
def test_modes_and_defaults(kind: Any, name: str) -> None:
    """Autocast that no kernel does, defaults, and weights for one call give torch's results and dtypes."""
    torch.manual_seed(0)
    expected = by_torch(lambda: MODES[name](KINDS[kind]))
    torch.manual_seed(0)
    torch.testing.assert_close(MODES[name](kind), expected, rtol=1e-5, atol=1e-5)


@every_kind
def test_the_meta_device_gives_shapes(kind: Any) -> None:
    """On the meta device a layer gives outputs of the right shapes, and gets numbers by to_empty and reset."""
    results = []
    for make in (kind, KINDS[kind]):
        layer = make(I, H, device="meta")
        y = layer(inputs().to("meta"))[0]
        assert (y.device.type, y.shape) == ("meta", (T, B, H))
        torch.manual_seed(0)
        layer.to_empty(device="cpu").reset_parameters()
        results.append(trained(layer))
    torch.testing.assert_close(*results, rtol=1e-5, atol=1e-5)


def calls_seen(make: Make) -> list[Any]:
    """What the hooks of a layer see of its calls."""
    layer, seen = make(I, H), list[Any]()
    layer.register_forward_pre_hook(lambda _, args, options: seen.append((len(args), options)), with_kwargs=True)
    layer.register_forward_hook(lambda _, args, output: seen.append((len(args), output[0].shape)))
    layer.register_full_backward_pre_hook(lambda _, gradients: seen.append(len(gradients)))
    layer.register_full_backward_hook(lambda _, dx, dy: seen.append([gradient is None for gradient in (*dx, *dy)]))
    layer(inputs().requires_grad_())[0].sum().backward()
    return seen


def test_hooks_of_every_kind_see_what_they_see_of_torch() -> None:
    """Hooks before and after both passes are called with the same arguments in the same order."""
    assert calls_seen(GRU) == calls_seen(nn.GRU) != []


@pytest.fixture
def _process_group() -> Iterator[None]:
    """A group of this process alone."""
    if not distributed.is_available():
        pytest.skip("torch was built without torch.distributed")
    with tempfile.TemporaryDirectory() as folder:
        distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=0, world_size=1)
        yield
        distributed.destroy_process_group()


WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "DistributedDataParallel": nn.parallel.DistributedDataParallel,
    "FullyShardedDataParallel": partial(FullyShardedDataParallel, device_id=torch.device("cpu"), use_orig_params=True),
    "FullyShardedDataParallel, flat": partial(FullyShardedDataParallel, device_id=torch.device("cpu")),
}


@pytest.mark.usefixtures("_process_group")
@pytest.mark.filterwarnings("ignore:.*NO_SHARD:UserWarning", "ignore:.*returned a view tensor:UserWarning")
def test_distributed_wrappers_train_like_torchs() -> None:
    """Data parallel training, sharded or not, gives torch's outputs and gradients."""
    for name, wrap in WRAPPERS.items():
        results = []
        for make in (GRU, nn.GRU):
            torch.manual_seed(0)
            results.append(trained(wrap(Model(make(I, H)))))
        torch.testing.assert_close(*results, rtol=1e-5, atol=1e-5, msg=name)
    model: Any = Model(GRU(I, H))
    expected = model(inputs())
    fully_shard(model)
    torch.testing.assert_close(model(inputs()), expected, rtol=1e-5, atol=1e-5)
