"""A dense batch through a whole stack in one native call, where no gradients are wanted.

A step of a stream takes microseconds, and most of a call would be checks of tensors in Python. Here the native code
looks at the tensors itself, and leaves everything that is not quite usual to the general way, which says what is wrong.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import RNNBase

from tidegate.ops.cells import Cell
from tidegate.ops.layer import default_isa
from tidegate.ops.threads import get_num_threads
from tidegate.torch.cells import State, as_hx, as_states
from tidegate.torch.tensors import TENSORS, memory_of, new
from tidegate.torch.transforms import transform, unsupported_transform


def infer(module: RNNBase, cell: Cell, x: Any, hx: Any, weights: list[Tensor]) -> tuple[Tensor, State] | None:
    """Runs a module without gradients.

    Args:
        module: The module, whose sizes and layout count.
        cell: Its cell.
        x: Input [T, B, I], [B, T, I] with `batch_first`, or [T, I].
        hx: Initial states.
        weights: The current weights, in torch's order.

    Returns:
        What the module returns, [T, B, D·H] or as x is laid out, and the final states; None, and nothing has happened,
        if it is another call than that, or one that torch transforms.
    """
    if type(x) is not Tensor or (torch.is_grad_enabled() and weights[0].requires_grad) or transform():
        return None
    states = () if hx is None else as_states(hx)
    tensors = (x, *states, *weights)
    if torch.is_grad_enabled() and any(isinstance(each, Tensor) and each.requires_grad for each in tensors):
        return None
    if module.proj_size or (module.dropout and module.training) or x.dim() not in {2, 3}:
        return None
    if unsupported_transform() or torch.is_autocast_enabled("cpu"):
        return None
    storages, memory = memory_of(tensors)
    if not storages:
        return None
    L, D, H, leading = module.num_layers, 2 if module.bidirectional else 1, module.hidden_size, x.shape[:-1]
    flipped = module.batch_first and len(leading) == 2
    leading = leading[::-1] if flipped else leading
    y = new(*leading, D * H)
    finals = tuple([new(L * D, *leading[1:], H) for _ in range(cell.S)])
    chosen, sizes = (cell.name, cell.places, default_isa()), (L, D, module.input_size, H, module.bias)
    fits = TENSORS.run(chosen, sizes, (tensors, memory), (y, *finals), module.batch_first, get_num_threads())
    if not fits:
        return None
    return y.transpose(0, 1) if flipped else y, as_hx(finals)
