"""The cells of ONNX with all that its operators can be told: activations, clip, peepholes, coupled gates.

`ops.reference` runs them in plain numpy, where `Settings.cell` finds none of the kernels' that is the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.ops.cells import Cell
from tidegate.ops.cells.activations import sigmoid
from tidegate.ops.cells.cell import Functions, Note, Recur
from tidegate.ops.onnx import ACTIVATIONS

Array = npt.NDArray[np.floating[Any]]


class Scaled(NamedTuple):
    """A function of ONNX with two numbers; the standard ones are None where it takes none."""

    function: Callable[[Array, float, float], Any]
    alpha: float | None = None
    beta: float | None = None


# Standard numbers are those of the operators of the same names, as the specification asks; ScaledTanh has none.
FUNCTIONS: dict[str, Scaled] = {
    "Affine": Scaled(lambda a, alpha, beta: alpha * a + beta, 1.0, 0.0),
    "Elu": Scaled(lambda a, alpha, _: np.where(a >= 0, a, alpha * np.expm1(np.minimum(a, 0))), 1.0),
    "HardSigmoid": Scaled(lambda a, alpha, beta: np.clip(alpha * a + beta, 0, 1), 0.2, 0.5),
    "LeakyRelu": Scaled(lambda a, alpha, _: np.where(a >= 0, a, alpha * a), 0.01),
    "Relu": Scaled(lambda a, *_: np.maximum(a, 0)),
    "ScaledTanh": Scaled(lambda a, alpha, beta: alpha * np.tanh(beta * a), 1.0, 1.0),
    "Sigmoid": Scaled(lambda a, *_: sigmoid(a)),
    "Softplus": Scaled(lambda a, *_: np.logaddexp(a, 0)),
    "Softsign": Scaled(lambda a, *_: a / (1 + np.abs(a))),
    "Tanh": Scaled(lambda a, *_: np.tanh(a)),
    "ThresholdedRelu": Scaled(lambda a, alpha, _: np.where(a > alpha, a, 0), 1.0),
}
"""The functions that an operator may name."""


@dataclass(frozen=True)
class Activation:
    """A function of ONNX with its numbers, and what is cut off before it.

    Attributes:
        name: Its name in `FUNCTIONS`.
        alpha: Its α, where it takes one.
        beta: Its β, where it takes one.
        clip: The largest absolute value that it is given; None for no limit.
    """

    name: str
    alpha: float | None = None
    beta: float | None = None
    clip: float | None = None

    def __call__(self, a: Array) -> Any:
        """Computes it, element by element."""
        a = a if self.clip is None else np.clip(a, -self.clip, self.clip)
        return FUNCTIONS[self.name].function(a, self.alpha or 0.0, self.beta or 0.0)

    @property
    def own_name(self) -> str | None:
        """What this library calls it; None if the kernels have no such function."""
        for own, (name, numbers) in ACTIVATIONS.items():
            given = tuple(number for number in (self.alpha, self.beta) if number is not None)
            if self.clip is None and self.name == name and np.allclose(given, numbers, rtol=1e-6, atol=0):
                return own
        return None


@dataclass(frozen=True)
class AnyRNN(Cell):
    """The operator RNN with any activation."""

    f: Activation

    title = "RNN of ONNX"
    blocks = ("preactivation",)
    trace = blocks

    def step(
        self, a: Sequence[Any], recur: Recur, states: Sequence[Any], functions: Functions, note: Note
    ) -> tuple[Any, ...]:
        """Takes one step."""
        (own,), (recurrent,) = a, recur(states[0])
        return (self.f(own + recurrent),)


@dataclass(frozen=True)
class AnyGRU(Cell):
    """The operator GRU with any activations: f of the gates, g of the candidate."""

    f: Activation
    g: Activation
    linear_before_reset: bool

    title = "GRU of ONNX"
    blocks = ("reset", "update", "candidate")
    trace = blocks

    def step(
        self, a: Sequence[Any], recur: Recur, states: Sequence[Any], functions: Functions, note: Note
    ) -> tuple[Any, ...]:
        """Takes one step."""
        (h,), (a_r, a_z, a_n), (c_r, c_z, c_n) = states, a, recur(states[0])
        r, z = self.f(a_r + c_r), self.f(a_z + c_z)
        n = self.g(a_n + (r * c_n if self.linear_before_reset else recur(r * h)[2]))
        return (z * h + (1 - z) * n,)


@dataclass(frozen=True)
class AnyLSTM(Cell):
    """The operator LSTM with any activations, f of the gates, g of the candidate and h of the cell state.

    ONNX Runtime clips what goes into f and g, and not the cell state before h; so it is here.

    Attributes:
        peepholes: The weights [H] by which the input, output and forget gates see the cell state; None without.
        input_forget: Whether the forget gate is 1 − the input gate.
    """

    f: Activation
    g: Activation
    h: Activation
    peepholes: tuple[tuple[float, ...], ...] | None
    input_forget: bool

    title = "LSTM of ONNX"
    blocks = ("input", "forget", "candidate", "output")
    states = ("hidden", "cell_state")
    trace = blocks

    def step(
        self, a: Sequence[Any], recur: Recur, states: Sequence[Any], functions: Functions, note: Note
    ) -> tuple[Any, ...]:
        """Takes one step."""
        hidden, c = states
        a_i, a_f, a_g, a_o = (own + recurrent for own, recurrent in zip(a, recur(hidden), strict=True))
        p_i, p_o, p_f = (0.0, 0.0, 0.0) if self.peepholes is None else map(np.array, self.peepholes)
        i = self.f(a_i + p_i * c)
        f = 1 - i if self.input_forget else self.f(a_f + p_f * c)
        c = f * c + i * self.g(a_g)
        return self.f(a_o + p_o * c) * replace(self.h, clip=None)(c), c
