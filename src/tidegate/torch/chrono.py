"""Chrono initialisation: units that start with memories spread evenly over a range of steps.

Tallec & Ollivier 2018, arXiv:1804.11188. With u drawn evenly from 1..T−1 and a bias of log u, the gate that keeps the
old memory, a GRU's update gate z or an LSTM's forget gate f, is σ(log u) = u / (1 + u) where input and state are 0, and
the memory 1/(1 − z) is 1 + u steps, evenly in 2..T. A gate of its own for what is written, an LSTM's input gate, gets
−log u. z is the share of the old state that is *kept*, as in torch; where it is what is replaced, the bias is −log u.
"""

import torch
from torch import Tensor

from tidegate.ops.cells import Cell


def check_chrono(chrono: float, cell: Cell, bias: bool) -> None:
    """Checks the longest memory that a layer is to start with.

    Raises:
        TypeError: It is no number.
        ValueError: It is less than 2 or not finite, or the layer has no bias or no gate that keeps the old memory.
    """
    if isinstance(chrono, bool) or not isinstance(chrono, int | float):
        raise TypeError(f"chrono is {chrono!r}, expected a number of steps")
    if not 2 <= chrono < float("inf"):
        raise ValueError(f"chrono is {chrono}, expected 2 or more: the longest memory in steps")
    if not cell.retains:
        raise ValueError(
            f"chrono is {chrono} for the cell {str(cell)!r}, expected it for one with a gate that keeps the old memory"
        )
    if not bias:
        raise ValueError(
            f"chrono is {chrono} for a layer without bias, expected one: the {cell.keeps} gate's is what it sets"
        )


@torch.no_grad()
def draw_memories(chrono: float, cell: Cell, b_ih: Tensor, b_hh: Tensor) -> None:
    """Draws the biases of the gate that keeps the old memory, and of the one that writes if it is another one.

    Args:
        chrono: T, the longest memory in steps.
        cell: The cell; a hard sigmoid gets the bias at which it has the same value.
        b_ih: Input bias [G·H], its rows of these gates overwritten.
        b_hh: State bias [G·H], its rows of these gates set to 0.
    """
    H = len(b_ih) // cell.G
    u = torch.empty_like(b_ih[:H]).uniform_(1, chrono - 1)
    bias = 6 * (u / (1 + u) - 0.5) if cell.options.get("gate") == "hard_sigmoid" else u.log()
    for gate, values in ((cell.keeps, bias), (cell.writes, -bias)):
        if gate in cell.blocks:
            rows = slice(cell.blocks.index(gate) * H, (cell.blocks.index(gate) + 1) * H)
            b_ih[rows] = values
            b_hh[rows] = 0
