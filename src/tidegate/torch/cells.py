"""The cells in torch's own operations: by torch's function of a cell where there is one, else step by step."""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from tidegate.ops.cells import CELLS, GRU, LSTM, Cell, ReluRNN, TanhRNN
from tidegate.ops.cells.cell import Functions

States = tuple[Tensor, ...]
"""The S states of a cell, each [D, B, H]: h0 alone, or h0 and c0 of an LSTM."""

State = Tensor | tuple[Tensor, ...]
"""Initial or final states as torch has them: one tensor [L·D, B, H], or the tuple (h, c) of an LSTM."""

Recurrence = Callable[[Tensor, Tensor | None, States], tuple[Tensor, States]]
"""Runs one layer over x [T, B, I] from its initial states; with batch sizes [T], over packed [N, I]."""

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "hard_sigmoid": lambda a: torch.where(
        a.abs() < 3, a / 6 + 0.5, (a > 0).to(a.dtype)
    ),  # torch's own has no second derivative
    "tanh": torch.tanh,
    "relu": torch.relu,
    "identity": lambda a: a,
}

FUNCTIONS: Functions = ACTIVATIONS | {"ones_like": torch.ones_like, "zeros_like": torch.zeros_like}
"""What `Cell.step` computes with on tensors."""


TORCH_FUNCTIONS: dict[type[Cell], Callable[..., Any]] = {
    GRU: torch.gru,
    LSTM: torch.lstm,
    TanhRNN: torch.rnn_tanh,
    ReluRNN: torch.rnn_relu,
}
"""torch's functions of the cells that it has, in their standard form."""


def cell_of(name: str, *words: str) -> Cell:
    """Returns the cell of a name, with a word for each of its choices or none: once each, where it costs little."""
    if torch.compiler.is_compiling():  # which does not see through a cache, and says so in a warning
        return CELLS[name](*words)
    return _cell_of(name, words)


@lru_cache
def _cell_of(name: str, words: tuple[str, ...]) -> Cell:
    return Cell.of(name, **dict(zip(CELLS[name].choices, words, strict=False)))


def as_hx(states: States) -> State:
    """Returns states as torch has them."""
    return states[0] if len(states) == 1 else states


def as_states(hx: State) -> States:
    """Returns the states, one or more."""
    return tuple(hx) if isinstance(hx, tuple | list) else (hx,)


def torch_function(cell: Cell) -> Callable[..., Any] | None:
    """Returns torch's function of a cell, such as `torch.gru`; None if torch has none."""
    return None if cell.chosen else TORCH_FUNCTIONS.get(type(cell))


def weights_per_direction(weights: Sequence[Tensor]) -> int:
    """Returns how many of a layer's weights belong to one direction: 4, or 2 without bias."""
    return 4 if len(weights) > 2 and weights[2].dim() == 1 else 2


def recurrence(cell: Cell, weights: Sequence[Tensor]) -> Recurrence:
    """Returns what runs one layer of a cell, in one direction or both.

    Args:
        cell: The cell.
        weights: As torch lists them, for each direction w_ih [G·H, I], w_hh [G·H, H] and with bias b_ih, b_hh [G·H].
    """
    per_direction = weights_per_direction(weights)
    directions = len(weights) // per_direction
    function = torch_function(cell)
    if function is None:
        parts = [weights[d * per_direction : (d + 1) * per_direction] for d in range(directions)]
        return lambda x, batch_sizes, states: _by_steps(cell, x, batch_sizes, states, parts)

    # bias, layers, dropout, training, bidirectional
    options = (list(weights), per_direction == 4, 1, 0.0, False, directions == 2)

    def run(x: Tensor, batch_sizes: Tensor | None, states: States) -> tuple[Tensor, States]:
        hx = states[0] if len(states) == 1 else states
        packed, rest = ((), (False,)) if batch_sizes is None else ((batch_sizes,), ())  # False: not batch first
        y, *finals = function(x, *packed, hx, *options, *rest)
        return y, tuple(finals)

    return run


def step(
    cell: Cell, a: Tensor, recur: Callable[[Tensor], Tensor], states: Sequence[Tensor]
) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
    """Takes one step.

    Args:
        cell: The cell.
        a: W x + b_ih, [B, G·H].
        recur: Maps v [B, H] to U v + b_hh, [B, G·H].
        states: The S states, [B, H] each.

    Returns:
        The new states, and what `Cell.trace` names, [B, H] each.
    """
    kept: dict[str, Tensor] = {}

    def note(name: str, value: Tensor) -> Tensor:
        kept[name] = value
        return value

    after = cell.step(a.chunk(cell.G, -1), lambda v: recur(v).chunk(cell.G, -1), states, FUNCTIONS, note)
    return after, kept


def products(weights: Sequence[Tensor], x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Returns W x + b_ih of every step, and what maps v to U v + b_hh.

    Args:
        weights: Those of one direction: w_ih, w_hh and with bias b_ih, b_hh.
        x: Input [..., I].
    """
    w_ih, w_hh, *biases = weights
    b_ih, b_hh = biases or (None, None)
    return linear(x, w_ih, b_ih), partial(linear, weight=w_hh, bias=b_hh)


def _by_steps(
    cell: Cell, x: Tensor, batch_sizes: Tensor | None, states: States, parts: Sequence[Sequence[Tensor]]
) -> tuple[Tensor, States]:
    """Runs a layer of a cell that torch has no function for."""
    outputs, finals = [], []
    for d, weights in enumerate(parts):
        sums, recur = products(weights, x)
        steps = sums.unbind() if batch_sizes is None else torch.split(sums, batch_sizes.tolist())
        current, outputs_d = tuple(state[d] for state in states), []
        for a in reversed(steps) if d else steps:
            rows = a.shape[0]  # forward, rows leave at their ends; in reverse, they join there
            after, _ = step(cell, a, recur, [state[:rows] for state in current])
            outputs_d.append(after[0])
            if rows < current[0].shape[0]:
                pairs = zip(after, current, strict=True)
                after = tuple(torch.cat([new, old[rows:]]) for new, old in pairs)
            current = after
        outputs_d = outputs_d[::-1] if d else outputs_d
        outputs.append(torch.stack(outputs_d) if batch_sizes is None else torch.cat(outputs_d))
        finals.append(current)
    return torch.cat(outputs, -1), tuple(torch.stack(state) for state in zip(*finals, strict=True))
