"""The cells step by step in torch's own operations: for the GRUs that torch has no function for."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import linear

from tidegate.ops.cells import Cell

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


def step(cell: Cell, a: Tensor, c: Tensor, h: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Takes one step, as in `reference`.

    Args:
        cell: The cell.
        a: W x + b_ih, [B, G·H].
        c: U h + b_hh, [B, G·H].
        h: State, [B, H].

    Returns:
        The new state, and what `Cell.kept` names, [B, H] each.
    """
    if not cell.gated:
        return ACTIVATIONS[cell.name.removeprefix("rnn_")](a + c), (a + c,)
    a_r, a_z, a_n = a.chunk(3, -1)
    c_r, c_z, hn = c.chunk(3, -1)
    gate = ACTIVATIONS[cell.gate]
    r = gate(a_r + c_r) if cell.reset == "after" else torch.ones_like(hn)
    z = gate(a_z + c_z) if cell.update == "on" else torch.zeros_like(hn)
    n = ACTIVATIONS[cell.candidate](a_n + r * hn)
    return z * h + (1 - z) * n, (r, z, n, hn)


def _by_steps(
    cell: Cell, x: Tensor, batch_sizes: Tensor | None, h0: Tensor, parts: Sequence[Sequence[Tensor]]
) -> tuple[Tensor, Tensor]:
    """Runs a layer of a cell that torch has no function for."""
    outputs, finals = [], []
    for d, (w_ih, w_hh, *biases) in enumerate(parts):
        b_ih, b_hh = biases or (None, None)
        products = linear(x, w_ih, b_ih)
        steps = products.unbind() if batch_sizes is None else torch.split(products, batch_sizes.tolist())
        h, states = h0[d], []
        for a in reversed(steps) if d else steps:
            rows = a.shape[0]  # forward, rows leave at their ends; in reverse, they join there
            new, _ = step(cell, a, linear(h[:rows], w_hh, b_hh), h[:rows])
            h = new if rows == h.shape[0] else torch.cat([new, h[rows:]])
            states.append(new)
        states = states[::-1] if d else states
        outputs.append(torch.stack(states) if batch_sizes is None else torch.cat(states))
        finals.append(h)
    return torch.cat(outputs, -1), torch.stack(finals)
