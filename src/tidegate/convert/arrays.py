"""Arrays by name become layers: those of torch's names, and of any framework whose layout is known."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.convert.certificate import ConversionError
from tidegate.convert.found import Layer
from tidegate.ops.cells import CELLS, Cell
from tidegate.ops.layouts import LAYOUTS, TORCH, Layout, Weights
from tidegate.ops.names import layout, parameter_names

Array = npt.NDArray[Any]

SCALE = ("features.center", "features.scale")
"""What this library's own exports call the scale of numbers."""

_PARAMETER = re.compile(r"(.*?)((?:weight|bias)_(?:ih|hh|hr)_l\d+(?:_reverse)?)")


def layers_of_torch(arrays: Mapping[str, Array], cell: str | Cell | None = None) -> tuple[Layer, ...]:
    """Makes layers of arrays by torch's names; of several stacks one reads what the other computes, in their order.

    Args:
        arrays: Such as `rnn.weight_ih_l0`; others are not looked at.
        cell: The cell; None for the standard one that has as many blocks.

    Raises:
        ConversionError: There are none, one is missing or does not fit, or there are projections.
    """
    found: list[Layer] = []
    for prefix, own in stacks_of_torch(arrays).items():
        if any("_hr_" in name for name in own):
            raise ConversionError(f"{prefix}weight_hr_l0 is a projection of an LSTM (proj_size), which no model has")
        try:
            found += _stack_of_torch(own, cell)
        except ValueError as error:
            raise ConversionError(f"{prefix or 'the arrays'}: {error}") from None
    return tuple(found)


def stacks_of_torch(arrays: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
    """Groups recurrent weights by the module that holds them: by its name with a point, or "".

    Raises:
        ConversionError: There are none, or one holds no real numbers.
    """
    stacks: dict[str, dict[str, Array]] = {}
    for name, array in arrays.items():
        parts = _PARAMETER.fullmatch(name)
        if parts:
            if array.dtype.kind != "f":
                raise ConversionError(f"{name} holds no real numbers of 16, 32 or 64 bits")
            stacks.setdefault(parts[1], {})[parts[2]] = array
    if not stacks:
        raise ConversionError("there are no recurrent weights: no array is called weight_ih_l0, as torch calls them")
    return stacks


def _stack_of_torch(own: Mapping[str, Array], cell: str | Cell | None) -> list[Layer]:
    num_layers, bidirectional, bias = layout(own.keys())
    chosen = Cell.of(cell) if cell else _cell_of(own["weight_hh_l0"])
    kind = Layout(TORCH, chosen.blocks)
    found = []
    for index in range(num_layers):
        ways = []
        for reverse in (False, True)[: 1 + bidirectional]:
            names = parameter_names(index, reverse, bias)
            plain = {re.sub(r"_l\d+(_reverse)?$", "", name): own[name] for name in names}
            ways.append(kind.read(chosen, plain))
        found.append(Layer(chosen, *ways))
    return found


def _cell_of(w_hh: Array) -> Cell:
    """Returns the standard cell that has as many blocks as recurrent weights [G·H, H]; an RNN's is tanh, as in torch.

    Raises:
        ValueError: There is none.
    """
    rows, H = w_hh.shape if w_hh.ndim == 2 else (0, 1)
    for kind in CELLS.values():
        if rows == kind.G * H:
            return kind()
    raise ValueError(f"weight_hh_l0 has shape {w_hh.shape}, expected [G·H, H] with G = 3 of a GRU, 4 of an LSTM or 1")


def scaled_in(arrays: Mapping[str, Array], layers: tuple[Layer, ...]) -> tuple[Array, Array] | None:
    """Returns the scale of what the layers read, float32 [I] twice; None where arrays say nothing of it.

    Raises:
        ConversionError: It is of fewer numbers than the layers read: some may be missing, and nothing says which.
    """
    if any(name not in arrays for name in SCALE):
        return None
    center, scale = (arrays[name] for name in SCALE)
    width = layers[0].directions[0].w_ih.shape[1]
    if center.shape != (width,) or scale.shape != (width,) or not (scale > 0).all():
        raise ConversionError(
            f"features.scale has the shape {scale.shape}, but the layers read {width} numbers: features that may be "
            "missing are not named in the file, so no model can be made of it"
        )
    return center.astype(np.float32), scale.astype(np.float32)


def layer_of(framework: str, kind: str, arrays: Mapping[str, npt.ArrayLike], cell: str | Cell) -> Layer:
    """Makes a layer of one framework's arrays by name.

    Example:
        >>> import numpy as np
        >>> arrays = {"weight_ih": np.ones((6, 3)), "weight_hh": np.ones((6, 2)), "bias": np.ones(6)}
        >>> layer = layer_of("equinox", "GRUCell", arrays | {"bias_n": np.ones(2)}, "gru")
        >>> layer.forward.b_hh
        array([0., 0., 0., 0., 1., 1.])

    Args:
        framework: A framework of `LAYOUTS`.
        kind: What it calls the layer.
        arrays: Its arrays by name, nested names joined by points, as in "hn.kernel".
        cell: The cell.

    Raises:
        ConversionError: The framework, the kind, or an array is unknown or does not fit.
    """
    try:
        layout_ = LAYOUTS[framework][kind]
    except KeyError:
        known = ", ".join(f"{name} {kind}" for name, kinds in LAYOUTS.items() for kind in kinds)
        raise ConversionError(f"no layout of {framework} {kind} is known, expected one of {known}") from None
    own = Cell.of(cell)
    try:
        return Layer(own, layout_.read(own, arrays))
    except ValueError as error:
        raise ConversionError(f"{framework} {kind}: {error}") from None


def with_gates_times(weights: Weights, cell: Cell, factor: float) -> Weights:
    """Scales what the gates of a GRU are computed from, so that a hard sigmoid of another slope becomes its own."""
    factors = np.array([factor if block in cell.gates else 1.0 for block in cell.blocks])
    rows = np.repeat(factors, weights.w_hh.shape[1])
    parts = (
        None if part is None else part * (rows[:, None] if part.ndim == 2 else rows).astype(part.dtype)
        for part in weights
    )
    return Weights(*parts)  # type: ignore[arg-type]
