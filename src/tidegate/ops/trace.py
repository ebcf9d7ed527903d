"""What a recurrent layer did at every step: gates, candidate and states, as training and inference see them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from tidegate.ops.cells import Cell
from tidegate.ops.names import suffix

Array = npt.NDArray[Any]
Tokens = tuple[tuple[str, ...], ...]

_ARRAYS = ("hidden", "reset", "update", "candidate", "hn", "preactivation")


class Walk(NamedTuple):
    """One sequence of a trace, its n steps in the order in which the layer walked them: the last one first in reverse.

    Attributes:
        previous: State that each step read, [n, H].
        hidden: State that it wrote, [n, H].
        reset: r, [n, H]; None for a vanilla RNN, and so are the next three.
        update: z, [n, H].
        candidate: n, [n, H].
        hn: U_n h + b_hn, [n, H].
        preactivation: What goes into the activation of a vanilla RNN, [n, H]; None for a GRU.
    """

    previous: Array
    hidden: Array
    reset: Array | None
    update: Array | None
    candidate: Array | None
    hn: Array | None
    preactivation: Array | None

    def let_go(self) -> npt.NDArray[np.float64]:
        """Computes which share of the old state each step lets go: |(1 − z) ∘ h| over |h|, [n]; 0 where h is 0."""
        return _lost(self.update, self.previous)

    def unread(self) -> npt.NDArray[np.float64]:
        """Computes which share of the old state's say in the candidate the reset gates hold back, [n].

        It is |(1 − r) ∘ hn| over |hn|; 0 where there is no past, as at a first step from 0.
        """
        return _lost(self.reset, self.hn) * self.previous.any(axis=1)


@dataclass(frozen=True, eq=False, kw_only=True)
class Trace:
    """One layer in one direction over a batch of sequences: the very values that the backward pass uses.

    Arrays are float32, time first, and 0 beyond a row's length; they may share memory with each other. A GRU has reset,
    update, candidate and hn, a vanilla RNN has preactivation; what a cell has not is None.

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
        cell: The cell, with what was chosen of it; `str` gives its name.
        hidden: State after each step, [T, B, H].
        h0: State before the first step, [B, H].
        lengths: Steps of each row, int64 [B].
        reset: Reset gate r, [T, B, H].
        update: Update gate z, the share of the old state that is kept, [T, B, H].
        candidate: Candidate n, the new content, [T, B, H].
        hn: U_n h + b_hn, what the reset gate scales, [T, B, H].
        preactivation: W x + b_ih + U h + b_hh of a vanilla RNN, [T, B, H].
        layer: Index of the layer in its stack.
        reverse: Whether it walks each row from its end to its start.
        tokens: The words of each row, if the sequences are texts.
    """

    cell: Cell
    hidden: Array
    h0: Array
    lengths: npt.NDArray[np.int64]
    reset: Array | None = None
    update: Array | None = None
    candidate: Array | None = None
    hn: Array | None = None
    preactivation: Array | None = None
    layer: int = 0
    reverse: bool = False
    tokens: Tokens | None = None

    @classmethod
    def of(cls, cell: Cell, hidden: Any, kept: Iterable[Any], **facts: Any) -> Self:
        """Names what a forward pass kept of each step.

        Args:
            cell: The cell.
            hidden: States after each step, [T, B, H].
            kept: r, z, n and hn of a GRU, or the pre-activation of a vanilla RNN, [T, B, H] each.
            facts: The other attributes.
        """
        return cls(cell=cell, hidden=hidden, **dict(zip(cell.kept, kept, strict=True)), **facts)

    @property
    def suffix(self) -> str:
        """What the names of the layer's parameters end in: "_l0", "_l0_reverse", …."""
        return suffix(self.layer, self.reverse)

    def copy(self) -> Self:
        """Copies the arrays of the steps, so that they can be changed."""
        arrays: dict[str, Any] = {name: getattr(self, name) for name in _ARRAYS}
        copies: dict[str, Any] = {name: np.array(array) for name, array in arrays.items() if array is not None}
        return replace(self, **copies)

    def write(self, steps: slice, other: "Trace") -> None:
        """Overwrites some steps with another trace, which has as many."""
        for name in _ARRAYS:
            if getattr(self, name) is not None:
                getattr(self, name)[steps] = getattr(other, name)

    def walk(self, row: int = 0) -> Walk:
        """Returns the steps of one row, as views, in the order in which they were walked."""
        steps = slice(0, int(self.lengths[row]))
        arrays = [getattr(self, name) for name in _ARRAYS]
        walked = [None if array is None else np.asarray(array)[steps, row] for array in arrays]
        if self.reverse:
            walked = [None if array is None else array[::-1] for array in walked]
        hidden, *others = walked
        assert hidden is not None  # noqa: S101 - for mypy: every trace has states
        previous = np.concatenate([np.asarray(self.h0)[row, None], hidden[:-1]])[: len(hidden)]
        return Walk(previous, hidden, *others)


def outputs_of(traces: Iterable[Trace], layer: int) -> Array:
    """Puts the states of a layer's directions side by side, which the layer above reads: [T, B, D·H]."""
    return np.concatenate([trace.hidden for trace in traces if trace.layer == layer], axis=2)


def _lost(gate: Array | None, values: Array | None) -> npt.NDArray[np.float64]:
    """Computes the share of values that a gate does not let through, summed over the units."""
    if gate is None or values is None:
        raise ValueError("a vanilla RNN has no gates, expected the trace of a GRU")
    amounts = np.abs(values.astype(np.float64))
    total, through = amounts.sum(axis=1), (gate * amounts).sum(axis=1)
    lost: npt.NDArray[np.float64] = 1 - np.divide(through, total, out=np.ones_like(total), where=total > 0)
    return lost
