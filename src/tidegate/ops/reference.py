"""The plain numpy specification of one recurrent layer in float64, forward and backward.

It defines what the native kernels compute and is written to be read: each cell takes one step and walks it backwards
(`tidegate.ops.cells`), and one loop over time serves every cell, both directions and ragged batches.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.ops.cells import Cell
from tidegate.ops.cells.activations import FUNCTIONS

Array = npt.NDArray[np.float64]
Trace = dict[str, Array]


class Forward(NamedTuple):
    """What a forward pass returns.

    Attributes:
        y: Outputs, the first state after each step, float64 [T, B, H], 0 beyond a row's length.
        h_n: States of each row at its own end, float64 [B, H], or [S, B, H] for a cell of several; h0 for rows of
            length 0.
        trace: What backward needs of each step, float64 [T, B, H] each, 0 beyond a row's length: what the cell keeps in
            a trace, its states after the step by their names, and those before it as `hidden_before` and so on.
    """

    y: Array
    h_n: Array
    trace: Trace


class Gradients(NamedTuple):
    """Gradients of the loss by inputs, initial states and weights, float64; those of absent biases are None."""

    dx: Array
    dh0: Array
    dw_ih: Array
    dw_hh: Array
    db_ih: Array | None
    db_hh: Array | None


class Layer:
    """One recurrent layer in one direction, in float64.

    Example:
        >>> layer = Layer("gru", np.full((3, 2), 0.5), np.full((3, 1), 0.1))
        >>> layer.forward(np.ones((4, 1, 2))).h_n.round(3)
        array([[0.545]])
    """

    def __init__(
        self,
        cell: str | Cell,
        w_ih: npt.ArrayLike,
        w_hh: npt.ArrayLike,
        b_ih: npt.ArrayLike | None = None,
        b_hh: npt.ArrayLike | None = None,
        **choices: str,
    ) -> None:
        """Takes the weights of a layer.

        Args:
            cell: The cell, by its name or its text.
            w_ih: Input weights, float [G·H, I], blocks in the order of `Cell.blocks`.
            w_hh: State weights, float [G·H, H].
            b_ih: Input bias, float [G·H], or None for 0.
            b_hh: State bias, float [G·H], or None for 0.
            choices: What is chosen of the cell, see `Cell.choices`.

        Raises:
            TypeError: Something is chosen that no cell has.
            ValueError: The cell or a choice is unknown.
        """
        self.cell = Cell.of(cell, **choices)
        self.w_ih, self.w_hh = np.asarray(w_ih, np.float64), np.asarray(w_hh, np.float64)
        self.has_biases = b_ih is not None, b_hh is not None
        self.b_ih, self.b_hh = (
            np.zeros(len(self.w_hh)) if b is None else np.asarray(b, np.float64) for b in (b_ih, b_hh)
        )

    def forward(
        self,
        x: npt.ArrayLike,
        h0: npt.ArrayLike | None = None,
        lengths: npt.ArrayLike | None = None,
        reverse: bool = False,
    ) -> Forward:
        """Runs the layer over a batch of sequences.

        Args:
            x: Input, float [T, B, I].
            h0: Initial states, float [B, H], or [S, B, H] for a cell of several; None for 0.
            lengths: Steps of each row, int [B] in 0..T and any order, or None for T everywhere.
            reverse: Walks each row from its own end to its start.

        Returns:
            Outputs, final states and trace in float64.
        """
        x, cell, H = np.asarray(x, np.float64), self.cell, self.w_hh.shape[1]
        B = x.shape[1]
        states = np.zeros((cell.S, B, H)) if h0 is None else np.array(h0, np.float64).reshape(cell.S, B, H)
        trace: Trace = {}

        def keep(name: str, value: Array) -> Array:
            trace.setdefault(name, np.zeros((len(x), B, H)))[t, rows] = value
            return value

        def recur(v: Array) -> list[Array]:
            return np.split(v @ self.w_hh.T + self.b_hh, cell.G, axis=-1)

        for t, rows in _walk(x, lengths, reverse):
            before = [keep(f"{name}_before", state[rows]) for name, state in zip(cell.states, states, strict=True)]
            a = np.split(x[t, rows] @ self.w_ih.T + self.b_ih, cell.G, axis=-1)
            after = cell.step(a, recur, before, FUNCTIONS, keep)
            for name, state, new in zip(cell.states, states, after, strict=True):
                state[rows] = keep(name, new)
        y = trace.get(self.cell.states[0], np.zeros((len(x), B, H)))
        return Forward(y, states[0] if cell.S == 1 else states, trace)

    def backward(
        self,
        x: npt.ArrayLike,
        out: Forward,
        dy: npt.ArrayLike | None = None,
        dh_n: npt.ArrayLike | None = None,
        lengths: npt.ArrayLike | None = None,
        reverse: bool = False,
    ) -> Gradients:
        """Carries the gradients of outputs and final states back to inputs, initial states and parameters.

        Args:
            x: As in `forward`, and so are lengths and reverse.
            out: What `forward` returned.
            dy: Gradient of the loss by y, float [T, B, H], not read beyond a row's length; None for 0.
            dh_n: Gradient of the loss by h_n, in its shape; None for 0.

        Returns:
            Gradients in float64; dx is 0 beyond a row's length.
        """
        x, cell, (y, h_n, trace) = np.asarray(x, np.float64), self.cell, out
        dy = np.zeros_like(y) if dy is None else np.asarray(dy, np.float64)
        dstates = np.zeros_like(h_n) if dh_n is None else np.array(dh_n, np.float64)
        dh = dstates.reshape(cell.S, *y.shape[1:])
        arrays = (x, self.w_ih, self.w_hh, self.b_ih, self.b_hh)
        dx, dw_ih, dw_hh, db_ih, db_hh = (np.zeros_like(array) for array in arrays)

        def back(dc: Sequence[Array | None], v: Array) -> Array:
            dc_all = np.concatenate([np.zeros_like(v) if part is None else part for part in dc], axis=-1)
            dw_hh[...] += dc_all.T @ v
            db_hh[...] += dc_all.sum(axis=0)
            dv: Array = dc_all @ self.w_hh
            return dv

        for t, rows in reversed(_walk(x, lengths, reverse)):
            kept = {name: value[t, rows] for name, value in trace.items()}
            before = [kept[f"{name}_before"] for name in cell.states]
            later = [dh[0, rows] + dy[t, rows], *dh[1:, rows]]
            parts, dh[:, rows] = cell.backward(later, before, [kept[name] for name in cell.states], kept, back)
            da = np.concatenate(parts, axis=-1)
            dx[t, rows] = da @ self.w_ih
            dw_ih += da.T @ x[t, rows]
            db_ih += da.sum(axis=0)
        biases = [bias if has else None for bias, has in zip((db_ih, db_hh), self.has_biases, strict=True)]
        return Gradients(dx, dstates, dw_ih, dw_hh, *biases)


def _walk(x: Array, lengths: npt.ArrayLike | None, reverse: bool) -> list[tuple[int, npt.NDArray[np.intp]]]:
    """Lists the time steps in the order of the walk, each with the rows that are long enough to take part.

    In reverse a row joins at its own last step and keeps h0 until then; forward it leaves there and keeps its state.
    """
    T, B = x.shape[:2]
    ends = np.full(B, T) if lengths is None else np.asarray(lengths)
    steps = [(t, np.flatnonzero(t < ends)) for t in range(T)]
    return steps[::-1] if reverse else steps
