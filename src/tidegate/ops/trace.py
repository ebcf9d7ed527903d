"""What a recurrent layer did at every step: gates, candidate and states, as training and inference see them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tidegate.ops.cells import CELLS, Cell
from tidegate.ops.names import suffix

Array = npt.NDArray[Any]
Tokens = tuple[tuple[str, ...], ...]


class _Named:
    """Values that are attributes by the names that their cell gives them."""

    cell: Cell
    values: Mapping[str, Any]

    @property
    def y(self) -> Any:
        """The outputs after each step: the first state, whatever its name."""
        return self.values[self.cell.states[0]]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in {"cell", "values"}:  # not there yet, while it is being made or copied
            raise AttributeError(name)
        if name in self.values:
            return self.values[name]
        known = {value for cell in CELLS.values() for value in (*cell.states, *cell().trace)}
        if name in known:
            raise AttributeError(f"the trace of a {self.cell.title} has no {name!r}, but {', '.join(self.values)}")
        raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")


@dataclass(frozen=True, eq=False)
class Walk(_Named):
    """One sequence of a trace, its n steps in the order in which the layer walked them: the last one first in reverse.

    Attributes:
        cell: The cell.
        values: What the trace holds, by name, [n, H] each; all are attributes too: `walk.update`.
        before: The states that each step read, by name, [n, H] each.
    """

    cell: Cell
    values: Mapping[str, Array]
    before: Mapping[str, Array]

    @property
    def previous(self) -> Array:
        """The output that each step read, [n, H]."""
        return self.before[self.cell.states[0]]

    def held_back(self, gate: str) -> npt.NDArray[np.float64]:
        """Computes which share of what a gate multiplies it does not let through, summed over the units, [n].

        Of a GRU's update gate that is the share of the old state which a step lets go, |(1 − z) ∘ h| over |h|; of its
        reset gate the share of the past which the candidate does not read. 0 where there is nothing to multiply.

        Args:
            gate: One of `Cell.gates`.

        Raises:
            ValueError: The cell has no such gate.
        """
        if gate not in self.cell.gates:
            gates = ", ".join(self.cell.gates) or "none"
            raise ValueError(f"a {self.cell.title} has no gate {gate!r}, expected one of its gates: {gates}")
        amounts = np.abs(self.cell.gated(gate, self.values, self.before))
        total, through = amounts.sum(axis=1), (self.values[gate] * amounts).sum(axis=1)
        share: npt.NDArray[np.float64] = 1 - np.divide(through, total, out=np.ones_like(total), where=total > 0)
        return share


@dataclass(frozen=True, eq=False, kw_only=True)
class Trace(_Named):
    """One layer in one direction over a batch of sequences: the very values that the backward pass uses.

    Arrays are float32, time first, and 0 beyond a row's length; they may share memory with each other. What the cell
    keeps (`Cell.trace`) and its states (`Cell.states`) are attributes by their names: `reset`, `update`, `candidate`,
    `hn` and `hidden` of a GRU.

    Example:
        >>> from tidegate import Recurrent
        >>> weights = {"weight_ih_l0": np.full((3, 2), 0.5), "weight_hh_l0": np.full((3, 1), 0.1)}
        >>> (trace,) = Recurrent(weights).trace(np.ones((4, 1, 2), np.float32))
        >>> trace.update.shape
        (4, 1, 1)
        >>> z, n = trace.update[:, 0, 0], trace.candidate[:, 0, 0]
        >>> bool(np.isclose(trace.hidden[1, 0, 0], z[1] * trace.hidden[0, 0, 0] + (1 - z[1]) * n[1]))
        True

    Attributes:
        cell: The cell, with what was chosen of it; `str` gives its text.
        values: States after each step and what the cell keeps of it, by name, [T, B, H] each.
        h0: States before the first step, [B, H], or [S, B, H] for a cell of several.
        lengths: Steps of each row, int64 [B].
        episodes: Whether rows hold several episodes, whose first steps have not read the states before them.
        layer: Index of the layer in its stack.
        reverse: Whether it walks each row from its end to its start.
        tokens: The words of each row, if the sequences are texts.
    """

    cell: Cell
    values: Mapping[str, Array] = field(repr=False)
    h0: Array
    lengths: npt.NDArray[np.int64]
    episodes: bool = False
    layer: int = 0
    reverse: bool = False
    tokens: Tokens | None = None

    @classmethod
    def of(cls, cell: Cell, y: Any, saved: Iterable[Any], **facts: Any) -> Self:
        """Names what a forward pass saved of each step.

        Args:
            cell: The cell.
            y: Outputs after each step, [T, B, H].
            saved: What `Cell.trace` names, and then the states after the first, [T, B, H] each.
            facts: The other attributes.
        """
        names = (cell.states[0], *cell.trace, *cell.states[1:])
        return cls(cell=cell, values=dict(zip(names, (y, *saved), strict=True)), **facts)

    @property
    def suffix(self) -> str:
        """What the names of the layer's parameters end in: "_l0", "_l0_reverse", …."""
        return suffix(self.layer, self.reverse)

    def copy(self) -> Self:
        """Copies the arrays of the steps, so that they can be changed."""
        return replace(self, values={name: np.array(array) for name, array in self.values.items()})

    def write(self, steps: slice, other: "Trace") -> None:
        """Overwrites some steps with another trace, which has as many."""
        for name, array in self.values.items():
            array[steps] = other.values[name]

    def start(self, row: int = 0) -> Array:
        """Returns the states that a row starts from, [S, H]."""
        h0 = np.asarray(self.h0)
        return h0.reshape(self.cell.S, *h0.shape[-2:])[:, row]

    def states_at(self, step: int) -> Array:
        """Returns the states after a step, contiguous [B, H], or [S, B, H] for a cell of several."""
        states = [np.asarray(self.values[name])[step] for name in self.cell.states]
        return np.ascontiguousarray(states[0] if self.cell.S == 1 else np.stack(states))

    def walk(self, row: int = 0) -> Walk:
        """Returns the steps of one row, as views, in the order in which they were walked.

        Raises:
            ValueError: The row holds several episodes: cut them apart and trace each.
        """
        if self.episodes:
            raise ValueError("the trace has rows of several episodes, expected one episode a row")
        steps = slice(0, int(self.lengths[row]))
        walked = {name: np.asarray(array)[steps, row] for name, array in self.values.items()}
        if self.reverse:
            walked = {name: array[::-1] for name, array in walked.items()}
        before = {
            name: np.concatenate([start[None], walked[name][:-1]])[: len(walked[name])]
            for name, start in zip(self.cell.states, self.start(row), strict=True)
        }
        return Walk(self.cell, walked, before)


def outputs_of(traces: Iterable[Trace], layer: int) -> Array:
    """Puts the outputs of a layer's directions side by side, which the layer above reads: [T, B, D·H]."""
    return np.concatenate([trace.y for trace in traces if trace.layer == layer], axis=2)
