"""What a call runs into: transforms that record or replace operations of torch, tensors that kernels can't read."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch._C import _are_functorch_transforms_active, _is_tracing, _len_torch_dispatch_stack
from torch.autograd import forward_ad
from torch.nn import Parameter


def transform() -> str | None:
    """Returns what a layer must show itself to as an operation of torch: "graph", "func", or nothing.

    "graph" stands for torch.compile, torch.export and dispatch modes; "func" for the transforms of torch.func.
    """
    if torch.compiler.is_compiling():
        return "graph"
    if _are_functorch_transforms_active():
        return "func"
    return "graph" if _len_torch_dispatch_stack() else None


def undisturbed() -> bool:
    """Returns whether a call is what it seems: no transform, no forward mode, no tracing, no autocast."""
    return not (
        torch.compiler.is_compiling()
        or _are_functorch_transforms_active()
        or _len_torch_dispatch_stack()
        or _is_tracing()
        or forward_mode()
        or torch.is_autocast_enabled("cpu")
    )


def jit_traces() -> bool:
    """Returns whether torch.jit traces, which keeps as a constant what is no tensor at some point."""
    return not torch.compiler.is_compiling() and _is_tracing()


def forward_mode() -> bool:
    """Returns whether derivatives are computed in forward mode."""
    return forward_ad._current_level >= 0  # noqa: SLF001 - there is no public name


def unsupported_transform() -> str | None:
    """Returns what only torch's own operations can go through, or None."""
    if forward_mode():
        return "forward-mode differentiation is active"
    if torch.compiler.is_compiling():
        return None
    return "torch.jit is tracing" if jit_traces() else None


def are_plain(values: Iterable[Any]) -> bool:
    """Returns whether kernels can read all of these: what nearly every call is, decided at once."""
    strided, float32 = torch.strided, torch.float32
    for value in values:  # faster than all() over a generator
        kind = type(value)
        if kind is not Parameter and kind is not Tensor:
            return False
        if value.dtype is not float32 or not value.is_cpu or value.layout is not strided:
            return False
    return True


def unfit_tensor(name: str, tensor: Any) -> str | None:
    """Returns what keeps a tensor off the native route, or None."""
    if type(tensor) is not Tensor and type(tensor) is not Parameter:
        return f"{name} is a {type(tensor).__name__}, not a plain tensor"
    return unfit_number(name, tensor)


def unfit_number(name: str, tensor: Any) -> str | None:
    """Returns what keeps a tensor of any kind off the native route, or None."""
    if not isinstance(tensor, Tensor):
        return f"{name} is a {type(tensor).__name__}, not a tensor"
    if tensor.dtype is not torch.float32:
        return f"{name} has dtype {str(tensor.dtype).removeprefix('torch.')}, native kernels compute in float32"
    if not tensor.is_cpu:
        return f"{name} is on {tensor.device}, native kernels run on the CPU"
    if tensor.layout is not torch.strided:
        return f"{name} has layout {tensor.layout}, native kernels read strided tensors"
    return None
