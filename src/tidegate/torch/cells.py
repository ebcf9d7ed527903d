"""The cells step by step in torch's own operations: for the GRUs that torch has no function for."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import linear

from tidegate.ops.cells import Cell
from tidegate.ops.cells.cell import Functions

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "hard_sigmoid": lambda a: torch.where(
        a.abs() < 3, a / 6 + 0.5, (a > 0).to(a.dtype)
    ),  # torch's own has no second derivative
    "tanh": torch.tanh,
    "relu": torch.relu,
    "identity": lambda a: a,
}

Recurrence = Callable[[Tensor, Tensor | None, Tensor], tuple[Tensor, Tensor]]


def recurrence(cell: Cell, weights: Sequence[Tensor], directions: int) -> Recurrence:
    """Returns what runs one layer over x [T, B, I] from h0 [D, B, H]; with batch sizes [T], over packed [N, I].

    Args:
        cell: The cell.
        weights: As torch lists them, for each direction w_ih, w_hh and with bias b_ih, b_hh.
        directions: D.
    """
    per_direction = len(weights) // directions
    if cell.chosen:
        parts = [weights[d * per_direction : (d + 1) * per_direction] for d in range(directions)]
        return lambda x, batch_sizes, h0: _by_steps(cell, x, batch_sizes, h0, parts)

    function: Callable[..., tuple[Tensor, Tensor]] = getattr(torch, cell.name)
    # bias, layers, dropout, training, bidirectional
    options = (list(weights), per_direction == 4, 1, 0.0, False, directions == 2)

    def run(x: Tensor, batch_sizes: Tensor | None, h0: Tensor) -> tuple[Tensor, Tensor]:
        return function(x, h0, *options, False) if batch_sizes is None else function(x, batch_sizes, h0, *options)

    return run


FUNCTIONS: Functions = ACTIVATIONS | {"ones_like": torch.ones_like, "zeros_like": torch.zeros_like}
"""What `Cell.step` computes with on tensors."""


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


def _by_steps(
    cell: Cell, x: Tensor, batch_sizes: Tensor | None, h0: Tensor, parts: Sequence[Sequence[Tensor]]
) -> tuple[Tensor, Tensor]:
    """Runs a layer of a cell that torch has no function for."""
    outputs, finals = [], []
    for d, (w_ih, w_hh, *biases) in enumerate(parts):
        b_ih, b_hh = biases or (None, None)
        products = linear(x, w_ih, b_ih)
        steps = products.unbind() if batch_sizes is None else torch.split(products, batch_sizes.tolist())
        recur = partial(linear, weight=w_hh, bias=b_hh)
        h, states = h0[d], []
        for a in reversed(steps) if d else steps:
            rows = a.shape[0]  # forward, rows leave at their ends; in reverse, they join there
            (new,), _ = step(cell, a, recur, (h[:rows],))
            h = new if rows == h.shape[0] else torch.cat([new, h[rows:]])
            states.append(new)
        states = states[::-1] if d else states
        outputs.append(torch.stack(states) if batch_sizes is None else torch.cat(states))
        finals.append(h)
    return torch.cat(outputs, -1), torch.stack(finals)
