"""The cells of ONNX with all that its operators can be told: activations, clip, peepholes, coupled gates.

Where an operator is what the kernels compute, `Settings.cell` is a cell of theirs; elsewhere it is one of this file,
which `ops.reference` runs in plain numpy.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.ops.cells import Cell
from tidegate.ops.cells.activations import sigmoid
from tidegate.ops.cells.cell import Functions, Note, Recur
from tidegate.ops.onnx import ACTIVATIONS, FORMS

Array = npt.NDArray[np.floating[Any]]

DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
"""Whether each direction of an operator walks from the end."""


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


OPERATORS = {"RNN": "f", "GRU": "fg", "LSTM": "fgh"}
"""The operators with the letters of their activations."""

_STANDARD = {"RNN": ("Tanh",), "GRU": ("Sigmoid", "Tanh"), "LSTM": ("Sigmoid", "Tanh", "Tanh")}


@dataclass(frozen=True)
class Settings:
    """What an operator is told by its attributes.

    Example:
        >>> settings = Settings.of("GRU", {"activations": ["Sigmoid", "Relu"], "linear_before_reset": 1})
        >>> str(settings.cell(0))
        'gru candidate=relu'

    Attributes:
        operator: "RNN", "GRU" or "LSTM".
        reverse: For each of D directions, whether it walks from the end.
        activations: Those of each direction.
        layout: 1 where the batch is the first axis, else 0.
        linear_before_reset: Of a GRU, whether the reset gate multiplies what U_n has made of the state.
        input_forget: Of an LSTM, whether the forget gate is 1 − the input gate.
    """

    operator: str
    reverse: tuple[bool, ...]
    activations: tuple[tuple[Activation, ...], ...]
    layout: int = 0
    linear_before_reset: bool = False
    input_forget: bool = False

    @classmethod
    def of(cls, operator: str, attributes: dict[str, Any]) -> "Settings":
        """Reads the attributes of a node, by name; those that are None or left out are the standard ones.

        Raises:
            ValueError: A direction or an activation is unknown, or there are too many or too few of them.
        """
        given = {name: value for name, value in attributes.items() if value is not None}
        direction = given.get("direction", "forward")
        if direction not in DIRECTIONS:
            raise ValueError(f"direction is {direction!r:.60}, expected one of {', '.join(DIRECTIONS)}")
        reverse, clip = DIRECTIONS[direction], given.get("clip")
        standard = _STANDARD[operator]
        names = [str(name) for name in given.get("activations", ())] or [*standard] * len(reverse)
        if len(names) not in {len(standard) * len(reverse), len(standard) * 2}:  # an RNN's standard ones are always two
            raise ValueError(f"activations are {len(names)}, expected {len(standard)} for each of {len(reverse)} ways")
        if clip is not None and not clip >= 0:
            raise ValueError(f"clip is {clip}, expected 0 or more")
        found = [*_activations(names, given, clip)]
        return cls(
            operator,
            reverse,
            tuple(tuple(found[d * len(standard) : (d + 1) * len(standard)]) for d in range(len(reverse))),
            int(given.get("layout", 0)),
            bool(given.get("linear_before_reset", 0)),
            bool(given.get("input_forget", 0)),
        )

    def cell(self, direction: int, peepholes: Array | None = None) -> Cell:
        """Returns the cell of one direction: one of the kernels' where they have it.

        Args:
            direction: Its number.
            peepholes: Of an LSTM, [3·H] in the order of input, output and forget gate; None for 0.
        """
        seen = peepholes is not None and peepholes.any()
        own = None if seen or self.input_forget else self._kernels_cell(direction)
        if own is not None:
            return own
        given = self.activations[direction]
        if self.operator == "RNN":
            return AnyRNN(*given)
        if self.operator == "GRU":
            f, g = given
            return AnyGRU(f, g, self.linear_before_reset)
        weights = None if peepholes is None else tuple(map(tuple, np.split(peepholes.astype(np.float64), 3)))
        f, g, h = given
        return AnyLSTM(f, g, h, weights, self.input_forget)

    def _kernels_cell(self, direction: int) -> Cell | None:
        """Returns the kernels' cell whose activations are these, and whose reset gate stands where it does here."""
        wanted = [activation.own_name for activation in self.activations[direction]]
        for kind, form in FORMS.items():
            if form.operator != self.operator:
                continue
            for cell in _variants(kind):
                before = getattr(cell, "reset", "before") == "before"
                same = [getattr(cell, word, word) for word in form.activations] == wanted
                if same and (self.operator != "GRU" or before != self.linear_before_reset):
                    return cell
        return None


def _variants(kind: type[Cell]) -> Iterator[Cell]:
    """Lists the choices of a cell, without those that hold a gate."""
    words = [[word for word in words if word != "off"] for words in kind.choices.values()]
    for chosen in product(*words):
        yield kind(**dict(zip(kind.choices, chosen, strict=True)))


def _activations(names: Sequence[str], given: dict[str, Any], clip: float | None) -> Iterator[Activation]:
    """Gives each activation its numbers: α and β go in order to those that take one."""
    alphas, betas = iter(given.get("activation_alpha", ())), iter(given.get("activation_beta", ()))
    known = {name.lower(): name for name in FUNCTIONS}
    for name in names:
        if name.lower() not in known:
            raise ValueError(f"activations have {name!r:.60}, expected one of {', '.join(FUNCTIONS)}")
        _, alpha, beta = FUNCTIONS[known[name.lower()]]
        alpha = None if alpha is None else float(next(alphas, alpha))
        beta = None if beta is None else float(next(betas, beta))
        yield Activation(known[name.lower()], alpha, beta, clip)
