"""The gated recurrent unit of Cho et al. 2014 (arXiv:1406.1078), and what may be chosen of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from tidegate.ops.cells.activations import ACTIVATIONS
from tidegate.ops.cells.cell import Array, Back, Cell, Functions, Note, Recur, Values

Reset = Literal["after", "before", "off"]
Update = Literal["on", "off"]
Candidate = Literal["tanh", "relu", "identity"]
GateActivation = Literal["sigmoid", "hard_sigmoid"]


@dataclass(frozen=True)
class GRU(Cell):
    """The gated recurrent unit.

        r = σ(W_r x + b_ir + U_r h + b_hr)              how much of the old state is read
        z = σ(W_z x + b_iz + U_z h + b_hz)              how much of the old state is kept
        n = tanh(W_n x + b_in + r ∘ (U_n h + b_hn))     what is written, reset="after" the product: torch, cuDNN, Keras
        n = tanh(W_n x + b_in + U_n (r ∘ h) + b_hn)     reset="before": Cho et al., Keras' reset_after=False, RNNoise
        h′ = z ∘ h + (1 − z) ∘ n

    Attributes:
        reset: Where the reset gate is applied: "after" the product with U_n, "before" it, or "off": r = 1.
        update: "on", or "off": z = 0.
        candidate: The activation of the candidate: "tanh", "relu" or "identity".
        gate: The activation of the gates: "sigmoid", or "hard_sigmoid": a/6 + 1/2, cut off at 0 and 1.
    """

    reset: str = "after"
    update: str = "on"
    candidate: str = "tanh"
    gate: str = "sigmoid"

    name = "gru"
    title = "GRU"
    blocks = ("reset", "update", "candidate")
    symbols = {"reset": "r", "update": "z", "candidate": "n", "hidden": "h"}  # noqa: RUF012 - a declaration
    gates = ("reset", "update")
    keeps, reads = "update", "reset"
    choices = {  # noqa: RUF012 - likewise
        "reset": get_args(Reset),
        "update": get_args(Update),
        "candidate": get_args(Candidate),
        "gate": get_args(GateActivation),
    }

    @property
    def trace(self) -> tuple[str, ...]:  # type: ignore[override]
        """What a trace keeps: r, z, n, and U_n h + b_hn or r ∘ h."""
        return (*self.blocks, "reset_hidden" if self.reset == "before" else "hn")

    def step(
        self, a: Sequence[Any], recur: Recur, states: Sequence[Any], functions: Functions, note: Note
    ) -> tuple[Any, ...]:
        """Takes one step."""
        (h,) = states
        a_r, a_z, a_n = a
        c_r, c_z, c_n = recur(h)
        gate, candidate = functions[self.gate], functions[self.candidate]

        r = note("reset", functions["ones_like"](h) if self.reset == "off" else gate(a_r + c_r))
        z = note("update", functions["zeros_like"](h) if self.update == "off" else gate(a_z + c_z))
        if self.reset == "before":
            _, _, from_past = recur(note("reset_hidden", r * h))
        else:
            from_past = r * note("hn", c_n)
        n = note("candidate", candidate(a_n + from_past))
        return (z * h + (1 - z) * n,)

    def backward(
        self, dstates: Sequence[Array], before: Sequence[Array], after: Sequence[Array], trace: Values, back: Back
    ) -> tuple[list[Array], list[Array]]:
        """Walks `step` backwards. A gate that is off is 1 or 0, where the slopes of both sigmoids are 0."""
        (dh_next,), (h,) = dstates, before
        r, z, n = (trace[name] for name in self.blocks)
        gate, candidate = ACTIVATIONS[self.gate].slope, ACTIVATIONS[self.candidate].slope

        da_z = dh_next * (h - n) * gate(z)
        da_n = dh_next * (1 - z) * candidate(n)
        if self.reset == "before":
            dreset_hidden = back([None, None, da_n], trace["reset_hidden"])
            da_r = dreset_hidden * h * gate(r)
            dh = dh_next * z + dreset_hidden * r + back([da_r, da_z, None], h)
        else:
            da_r = da_n * trace["hn"] * gate(r)
            dh = dh_next * z + back([da_r, da_z, da_n * r], h)
        return [da_r, da_z, da_n], [dh]

    def deposits(self, values: Values) -> Array:
        """Returns what steps write, (1 − z) ∘ n."""
        return (1 - self.kept(values)) * np.asarray(values["candidate"], np.float64)

    def gated(self, gate: str, values: Values, before: Values) -> Array:
        """Returns the old state, or the part of the candidate that reads it, where there is a past to be read."""
        h = np.asarray(before["hidden"], np.float64)
        if gate == "update" or self.reset == "before":
            return h
        return np.asarray(values["hn"], np.float64) * h.any(axis=-1, keepdims=True)
