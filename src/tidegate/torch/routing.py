"""Which way the call of a layer goes: one decision, which `forward` follows and `route` reports."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor
from torch.nn import RNNBase
from torch.nn.utils.rnn import PackedSequence

from tidegate.ops.cells import Cell
from tidegate.torch.autocast import as_float32, autocasts, unfit_autocast
from tidegate.torch.cells import as_states
from tidegate.torch.transforms import are_plain, transform, unfit_number, unfit_tensor, unsupported_transform

UNFIT = "the shapes do not fit: torch's own checks say how"
EMPTY = "input is empty"
NATIVE = "float32 on the CPU"
BFLOAT16 = "float32 on the CPU, with products in bfloat16 for autocast"


@dataclass(slots=True)
class Route:
    """Which way a call goes, and why. It is true when native kernels run.

    Attributes:
        native: Whether native kernels run; otherwise torch's own code does.
        reason: What decides it, in words.
        transform: What torch does with the call: "graph" for torch.compile, torch.export and dispatch modes, "func" for
            torch.func; None for nothing.
        bfloat16: Whether native kernels round what they multiply to bfloat16, as autocast asks.
    """

    native: bool
    reason: str
    transform: str | None = field(default=None, repr=False, compare=False)
    bfloat16: bool = field(default=False, repr=False, compare=False)

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
    if autocasts():
        data, hx = as_float32(data), as_float32(hx)
    tensor = data[0] if isinstance(data, PackedSequence) else data
    obstacle = (
        unsupported_transform()
        or unfit_autocast()
        or (f"proj_size is {module.proj_size}, native kernels do not project" if module.proj_size else None)
        or ("torch traces or transforms a packed sequence" if transformed and tensor is not data else None)
        or _unfit(module, tensor, hx, weights, plain=transformed is None)
        or misfit(module, cell, data, hx)
        or _misfit_weight(module, cell, weights)
    )
    bfloat16 = obstacle is None and autocasts()
    return Route(obstacle is None, obstacle or (BFLOAT16 if bfloat16 else NATIVE), transformed, bfloat16)


def _unfit(module: RNNBase, tensor: Any, hx: Any, weights: Sequence[Tensor], *, plain: bool) -> str | None:
    """Returns what keeps the first tensor that is unfit off the native route, or None."""
    states = () if hx is None else as_states(hx)
    if plain and are_plain((tensor, *states, *weights)):
        return None
    state_names = [f"hx[{i}]" for i in range(len(states))] if isinstance(hx, tuple | list) else ["hx"]
    names = ["input", *state_names[: len(states)], *module._flat_weights_names]  # noqa: SLF001 - torch's, not ours
    unfit = unfit_tensor if plain else unfit_number
    obstacles = [unfit(name, value) for name, value in zip(names, (tensor, *states, *weights), strict=True)]
    return next(filter(None, obstacles), None)


def _misfit_weight(module: RNNBase, cell: Cell, weights: Sequence[Tensor]) -> str | None:
    """Returns what keeps weights of these shapes off the native route, or None."""
    H, rows, I = module.hidden_size, cell.G * module.hidden_size, module.input_size
    directions, step = 2 if module.bidirectional else 1, 4 if module.bias else 2
    for i in range(0, len(weights), step):
        w_ih, w_hh, *biases = weights[i : i + step]
        if i == directions * step:
            I = directions * H  # of the upper layers
        fits = w_ih.shape == (rows, I) and w_hh.shape == (rows, H)
        for bias in biases:
            fits = fits and bias.shape == (rows,)
        if not fits:
            return UNFIT
    return None


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
        states = as_states(hx)
        fits = isinstance(hx, Tensor) == (cell.S == 1) and len(states) == cell.S
        for state in states:
            fits = fits and state.shape == expected
    if not fits:
        return UNFIT
    return EMPTY if 0 in shape else None
