"""One recurrent layer in one direction on numpy arrays: pack its weights, run it forward, run it backward.

This is the only door to the native kernels. Everything is checked here, once; the kernels trust what they are given.

    >>> import numpy as np
    >>> from tidegate import ops
    >>> w_ih, w_hh = np.full((3, 2), 0.5, np.float32), np.full((3, 1), 0.1, np.float32)
    >>> layer = ops.pack("gru", w_ih, w_hh)
    >>> x = np.ones((4, 1, 2), np.float32)
    >>> ops.forward(layer, x).h_n.round(3)
    array([[0.545]], dtype=float32)
"""

import os
import sys
from collections.abc import Sequence
from math import prod
from operator import index
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate import _native, shapes

Array = npt.NDArray[np.float32]

GATES = {"gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
"""Number of gates G of each cell."""


class Layer(NamedTuple):
    """The packed weights of one layer in one direction; made by `pack`."""

    cell: str
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
        trace: With `trace=True` for the GRU: r, z, n and hn = U_n h + b_hn of every step, float32 [T, B, 4, H]
            (packed: [N, 4, H]); else None.
    """

    y: Array
    h_n: Array
    trace: Array | None


class Gradients(NamedTuple):
    """Gradients of the loss, float32 in the shapes of what they belong to; those of absent biases are None."""

    dx: Array | None
    dh0: Array
    dw_ih: Array
    dw_hh: Array
    db_ih: Array | None
    db_hh: Array | None


def isas() -> list[str]:
    """Returns the names of the instruction sets that run on this machine, best first."""
    return _native.isas()


def _default_isa() -> str:
    name = os.environ.get("TIDEGATE_ISA", "")
    if name and name not in isas():
        raise ValueError(f"TIDEGATE_ISA is {name!r}, but this machine runs {', '.join(isas())}")
    return name or isas()[0]


_MOST_THREADS = 1024
_threads = 0  # 0: not decided yet


def get_num_threads() -> int:
    """Returns the number of threads of a native call.

    Decided at first use: TIDEGATE_NUM_THREADS, else 1 inside a child of multiprocessing (such as a DataLoader worker),
    else OMP_NUM_THREADS (which Ray sets for its workers), else the number of processors that this process may use.

    Raises:
        ValueError: TIDEGATE_NUM_THREADS is no number from 1 to 1024.
    """
    global _threads
    if _threads == 0:
        _threads = _default_threads()
    return _threads


def set_num_threads(threads: int) -> None:
    """Sets the number of threads of native calls in this process; children made by fork decide anew.

    Raises:
        TypeError: It is no integer.
        ValueError: It is less than 1 or more than 1024.
    """
    global _threads
    threads = index(threads)
    if not 1 <= threads <= _MOST_THREADS:
        raise ValueError(f"threads is {threads}, expected 1 to {_MOST_THREADS}")
    _threads = threads


def _default_threads() -> int:
    wanted = os.environ.get("TIDEGATE_NUM_THREADS", "")
    if wanted:
        if not wanted.isdecimal() or not 1 <= int(wanted) <= _MOST_THREADS:
            raise ValueError(f"TIDEGATE_NUM_THREADS is {wanted!r}, expected a number from 1 to {_MOST_THREADS}")
        return int(wanted)
    processes = sys.modules.get("multiprocessing.process")  # a child of multiprocessing has imported it
    if processes is not None and processes.parent_process() is not None:
        return 1
    for_openmp = os.environ.get("OMP_NUM_THREADS", "")
    if for_openmp.isdecimal() and int(for_openmp) > 0:
        return min(int(for_openmp), _MOST_THREADS)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _forget_threads() -> None:
    global _threads
    _threads = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


def pack(
    cell: str,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None = None,
    b_hh: Array | None = None,
    *,
    isa: str | None = None,
) -> Layer:
    """Copies the weights of a layer into the layout of one instruction set.

    Args:
        cell: "gru", "rnn_tanh" or "rnn_relu".
        w_ih: Input weights, float32 [G·H, I], gates in the order r, z, n.
        w_hh: State weights, float32 [G·H, H].
        b_ih: Input bias, float32 [G·H]; None for a layer without bias.
        b_hh: State bias, float32 [G·H]; None for a layer without bias.
        isa: One of `isas()`; by default the environment variable TIDEGATE_ISA, else the best.

    Raises:
        TypeError: An array is not float32.
        ValueError: A shape, the cell or the instruction set is wrong, or only one bias is given.
    """
    shapes.check_choice("cell", cell, GATES)
    isa = _default_isa() if isa is None else isa
    shapes.check_choice("isa", isa, isas())
    gates = GATES[cell]
    sizes: shapes.Sizes = {"G": (gates, f"cell {cell!r}")}
    if isinstance(w_hh, np.ndarray) and w_hh.ndim == 2:
        sizes["H"] = (w_hh.shape[1], "w_hh")
    shapes.check("w_hh", w_hh, "G·H H", sizes)
    shapes.check("w_ih", w_ih, "G·H I", sizes)
    if (b_ih is None) != (b_hh is None):
        raise ValueError("only one of b_ih and b_hh is given, expected both or none")
    for name, bias in (("b_ih", b_ih), ("b_hh", b_hh)):
        if bias is not None:
            shapes.check(name, bias, "G·H", sizes)
    for letter in "IH":
        if sizes[letter][0] < 1:
            raise ValueError(f"{letter} is {sizes[letter][0]}, expected 1 or more: it comes from {sizes[letter][1]}")
    w_ih, w_hh = np.ascontiguousarray(w_ih), np.ascontiguousarray(w_hh)
    b_ih, b_hh = (None if bias is None else np.ascontiguousarray(bias) for bias in (b_ih, b_hh))
    native = _native.PackedLayer(cell, w_ih, w_hh, b_ih, b_hh, isa)
    return Layer(cell, sizes["I"][0], sizes["H"][0], b_ih is not None, isa, native)


def repack(layer: Layer, w_ih: Array, w_hh: Array, b_ih: Array | None = None, b_hh: Array | None = None) -> Layer:
    """Packs other weights of the same shapes, contiguous and float32: what `pack` does without its checks."""
    return layer._replace(native=_native.PackedLayer(layer.cell, w_ih, w_hh, b_ih, b_hh, layer.isa))


class _Call(NamedTuple):
    """The checked arguments that a forward and a backward pass share."""

    shape: _native.Shape
    sizes: shapes.Sizes
    rows: str  # letters of the leading axes of x: "T B", or "N" when packed
    x: Array
    h0: Array | None

    def leading(self) -> tuple[int, ...]:
        return tuple(self.sizes[letter][0] for letter in self.rows.split())


def _call(layer: Layer, x: Array, h0: Any, lengths: Any, batch_sizes: Any, reverse: bool) -> _Call:
    sizes: shapes.Sizes = {"I": (layer.input_size, "the layer"), "H": (layer.hidden_size, "the layer")}
    starts = None
    if batch_sizes is None:
        rows = "T B"
        shapes.check("x", x, "T B I", sizes)
        lengths = None if lengths is None else shapes.check_lengths(lengths, sizes)
    else:
        rows = "N"
        shapes.check("x", x, "N I", sizes)
        if lengths is not None:
            raise ValueError("lengths and batch_sizes are both given, expected one: batch_sizes imply the lengths")
        batch_sizes = shapes.check_batch_sizes(batch_sizes, sizes)
        lengths, starts = packed_layout(batch_sizes)
    if h0 is not None:
        h0 = np.ascontiguousarray(shapes.check("h0", h0, "B H", sizes))
    shape = _native.Shape(sizes["T"][0], sizes["B"][0], lengths, starts, bool(reverse))
    return _Call(shape, sizes, rows, rows_contiguous(x), h0)


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


Shape = _native.Shape
"""Steps T and rows B of a call, the length of each row, the first row of each step if packed, and the direction."""


def run_forward(
    layer: Layer, shape: Shape, x: Array, h0: Array | None, y: Array, h_n: Array, gates: Array | None
) -> None:
    """Does what `forward` does once its arguments are checked, for callers that have checked them themselves."""
    layer.native.forward(shape, x, h0, y, h_n, gates, get_num_threads())


def run_backward(
    layer: Layer,
    shape: Shape,
    B: int,
    x: Array,
    h0: Array | None,
    y: Array,
    gates: Array | None,
    dy: Array | None,
    dh_n: Array | None,
    *,
    need_dx: bool,
) -> Gradients:
    """Does what `backward` does once its arguments are checked, for callers that have checked them themselves."""
    H, I, rows = layer.hidden_size, layer.input_size, GATES[layer.cell] * layer.hidden_size
    dx = empty(*x.shape[:-1], I) if need_dx else None
    dh0 = np.empty((B, H), np.float32)
    dw_ih, dw_hh = np.empty((rows, I), np.float32), np.empty((rows, H), np.float32)
    db_ih, db_hh = (np.empty(rows, np.float32), np.empty(rows, np.float32)) if layer.bias else (None, None)
    layer.native.backward(shape, x, h0, y, gates, dy, dh_n, dx, dh0, dw_ih, dw_hh, db_ih, db_hh, get_num_threads())
    return Gradients(dx, dh0, dw_ih, dw_hh, db_ih, db_hh)


def forward(
    layer: Layer,
    x: Array,
    h0: Array | None = None,
    *,
    lengths: Sequence[int] | npt.NDArray[np.integer[Any]] | None = None,
    batch_sizes: Sequence[int] | npt.NDArray[np.integer[Any]] | None = None,
    reverse: bool = False,
    trace: bool = False,
    y: Array | None = None,
) -> Forward:
    """Runs a layer over a batch of sequences.

    Args:
        layer: Packed weights.
        x: Input, float32 [T, B, I], any strides whose last axis is contiguous (a batch-first array transposed costs no
            copy); or, with batch_sizes, the data [N, I] of a packed sequence.
        h0: Initial state, float32 [B, H]; None for zeros.
        lengths: Steps of each row, ints [B] in 0..T in any order; None for T everywhere.
        batch_sizes: Rows at each step of a packed sequence, ints [T], non-increasing, with sum N.
        reverse: Walks each row from its own end to its start.
        trace: Also returns the gates, which `backward` needs.
        y: Array for the output, float32 [T, B, H] or [N, H]; by default a new one.

    Raises:
        TypeError: An array is not float32, or lengths are no integers.
        ValueError: A shape or a length is wrong.
    """
    call = _call(layer, x, h0, lengths, batch_sizes, reverse)
    H, B = layer.hidden_size, call.sizes["B"][0]
    if y is None:
        y = empty(*call.leading(), H)
    else:
        shapes.check_output("y", y, f"{call.rows} H", call.sizes)
        if np.may_share_memory(x, y) or (h0 is not None and np.may_share_memory(h0, y)):
            raise ValueError("y shares memory with x or h0, expected an array of its own: inputs are read to the end")
    gates = empty(*call.leading(), 4, H) if trace and layer.cell == "gru" else None
    h_n = np.empty((B, H), np.float32)
    run_forward(layer, call.shape, call.x, call.h0, y, h_n, gates)
    return Forward(y, h_n, gates)


def backward(
    layer: Layer,
    x: Array,
    out: Forward,
    dy: Array | None = None,
    dh_n: Array | None = None,
    h0: Array | None = None,
    *,
    lengths: Sequence[int] | npt.NDArray[np.integer[Any]] | None = None,
    batch_sizes: Sequence[int] | npt.NDArray[np.integer[Any]] | None = None,
    reverse: bool = False,
    need_dx: bool = True,
) -> Gradients:
    """Carries gradients back through a layer.

    Args:
        layer: Packed weights, as in `forward`, and so are x, h0, lengths, batch_sizes and reverse.
        x: Input, float32 [T, B, I] or [N, I].
        out: What `forward` returned with `trace=True`.
        dy: Gradient of the loss by y, in its shape; ignored beyond a row's length. None for zeros.
        dh_n: Gradient of the loss by h_n, float32 [B, H]; None for zeros.
        h0: Initial state, float32 [B, H]; None for zeros.
        lengths: Steps of each row.
        batch_sizes: Rows at each step of a packed sequence.
        reverse: Direction.
        need_dx: Whether to compute dx; if not, it is None.

    Returns:
        Gradients; dx is 0 beyond a row's length.

    Raises:
        TypeError: An array is not float32, or lengths are no integers.
        ValueError: A shape or a length is wrong, or a GRU's `out` has no trace.
    """
    call = _call(layer, x, h0, lengths, batch_sizes, reverse)
    sizes = call.sizes
    y = rows_contiguous(shapes.check("y", out.y, f"{call.rows} H", sizes))
    trace = None
    if layer.cell == "gru":
        if out.trace is None:
            raise ValueError("out has no trace: call forward with trace=True before backward")
        letters = sizes | {"4": (4, "the values kept of a step")}
        trace = np.ascontiguousarray(shapes.check("trace", out.trace, f"{call.rows} 4 H", letters))
    if dy is not None:
        dy = rows_contiguous(shapes.check("dy", dy, f"{call.rows} H", sizes))
    if dh_n is not None:
        dh_n = np.ascontiguousarray(shapes.check("dh_n", dh_n, "B H", sizes))
    rows = sizes["B"][0]
    return run_backward(layer, call.shape, rows, call.x, call.h0, y, trace, dy, dh_n, need_dx=need_dx)
