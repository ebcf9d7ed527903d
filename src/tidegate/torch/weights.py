"""Weights of torch layers as the native kernels read them: where they are, anew at every call.

Nothing is kept from one call to the next, so that every change is seen, by whatever door it came: an optimizer,
`weight.data`, a numpy view, another process. A call of several steps packs the weights first; a single step transposes
them in registers, as it reads them.
"""

from collections.abc import Sequence

from torch import Tensor
from torch.nn import Parameter

from tidegate import _native
from tidegate.ops import _kernels
from tidegate.ops.cells import Cell
from tidegate.ops.layer import default_isa
from tidegate.torch.cells import weights_per_direction

TENSORS = _native.Tensors(Tensor.__dlpack_c_exchange_api__, (Tensor, Parameter))
"""What reads tensors of torch in native code."""


def are_readable(tensors: Sequence[Tensor]) -> bool:
    """Returns whether the memory of tensors may be read as their numbers, as far as native code can't see that itself.

    It may not where the numbers are to be negated first, or where a storage holds less than the numbers.
    """
    for tensor in tensors:
        if tensor.is_neg() or tensor.untyped_storage().nbytes() < 4 * (tensor.storage_offset() + tensor.numel()):
            return False
    return True


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
    natives = TENSORS.layers(chosen, sizes, weights) if are_readable(weights) else []
    if not natives:
        weights = list(map(_plain, weights))
        natives = TENSORS.layers(chosen, sizes, weights)
    owners = [weight.untyped_storage() for weight in weights]
    return [_kernels.Layer(cell, I, H, step == 4, chosen[-1], native, owners) for native in natives]


def _plain(weight: Tensor) -> Tensor:
    """Returns a contiguous tensor with the same numbers.

    Raises:
        RuntimeError: The storage holds less than the numbers.
    """
    span = 1 + sum((size - 1) * stride for size, stride in zip(weight.shape, weight.stride(), strict=True))
    if weight.untyped_storage().nbytes() < 4 * (weight.storage_offset() + span):
        raise RuntimeError("a weight has no memory: its storage has been freed")
    return weight.detach().resolve_neg().contiguous()
