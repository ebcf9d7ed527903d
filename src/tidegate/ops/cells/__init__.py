"""The recurrent cells by name, and what can be chosen of a GRU.

>>> Cell.of("gru", reset="off", candidate="relu")
Cell(name='gru', reset='off', update='on', candidate='relu', gate='sigmoid')
>>> str(Cell.of("gru", reset="off", candidate="relu"))
'gru reset=off candidate=relu'

Every function that takes the name of a cell takes the choices beside it as keywords, and hands them on as one `Cell`.
"""

from typing import Any, Literal, NamedTuple, TypedDict, Unpack, get_args

from tidegate.ops.checks import check_choice

GATES = {"gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
"""Number of gates G of each cell."""

Reset = Literal["after", "off"]
Update = Literal["on", "off"]
Candidate = Literal["tanh", "relu", "identity"]
GateActivation = Literal["sigmoid", "hard_sigmoid"]

CHOICES: dict[str, tuple[str, ...]] = {
    "reset": get_args(Reset),
    "update": get_args(Update),
    "candidate": get_args(Candidate),
    "gate": get_args(GateActivation),
}
"""What can be chosen of a GRU; the first of each is that of the standard one."""


class Choices(TypedDict, total=False):
    """The keywords by which a GRU that is not the standard one is asked for, see `Cell`."""

    reset: str
    update: str
    candidate: str
    gate: str


class Cell(NamedTuple):
    """A recurrent cell. Its parameters have the same names and shapes whatever is chosen.

    Attributes:
        name: "gru", "rnn_tanh" or "rnn_relu"; the others are choices that only a GRU has.
        reset: Where the reset gate is applied: "after" the product with U_n, or "off": r = 1.
        update: "on", or "off": z = 0.
        candidate: The activation of the candidate: "tanh", "relu" or "identity".
        gate: The activation of the gates: "sigmoid", or "hard_sigmoid": a/6 + 1/2, cut off at 0 and 1.
    """

    name: str
    reset: str = "after"
    update: str = "on"
    candidate: str = "tanh"
    gate: str = "sigmoid"

    @classmethod
    def of(cls, cell: "str | Cell", **choices: Unpack[Choices]) -> "Cell":
        """Returns the cell of a name, with what is chosen of it.

        Args:
            cell: A name, what `str` makes of a cell, or a cell.
            choices: The other attributes; those left out are the cell's own.

        Raises:
            TypeError: Something is chosen that there is not.
            ValueError: The name or a choice is unknown, or something is chosen of a cell that is no GRU.
        """
        if not choices and isinstance(cell, str) and cell in _PLAIN:
            return _PLAIN[cell]
        found = cell if isinstance(cell, Cell) else _parsed(cell)
        check_choice("cell", found.name, tuple(GATES))
        for check in (found.choices, choices):
            check_choices(found.name, check)
        return found._replace(**choices)

    def __str__(self) -> str:
        return " ".join([self.name, *[f"{name}={value}" for name, value in self.chosen.items()]])

    @property
    def choices(self) -> Choices:
        """What is chosen, as keywords."""
        return {"reset": self.reset, "update": self.update, "candidate": self.candidate, "gate": self.gate}

    @property
    def chosen(self) -> dict[str, str]:
        """What is chosen that the standard cell has not."""
        return {name: str(value) for name, value in self.choices.items() if value != CHOICES[name][0]}

    @property
    def gates(self) -> int:
        """G, the number of gates."""
        return GATES[self.name]

    @property
    def gated(self) -> bool:
        """Whether it is a GRU, whose backward pass needs what the forward pass has kept of its gates."""
        return self.name == "gru"

    @property
    def kept(self) -> tuple[str, ...]:
        """What a trace holds of each step, in this order."""
        return ("reset", "update", "candidate", "hn") if self.gated else ("preactivation",)


_PLAIN = {name: Cell(name) for name in GATES}


def _parsed(text: Any) -> Cell:
    """Reads what `str` makes of a cell."""
    name, *rest = text.split(" ") if isinstance(text, str) else [""]
    choices = dict(part.split("=", 1) for part in rest if "=" in part)
    if name not in _PLAIN or len(choices) < len(rest) or not choices.keys() <= CHOICES.keys():
        check_choice("cell", text, tuple(GATES))
    return _PLAIN[name]._replace(**choices)


def check_choices(cell: str, choices: Choices) -> None:
    """Checks what is chosen of a cell.

    Raises:
        TypeError: Something is chosen that there is not.
        ValueError: A choice is unknown, or the cell is no GRU and has none.
    """
    for name, value in choices.items():
        if name not in CHOICES:
            raise TypeError(f"there is no option {name!r}, expected one of {', '.join(CHOICES)}")
        check_choice(name, value, CHOICES[name])
        if cell != "gru" and value != CHOICES[name][0]:
            raise ValueError(f"{name} is {value!r} for the cell {cell!r}, expected it for a 'gru' alone")
