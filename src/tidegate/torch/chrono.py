"""Chrono initialisation: units that start with memories spread evenly over a range of steps.

Tallec & Ollivier 2018, arXiv:1804.11188. With u drawn evenly from 1..T−1 and a bias of log u, the update gate of a unit
is z = σ(log u) = u / (1 + u) where input and state are 0, and its memory 1/(1 − z) is 1 + u steps, evenly in 2..T. Here
z is the share of the old state that is *kept*, as in torch; where it is what is replaced, the bias is −log u.
"""

import torch
from torch import Tensor

from tidegate.ops.cells import GRU, Cell


def check_chrono(chrono: float, cell: Cell, bias: bool) -> None:
    """Checks the longest memory that a layer is to start with.

    Raises:
        TypeError: It is no number.
        ValueError: It is less than 2 or not finite, or the layer has no bias or no update gate.
    """
    if isinstance(chrono, bool) or not isinstance(chrono, int | float):
        raise TypeError(f"chrono is {chrono!r}, expected a number of steps")
    if not 2 <= chrono < float("inf"):
        raise ValueError(f"chrono is {chrono}, expected 2 or more: the longest memory in steps")
    if not isinstance(cell, GRU) or cell.update == "off":
        raise ValueError(f"chrono is {chrono} for the cell {str(cell)!r}, expected it for a 'gru' with an update gate")
    if not bias:
        raise ValueError(
            f"chrono is {chrono} for a layer without bias, expected one: the update gate's is what it sets"
        )


@torch.no_grad()
def draw_memories(chrono: float, cell: Cell, b_ih: Tensor, b_hh: Tensor) -> None:
    """Draws the biases of the update gate.

    Args:
        chrono: T, the longest memory in steps.
        cell: A GRU; a hard sigmoid gets the bias at which it has the same value.
        b_ih: Input bias [3·H], its rows of z overwritten.
        b_hh: State bias [3·H], its rows of z set to 0.
    """
    H = len(b_ih) // 3
    u = torch.empty_like(b_ih[:H]).uniform_(1, chrono - 1)
    b_ih[H : 2 * H] = u.log() if getattr(cell, "gate", "") == "sigmoid" else 6 * (u / (1 + u) - 0.5)
    b_hh[H : 2 * H] = 0
