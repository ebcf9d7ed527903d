"""Weights of torch layers as the native kernels read them: where they are, anew at every call.

Nothing is kept from one call to the next, so that every change is seen, by whatever door it came: an optimizer,
`weight.data`, a numpy view, another process. A call of several steps packs the weights first; a single step transposes
them in registers, as it reads them.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, UntypedStorage
from torch.nn import Parameter

from tidegate import _native
from tidegate.ops import _kernels
from tidegate.ops.cells import Cell
from tidegate.ops.layer import default_isa
from tidegate.torch.cells import weights_per_direction

try:
    TENSORS = _native.Tensors(Tensor.__dlpack_c_exchange_api__, (Tensor, Parameter))
except (AttributeError, ValueError) as error:
    raise ImportError(
        f"torch {torch.__version__} has no C functions of DLPack 1, as torch 2.13 has: install another version of it"
    ) from error
"""What reads tensors of torch in native code."""


def memory_of(tensors: Sequence[Tensor]) -> tuple[list[UntypedStorage], list[int]]:
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
            if tensor.is_neg():
                return [], []
            storage = tensor.untyped_storage()
            storages.append(storage)
            memory += (storage.data_ptr(), storage.nbytes())
    except (AttributeError, NotImplementedError, RuntimeError):  # no tensor, or one of another layout
        return [], []
    return storages, memory


def check_memory(name: str, tensor: Tensor) -> None:
    """Checks that the storage of a tensor holds all of its numbers.

    Raises:
        RuntimeError: It holds less.
    """
    if tensor.numel() == 0:
        return
    span = 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    if tensor.untyped_storage().nbytes() < 4 * (tensor.storage_offset() + span):
        raise RuntimeError(f"{name} has no memory: its storage has been freed")


def borrow(cell: Cell, weights: Sequence[Tensor]) -> list[_kernels.Layer]:
    """Returns the layer of each direction, whose weights must stay as they are for as long as it is used.

    Args:
        cell: The cell.
        weights: As torch lists them, for each direction w_ih [G·H, I], w_hh [G·H, H] and with bias b_ih, b_hh [G·H]:
            float32 on the CPU, checked by the caller.

    Raises:
        RuntimeError: The storage of a weight holds less than its numbers: it was freed or cut, as those who shard
            parameters do.
    """
    (_, I), (_, H), step = weights[0].shape, weights[1].shape, weights_per_direction(weights)
    chosen, sizes = (cell.name, cell.places, default_isa()), (1, len(weights) // step, I, H, step == 4)
    owners, memory = memory_of(weights)
    natives = TENSORS.layers(chosen, sizes, weights, memory) if owners else []
    if not natives:  # copies, or other tensors on the same memory, which nobody else can give another one
        weights = list(map(_plain, weights))
        owners, memory = memory_of(weights)
        natives = TENSORS.layers(chosen, sizes, weights, memory)
    return [_kernels.Layer(cell, I, H, step == 4, chosen[-1], native, owners) for native in natives]


def _plain(weight: Tensor) -> Tensor:
    """Returns a contiguous tensor with the same numbers.

    Raises:
        RuntimeError: The storage holds less than the numbers.
    """
    alias = weight.detach()
    check_memory("a weight", alias)
    return alias.resolve_neg().contiguous()
