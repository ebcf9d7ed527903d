"""What a recurrent cell declares: everything that the rest of the library asks of it.

A cell is a class in a file of its own in this folder. Defining it makes its name known; nothing outside asks for names.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tidegate.ops.checks import check_choice

Array = npt.NDArray[np.float64]
Values = Mapping[str, Any]
"""What a trace keeps of steps, by name."""

Recur = Callable[[Any], Sequence[Any]]
"""`recur(v)` is U v + b_hh, in its G parts [B, H]."""

Note = Callable[[str, Any], Any]
"""`note(name, value)` keeps a value of a step in the trace and returns it, or what shall take its place."""

Back = Callable[[Sequence[Any], Any], Any]
"""`back(dc, v)` carries gradients by the G parts of `recur(v)` back to v; a part that is None has not been used."""

Functions = Mapping[str, Callable[[Any], Any]]
"""Activations by name, and `ones_like`, `zeros_like`, of numpy or of torch."""


@dataclass(frozen=True)
class Cell:
    """A recurrent cell, with what was chosen of it: the fields of the subclass.

    Its parameters have the same names and shapes whatever is chosen. `str` gives the text of a cell, such as "gru" or
    "gru reset=off candidate=relu", and `Cell.of` reads it.

    Example:
        >>> from tidegate.ops.cells import Cell
        >>> cell = Cell.of("gru", reset="off", candidate="relu")
        >>> cell
        GRU(reset='off', update='on', candidate='relu', gate='sigmoid')
        >>> cell.G, cell.S, cell.trace
        (3, 1, ('reset', 'update', 'candidate', 'hn'))

    Attributes:
        name: What files, the command line and the kernels call it.
        title: What readers call it.
        blocks: The G blocks of rows of its weights, in torch's order.
        states: Its S states; the first one is the output.
        trace: What a trace keeps of each step beside the states, by name; the kernels write it in this order.
        symbols: The letters of states and traced values in equations.
        gates: Those of the traced values that lie in 0..1 and say how much flows.
        keeps: The gate that is the share of the old memory which a step keeps; None for a cell that writes its state
            anew at every step.
        reads: The gate that is the share of the old output which the candidate reads; None where it reads all.
        writes: The gate that is the share of the candidate which is written; None where that follows from `keeps`.
        shows: The gate that is the share of the memory which the output shows; None where the output is the memory.
        choices: What can be chosen: for each field its words, the standard one first. The kernels know a word by its
            place in this list.
        needs_trace: Whether the backward pass reads what a trace keeps.
        learning_rate: Of AdamW, for a first try.
        G: The number of blocks.
        S: The number of states.
    """

    name: ClassVar[str] = ""
    title: ClassVar[str]
    blocks: ClassVar[tuple[str, ...]]
    G: ClassVar[int]  # with S counted once for each class, where torch's compiler can read them
    states: ClassVar[tuple[str, ...]] = ("hidden",)
    S: ClassVar[int]
    trace: ClassVar[tuple[str, ...]]
    symbols: ClassVar[Mapping[str, str]]
    gates: ClassVar[tuple[str, ...]] = ()
    keeps: ClassVar[str | None] = None
    reads: ClassVar[str | None] = None
    writes: ClassVar[str | None] = None
    shows: ClassVar[str | None] = None
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    needs_trace: ClassVar[bool] = True
    learning_rate: ClassVar[float] = 2e-3

    def __init_subclass__(cls) -> None:
        """Counts blocks and states, and makes a cell known by its name."""
        cls.G, cls.S = len(getattr(cls, "blocks", ())), len(cls.states)
        if cls.name:
            CELLS[cls.name] = cls

    def __post_init__(self) -> None:
        """Checks what was chosen.

        Raises:
            ValueError: A word is unknown.
        """
        for name, words in self.choices.items():
            check_choice(name, getattr(self, name), words)

    @staticmethod
    def of(cell: "str | Cell", **choices: str) -> "Cell":
        """Returns the cell of a name, with what is chosen of it.

        Args:
            cell: A name, the text of a cell, or a cell.
            choices: Words by the names of the cell's fields; those left out are the cell's own.

        Raises:
            TypeError: Something is chosen that no cell has.
            ValueError: The name or a word is unknown, or this cell has no such choice.
        """
        try:
            return _cell(cell, tuple(choices.items()))
        except TypeError:  # what can't be hashed is no cell
            return _cell.__wrapped__(cell, tuple(choices.items()))

    @cached_property
    def K(self) -> int:  # noqa: N802 - the letter of the equations
        """The number of values that a trace keeps of each step, the states after the first included."""
        return len(self.trace) + len(self.states) - 1

    @cached_property
    def state_letters(self) -> str:
        """The letters of an array of states, "B H", or "S B H" for a cell of several."""
        return "B H" if self.S == 1 else "S B H"

    def role(self, gate: str) -> str:
        """Returns what a gate does: "keeps", "reads", "writes", "shows", or "" for none of these."""
        return next((role for role in ("keeps", "reads", "writes", "shows") if getattr(self, role) == gate), "")

    def is_off(self, gate: str) -> bool:
        """Says whether a gate has been chosen off, so that it is the same for all units at every step."""
        return self.options.get(gate) == "off"

    @property
    def retains(self) -> bool:
        """Whether steps keep a share of the old memory: whether there is a gate for that, and it is not off."""
        return self.keeps is not None and not self.is_off(self.keeps)

    @property
    def chosen(self) -> dict[str, str]:
        """What is chosen that the standard cell has not."""
        return {name: word for name, word in self.options.items() if word != self.choices[name][0]}

    @property
    def full_title(self) -> str:
        """The title and what is chosen, for readers: "GRU, reset gate off, relu candidate"."""
        chosen = [
            f"{name} gate {word}" if name in self.gates else f"{word} {name}" for name, word in self.chosen.items()
        ]
        return ", ".join([self.title, *chosen]).replace("_", " ")

    @property
    def options(self) -> dict[str, str]:
        """What is chosen, by name."""
        return dict(zip(self.choices, self._chosen_words(), strict=True))

    @cached_property
    def places(self) -> list[int]:
        """The place of each chosen word in its list, as the kernels know it."""
        return [words.index(getattr(self, name)) for name, words in self.choices.items()]

    def step(
        self, a: Sequence[Any], recur: Recur, states: Sequence[Any], functions: Functions, note: Note
    ) -> tuple[Any, ...]:
        """Takes one step, on arrays of numpy or tensors of torch.

        Args:
            a: W x + b_ih, in its G parts [B, H].
            recur: Multiplies by U.
            states: The S states before the step, [B, H] each.
            functions: Activations by name.
            note: Called with each value that the trace keeps.

        Returns:
            The S states after the step.
        """
        raise NotImplementedError

    def backward(
        self, dstates: Sequence[Array], before: Sequence[Array], after: Sequence[Array], trace: Values, back: Back
    ) -> tuple[list[Array], list[Array]]:
        """Walks `step` backwards.

        Args:
            dstates: Gradients by the states after the step, [B, H] each.
            before: The states before the step.
            after: The states after it.
            trace: What was noted.
            back: Carries gradients back through U.

        Returns:
            Gradients by the G parts of `a`, and by the states before the step.
        """
        raise NotImplementedError

    def kept(self, values: Values) -> Array:
        """Returns the share of the old memory that steps keep, float64; 0 for a cell that writes its state anew.

        Args:
            values: States after the steps and what a trace keeps of them, by name.
        """
        if self.keeps is None:
            return np.zeros_like(values[self.states[0]], np.float64)
        return np.asarray(values[self.keeps], np.float64)

    def deposits(self, values: Values) -> Array:
        """Returns what steps write into the memory, float64; the memory is the last state."""
        return np.asarray(values[self.states[-1]], np.float64)

    def exposed(self, values: Values) -> Array:
        """Returns the factor by which the output h shows the memory, float64: 1 where h is the memory itself."""
        return np.ones_like(values[self.states[0]], np.float64)

    def gated(self, gate: str, values: Values, before: Values) -> Array:
        """Returns what a gate multiplies, float64.

        Args:
            gate: One of `gates`.
            values: States after the steps and what a trace keeps of them, by name.
            before: The states before the steps, by name.
        """
        raise NotImplementedError

    def _chosen_words(self) -> tuple[str, ...]:
        return tuple([getattr(self, name) for name in self.choices])

    def __str__(self) -> str:
        return " ".join([self.name, *[f"{name}={word}" for name, word in self.chosen.items()]])


CELLS: dict[str, type[Cell]] = {}
"""The cells by name."""


@lru_cache
def _cell(cell: Any, choices: tuple[tuple[str, str], ...]) -> Cell:
    if isinstance(cell, Cell):
        if not choices:
            return cell  # it may have no name: the reference runs cells that the kernels have not
        name, own = cell.name, cell.options
    else:
        name, *rest = cell.split(" ") if isinstance(cell, str) else [""]
        known = CELLS[name].choices if name in CELLS else {}
        own = dict(part.split("=", 1) for part in rest if "=" in part)
        if name not in CELLS or len(own) < len(rest) or not own.keys() <= known.keys():
            check_choice("cell", cell, tuple(CELLS))
    kind, names = CELLS[name], {choice: None for other in CELLS.values() for choice in other.choices}
    for choice, word in choices:
        if choice not in names:
            raise TypeError(f"there is no option {choice!r}, expected one of {', '.join(names)}")
        if choice in kind.choices:
            own[choice] = word
            continue
        words = next(other.choices[choice] for other in CELLS.values() if choice in other.choices)
        check_choice(choice, word, words)
        if word != words[0]:
            raise ValueError(f"{choice} is {word!r} for the cell {name!r}, which has no such choice")
    return kind(**own)
