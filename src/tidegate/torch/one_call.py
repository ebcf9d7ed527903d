"""A dense batch through a module in one native call of each pass.

A step of a stream takes microseconds, and most of a call would be checks of tensors in Python. Here the native code
looks at the tensors itself, and leaves everything that is not quite usual to the general way, which says what is wrong.
"""

from functools import lru_cache
from operator import is_
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import RNNBase

from tidegate.ops.batch import Batch
from tidegate.ops.cells import Cell
from tidegate.ops.layer import default_isa
from tidegate.ops.threads import get_num_threads
from tidegate.torch.cells import State, States, as_hx, as_states
from tidegate.torch.function import apply_to_plain, is_recorded
from tidegate.torch.native import NativeLayer, Plan, Sizes
from tidegate.torch.tensors import TENSORS
from tidegate.torch.transforms import undisturbed

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
        self.weights = tuple(weights)
        self.stack: PackedStack | None = None
        if not module.proj_size:
            self.stack = TENSORS.pack(_native_cell(cell), _sizes(module), self.weights, get_num_threads())

    def stack_of(self, weights: list[Tensor]) -> "PackedStack | None":
        """Returns the packed weights if these very tensors were packed."""
        return self.stack if all(map(is_, weights, self.weights)) else None

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return type(None), ()


def run_at_once(
    module: RNNBase, cell: Cell, x: Any, hx: Any, weights: list[Tensor], frozen: Frozen | None = None
) -> tuple[Tensor, State] | None:
    """Runs a module: all layers without gradients, or a single layer with them.

    Args:
        module: The module, whose sizes and layout count.
        cell: Its cell.
        x: Input [T, B, I], [B, T, I] with `batch_first`, or [T, I].
        hx: Initial states.
        weights: The current weights, in torch's order.
        frozen: Packed weights to read in their place where there are no gradients, if they are the tensors that were
            packed.

    Returns:
        What the module returns, [T, B, D·H] or as x is laid out, and the final states; None, and nothing has happened,
        if it is another call than that, or one that torch transforms.
    """
    if type(x) is not Tensor or x.dtype is not torch.float32 or module.proj_size or not undisturbed():
        return None
    states: States = ()
    if hx is not None:
        states = as_states(hx)
        if isinstance(hx, Tensor) != (cell.S == 1):
            return None
    if is_recorded((*weights, x, *states)):
        return _record(module, cell, x, states, weights) if module.num_layers == 1 and x.dim() == 3 else None
    if module.dropout and module.training:
        return None
    stack, rest = frozen.stack_of(weights) if frozen else None, (module.batch_first, get_num_threads())
    if stack:
        results = TENSORS.run_packed(stack, (x, *states), *rest)
    else:
        results = TENSORS.run(_native_cell(cell), _sizes(module), (x, *states, *weights), *rest)
    if results is None:
        return None
    y, *finals = results
    return y.transpose(0, 1) if module.batch_first and x.dim() == 3 else y, as_hx(tuple(finals))


def _record(module: Any, cell: Cell, x: Tensor, states: States, weights: list[Tensor]) -> tuple[Tensor, State] | None:
    """Runs the only layer of a module, and records it."""
    if 0 in x.shape:
        return None
    if module.batch_first:
        x = x.transpose(0, 1)
    T, B, _ = x.shape
    layer, tensors = _layer(cell, T, B, module.recompute_every, _sizes(module), len(states)), (x, *states, *weights)
    if (results := layer.forward(tensors)) is None:
        return None
    y, *finals = apply_to_plain(layer, results, *tensors)
    return y.transpose(0, 1) if module.batch_first else y, as_hx(tuple(finals))


@lru_cache
def _layer(cell: Cell, T: int, B: int, recompute_every: int | None, sizes: Sizes, given: int) -> NativeLayer:
    """Returns what all calls of these shapes share."""
    return NativeLayer(Plan(cell, Batch(T, B), recompute_every), sizes, given)


def _native_cell(cell: Cell) -> tuple[str, list[int], str, bool]:
    return cell.name, cell.places, default_isa(), False


def _sizes(module: RNNBase) -> Sizes:
    return module.num_layers, 2 if module.bidirectional else 1, module.input_size, module.hidden_size, module.bias
