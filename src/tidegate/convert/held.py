"""Gates that are off, for programs that know no such choice: held where they are by their biases."""

import numpy as np

from tidegate.ops.cells import Cell
from tidegate.ops.layouts import Weights
from tidegate.ops.onnx import OFF


def held(cell: Cell, weights: Weights) -> Weights:
    """Returns the weights of a layer in which each gate that is off has no inputs, and a bias that holds it.

    Args:
        cell: The cell.
        weights: Weights of one direction, in the order of `Cell.blocks`.
    """
    off = [block for block in cell.blocks if cell.is_off(block)]
    if not off:
        return weights
    G, H = cell.G, weights.w_hh.shape[1]
    biases = [np.zeros(G * H, np.float32) if bias is None else bias.copy() for bias in (weights.b_ih, weights.b_hh)]
    changed = Weights(weights.w_ih.copy(), weights.w_hh.copy(), *biases)
    for block in off:
        rows = slice(cell.blocks.index(block) * H, (cell.blocks.index(block) + 1) * H)
        for array, value in zip(changed, (0.0, 0.0, OFF[block], 0.0), strict=True):
            if array is not None:
                array[rows] = value
    return changed
