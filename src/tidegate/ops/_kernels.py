"""One recurrent layer in one direction, called without a check: for callers whose arrays are as they should be.

`tidegate.ops` checks arguments and calls this; the PyTorch layers, whose tensors have been checked by then, call it
directly. A wrong argument here is a wrong address in memory.
"""

from math import prod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate import _native
from tidegate.ops.cells import Cell
from tidegate.ops.threads import get_num_threads

Array = npt.NDArray[np.float32]


class Layer(NamedTuple):
    """The packed weights of one layer in one direction; made by `pack`."""

    cell: Cell
    input_size: int
    hidden_size: int
    bias: bool
    isa: str
    native: _native.PackedLayer


class Forward(NamedTuple):
    """What `forward` returns.

    Attributes:
        y: States after each step, float32 [T, B, H] (packed: [N, H]); 0 beyond a row's length.
        h_n: State of each row at its own end, float32 [B, H]; h0 for a row of length 0.
        trace: With `trace=True`, float32 [T, B, K, H] (packed: [N, K, H]): of a GRU the K = 4 values r, z, n and
            hn = U_n h + b_hn of every step, of an RNN one, W x + b_ih + U h + b_hh; else None.
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


ISAS = tuple(_native.isas())
"""The instruction sets that run on this machine, best first."""


def isas() -> list[str]:
    """Returns the names of the instruction sets that run on this machine, best first."""
    return list(ISAS)


Shape = _native.Shape
"""What the kernels need to know of the rows: steps T, rows B, the length of each row, the first row of each step if
packed, the direction, the marks of episodes, whether these start from h0, and which rows of a table they read."""


def repack(layer: Layer, w_ih: Array, w_hh: Array, b_ih: Array | None = None, b_hh: Array | None = None) -> Layer:
    """Packs other weights of the same shapes, contiguous and float32."""
    native = _native.PackedLayer(layer.cell, w_ih, w_hh, b_ih, b_hh, layer.isa, get_num_threads())
    return layer._replace(native=native)


def packed_layout(batch_sizes: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Returns the length of each row [B], and the first row of each step [T] in the packed data."""
    rows = int(batch_sizes[0]) if len(batch_sizes) else 0
    lengths = np.searchsorted(-batch_sizes, -np.arange(rows), side="left").astype(np.int64)
    starts = np.zeros(len(batch_sizes), np.int64)
    np.cumsum(batch_sizes[:-1], out=starts[1:])
    return lengths, starts


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


def run_forward(
    layer: Layer,
    shape: Shape,
    x: Array,
    h0: Array | None,
    y: Array,
    h_n: Array,
    trace: Array | None,
    *,
    clear: bool = False,
) -> None:
    """Runs `ops.forward` into arrays that are there: y, h_n, and the trace if one is wanted.

    The backward pass does not read a trace where rows have ended; it is only set to 0 there if it is to be `clear`.
    """
    layer.native.forward(shape, x, h0, y, h_n, trace, clear, get_num_threads())


def run_backward(
    layer: Layer,
    shape: Shape,
    B: int,
    x: Array,
    h0: Array | None,
    y: Array,
    trace: Array | None,
    dy: Array | None,
    dh_n: Array | None,
    *,
    need_dx: bool,
    need_dh0: bool,
    recompute_every: int | None = None,
) -> Gradients:
    """Runs `ops.backward`; a GRU's gates are computed again if there is no trace."""
    I, H, gates = layer.input_size, layer.hidden_size, layer.cell.gates * layer.hidden_size
    dx = empty(*x.shape[:-1], I) if need_dx else None
    db_ih, db_hh = (np.empty(gates, np.float32) if layer.bias else None for _ in range(2))
    dh0 = np.empty((B, H), np.float32) if need_dh0 else None
    results = Gradients(dx, dh0, empty(gates, I), empty(gates, H), db_ih, db_hh)
    layer.native.backward(shape, x, h0, y, trace, dy, dh_n, *results, recompute_every or 0, get_num_threads())
    return results
