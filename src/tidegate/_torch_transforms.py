"""What transforms, records or replaces the operations of torch while a layer is called."""

import torch
from torch._C import _are_functorch_transforms_active, _is_tracing, _len_torch_dispatch_stack
from torch.autograd import forward_ad


def transform() -> str | None:
    """Returns what a layer must show itself to as an operation of torch: "trace", "func", or nothing.

    "trace" stands for torch.compile, torch.export and dispatch modes; "func" for the transforms of torch.func.
    """
    if torch.compiler.is_compiling():
        return "trace"
    if _are_functorch_transforms_active():
        return "func"
    return "trace" if _len_torch_dispatch_stack() else None


def unsupported_transform() -> str | None:
    """Returns what only torch's own operations can go through, or None."""
    if forward_ad._current_level >= 0:  # noqa: SLF001 - there is no public name
        return "forward-mode differentiation is active"
    if torch.compiler.is_compiling():
        return None
    return "torch.jit is tracing" if _is_tracing() else None
