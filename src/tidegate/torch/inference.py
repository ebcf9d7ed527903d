"""A dense batch through a whole stack in one native call, where no gradients are wanted.

A step of a stream takes microseconds, and most of a call would be checks of tensors in Python. Here the native code
looks at the tensors itself, and leaves everything that is not quite usual to the general way, which says what is wrong.
"""

from operator import is_
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import RNNBase

from tidegate.ops.cells import Cell
from tidegate.ops.layer import default_isa
from tidegate.ops.threads import get_num_threads
from tidegate.torch.cells import State, as_hx, as_states
from tidegate.torch.tensors import TENSORS, memory_of, new
from tidegate.torch.transforms import transform, unsupported_transform

if TYPE_CHECKING:
    from tidegate._native import PackedStack


class Frozen:
    """The packed weights of a module that `freeze` was given. A copy of the module, a pickled one too, has none.

    Attributes:
        weights: The tensors that were packed, in torch's order. A module may be given others, for one call too.
        stack: Packed weights of all layers.
    """

    __slots__ = ("stack", "weights")

    def __init__(self, module: RNNBase, cell: Cell, weights: list[Tensor]) -> None:
        """Packs the weights; of those that native kernels can't read nothing is kept."""
        held, memory = memory_of(weights)
        self.weights = tuple(weights)
        self.stack: PackedStack | None = None
        if held and not module.proj_size:
            packed = (self.weights, memory)
            self.stack = TENSORS.pack(_native_cell(cell), _sizes(module), packed, get_num_threads())

    def stack_of(self, weights: list[Tensor]) -> "PackedStack | None":
        """Returns the packed weights if these very tensors were packed."""
        return self.stack if all(map(is_, weights, self.weights)) else None

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return type(None), ()


def infer(
    module: RNNBase, cell: Cell, x: Any, hx: Any, weights: list[Tensor], frozen: Frozen | None = None
) -> tuple[Tensor, State] | None:
    """Runs a module without gradients.

    Args:
        module: The module, whose sizes and layout count.
        cell: Its cell.
        x: Input [T, B, I], [B, T, I] with `batch_first`, or [T, I].
        hx: Initial states.
        weights: The current weights, in torch's order.
        frozen: Packed weights to read in their place, if they are the tensors that were packed.

    Returns:
        What the module returns, [T, B, D·H] or as x is laid out, and the final states; None, and nothing has happened,
        if it is another call than that, or one that torch transforms.
    """
    if type(x) is not Tensor or (torch.is_grad_enabled() and weights[0].requires_grad) or transform():
        return None
    states, stack = () if hx is None else as_states(hx), frozen.stack_of(weights) if frozen else None
    tensors = (x, *states) if stack else (x, *states, *weights)
    read = (*tensors, *weights)
    if torch.is_grad_enabled() and any(isinstance(each, Tensor) and each.requires_grad for each in read):
        return None
    if module.proj_size or (module.dropout and module.training) or x.dim() not in {2, 3}:
        return None
    if unsupported_transform() or torch.is_autocast_enabled("cpu"):
        return None
    storages, memory = memory_of(tensors)
    if not storages:
        return None
    sizes, leading = _sizes(module), x.shape[:-1]
    L, D, _, H, _ = sizes
    flipped = module.batch_first and len(leading) == 2
    leading = leading[::-1] if flipped else leading
    y = new(*leading, D * H)
    finals = tuple([new(L * D, *leading[1:], H) for _ in range(cell.S)])
    rest = ((tensors, memory), (y, *finals), module.batch_first, get_num_threads())
    fits = TENSORS.run_packed(stack, *rest) if stack else TENSORS.run(_native_cell(cell), sizes, *rest)
    if not fits:
        return None
    return y.transpose(0, 1) if flipped else y, as_hx(finals)


def _native_cell(cell: Cell) -> tuple[str, list[int], str, bool]:
    return cell.name, cell.places, default_isa(), False


def _sizes(module: RNNBase) -> tuple[int, int, int, int, bool]:
    return module.num_layers, 2 if module.bidirectional else 1, module.input_size, module.hidden_size, module.bias
