"""Tests that torch has of nn.GRU, nn.LSTM and nn.RNN, its samples of inputs and of errors, run on the drop-ins."""

import functools
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("expecttest")  # torch's test tools import it

import torch
from torch.testing._internal.common_modules import ModuleErrorEnum, module_db

from tidegate.torch import GRU, LSTM, RNN

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # torch's own

DROP_INS: dict[type[torch.nn.Module], type[torch.nn.Module]] = {
    torch.nn.GRU: GRU,
    torch.nn.LSTM: LSTM,
    torch.nn.RNN: RNN,
}
INFOS = {info.name: info for info in module_db if info.module_cls in DROP_INS}
DTYPES = {"float32": torch.float32, "float64": torch.float64}


def samples(
    info: Any, dtype: torch.dtype, *, training: bool, requires_grad: bool = True
) -> Iterator[tuple[Any, Any, Any]]:
    """The samples of torch: for each one its drop-in, torch's module with the same parameters, and the inputs."""
    torch.manual_seed(0)
    found = info.module_inputs_func(info, device="cpu", dtype=dtype, requires_grad=requires_grad, training=training)
    for sample in found:
        made = sample.constructor_input
        options = {"device": "cpu", "dtype": dtype} | made.kwargs
        theirs = info.module_cls(*made.args, **options).train(training)
        ours = DROP_INS[info.module_cls](*made.args, **options).train(training)
        ours.load_state_dict(theirs.state_dict())
        yield ours, theirs, sample


def flat(outputs: Any) -> list[torch.Tensor]:
    leaves = torch.utils._pytree.tree_leaves(outputs)
    return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]


def test_torch_has_samples_of_all_modules() -> None:
    """The data base of torch has the three modules, with samples of inputs and of errors."""
    assert set(INFOS) == {"nn.GRU", "nn.LSTM", "nn.RNN"}
    for info in INFOS.values():
        assert len(list(samples(info, torch.float32, training=True))) >= 16
        assert info.module_error_inputs_func is not None


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", INFOS)
def test_samples_give_torchs_outputs_and_gradients(name: str, dtype: str, training: bool) -> None:
    """Each sample gives torch's outputs, in torch's types, and torch's gradients by parameters and inputs."""
    for ours, theirs, sample in samples(INFOS[name], DTYPES[dtype], training=training):
        given = sample.forward_input
        inputs = [tensor for tensor in flat((given.args, given.kwargs)) if tensor.requires_grad]
        results = []
        for module in (ours, theirs):
            outputs = module(*given.args, **given.kwargs)
            floats = [output for output in flat(outputs) if output.is_floating_point()]
            loss = torch.stack([output.square().mean() for output in floats]).sum()
            gradients = torch.autograd.grad(loss, [*inputs, *module.parameters()], allow_unused=True)
            results.append((type(outputs[0]), floats, gradients))
        assert results[0][0] is results[1][0]
        torch.testing.assert_close(results[0][1:], results[1][1:], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", INFOS)
def test_float32_samples_run_natively(name: str) -> None:
    """No float32 sample is left to torch's own code, but for projections."""
    for ours, _, sample in samples(INFOS[name], torch.float32, training=True):
        assert bool(ours.route(*sample.forward_input.args, **sample.forward_input.kwargs)) is (ours.proj_size == 0)


@pytest.mark.parametrize("name", INFOS)
def test_samples_reach_other_layouts_and_copies(name: str) -> None:
    """Non-contiguous inputs, a pickled copy and a module moved to another dtype and back give the same outputs."""
    for ours, _, sample in samples(INFOS[name], torch.float32, training=False, requires_grad=False):
        args = sample.forward_input.args
        expected = flat(ours(*args, **sample.forward_input.kwargs))
        strided = torch.utils._pytree.tree_map_only(
            torch.Tensor, lambda t: t.repeat_interleave(2, -1)[..., ::2] if t.is_floating_point() else t, args
        )
        torch.testing.assert_close(flat(ours(*strided, **sample.forward_input.kwargs)), expected, rtol=0, atol=0)
        moved = ours.double().float()
        torch.testing.assert_close(flat(moved(*args, **sample.forward_input.kwargs)), expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", INFOS)
def test_error_samples_raise_torchs_errors(name: str) -> None:
    """Each sample of an error, of the constructor or of a call, raises what torch says it must."""
    info = INFOS[name]
    drop_in = DROP_INS[info.module_cls]
    found = info.module_error_inputs_func(info, device="cpu", dtype=torch.float32, requires_grad=False, training=False)
    count = 0
    for error in found:
        made, given = error.module_error_input.constructor_input, error.module_error_input.forward_input
        call: Any = functools.partial(drop_in, *made.args, **made.kwargs)
        if error.error_on is ModuleErrorEnum.FORWARD_ERROR:
            call = functools.partial(call(), *given.args, **given.kwargs)
        with pytest.raises(error.error_type, match=error.error_regex):
            call()
        count += 1
    assert count > 5
