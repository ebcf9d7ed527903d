"""One recurrent layer in one direction: `pack`, `forward`, `backward`, `step`.

Everything is checked here, once; the kernels trust what they are given. `tidegate.torch` checks its tensors itself.
"""

import os
from collections.abc import Collection
from functools import cache
from typing import Any, TypedDict, Unpack

import numpy as np
import numpy.typing as npt

from tidegate.ops import checks
from tidegate.ops._kernels import (
    ISAS,
    Array,
    Call,
    Forward,
    Gradients,
    Layer,
    by_state,
    empty,
    empty_states,
    pack_compressed,
    pack_weights,
    rows_contiguous,
    run_backward,
    run_forward,
    traced_values,
)
from tidegate.ops.batch import IntegersLike, check_batch, dense_batch
from tidegate.ops.cells import Cell
from tidegate.ops.compressed import Compressed, stand_in


class RowOptions(TypedDict, total=False):
    """How the rows of a batch are walked: keywords of `forward` and `backward`.

    Attributes:
        lengths: Steps of each row, ints [B] in 0..T in any order; T everywhere if absent.
        batch_sizes: Rows at each step of a packed sequence, ints [T], non-increasing, with sum N.
        reverse: Walks each row from its own end to its start.
        episode_starts: True on the first step of each episode, bool [T, B] or [N], where rows hold several episodes
            one after another: each is then walked as if it were alone, in either direction.
        episode_state: The state that such an episode starts from: "zeros", or "h0" for the row's own h0.
        ids: The row of the table x that each step reads, ints [T, B] or [N] in 0..V-1, beyond a row's length too.
    """

    lengths: IntegersLike | None
    batch_sizes: IntegersLike | None
    reverse: bool
    episode_starts: npt.NDArray[np.bool_] | None
    episode_state: str
    ids: npt.NDArray[np.integer[Any]] | None


class GradientOptions(RowOptions, total=False):
    """Keywords of `backward`: those of `forward`, and what is wanted.

    Attributes:
        need: Which of the gradients "dx" and "dh0" to compute, both if absent; those left out are None. Without dh0 the
            first step is a product cheaper.
    """

    need: Collection[str]


_NEED = frozenset(("dx", "dh0"))


@cache
def default_isa() -> str:
    """Returns the instruction set that weights are packed for: the environment variable TIDEGATE_ISA, else the best.

    Decided at first use.

    Raises:
        ValueError: This machine does not run it.
    """
    name = os.environ.get("TIDEGATE_ISA", "")
    if name and name not in ISAS:
        raise ValueError(f"TIDEGATE_ISA is {name!r}, but this machine runs {', '.join(ISAS)}")
    return name or ISAS[0]


def pack(
    cell: str | Cell,
    w_ih: Array | Compressed,
    w_hh: Array | Compressed,
    b_ih: Array | None = None,
    b_hh: Array | None = None,
    *,
    isa: str | None = None,
    **choices: str,
) -> Layer:
    """Copies the weights of a layer into the layout of one instruction set.

    Wide layers spend a step reading their weights: int8 and bfloat16 ones, see `compress`, make it two to four times as
    fast. The input and the state of a step are rounded to 16 bits or somewhat less for int8, each row by a scale of its
    own, so no result depends on other rows, on padding, or on how a sequence is cut; for bfloat16 they stay as they
    are. If a number of a row is not finite, no result of its step is, with int8. `backward` takes neither.

        >>> from tidegate.ops import compress
        >>> w_ih, w_hh = np.full((3, 2), 0.5, np.float32), np.full((3, 1), 0.1, np.float32)
        >>> layer = pack("gru", compress(w_ih, "int8"), compress(w_hh, "int8"))
        >>> forward(layer, np.ones((4, 1, 2), np.float32)).h_n.round(3)
        array([[0.545]], dtype=float32)

    Args:
        cell: The cell, by its name or its text: "gru", "lstm", "rnn_tanh", "gru reset=before", …
        w_ih: Input weights, float32 [G·H, I], blocks in the order of `Cell.blocks`, which is torch's; or compressed.
        w_hh: State weights, float32 [G·H, H]; compressed if w_ih is, to the same dtype.
        b_ih: Input bias, float32 [G·H]; None for a layer without bias.
        b_hh: State bias, float32 [G·H]; None for a layer without bias.
        isa: One of `isas()`; by default the environment variable TIDEGATE_ISA, else the best.
        choices: What is chosen of the cell, see `Cell.choices`: `reset`, `update`, `candidate` and `gate` of a GRU. The
            rows of a gate that is off are not read, and their gradients are 0.

    Raises:
        TypeError: An array is not float32, or the two matrices are of different dtypes.
        ValueError: A shape, the cell, a choice or the instruction set is wrong, or only one bias is given.
    """
    cell = Cell.of(cell, **choices)
    isa = default_isa() if isa is None else isa
    checks.check_choice("isa", isa, ISAS)
    check_weights(cell, w_ih, w_hh, b_ih, b_hh)
    return pack_checked(cell, w_ih, w_hh, b_ih, b_hh, isa=isa)


def check_weights(
    cell: Cell, w_ih: Array | Compressed, w_hh: Array | Compressed, b_ih: Array | None = None, b_hh: Array | None = None
) -> tuple[int, int]:
    """Checks the weights of a layer in one direction, and returns I and H; see `pack`."""
    w_ih, w_hh = stand_in(w_ih), stand_in(w_hh)
    sizes: checks.Sizes = {"G": (cell.G, f"cell {cell.name!r}")}
    if isinstance(w_hh, np.ndarray) and w_hh.ndim == 2:
        H = w_hh.shape[1]
        sizes |= {"H": (H, "w_hh"), "G·H": (cell.G * H, "w_hh")}
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
    return sizes["I"][0], sizes["H"][0]


def pack_checked(
    cell: Cell,
    w_ih: Array | Compressed,
    w_hh: Array | Compressed,
    b_ih: Array | None = None,
    b_hh: Array | None = None,
    *,
    isa: str | None = None,
) -> Layer:
    """Does what `pack` does, with weights that the caller has checked together with the rest of a stack."""
    b_ih, b_hh = (None if bias is None else np.ascontiguousarray(bias) for bias in (b_ih, b_hh))
    isa = isa or default_isa()
    if isinstance(w_ih, Compressed) and isinstance(w_hh, Compressed) and w_ih.dtype == w_hh.dtype:
        return pack_compressed(cell, (w_ih, w_hh), (b_ih, b_hh), isa)
    if isinstance(w_ih, Compressed) or isinstance(w_hh, Compressed):
        dtypes = [w.dtype if isinstance(w, Compressed) else "float32" for w in (w_ih, w_hh)]
        raise TypeError(f"w_ih is {dtypes[0]} and w_hh {dtypes[1]}, expected one dtype for both")
    return pack_weights(cell, (np.ascontiguousarray(w_ih), np.ascontiguousarray(w_hh), b_ih, b_hh), isa)


def _checked(layer: Layer, x: Array, h0: Any, options: RowOptions) -> tuple[Call, checks.Sizes, str]:
    """Checks what a forward and a backward pass share.

    Returns:
        The call, the sizes of its letters, and those of the leading axes of y: "T B", or "N" when packed.
    """
    facts: dict[str, Any] = dict(options)
    reverse, rows = bool(facts.pop("reverse", False)), "T B" if facts.get("batch_sizes") is None else "N"
    sizes: checks.Sizes = {"I": (layer.input_size, "the layer"), "H": (layer.hidden_size, "the layer")}
    sizes["S"] = (layer.cell.S, "the cell")
    checks.check("x", x, f"{rows} I" if facts.get("ids") is None else "V I", sizes)
    batch = check_batch(sizes, **facts) if facts else dense_batch(sizes["T"][0], sizes["B"][0])
    if h0 is not None:
        h0 = np.ascontiguousarray(checks.check("h0", h0, layer.cell.state_letters, sizes))
    return Call(batch, reverse, rows_contiguous(x), by_state(layer.cell, h0)), sizes, rows


def _saved(cell: Cell, trace: Array | None, sizes: checks.Sizes, rows: str, gates: bool) -> Array | None:
    """Returns what the backward pass reads of the checked trace of a forward pass, with or without gates."""
    if trace is None:
        states = 'trace=True, or "states" with recompute_every' if cell.S > 1 else "trace=True, or pass recompute_every"
        raise ValueError(f"out has no trace: call forward with {states}, before backward")
    only_states = not gates and trace.ndim > 1 and trace.shape[-2] == cell.S - 1
    sizes["K"] = (cell.S - 1 if only_states else cell.K, "the values saved of a step")
    return np.ascontiguousarray(checks.check("trace", trace, f"{rows} K H", sizes))


def forward(
    layer: Layer,
    x: Array,
    h0: Array | None = None,
    *,
    trace: bool | str = False,
    y: Array | None = None,
    **options: Unpack[RowOptions],
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
        h0: Initial states, float32 [B, H], or [S, B, H] for a cell of several states; None for zeros.
        trace: Also returns what `Forward.trace` holds, all with True and the states alone with "states": `backward`
            needs the one, or with recompute_every the other.
        y: Array for the output, float32 [T, B, H] or [N, H]; by default a new one.
        options: Lengths and other facts of the rows, see `RowOptions`.

    Raises:
        TypeError: An array is not float32, lengths or ids are no integers, or episode_starts no booleans.
        ValueError: A shape, a length or an id is wrong, or trace is another word.
    """
    if trace not in (False, True, "states"):
        raise ValueError(f"trace is {trace!r}, expected True, False or 'states'")
    call, sizes, rows = _checked(layer, x, h0, options)
    leading, H = call.batch.leading, layer.hidden_size
    if y is None:
        y = empty(*leading, H)
    else:
        checks.check_output("y", y, f"{rows} H", sizes)
        if np.may_share_memory(x, y) or (h0 is not None and np.may_share_memory(h0, y)):
            raise ValueError("y shares memory with x or h0, expected an array of its own: inputs are read to the end")
    saved = empty(*leading, traced_values(layer.cell, gates=trace is True), H) if trace else None
    h_n = empty_states(layer.cell, call.batch.B, H)
    run_forward(layer, call, y, by_state(layer.cell, h_n), saved, clear=True)
    return Forward(y, h_n, saved)


def backward(
    layer: Layer,
    x: Array,
    out: Forward,
    dy: Array | None = None,
    dh_n: Array | None = None,
    h0: Array | None = None,
    *,
    recompute_every: int | None = None,
    **options: Unpack[GradientOptions],
) -> Gradients:
    """Carries gradients back through a layer.

    Args:
        layer: Packed weights.
        x: Input as in `forward`, and so are h0 and options.
        out: What `forward` returned, with a trace: True, or "states" if the gates are computed again.
        dy: Gradient of the loss by y, in its shape; ignored beyond a row's length. None for zeros.
        dh_n: Gradient of the loss by h_n, in its shape; None for zeros.
        h0: Initial states; None for zeros.
        recompute_every: If not None, gates are computed again from the states, at most this many steps at once, and the
            trace of a cell with one state is not used: less memory for at most a third more time.
        options: Lengths and other facts of the rows, and which gradients are needed, see `GradientOptions`.

    Returns:
        Gradients; dx is 0 beyond a row's length, and for a row of a table that no step has read.

    Raises:
        TypeError: An array is not float32, lengths or ids are no integers, or episode_starts no booleans.
        ValueError: A shape, a length or an id is wrong, or `out` has no trace that is needed.
    """
    if layer.dtype != "float32":
        raise ValueError(f"the layer's weights are {layer.dtype}, which have no gradients: pack them as float32")
    need = options.pop("need", _NEED)
    call, sizes, rows = _checked(layer, x, h0, options)
    checks.check_recompute(recompute_every)
    if need is not _NEED and not _NEED.issuperset(need):
        raise ValueError(f"need is {need!r}, expected some of {', '.join(map(repr, sorted(_NEED)))}")
    y = rows_contiguous(checks.check("y", out.y, f"{rows} H", sizes))
    gates = layer.cell.needs_trace and recompute_every is None
    saved = _saved(layer.cell, out.trace, sizes, rows, gates) if gates or layer.cell.S > 1 else None
    if dy is not None:
        dy = rows_contiguous(checks.check("dy", dy, f"{rows} H", sizes))
    if dh_n is not None:
        dh_n = np.ascontiguousarray(checks.check("dh_n", dh_n, layer.cell.state_letters, sizes))
    dh0 = empty_states(layer.cell, call.batch.B, layer.hidden_size) if "dh0" in need else None
    found = run_backward(
        *(layer, call, (y, saved), (dy, by_state(layer.cell, dh_n))),
        need_dx="dx" in need,
        dh0=by_state(layer.cell, dh0),
        recompute_every=recompute_every,
    )
    return found._replace(dh0=dh0)
