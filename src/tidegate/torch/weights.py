"""Weights of torch layers as the native kernels read them: where they are, anew at every call.

Nothing is kept from one call to the next, so that every change is seen, by whatever door it was made: an optimizer,
`weight.data`, a numpy view, another process. To pack them again costs what it would cost to compare them with a copy,
and a single step does not pack them at all.
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
        RuntimeError: A weight has no memory: its storage was freed, as those who shard parameters do.
    """
    weights = [weight if weight.is_contiguous() else weight.contiguous() for weight in weights]
    addresses = [weight.data_ptr() for weight in weights]
    if not all(addresses):
        raise RuntimeError("a weight has no memory: its storage has been freed")
    I, H, step, isa = weights[0].shape[1], weights[1].shape[1], weights_per_direction(weights), default_isa()
    parts = [addresses[i : i + step] for i in range(0, len(addresses), step)]
    return [_kernels.borrow_weights(cell, I, H, part, isa, weights) for part in parts]
