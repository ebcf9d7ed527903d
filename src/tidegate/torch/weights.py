"""Weights of torch layers as the native kernels read them: where they are, anew at every call.

Nothing is kept from one call to the next, so that every change is seen, by whatever door it came: an optimizer,
`weight.data`, a numpy view, another process. A call of several steps packs the weights first; a single step packs a few
columns at a time, as it reads them.
"""

from collections.abc import Sequence

from torch import Tensor

from tidegate.ops import _kernels
from tidegate.ops.cells import Cell
from tidegate.ops.layer import default_isa
from tidegate.torch.cells import weights_per_direction


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
    plain, owners = [], []
    for weight in weights:
        contiguous, storage = weight.is_contiguous(), weight.untyped_storage()
        floats = weight.numel() if contiguous else _span(weight)
        if storage.nbytes() < 4 * (weight.storage_offset() + floats):
            raise RuntimeError("a weight has no memory: its storage has been freed")
        if not contiguous or weight.is_neg():
            weight = weight.resolve_neg().contiguous()  # noqa: PLW2901 - the same numbers
            storage = weight.untyped_storage()
        plain.append(weight)
        owners.append(storage)
    I, H, step, isa = plain[0].shape[1], plain[1].shape[1], weights_per_direction(plain), default_isa()
    addresses = [weight.data_ptr() for weight in plain]
    parts = [addresses[i : i + step] for i in range(0, len(addresses), step)]
    return [_kernels.borrow_weights(cell, I, H, part, isa, owners) for part in parts]


def _span(tensor: Tensor) -> int:
    """Returns how many numbers lie between the first and the last one of a tensor, both included."""
    return 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
