"""The vanilla recurrent unit of Elman 1990, with tanh or a rectifier."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from tidegate.ops.cells.activations import ACTIVATIONS
from tidegate.ops.cells.cell import Array, Back, Cell, Functions, Note, Recur, Values


@dataclass(frozen=True)
class RNN(Cell):
    """The vanilla recurrent unit: h′ = φ(W x + b_ih + U h + b_hh)."""

    activation: ClassVar[str]

    blocks = ("preactivation",)
    trace = blocks
    symbols = {"preactivation": "a", "hidden": "h"}  # noqa: RUF012 - a declaration
    needs_trace = False

    def step(
        self, a: Sequence[Any], recur: Recur, states: Sequence[Any], functions: Functions, note: Note
    ) -> tuple[Any, ...]:
        """Takes one step."""
        (h,), (own,) = states, a
        (recurrent,) = recur(h)
        return (functions[self.activation](note("preactivation", own + recurrent)),)

    def backward(
        self, dstates: Sequence[Array], before: Sequence[Array], after: Sequence[Array], trace: Values, back: Back
    ) -> tuple[list[Array], list[Array]]:
        """Walks `step` backwards."""
        (dh_next,), (h,), (h_next,) = dstates, before, after
        da = [dh_next * ACTIVATIONS[self.activation].slope(h_next)]
        return da, [back(da, h)]


@dataclass(frozen=True)
class TanhRNN(RNN):
    """The vanilla recurrent unit with tanh."""

    name = "rnn_tanh"
    title = "vanilla RNN (tanh)"
    activation = "tanh"
    learning_rate = 1e-3


@dataclass(frozen=True)
class ReluRNN(RNN):
    """The vanilla recurrent unit with a rectifier."""

    name = "rnn_relu"
    title = "vanilla RNN (relu)"
    activation = "relu"
    learning_rate = 1e-3
