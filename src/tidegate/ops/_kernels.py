"""One recurrent layer in one direction, called without a check: for callers whose arrays are as they should be.

`tidegate.ops` checks arguments and calls this; the PyTorch layers, whose tensors have been checked by then, call it
directly. A wrong argument here is a wrong address in memory.
"""

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate import _native
from tidegate.ops.batch import Batch
from tidegate.ops.cells import Cell
from tidegate.ops.compressed import Compressed
from tidegate.ops.threads import get_num_threads

Array = npt.NDArray[np.float32]
Weights = tuple[Array, Array, Array | None, Array | None]
"""w_ih, w_hh, b_ih and b_hh of one layer in one direction, contiguous."""
States = Sequence[Array | None]
"""Each state of a cell, contiguous float32 [B, H], or None for zeros; none at all for zeros everywhere."""


class Layer(NamedTuple):
    """The weights of one layer in one direction; made by `pack`, which copies them, or by a torch layer."""

    cell: Cell
    input_size: int
    hidden_size: int
    bias: bool
    isa: str
    native: _native.PackedLayer
    owner: Any = None  # of borrowed weights
    dtype: str = "float32"  # of the weights


class Forward(NamedTuple):
    """What `forward` returns.

    Attributes:
        y: Outputs, the first state after each step, float32 [T, B, H] (packed: [N, H]); 0 beyond a row's length.
        h_n: States of each row at its own end, float32 [B, H], or [S, B, H] for a cell of several states, as the LSTM;
            h0 for a row of length 0.
        trace: What was asked for of every step, float32 [T, B, K, H] (packed: [N, K, H]): with `trace=True` the values
            that `Cell.trace` names and then the states after the first; with "states" those states alone; else None.
    """

    y: Array
    h_n: Array
    trace: Array | None


class Gradients(NamedTuple):
    """Gradients of the loss, float32 in the shapes of what they belong to; None for what is absent or not needed."""

    dx: Array | None
    dh0: Array | None
    dw_ih: Array
    dw_hh: Array
    db_ih: Array | None
    db_hh: Array | None


class Call(NamedTuple):
    """What a forward and a backward pass share.

    Attributes:
        batch: The rows.
        reverse: Whether each row is walked from its own end to its start.
        x: Input, float32 [T, B, I] or [N, I], with a contiguous last axis; or a table [V, I].
        h0: Initial states.
    """

    batch: Batch
    reverse: bool
    x: Array
    h0: States


ISAS = tuple(_native.isas())
"""The instruction sets that run on this machine, best first."""

BFLOAT16_ISAS = frozenset(filter(_native.multiplies_bfloat16, ISAS))
"""Those of them that multiply bfloat16 here, two products in one instruction."""


def isas() -> list[str]:
    """Returns the names of the instruction sets that run on this machine, best first."""
    return list(ISAS)


def pack_weights(cell: Cell, weights: Weights, isa: str) -> Layer:
    """Copies the weights of a layer into the layout of one instruction set."""
    w_ih, w_hh, b_ih, _ = weights
    native = _native.PackedLayer(cell.name, cell.places, weights, isa, get_num_threads())
    return Layer(cell, w_ih.shape[1], w_hh.shape[1], b_ih is not None, isa, native)


def pack_compressed(
    cell: Cell, matrices: tuple[Compressed, Compressed], biases: tuple[Array | None, Array | None], isa: str
) -> Layer:
    """Copies weights of fewer bits, both of one dtype, into the layout of one instruction set."""
    w_ih, w_hh = matrices
    arrays = (np.ascontiguousarray(w_ih.values), np.ascontiguousarray(w_hh.values), w_ih.scales, w_hh.scales)
    native = _native.PackedLayer.small(cell.name, cell.places, w_hh.dtype, arrays, biases, isa, get_num_threads())
    return Layer(cell, w_ih.shape[1], w_hh.shape[1], biases[0] is not None, isa, native, dtype=w_hh.dtype)


def rows_contiguous(array: Array) -> Array:
    """Returns the array, copied if its last axis has gaps or a stride is negative or no multiple of 4 bytes."""
    if array.flags.c_contiguous:
        return array
    fine = all(stride >= 0 and stride % 4 == 0 for stride in array.strides)
    return array if fine and (array.shape[-1] == 1 or array.strides[-1] == 4) else np.ascontiguousarray(array)


_LARGE = 1 << 18  # numbers (1 MiB) from which the system would map, clear and unmap memory for every array


def empty(*shape: int) -> Array:
    """Returns an array with undefined contents; a large one in memory that earlier ones have used."""
    return np.empty(shape, np.float32) if prod(shape) < _LARGE else _native.empty(shape)


def traced_values(cell: Cell, *, gates: bool) -> int:
    """Returns K, the number of values that are saved of a step: the states after the first, and with them the gates."""
    return cell.K if gates else cell.S - 1


def empty_states(cell: Cell, B: int, H: int) -> Array:
    """Returns an array for the states of some rows, [B, H] or [S, B, H]."""
    return np.empty((B, H) if cell.S == 1 else (cell.S, B, H), np.float32)


def by_state(cell: Cell, array: Array | None) -> States:
    """Returns the states in a contiguous array [B, H] or [S, B, H], or none."""
    if array is None:
        return ()
    return (array,) if cell.S == 1 else tuple(array)


def _split(cell: Cell, saved: Array | None) -> tuple[Array | None, Array | None]:
    """Takes what is saved of each step apart: the second state, and the gates if they are there."""
    if saved is None:
        return None, None
    return None if cell.S == 1 else saved[..., -1, :], saved if saved.shape[-2] == cell.K else None


def run_forward(layer: Layer, call: Call, y: Array, h_n: States, saved: Array | None, *, clear: bool = False) -> None:
    """Runs `ops.forward` into arrays that are there: y, h_n, and what is to be saved of each step.

    The backward pass does not read it where rows have ended; it is only set to 0 there if it is to be `clear`.
    """
    outputs = (y, h_n, *_split(layer.cell, saved))
    layer.native.forward(call.batch.native(call.reverse), (call.x, call.h0), outputs, clear, get_num_threads())


def run_backward(
    layer: Layer,
    call: Call,
    saved: tuple[Array, Array | None],
    output_gradients: tuple[Array | None, States],
    *,
    need_dx: bool,
    dh0: States,
    recompute_every: int | None = None,
) -> Gradients:
    """Runs `ops.backward`; the result holds no dh0.

    Args:
        layer: The layer.
        call: As in the forward pass.
        saved: y and what was saved of each step; gates that are not there are computed again.
        output_gradients: By y and by h_n.
        need_dx: Whether to compute dx.
        dh0: Arrays for the gradients by the initial states; none if they are not needed.
        recompute_every: Most steps whose gates are computed again at once; None for any number.
    """
    (y, values), cell = saved, layer.cell
    I, H, gates = layer.input_size, layer.hidden_size, cell.G * layer.hidden_size
    dx = empty(*call.x.shape[:-1], I) if need_dx else None
    db_ih, db_hh = (np.empty(gates, np.float32), np.empty(gates, np.float32)) if layer.bias else (None, None)
    dw_ih, dw_hh = empty(gates, I), empty(gates, H)
    layer.native.backward(
        *(call.batch.native(call.reverse), (call.x, call.h0), (y, *_split(cell, values)), output_gradients),
        (dx, dh0, dw_ih, dw_hh, db_ih, db_hh),
        *(recompute_every or 0, get_num_threads()),
    )
    return Gradients(dx, None, dw_ih, dw_hh, db_ih, db_hh)
