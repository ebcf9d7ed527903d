"""The activations of gates and candidates on numpy arrays, with their slopes."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.ops.cells.cell import Functions

Array = npt.NDArray[np.float64]


class Activation(NamedTuple):
    """A function of each element, and its slope where the function has the value v."""

    function: Callable[[Array], Array]
    slope: Callable[[Array], Array]


def sigmoid(a: Array) -> Array:
    """Returns σ(a) = 1 / (1 + exp(−a)), written such that no a overflows: below 0 as exp(a) / (1 + exp(a))."""
    sigma: Array = np.exp(np.minimum(a, 0)) / (1 + np.exp(-np.abs(a)))
    return sigma


ACTIVATIONS = {
    "sigmoid": Activation(sigmoid, lambda v: v * (1 - v)),
    "hard_sigmoid": Activation(lambda a: np.clip(a / 6 + 1 / 2, 0, 1), lambda v: ((v > 0) & (v < 1)) / 6),
    "tanh": Activation(np.tanh, lambda v: 1 - v * v),
    "relu": Activation(lambda a: np.maximum(a, 0), lambda v: np.where(v > 0, 1.0, 0.0)),
    "identity": Activation(lambda a: a, np.ones_like),
}
"""Of gates and candidates; slopes where there are two count as torch counts them."""

FUNCTIONS: Functions = {name: activation.function for name, activation in ACTIVATIONS.items()} | {
    "ones_like": np.ones_like,
    "zeros_like": np.zeros_like,
}
"""What `Cell.step` computes with on numpy arrays."""
