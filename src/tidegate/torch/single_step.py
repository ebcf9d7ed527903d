"""One time step of a whole stack in one native call: what a stream asks of a layer for every frame.

A step takes microseconds, and most of a call would be checks of tensors in Python. Here the native code looks at the
tensors itself, and leaves everything that is not quite usual to the general way, which says what is wrong.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter, RNNBase

from tidegate import _native
from tidegate.ops.cells import Cell
from tidegate.ops.layer import default_isa
from tidegate.ops.threads import get_num_threads
from tidegate.torch.cells import State, as_hx, as_states
from tidegate.torch.transforms import transform, unsupported_transform

_TENSORS = _native.Tensors(Tensor.__dlpack_c_exchange_api__, (Tensor, Parameter))  # type: ignore[attr-defined]


def take_step(module: RNNBase, cell: Cell, x: Any, hx: Any, weights: list[Tensor]) -> tuple[Tensor, State] | None:
    """Runs a module over sequences of one step, without gradients.

    Args:
        module: The module, whose sizes and layout count.
        cell: Its cell.
        x: Input [1, B, I], [B, 1, I] with `batch_first`, or [1, I].
        hx: Initial states.
        weights: The current weights, in torch's order.

    Returns:
        What the module returns, [1, B, H] or as x is laid out, and the final states; None, and nothing has happened, if
        the call is another one than that.
    """
    if module.bidirectional or module.proj_size or not is_step(module, x):
        return None
    if transform() or unsupported_transform() or torch.is_autocast_enabled("cpu"):
        return None
    states = () if hx is None else as_states(hx)
    tensors = [x, *states, *weights]
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        return None
    for tensor in tensors:
        # The native code sees neither: numbers that are to be negated, and memory that was freed or cut.
        if tensor.is_neg() or tensor.untyped_storage().nbytes() < 4 * (tensor.storage_offset() + tensor.numel()):
            return None
    L, H, shape = module.num_layers, module.hidden_size, x.shape[:-1]
    state_shape = (L, H) if len(shape) == 1 else (L, shape[not module.batch_first], H)
    y = torch.from_numpy(np.empty((*shape, H), np.float32))
    finals = tuple([torch.from_numpy(np.empty(state_shape, np.float32)) for _ in range(cell.S)])
    sizes = (L, module.input_size, H, module.bias)
    fits = _TENSORS.step(
        *(cell.name, cell.places, default_isa(), sizes, weights, x, states, (y, *finals)),
        *(module.batch_first, get_num_threads()),
    )
    return (y, as_hx(finals)) if fits else None


def is_step(module: RNNBase, x: Any) -> bool:
    """Returns whether an input is a tensor that holds one step."""
    if type(x) is not Tensor:
        return False
    shape = x.shape
    return len(shape) in {2, 3} and shape[module.batch_first and len(shape) == 3] == 1
