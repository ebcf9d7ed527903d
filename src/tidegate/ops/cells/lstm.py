"""The long short-term memory of Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tidegate.ops.cells.activations import ACTIVATIONS
from tidegate.ops.cells.cell import Array, Back, Cell, Functions, Note, Recur, Values


@dataclass(frozen=True)
class LSTM(Cell):
    """The long short-term memory.

    i = σ(W_i x + b_ii + U_i h + b_hi)        how much is written
    f = σ(W_f x + b_if + U_f h + b_hf)        how much of the old cell state is kept
    g = tanh(W_g x + b_ig + U_g h + b_hg)     what is written
    o = σ(W_o x + b_io + U_o h + b_ho)        how much of the cell state is shown
    c′ = f ∘ c + i ∘ g
    h′ = o ∘ tanh(c′)
    """

    name = "lstm"
    title = "LSTM"
    blocks = ("input", "forget", "candidate", "output")
    states = ("hidden", "cell_state")
    trace = blocks
    symbols = {  # noqa: RUF012 - a declaration
        "input": "i",
        "forget": "f",
        "candidate": "g",
        "output": "o",
        "cell_state": "c",
        "hidden": "h",
    }
    gates = ("input", "forget", "output")
    keeps, writes, shows = "forget", "input", "output"

    def step(
        self, a: Sequence[Any], recur: Recur, states: Sequence[Any], functions: Functions, note: Note
    ) -> tuple[Any, ...]:
        """Takes one step."""
        h, c = states
        sums = [own + recurrent for own, recurrent in zip(a, recur(h), strict=True)]
        i, f, g, o = (
            note(name, functions["tanh" if name == "candidate" else "sigmoid"](value))
            for name, value in zip(self.blocks, sums, strict=True)
        )
        c = f * c + i * g
        return o * functions["tanh"](c), c

    def backward(
        self, dstates: Sequence[Array], before: Sequence[Array], after: Sequence[Array], trace: Values, back: Back
    ) -> tuple[list[Array], list[Array]]:
        """Walks `step` backwards."""
        (dh_next, dc_next), (h, c), (_, c_next) = dstates, before, after
        i, f, g, o = (trace[name] for name in self.blocks)
        sigmoid, tanh = ACTIVATIONS["sigmoid"].slope, ACTIVATIONS["tanh"].slope
        shown = np.tanh(c_next)

        dc = dc_next + dh_next * o * tanh(shown)
        da = [dc * g * sigmoid(i), dc * c * sigmoid(f), dc * i * tanh(g), dh_next * shown * sigmoid(o)]
        return da, [back(da, h), dc * f]

    def deposits(self, values: Values) -> Array:
        """Returns what steps write into the cell state, i ∘ g."""
        i, g = (np.asarray(values[name], np.float64) for name in ("input", "candidate"))
        return i * g

    def exposed(self, values: Values) -> Array:
        """Returns o ∘ tanh(c)/c, by which the output shows the cell state; tanh(c)/c is 1 where c is 0."""
        c, o = (np.asarray(values[name], np.float64) for name in ("cell_state", "output"))
        shown: Array = o * np.divide(np.tanh(c), c, out=np.ones_like(c), where=c != 0)
        return shown

    def gated(self, gate: str, values: Values, before: Values) -> Array:
        """Returns the candidate, the old cell state, or tanh of the new one."""
        multiplied = {"input": values["candidate"], "forget": before["cell_state"]}
        return np.asarray(multiplied.get(gate, np.tanh(values["cell_state"])), np.float64)
