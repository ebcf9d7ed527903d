"""The plain numpy specification of one recurrent layer in float64, forward and backward.

It defines what the native kernels compute and is written to be read: a cell is a pair of small functions, one step
forward and the same step backward, and one loop over time serves every cell, both directions and ragged batches.

A step sees the cell with what was chosen of it, `a = W x + b_ih` and `c = U h + b_hh`, each [B, G·H], and the state `h`
[B, H]. Its backward takes the gradient of the new state, and returns the gradients of `a`, of `c`, and of `h` where `h`
enters beside `c`.
"""

from collections.abc import Callable
from typing import NamedTuple, Unpack

import numpy as np
import numpy.typing as npt

from tidegate.ops.cells import Cell, Choices

Array = npt.NDArray[np.float64]
Trace = dict[str, Array]


class Forward(NamedTuple):
    """What a layer returns.

    Attributes:
        y: States after each step, float64 [T, B, H], 0 beyond a row's length.
        h_n: State of each row at its own end, float64 [B, H]; h0 for rows of length 0.
        trace: What backward needs of each step, float64 [T, B, H] each, 0 beyond a row's length: `h`, the state that
            the step read, for gru `reset`, `update`, `candidate` and `hn = U_n h + b_hn`, and for the others
            `preactivation`, the argument of their activation.
    """

    y: Array
    h_n: Array
    trace: Trace


class Gradients(NamedTuple):
    """Gradients of the loss by each argument of `forward`, float64 in its shape; those of absent biases are None."""

    dx: Array
    dh0: Array
    dw_ih: Array
    dw_hh: Array
    db_ih: Array | None
    db_hh: Array | None


class Activation(NamedTuple):
    """A function of each element, and its slope where the function has the value v."""

    function: Callable[[Array], Array]
    slope: Callable[[Array], Array]


def sigmoid(a: Array) -> Array:
    """Returns σ(a) = 1 / (1 + exp(−a)), written such that no a overflows: below 0 as exp(a) / (1 + exp(a))."""
    sigma: Array = np.exp(np.minimum(a, 0)) / (1 + np.exp(-np.abs(a)))
    return sigma


ACTIVATIONS = {
    "sigmoid": Activation(sigmoid, lambda v: v * (1 - v)),
    "hard_sigmoid": Activation(lambda a: np.clip(a / 6 + 1 / 2, 0, 1), lambda v: ((v > 0) & (v < 1)) / 6),
    "tanh": Activation(np.tanh, lambda v: 1 - v * v),
    "relu": Activation(lambda a: np.maximum(a, 0), lambda v: np.where(v > 0, 1.0, 0.0)),
    "identity": Activation(lambda a: a, np.ones_like),
}
"""Of gates and candidates; slopes where there are two count as torch counts them."""


def gru(cell: Cell, a: Array, c: Array, h: Array) -> tuple[Array, Trace]:
    """Takes one step of the gated recurrent unit of `torch.nn.GRU`, or of what was chosen of it.

    The gates are those of Cho et al. 2014 (arXiv:1406.1078), with the reset gate applied after the product with U_n.
    """
    a_r, a_z, a_n = np.split(a, 3, axis=-1)
    c_r, c_z, hn = np.split(c, 3, axis=-1)
    gate, candidate = ACTIVATIONS[cell.gate].function, ACTIVATIONS[cell.candidate].function

    r = gate(a_r + c_r) if cell.reset == "after" else np.ones_like(h)
    z = gate(a_z + c_z) if cell.update == "on" else np.zeros_like(h)
    n = candidate(a_n + r * hn)
    h_next = z * h + (1 - z) * n

    return h_next, {"h": h, "reset": r, "update": z, "candidate": n, "hn": hn}


def gru_backward(cell: Cell, dh_next: Array, h_next: Array, trace: Trace) -> tuple[Array, Array, Array]:
    """Walks `gru` backwards, from the gradient of the new state to those of a, c and h.

    A gate that is off is 1 or 0, where the slopes of both sigmoids are 0: nothing has to be said of it.
    """
    h, r, z, n, hn = (trace[name] for name in ("h", "reset", "update", "candidate", "hn"))
    gate, candidate = ACTIVATIONS[cell.gate].slope, ACTIVATIONS[cell.candidate].slope

    dh = dh_next * z
    dz = dh_next * (h - n)
    dn = dh_next * (1 - z)
    da_n = dn * candidate(n)
    dhn = da_n * r
    dr = da_n * hn
    da_z = dz * gate(z)
    da_r = dr * gate(r)

    return np.concatenate([da_r, da_z, da_n], axis=-1), np.concatenate([da_r, da_z, dhn], axis=-1), dh


def rnn(cell: Cell, a: Array, c: Array, h: Array) -> tuple[Array, Trace]:
    """Takes one step of the vanilla recurrent unit, with tanh or a rectifier."""
    h_next = ACTIVATIONS[cell.name.removeprefix("rnn_")].function(a + c)
    return h_next, {"h": h, "preactivation": a + c}


def rnn_backward(cell: Cell, dh_next: Array, h_next: Array, trace: Trace) -> tuple[Array, Array, Array]:
    """Walks `rnn` backwards."""
    da = dh_next * ACTIVATIONS[cell.name.removeprefix("rnn_")].slope(h_next)
    return da, da, np.zeros_like(da)


class Equations(NamedTuple):
    """One step of a recurrent cell, and the same step backward."""

    step: Callable[[Cell, Array, Array, Array], tuple[Array, Trace]]
    backward: Callable[[Cell, Array, Array, Trace], tuple[Array, Array, Array]]


CELLS = {
    "gru": Equations(gru, gru_backward),
    "rnn_tanh": Equations(rnn, rnn_backward),
    "rnn_relu": Equations(rnn, rnn_backward),
}


def forward(
    cell: str | Cell,
    x: npt.ArrayLike,
    w_ih: npt.ArrayLike,
    w_hh: npt.ArrayLike,
    b_ih: npt.ArrayLike | None = None,
    b_hh: npt.ArrayLike | None = None,
    h0: npt.ArrayLike | None = None,
    lengths: npt.ArrayLike | None = None,
    reverse: bool = False,
    **choices: Unpack[Choices],
) -> Forward:
    """Runs one recurrent layer over a batch of sequences in one direction.

    Args:
        cell: "gru", "rnn_tanh" or "rnn_relu".
        x: Input, float [T, B, I].
        w_ih: Input weights, float [G·H, I], gates in the order r, z, n.
        w_hh: State weights, float [G·H, H].
        b_ih: Input bias, float [G·H], or None for 0.
        b_hh: State bias, float [G·H], or None for 0.
        h0: Initial state, float [B, H], or None for 0.
        lengths: Steps of each row, int [B] in 0..T and any order, or None for T everywhere.
        reverse: Walks each row from its own end to its start.
        choices: `reset`, `update`, `candidate` and `gate` of a GRU, see `cells.Cell`.

    Returns:
        Outputs, final state and trace in float64.

    Raises:
        ValueError: The cell is none of the three, or a choice is unknown.
    """
    cell = Cell.of(cell, **choices)
    x, w_ih, w_hh, b_ih, b_hh = _as_float64(x, w_ih, w_hh, b_ih, b_hh)
    h = np.zeros((x.shape[1], w_hh.shape[1])) if h0 is None else np.array(h0, np.float64)
    y = np.zeros((len(x), *h.shape))
    trace: Trace = {}
    for t, rows in _walk(x, lengths, reverse):
        a = x[t, rows] @ w_ih.T + b_ih
        c = h[rows] @ w_hh.T + b_hh
        h[rows], step_trace = CELLS[cell.name].step(cell, a, c, h[rows])
        y[t, rows] = h[rows]
        for name, value in step_trace.items():
            trace.setdefault(name, np.zeros_like(y))[t, rows] = value
    return Forward(y, h, trace)


def backward(
    cell: str | Cell,
    x: npt.ArrayLike,
    w_ih: npt.ArrayLike,
    w_hh: npt.ArrayLike,
    b_ih: npt.ArrayLike | None,
    b_hh: npt.ArrayLike | None,
    h0: npt.ArrayLike | None,
    lengths: npt.ArrayLike | None,
    reverse: bool,
    forward: Forward,
    dy: npt.ArrayLike | None,
    dh_n: npt.ArrayLike | None,
    **choices: Unpack[Choices],
) -> Gradients:
    """Carries the gradients of outputs and final state back to inputs, initial state and parameters.

    Args:
        cell: As in `forward`, and so are x, w_ih, w_hh, b_ih, b_hh, h0, lengths and reverse.
        forward: What `forward` returned for these arguments.
        dy: Gradient of the loss by y, float [T, B, H], not read beyond a row's length; None for 0.
        dh_n: Gradient of the loss by h_n, float [B, H]; None for 0.
        choices: As in `forward`.

    Returns:
        Gradients in float64; dx is 0 beyond a row's length.

    Raises:
        ValueError: The cell is none of the three, or a choice is unknown.
    """
    cell = Cell.of(cell, **choices)
    without_b_ih, without_b_hh = b_ih is None, b_hh is None
    x, w_ih, w_hh, b_ih, b_hh = _as_float64(x, w_ih, w_hh, b_ih, b_hh)
    y, h_n, trace = forward
    dy = np.zeros_like(y) if dy is None else np.asarray(dy, np.float64)
    dh = np.zeros_like(h_n) if dh_n is None else np.array(dh_n, np.float64)
    dx, dw_ih, dw_hh, db_ih, db_hh = (np.zeros_like(array) for array in (x, w_ih, w_hh, b_ih, b_hh))

    for t, rows in reversed(_walk(x, lengths, reverse)):
        step_trace = {name: value[t, rows] for name, value in trace.items()}
        da, dc, dh_beside = CELLS[cell.name].backward(cell, dh[rows] + dy[t, rows], y[t, rows], step_trace)
        dh[rows] = dc @ w_hh + dh_beside
        dx[t, rows] = da @ w_ih
        dw_ih += da.T @ x[t, rows]
        dw_hh += dc.T @ step_trace["h"]
        db_ih += da.sum(axis=0)
        db_hh += dc.sum(axis=0)
    return Gradients(dx, dh, dw_ih, dw_hh, None if without_b_ih else db_ih, None if without_b_hh else db_hh)


def _walk(x: Array, lengths: npt.ArrayLike | None, reverse: bool) -> list[tuple[int, npt.NDArray[np.intp]]]:
    """Lists the time steps in the order of the walk, each with the rows that are long enough to take part.

    In reverse a row joins at its own last step and keeps h0 until then; forward it leaves there and keeps its state.
    """
    T, B = x.shape[:2]
    ends = np.full(B, T) if lengths is None else np.asarray(lengths)
    steps = [(t, np.flatnonzero(t < ends)) for t in range(T)]
    return steps[::-1] if reverse else steps


def _as_float64(
    x: npt.ArrayLike, w_ih: npt.ArrayLike, w_hh: npt.ArrayLike, b_ih: npt.ArrayLike | None, b_hh: npt.ArrayLike | None
) -> tuple[Array, Array, Array, Array, Array]:
    """Converts input and parameters to float64, an absent bias to 0."""
    no_bias = np.zeros(len(np.asarray(w_hh)))
    b_ih = no_bias if b_ih is None else b_ih
    b_hh = no_bias if b_hh is None else b_hh
    x, w_ih, w_hh, b_ih, b_hh = (np.asarray(array, np.float64) for array in (x, w_ih, w_hh, b_ih, b_hh))
    return x, w_ih, w_hh, b_ih, b_hh
