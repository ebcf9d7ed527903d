"""The drop-in of `tidegate.torch` for a recurrent cell."""

from typing import Any

from tidegate.ops.cells import Cell
from tidegate.torch.modules import MODULES


def recurrent_layers(cell: Cell, *sizes: int, **options: Any) -> Any:
    """Makes recurrent layers in torch, with what was chosen of the cell.

    Args:
        cell: The cell.
        sizes: I, H and L.
        options: What else the module takes.
    """
    return MODULES[cell.name](*sizes, **cell.options, **options)
