"""Tensors of torch as the native kernels read them: where they are, anew at every call.

Nothing of the weights is kept from one call to the next, so that every change is seen, by whatever door it came: an
optimizer, `weight.data`, a numpy view, another process. A call of several steps packs the weights first; a single step
transposes them in registers, as it reads them.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, UntypedStorage
from torch.nn import Parameter

from tidegate import _native
from tidegate.ops import _kernels

try:
    TENSORS = _native.Tensors(Tensor.__dlpack_c_exchange_api__, (Tensor, Parameter))
except (AttributeError, ValueError) as error:
    raise ImportError(
        f"torch {torch.__version__} has no C functions of DLPack 1, as torch 2.13 has: install another version of it"
    ) from error
"""What reads tensors of torch in native code."""

Inputs = tuple[tuple[Tensor | None, ...], list[int]]
"""Tensors that native code reads, and the address and bytes of the memory of each that is there."""


def new(*shape: int) -> Tensor:
    """Returns a tensor float32 with undefined contents, whatever torch's defaults are."""
    return torch.from_numpy(_kernels.empty(*shape))


def memory_of(tensors: Sequence[Tensor | None]) -> tuple[list[UntypedStorage], list[int]]:
    """Returns the storages of tensors, to be held while native code reads them, and the address and bytes of each.

    Native code reads a tensor only if it lies in the memory that is held: another thread may give it other memory at
    any time, and the storage of a tensor may have been freed or cut, as those who shard parameters do.

    Returns:
        Nothing if native code cannot read one of them: it has no storage, or its numbers are to be negated first.
    """
    storages: list[UntypedStorage] = []
    memory: list[int] = []
    try:
        for tensor in tensors:
            if tensor is None:
                continue
            if tensor.is_neg():
                return [], []
            storage = tensor.untyped_storage()
            storages.append(storage)
            memory += (storage.data_ptr(), storage.nbytes())
    except (AttributeError, NotImplementedError, RuntimeError):  # no tensor, or one of another layout
        return [], []
    return storages, memory


def read(
    call: Callable[[Inputs], bool],
    inputs: Sequence[Tensor],
    weights: Sequence[Tensor],
    others: Sequence[Tensor | None] = (),
    check: Callable[[], None] | None = None,
) -> None:
    """Lets native code read tensors where they are; or copies, of those that have gaps or a sign to come.

    Args:
        call: Reads inputs, weights and others, in that order; returns False, and has done nothing, if one is unfit.
        inputs: x and the states that are given.
        weights: The weights, in torch's order.
        others: More tensors, or None for those that are not there.
        check: Called first where not all can be read as they are.

    Raises:
        RuntimeError: The storage of a tensor holds less than its numbers: it was freed or cut, as those who shard
            parameters do.
    """
    tensors = (*inputs, *weights, *others)
    held, memory = memory_of(tensors)
    if held and call((tensors, memory)):
        return
    if check is not None:
        check()
    tensors = (
        *[_plain("an input or a state", tensor) for tensor in inputs],
        *[_plain("a weight", tensor) for tensor in weights],
        *[None if tensor is None else _plain("a saved tensor or a gradient", tensor) for tensor in others],
    )
    held, memory = memory_of(tensors)
    if not call((tensors, memory)):
        raise RuntimeError("a tensor is not what native kernels read: float32 on the CPU, in the shapes of the layer")


def with_rows(gradient: Tensor) -> Tensor:
    """Returns a gradient of outputs in whole rows, without a copy for every step where those repeat each other.

    The gradient of a sum or a mean is one number, expanded to all steps: it takes the memory of one row, not of all.

    Raises:
        RuntimeError: The storage holds less than the numbers.
    """
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
