"""What a recurrent operator of ONNX is told by its attributes, and the cell that this makes of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.convert.onnx.cells import FUNCTIONS, Activation, AnyGRU, AnyLSTM, AnyRNN
from tidegate.ops.cells import Cell
from tidegate.ops.onnx import FORMS

Array = npt.NDArray[np.floating[Any]]

DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
"""Whether each direction of an operator walks from the end."""

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
            ValueError: A direction or an activation is unknown, or there are too many or too few of them, or an
                attribute is of another kind.
        """
        given = {name: value for name, value in attributes.items() if value is not None}
        _check_kinds(given)
        direction = given.get("direction", "forward")
        if not isinstance(direction, str) or direction not in DIRECTIONS:
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
            int(given.get("layout", 0) == 1),
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


_NUMBERS = ("clip", "layout", "linear_before_reset", "input_forget")
_LISTS: dict[str, type] = {"activations": str, "activation_alpha": Real, "activation_beta": Real}


def _check_kinds(given: Mapping[str, Any]) -> None:
    """Checks that attributes are numbers or lists, as the operators have them.

    Raises:
        ValueError: One is something else.
    """
    for name in _NUMBERS:
        if not isinstance(given.get(name, 0), Real):
            raise ValueError(f"{name} is {given[name]!r:.60}, expected a number")  # noqa: TRY004 - of a file, not of a call
    for name, kind in _LISTS.items():
        some = given.get(name, ())
        if not isinstance(some, list | tuple | np.ndarray) or not all(isinstance(value, kind) for value in some):
            raise ValueError(f"{name} is {some!r:.60}, expected a list of {'names' if kind is str else 'numbers'}")


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
