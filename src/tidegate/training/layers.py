"""The drop-in of `tidegate.torch` for a recurrent cell."""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

import tidegate.torch
from tidegate.ops.cells import Cell

MODULES: dict[str, Callable[..., nn.Module]] = {
    "gru": tidegate.torch.GRU,
    **({"lstm": tidegate.torch.LSTM} if hasattr(tidegate.torch, "LSTM") else {}),
    "rnn_tanh": partial(tidegate.torch.RNN, nonlinearity="tanh"),
    "rnn_relu": partial(tidegate.torch.RNN, nonlinearity="relu"),
}
"""What makes the layers of each cell."""


def recurrent_layers(cell: Cell, *sizes: int, **options: Any) -> Any:
    """Makes recurrent layers in torch, with what was chosen of the cell.

    Args:
        cell: The cell.
        sizes: I, H and L.
        options: What else the module takes.
    """
    return MODULES[cell.name](*sizes, **cell.options, **options)
