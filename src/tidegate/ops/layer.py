"""One recurrent layer in one direction: `pack`, `forward`, `backward`, `step`.

This is the only door to the native kernels. Everything is checked here, once; the kernels trust what they are given.
"""

import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Unpack

import numpy as np
import numpy.typing as npt

from tidegate import _native
from tidegate.ops import checks
from tidegate.ops._kernels import (
    ISAS,
    Array,
    Forward,
    Gradients,
    Layer,
    empty,
    isas,
    packed_layout,
    rows_contiguous,
    run_backward,
    run_forward,
)
from tidegate.ops.cells import GATES, Cell, Choices
from tidegate.ops.threads import get_num_threads

__all__ = ["EPISODE_STATES", "GATES", "Forward", "Gradients", "Layer", "backward", "forward", "isas", "pack", "step"]

EPISODE_STATES = ("zeros", "h0")
"""The state that an episode starts from, when several are packed in one row."""


def _default_isa() -> str:
    name = os.environ.get("TIDEGATE_ISA", "")
    if name and name not in ISAS:
        raise ValueError(f"TIDEGATE_ISA is {name!r}, but this machine runs {', '.join(ISAS)}")
    return name or ISAS[0]


def pack(
    cell: str | Cell,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None = None,
    b_hh: Array | None = None,
    *,
    isa: str | None = None,
    **choices: Unpack[Choices],
) -> Layer:
    """Copies the weights of a layer into the layout of one instruction set.

    Args:
        cell: "gru", "rnn_tanh" or "rnn_relu".
        w_ih: Input weights, float32 [G·H, I], gates in the order r, z, n.
        w_hh: State weights, float32 [G·H, H].
        b_ih: Input bias, float32 [G·H]; None for a layer without bias.
        b_hh: State bias, float32 [G·H]; None for a layer without bias.
        isa: One of `isas()`; by default the environment variable TIDEGATE_ISA, else the best.
        choices: What a GRU may be beside the standard one: `reset`, `update`, `candidate` and `gate` of `cells.Cell`.
            The rows of a gate that is off are not read, and their gradients are 0.

    Raises:
        TypeError: An array is not float32.
        ValueError: A shape, the cell, a choice or the instruction set is wrong, or only one bias is given.
    """
    cell = Cell.of(cell, **choices)
    isa = _default_isa() if isa is None else isa
    checks.check_choice("isa", isa, ISAS)
    sizes: checks.Sizes = {"G": (cell.gates, f"cell {cell.name!r}")}
    if isinstance(w_hh, np.ndarray) and w_hh.ndim == 2:
        H = w_hh.shape[1]
        sizes |= {"H": (H, "w_hh"), "G·H": (cell.gates * H, "w_hh")}
    checks.check("w_hh", w_hh, "G·H H", sizes)
    checks.check("w_ih", w_ih, "G·H I", sizes)
    if (b_ih is None) != (b_hh is None):
        raise ValueError("only one of b_ih and b_hh is given, expected both or none")
    for name, bias in (("b_ih", b_ih), ("b_hh", b_hh)):
        if bias is not None:
            checks.check(name, bias, "G·H", sizes)
    for letter in "IH":
        if sizes[letter][0] < 1:
            raise ValueError(f"{letter} is {sizes[letter][0]}, expected 1 or more: it comes from {sizes[letter][1]}")
    w_ih, w_hh = np.ascontiguousarray(w_ih), np.ascontiguousarray(w_hh)
    b_ih, b_hh = (None if bias is None else np.ascontiguousarray(bias) for bias in (b_ih, b_hh))
    native = _native.PackedLayer(cell, w_ih, w_hh, b_ih, b_hh, isa, get_num_threads())
    return Layer(cell, sizes["I"][0], sizes["H"][0], b_ih is not None, isa, native)


class _Call(NamedTuple):
    """The checked arguments that a forward and a backward pass share."""

    shape: _native.Shape
    sizes: checks.Sizes
    rows: str  # letters of the leading axes of y: "T B", or "N" when packed
    x: Array
    h0: Array | None

    def leading(self) -> tuple[int, ...]:
        return tuple(self.sizes[letter][0] for letter in self.rows.split())


def _call(
    layer: Layer,
    x: Array,
    h0: Any,
    lengths: Any,
    batch_sizes: Any,
    reverse: bool,
    episode_starts: Any,
    episode_state: str,
    ids: Any,
) -> _Call:
    sizes: checks.Sizes = {"I": (layer.input_size, "the layer"), "H": (layer.hidden_size, "the layer")}
    starts = None
    rows = "T B" if batch_sizes is None else "N"
    checks.check("x", x, f"{rows} I" if ids is None else "V I", sizes)
    if ids is not None:
        ids = checks.check_ids(ids, rows, sizes).ravel()
    if batch_sizes is None:
        lengths = None if lengths is None else checks.check_lengths(lengths, sizes)
    else:
        if lengths is not None:
            raise ValueError("lengths and batch_sizes are both given, expected one: batch_sizes imply the lengths")
        batch_sizes = checks.check_batch_sizes(batch_sizes, sizes)
        lengths, starts = packed_layout(batch_sizes)
    if h0 is not None:
        h0 = np.ascontiguousarray(checks.check("h0", h0, "B H", sizes))
    checks.check_choice("episode_state", episode_state, EPISODE_STATES)
    marks = None if episode_starts is None else checks.check_episode_starts(episode_starts, rows, sizes)
    shape = _native.Shape(
        sizes["T"][0], sizes["B"][0], lengths, starts, bool(reverse), marks, episode_state == "h0", ids
    )
    return _Call(shape, sizes, rows, rows_contiguous(x), h0)


def _trace(layer: Layer, call: _Call, out: Forward) -> Array | None:
    """Returns the checked trace of a forward pass; None for a cell whose backward pass needs none."""
    if not layer.cell.gated:
        return None
    if out.trace is None:
        raise ValueError("out has no trace: call forward with trace=True before backward, or pass recompute_every")
    sizes = call.sizes | {"4": (4, "the values kept of a step")}
    return np.ascontiguousarray(checks.check("trace", out.trace, f"{call.rows} 4 H", sizes))


def forward(
    layer: Layer,
    x: Array,
    h0: Array | None = None,
    *,
    lengths: Sequence[int] | npt.NDArray[np.integer[Any]] | None = None,
    batch_sizes: Sequence[int] | npt.NDArray[np.integer[Any]] | None = None,
    reverse: bool = False,
    episode_starts: npt.NDArray[np.bool_] | None = None,
    episode_state: str = "zeros",
    ids: npt.NDArray[np.integer[Any]] | None = None,
    trace: bool = False,
    y: Array | None = None,
) -> Forward:
    """Runs a layer over a batch of sequences.

    Where inputs repeat, as words do, they can be rows of a table found by their numbers: each row is then multiplied
    with the weights once, however many steps read it. The outputs are the same bits as those of `x[ids]`.

        >>> layer = pack("gru", np.full((3, 2), 0.5, np.float32), np.full((3, 1), 0.1, np.float32))
        >>> embedding = np.eye(2, dtype=np.float32)
        >>> ids = np.array([[0, 1], [1, 1], [0, 0]])
        >>> bool((forward(layer, embedding, ids=ids).y == forward(layer, embedding[ids]).y).all())
        True

    Args:
        layer: Packed weights.
        x: Input, float32 [T, B, I], any strides whose last axis is contiguous (a batch-first array transposed costs no
            copy); or, with batch_sizes, the data [N, I] of a packed sequence; or, with ids, a table [V, I].
        h0: Initial state, float32 [B, H]; None for zeros.
        lengths: Steps of each row, ints [B] in 0..T in any order; None for T everywhere.
        batch_sizes: Rows at each step of a packed sequence, ints [T], non-increasing, with sum N.
        reverse: Walks each row from its own end to its start.
        episode_starts: True on the first step of each episode, bool [T, B] or [N], where rows hold several episodes
            one after another: each is then walked as if it were alone, in either direction.
        episode_state: The state that such an episode starts from: "zeros", or "h0" for the row's own h0.
        ids: The row of the table x that each step reads, ints [T, B] or [N] in 0..V-1, beyond a row's
            length too.
        trace: Also returns what `Forward.trace` holds; `backward` needs that of a GRU.
        y: Array for the output, float32 [T, B, H] or [N, H]; by default a new one.

    Raises:
        TypeError: An array is not float32, lengths or ids are no integers, or episode_starts no booleans.
        ValueError: A shape, a length or an id is wrong.
    """
    call = _call(layer, x, h0, lengths, batch_sizes, reverse, episode_starts, episode_state, ids)
    H, B = layer.hidden_size, call.sizes["B"][0]
    if y is None:
        y = empty(*call.leading(), H)
    else:
        checks.check_output("y", y, f"{call.rows} H", call.sizes)
        if np.may_share_memory(x, y) or (h0 is not None and np.may_share_memory(h0, y)):
            raise ValueError("y shares memory with x or h0, expected an array of its own: inputs are read to the end")
    kept = empty(*call.leading(), len(layer.cell.kept), H) if trace else None
    h_n = np.empty((B, H), np.float32)
    run_forward(layer, call.shape, call.x, call.h0, y, h_n, kept, clear=True)
    return Forward(y, h_n, kept)


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
    episode_starts: npt.NDArray[np.bool_] | None = None,
    episode_state: str = "zeros",
    ids: npt.NDArray[np.integer[Any]] | None = None,
    need_dx: bool = True,
    need_dh0: bool = True,
    recompute_every: int | None = None,
) -> Gradients:
    """Carries gradients back through a layer.

    Args:
        layer: Packed weights, as in `forward`, and so is everything from x to ids but what is told of it here.
        x: Input, float32 [T, B, I] or [N, I], or a table [V, I].
        out: What `forward` returned, with `trace=True` if recompute_every is None.
        dy: Gradient of the loss by y, in its shape; ignored beyond a row's length. None for zeros.
        dh_n: Gradient of the loss by h_n, float32 [B, H]; None for zeros.
        h0: Initial state, float32 [B, H]; None for zeros.
        lengths: Steps of each row.
        batch_sizes: Rows at each step of a packed sequence.
        reverse: Direction.
        episode_starts: True on the first step of each episode.
        episode_state: The state that such an episode starts from.
        ids: The row of the table that each step has read.
        need_dx: Whether to compute dx; if not, it is None.
        need_dh0: Whether to compute dh0; if not, it is None, and the first step is a product cheaper.
        recompute_every: If not None, the gates of a GRU are computed again from the states y, at most this many steps
            at once, and `out.trace` is not used: less memory for at most a third more time.

    Returns:
        Gradients; dx is 0 beyond a row's length, and for a row of a table that no step has read.

    Raises:
        TypeError: An array is not float32, lengths or ids are no integers, or episode_starts no booleans.
        ValueError: A shape, a length or an id is wrong, or a GRU's `out` has no trace and recompute_every is None.
    """
    call = _call(layer, x, h0, lengths, batch_sizes, reverse, episode_starts, episode_state, ids)
    checks.check_recompute(recompute_every)
    sizes = call.sizes
    y = rows_contiguous(checks.check("y", out.y, f"{call.rows} H", sizes))
    trace = None if recompute_every is not None else _trace(layer, call, out)
    if dy is not None:
        dy = rows_contiguous(checks.check("dy", dy, f"{call.rows} H", sizes))
    if dh_n is not None:
        dh_n = np.ascontiguousarray(checks.check("dh_n", dh_n, "B H", sizes))
    return run_backward(
        *(layer, call.shape, sizes["B"][0], call.x, call.h0, y, trace, dy, dh_n),
        need_dx=need_dx,
        need_dh0=need_dh0,
        recompute_every=recompute_every,
    )


def step(layer: Layer | Iterable[Layer], x: Array, h: Array, *, out: Array | None = None) -> Array:
    """Takes one step, for streams: one call of microseconds, without an allocation if `out` is given.

        >>> layer = pack("gru", np.full((3, 2), 0.5, np.float32), np.full((3, 1), 0.1, np.float32))
        >>> h = np.zeros(1, np.float32)
        >>> for x in np.ones((4, 2), np.float32):
        ...     h = step(layer, x, h, out=h)
        >>> h.round(3)
        array([0.545], dtype=float32)

    Args:
        layer: Packed weights; or those of the L layers of a stack, each of which reads the new state of the one before.
        x: Input, float32 [I], or [B, I] for several streams.
        h: State, float32 [H] or [B, H]; of a stack [L, H] or [L, B, H].
        out: C-contiguous array for the new state, in the shape of h; h itself may be given.

    Returns:
        The new state: `out`, or a new array. The output of a stack is its last layer's, `[-1]`.

    Raises:
        TypeError: An array is not float32.
        ValueError: A shape is wrong, layers do not fit on each other, or out can't be written to or shares memory with
            x.
    """
    if not isinstance(layer, Layer):
        layer = list(layer)
    y = np.empty_like(h, order="C") if out is None else out
    if not _quick_step(layer, x, h, y):
        _check_step(layer, x, h, y)
        done = _quick_step(layer, np.ascontiguousarray(x), np.ascontiguousarray(h), y)
        assert done, "arrays that pass the checks are taken"  # noqa: S101 - a bug of ours, not of the caller's
    return y


def _quick_step(layer: Layer | list[Layer], x: Array, h: Array, y: Array) -> bool:
    """Takes a step if all arrays are contiguous and as they should be; says whether it did."""
    if isinstance(layer, Layer):
        return layer.native.step(x, h, y, get_num_threads())
    return _native.step([one.native for one in layer], x, h, y, get_num_threads())


def _check_step(layer: Layer | list[Layer], x: Array, h: Array, y: Array) -> None:
    """Says what is wrong with the arguments of a step, if not only that arrays have gaps."""
    layers, stack = ([layer], "") if isinstance(layer, Layer) else (layer, "L ")
    if not layers:
        raise ValueError("layer is empty, expected packed weights or several of them")
    H = layers[0].hidden_size
    for i, one in enumerate(layers[1:], 1):
        if one.input_size != H or one.hidden_size != H:
            sizes_found = f"I = {one.input_size} and H = {one.hidden_size}"
            raise ValueError(
                f"layer[{i}] has {sizes_found}, expected {H} for both: it reads the state of layer[{i - 1}]"
            )
    rows = "B " if isinstance(x, np.ndarray) and x.ndim == 2 else ""
    sizes: checks.Sizes = {"I": (layers[0].input_size, "the layer"), "H": (H, "the layer")}
    sizes["L"] = (len(layers), "the layers")
    checks.check("x", x, f"{rows}I", sizes)
    checks.check("h", h, f"{stack}{rows}H", sizes)
    checks.check_output("out", y, f"{stack}{rows}H", sizes)
    if not y.flags.c_contiguous:
        raise ValueError(f"out has strides {y.strides} (bytes), expected a C-contiguous array")
    if np.may_share_memory(x, y):
        raise ValueError("out shares memory with x, expected an array of its own: x is read to the end")
