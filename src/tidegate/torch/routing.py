"""Which way the call of a layer goes: one decision, which `forward` follows and `route` reports."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import RNNBase
from torch.nn.utils.rnn import PackedSequence

from tidegate.ops.cells import Cell
from tidegate.torch.native import Directions
from tidegate.torch.transforms import transform, unfit_number, unfit_tensor, unsupported_transform
from tidegate.torch.weights import PACKED

UNFIT = "the shapes do not fit: torch's own checks say how"
EMPTY = "input is empty"
NATIVE = "float32 on the CPU"


@dataclass(frozen=True)
class Route:
    """Which way a call goes, and why. It is true when native kernels run.

    Attributes:
        native: Whether native kernels run; otherwise torch's own code does.
        reason: What decides it, in words.
        transform: What torch does with the call, see `transforms.transform`.
        packed: For each layer its packed weights, None where they have changed; empty under a transform of torch.
    """

    native: bool
    reason: str
    transform: str | None = field(default=None, repr=False, compare=False)
    packed: Sequence[Directions | None] = field(default=(), repr=False, compare=False)

    def __bool__(self) -> bool:
        return self.native


def choose_route(module: RNNBase, cell: Cell, data: Any, hx: Any, weights: Sequence[Tensor]) -> Route:
    """Decides which way a call goes.

    Args:
        module: The layer.
        cell: Its cell.
        data: The input; for rows of a table, what has its shape.
        hx: The initial states, as torch takes them.
        weights: The current weights, in torch's order.
    """
    transformed = transform()
    tensor = data[0] if isinstance(data, PackedSequence) else data
    unfit = unfit_number if transformed else unfit_tensor
    obstacle = (
        unsupported_transform()
        or ("autocast is active" if torch.is_autocast_enabled("cpu") else None)
        or (f"proj_size is {module.proj_size}, native kernels do not project" if module.proj_size else None)
        or ("torch traces or transforms a packed sequence" if transformed and tensor is not data else None)
        or unfit("input", tensor)
    )
    for name, state in _named_states(hx) if obstacle is None else ():
        obstacle = obstacle or unfit(name, state)
    obstacle = obstacle or misfit(module, cell, data, hx)
    packed: list[Directions | None] = []
    if obstacle is None and not transformed:
        per_layer = len(weights) // module.num_layers
        packed = [PACKED.find(cell, weights[i : i + per_layer]) for i in range(0, len(weights), per_layer)]
    if obstacle is None and not (packed and all(packed)):  # weights that are packed are fit
        for name, weight in zip(module._flat_weights_names, weights, strict=True):  # noqa: SLF001 - torch's, not ours
            obstacle = obstacle or unfit(name, weight)
    return Route(obstacle is None, obstacle or NATIVE, transformed, packed)


def misfit(module: RNNBase, cell: Cell, data: Any, hx: Any) -> str | None:
    """Returns what keeps an input of these shapes off the native route, or None."""
    batch_sizes = None
    if isinstance(data, PackedSequence):
        data, batch_sizes = data.data, data.batch_sizes
    shape: tuple[int, ...] = data.shape
    axes, rows = 2, shape[:0]
    if batch_sizes is not None:
        rows = (int(batch_sizes[0]),)
    elif len(shape) == 3:
        axes, rows = 3, (shape[0 if module.batch_first else 1],)
    fits = len(shape) == axes and shape[-1] == module.input_size
    if fits and hx is not None:
        expected = (module.num_layers * 2 if module.bidirectional else module.num_layers, *rows, module.hidden_size)
        states = [state for _, state in _named_states(hx)]
        fits = isinstance(hx, Tensor) == (cell.S == 1) and len(states) == cell.S
        for state in states:
            fits = fits and state.shape == expected
    if not fits:
        return UNFIT
    return EMPTY if 0 in shape else None


def _named_states(hx: Any) -> list[tuple[str, Any]]:
    """Lists the initial states with their names; of a cell of several states, torch takes a tuple."""
    if hx is None:
        return []
    if isinstance(hx, tuple | list):
        return [(f"hx[{i}]", state) for i, state in enumerate(hx)]
    return [("hx", hx)]
