"""One step at a time, through one layer or a stack of them: for streams, where microseconds count."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from tidegate import _native
from tidegate.ops import checks
from tidegate.ops._kernels import Array, Layer
from tidegate.ops.threads import get_num_threads


def step(layer: Layer | Iterable[Layer], x: Array, h: Array, *, out: Array | None = None) -> Array:
    """Takes one step, for streams: one call of microseconds, without an allocation if `out` is given.

        >>> from tidegate import ops
        >>> layer = ops.pack("gru", np.full((3, 2), 0.5, np.float32), np.full((3, 1), 0.1, np.float32))
        >>> h = np.zeros(1, np.float32)
        >>> for x in np.ones((4, 2), np.float32):
        ...     h = step(layer, x, h, out=h)
        >>> h.round(3)
        array([0.545], dtype=float32)

    Args:
        layer: Packed weights; or those of the L layers of a stack, each of which reads the new state of the one before.
        x: Input, float32 [I], or [B, I] for several streams.
        h: State, float32 [H] or [B, H]; of a stack [L, H] or [L, B, H]. A cell of several states, such as the LSTM, has
            an axis S before these: [S, H], [S, L, B, H], …
        out: C-contiguous array for the new state, in the shape of h; h itself may be given.

    Returns:
        The new state: `out`, or a new array. The output of a stack is its last layer's, `[-1]`, or `[0, -1]`.

    Raises:
        TypeError: An array is not float32.
        ValueError: A shape is wrong, layers do not fit on each other, or out can't be written to or shares memory with
            x.
    """
    y = np.empty_like(h, order="C") if out is None else out
    if isinstance(layer, Layer):
        done = layer.native.step(x, h, y, get_num_threads())
    else:
        layer = list(layer)
        done = _native.step([one.native for one in layer], x, h, y, get_num_threads())
    if not done:
        _check_step(layer, x, h, y)
        # Arrays of ctypes have a dtype that is equal to float32 and not the same to the buffer protocol.
        x, h = (np.ascontiguousarray(array, np.float32) for array in (x, h))
        step(layer, x, h, out=y.view(np.float32))  # arrays that pass the checks are taken now
    return y


def step_streams(layers: Iterable[Layer], x: Array, states: Array, places: npt.NDArray[np.int64]) -> None:
    """Takes one step of many streams whose states lie anywhere in one array, and leaves the new ones there.

    It is for pools of streams, whose arrays are as they should be: nothing is checked here.

    Args:
        layers: Packed weights of the L layers of a stack.
        x: Input, float32 [B, I], C-contiguous.
        states: Float32 [places, S, L, H], C-contiguous.
        places: Where each stream has its states, ints [B] in range, none twice.
    """
    _native.step_streams([one.native for one in layers], x, states, places, get_num_threads())


def _check_step(layer: Layer | list[Layer], x: Array, h: Array, y: Array) -> None:
    """Says what is wrong with the arguments of a step, if not only that arrays have gaps."""
    layers, axes = ([layer], "") if isinstance(layer, Layer) else (layer, "L ")
    if not layers:
        raise ValueError("layer is empty, expected packed weights or several of them")
    H, cell = layers[0].hidden_size, layers[0].cell
    for i, one in enumerate(layers[1:], 1):
        if one.cell.S != cell.S:
            raise ValueError(f"layer[{i}] has {one.cell.S} states, expected {cell.S} as layer[0], a {cell.title}")
        if one.input_size != H or one.hidden_size != H:
            sizes_found = f"I = {one.input_size} and H = {one.hidden_size}"
            raise ValueError(
                f"layer[{i}] has {sizes_found}, expected {H} for both: it reads the state of layer[{i - 1}]"
            )
    rows = "B " if isinstance(x, np.ndarray) and x.ndim == 2 else ""
    sizes: checks.Sizes = {"I": (layers[0].input_size, "the layer"), "H": (H, "the layer")}
    sizes |= {"L": (len(layers), "the layers"), "S": (cell.S, "the cell")}
    axes = ("S " if cell.S > 1 else "") + axes + rows
    checks.check("x", x, f"{rows}I", sizes)
    checks.check("h", h, f"{axes}H", sizes)
    checks.check_output("out", y, f"{axes}H", sizes)
    if not y.flags.c_contiguous:
        raise ValueError(f"out has strides {y.strides} (bytes), expected a C-contiguous array")
    if np.may_share_memory(x, y):
        raise ValueError("out shares memory with x, expected an array of its own: x is read to the end")
