"""The weights of a recurrent stack, checked, and packed for the kernels."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate import ops
from tidegate.ops.cells import Cell
from tidegate.ops.checks import Sizes, check
from tidegate.ops.compressed import Compressed, stand_in
from tidegate.ops.layer import pack_checked
from tidegate.ops.names import layout, parameter_letters, parameter_names

Array = npt.NDArray[np.float32]


class Layers:
    """Recurrent layers on top of each other, each in one direction or both.

    Attributes:
        cell: The cell, with what was chosen of it.
        input_size: I.
        hidden_size: H.
        num_layers: L.
        bidirectional: Whether each layer walks in both directions (D = 2) or only forward (D = 1).
        bias: Whether the cells have biases.
        stored: The weights by their names, float32, or of fewer bits.
    """

    def __init__(self, arrays: dict[str, Array | Compressed], cell: Cell) -> None:
        """Packs weights that have been checked, see `checked`."""
        self.cell, self.stored = cell, arrays
        self.num_layers, self.bidirectional, self.bias = layout(arrays.keys())
        self.input_size, self.hidden_size = arrays["weight_ih_l0"].shape[1], arrays["weight_hh_l0"].shape[1]
        self._layers = self._packed(arrays)

    def _packed(self, arrays: Mapping[str, Any]) -> list[list[ops.Layer]]:
        return [
            [
                pack_checked(self.cell, *(arrays[name] for name in parameter_names(layer, reverse, self.bias)))
                for reverse in (False, True)[: 1 + self.bidirectional]
            ]
            for layer in range(self.num_layers)
        ]

    @cached_property
    def weights(self) -> dict[str, Array]:
        """The weights by their names, float32; compressed ones expanded."""
        return {name: w.expand() if isinstance(w, Compressed) else w for name, w in self.stored.items()}

    @cached_property
    def _differentiable(self) -> list[list[ops.Layer]]:
        """The layers with float32 weights, for gradients."""
        compressed = any(isinstance(w, Compressed) for w in self.stored.values())
        return self._packed(self.weights) if compressed else self._layers


def checked(weights: Mapping[str, npt.ArrayLike | Compressed], cell: Cell) -> dict[str, Array | Compressed]:
    """Converts the weights of a stack to float32, unless they are compressed, and checks them against each other.

    Raises:
        TypeError: They are no arrays of real numbers.
        ValueError: One is missing, left over or has a wrong shape.
    """
    num_layers, bidirectional, bias = layout(weights.keys())
    arrays = {name: _as_float32(name, array) for name, array in weights.items()}
    sizes: Sizes = {"G": (cell.G, f"cell {cell.name!r}")}
    check("weight_hh_l0", stand_in(arrays["weight_hh_l0"]), "G·H H", sizes)
    sizes["D"] = (1 + bidirectional, "the names of the weights")
    for name, letters in parameter_letters(num_layers, bidirectional, bias).items():
        check(name, stand_in(arrays[name]), letters, sizes)
    for letter in "IH":
        if sizes[letter][0] < 1:
            raise ValueError(f"{letter} is {sizes[letter][0]}, expected 1 or more: it comes from {sizes[letter][1]}")
    return arrays


def _as_float32(name: str, values: Any) -> Array | Compressed:
    """Converts a weight of any real dtype; a compressed one stays as it is."""
    if isinstance(values, Compressed):
        return values
    array = np.asarray(values)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} has dtype {array.dtype}, expected real numbers")
    return np.ascontiguousarray(array, np.float32)
