"""The drop-in of `tidegate.torch` for a recurrent cell."""

from typing import Any

import tidegate.torch
from tidegate.ops.cells import Cell


def recurrent_layers(cell: Cell, *sizes: int, **options: Any) -> Any:
    """Makes recurrent layers in torch, with what was chosen of the cell.

    As in torch, the class has the first word of the cell's name, and a second word is its nonlinearity: "lstm" is
    `LSTM`, "rnn_tanh" is `RNN(nonlinearity="tanh")`.

    Args:
        cell: The cell.
        sizes: I, H and L.
        options: What else the module takes.
    """
    kind, _, nonlinearity = cell.name.partition("_")
    if nonlinearity:
        options["nonlinearity"] = nonlinearity
    return getattr(tidegate.torch, kind.upper())(*sizes, **cell.options, **options)
