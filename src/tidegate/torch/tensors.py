"""Tensors of torch as the native kernels read them: where they are, anew at every call.

Nothing of the weights is kept from one call to the next, so that every change is seen, by whatever door it came: an
optimizer, `weight.data`, a numpy view, another process. A call of several steps packs the weights first; a single step
transposes them in registers, as it reads them.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from tidegate import _native

try:
    TENSORS = _native.Tensors(Tensor.__dlpack_c_exchange_api__, (Tensor, Parameter))
except (AttributeError, ValueError) as error:
    raise ImportError(
        f"torch {torch.__version__} has no C functions of DLPack 1, as torch 2.13 has: install another version of it"
    ) from error
"""What reads tensors of torch in native code, and makes new ones.

While a tensor is read, its storage is held, and it is read only if it lies in the memory of that storage: another
thread may give it other memory at any time, and a storage may have been freed or cut, as those who shard parameters do.
"""

Tensors = tuple[Tensor | None, ...]
"""What native code reads, and None for what is not there."""

Results = tuple[Any, ...]
"""New tensors that native code has written, or None for those that are not wanted."""


def read(call: Callable[[Tensors], Results | None], tensors: Tensors, weights: range) -> Results:
    """Lets native code read tensors where they are; or copies, of those that have gaps or a sign to come.

    Args:
        call: Reads the tensors; returns None, and has done nothing, if one is unfit.
        tensors: x and the states that are given, the weights in torch's order, and others; None for those of the latter
            that are not there.
        weights: The places of the weights.

    Raises:
        RuntimeError: The storage of a tensor holds less than its numbers: it was freed or cut, as those who shard
            parameters do.
    """
    if (results := call(tensors)) is not None:
        return results

    def name(place: int) -> str:
        if place in weights:
            return "a weight"
        return "an input or a state" if place < weights.start else "a saved tensor or a gradient"

    copies = [None if tensor is None else _plain(name(place), tensor) for place, tensor in enumerate(tensors)]
    if (results := call(tuple(copies))) is None:
        raise RuntimeError("a tensor is not what native kernels read: float32 on the CPU, in the shapes of the layer")
    return results


def with_rows(gradient: Tensor) -> Tensor:
    """Returns a gradient of outputs in whole rows, without a copy for every step where those repeat each other.

    The gradient of a sum or a mean is one number, expanded to all steps: it takes the memory of one row, not of all.

    Raises:
        RuntimeError: The storage holds less than the numbers.
    """
    if gradient.is_contiguous():
        return gradient
    shape, (*steps, unit) = gradient.shape, gradient.stride()
    if unit != 0 or 0 not in steps or gradient.numel() == 0:
        return gradient
    for axis, stride in enumerate(steps):
        if stride == 0:
            gradient = gradient.narrow(axis, 0, 1)
    return _plain("a gradient", gradient).expand(shape)


def _plain(name: str, tensor: Tensor) -> Tensor:
    """Returns a contiguous tensor with the same numbers: a copy, or another one on memory that nobody else can change.

    Raises:
        RuntimeError: The storage holds less than the numbers.
    """
    alias = tensor.detach()
    if alias.numel() > 0:
        span = 1 + sum((size - 1) * stride for size, stride in zip(alias.shape, alias.stride(), strict=True))
        if alias.untyped_storage().nbytes() < alias.element_size() * (alias.storage_offset() + span):
            raise RuntimeError(f"{name} has no memory: its storage has been freed")
    return alias.resolve_neg().contiguous()
