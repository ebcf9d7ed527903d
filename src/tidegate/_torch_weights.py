"""Weights of a torch module, packed for the native kernels and kept until they change."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from tidegate import ops

SAMPLE = 256  # numbers of a weight that `PackedWeights.hold` compares when it does not compare all


class PackedWeights:
    """Packed weights of all layers and directions, and what tells whether they still are the module's weights.

    torch counts the changes of a tensor in place, but not those made through `weight.data`, through a numpy view, or by
    another process. So the numbers themselves are compared as well: all of them, or a sample of each weight where
    weights are not expected to change.

    Args:
        cell: "gru", "rnn_tanh" or "rnn_relu".
        weights: float32 weights on the CPU as torch lists them, for each layer and direction w_ih [G·H, I],
            w_hh [G·H, H] and with bias b_ih, b_hh [G·H].
        bias: Whether there are biases.
    """

    def __init__(self, cell: str, weights: Sequence[Tensor], *, bias: bool) -> None:
        self.key = _key(weights)
        # Views of the weights' memory, which also keep it from being freed and given to other weights.
        self.live = [weight.numpy(force=True) for weight in weights]
        self.copies = [array.copy() for array in self.live]
        live_samples = [_sample(array) for array in self.live]
        self.samples = [(sample, sample.tobytes()) for sample in live_samples]
        step = 4 if bias else 2
        self.layers = [ops.pack(cell, *self.copies[i : i + step]) for i in range(0, len(weights), step)]

    def hold(self, weights: Sequence[Tensor], *, exactly: bool) -> bool:
        """Says whether these weights are the packed ones, comparing all of their numbers or a sample."""
        if self.key != _key(weights):
            return False
        if exactly or self.key[0][-1] is None:
            return all(map(np.array_equal, self.live, self.copies))
        return all(sample.tobytes() == content for sample, content in self.samples)


def _key(weights: Sequence[Tensor]) -> list[tuple[Any, ...]]:
    """Returns what changes when weights are replaced or, as far as torch counts it, changed in place."""
    try:
        return [(weight.data_ptr(), weight.stride(), weight._version) for weight in weights]  # noqa: SLF001
    except RuntimeError:  # made in inference mode, where torch counts no versions
        return [(weight.data_ptr(), weight.stride(), None) for weight in weights]


def _sample(array: np.ndarray) -> np.ndarray:
    """Returns a view of some numbers, spread over all rows and columns by an odd step, or of all of a strided array."""
    return array.reshape(-1)[:: array.size // SAMPLE | 1] if array.flags.c_contiguous else array
