"""How much the parts of a sum of logits count: weights of 0 or more, and a bias for each class.

They are those of the smallest log-loss on texts that nothing was fitted to, so that they calibrate the probabilities
too (Platt 1999; Guo et al. 2017).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

import numpy as np
import numpy.typing as npt

from tidegate.sequences.embedded import softmax

Array = npt.NDArray[np.float64]

_PULL = 4.0  # texts that equal weights and no bias are worth: little beside hundreds, much beside ten


@dataclass(frozen=True, eq=False)
class Weighing:
    """Weights of the parts of a sum of logits.

    Attributes:
        weights: Of each part, float64 [K].
        bias: Added to each logit, float64 [C].
    """

    weights: Array
    bias: Array

    def sum(self, logits: Sequence[Array]) -> Array:
        """Adds up the logits of the parts, [B, C] each."""
        total: Array = np.tensordot(self.weights, np.stack(logits), 1) + self.bias
        return total


def weigh(logits: Sequence[Array], targets: npt.NDArray[np.integer], importance: Array | None = None) -> Weighing:
    """Finds the weights, 0 or more, and the bias with which the sum of logits has the smallest log-loss.

    Args:
        logits: Of K parts for B texts, float [B, C] each.
        targets: Index of the class of each text, int [B].
        importance: How much each class counts, [C]; None for each text the same.
    """
    optimize = import_module("scipy.optimize")
    K, C, B = len(logits), logits[0].shape[1], len(targets)
    stacked, truth, start = np.stack(logits).astype(np.float64), np.eye(C)[targets], np.full(K, 1 / K)
    counts = np.ones(B) if importance is None else importance[targets]
    counts = counts / counts.sum()

    def loss(x: Array) -> tuple[float, Array]:
        weights, bias = x[:K], x[K:]
        probabilities = softmax(np.tensordot(weights, stacked, 1) + bias).astype(np.float64)
        by_logits = counts[:, None] * (probabilities - truth)
        slopes = np.concatenate([np.einsum("kbc,bc->k", stacked, by_logits), by_logits.sum(axis=0)])
        away = np.concatenate([weights - start, bias])
        true = np.maximum((probabilities * truth).sum(axis=1), np.finfo(np.float64).tiny)
        return float(-counts @ np.log(true) + _PULL / B * (away @ away)), slopes + 2 * _PULL / B * away

    bounds = [(0, None)] * K + [(None, None)] * C
    found = optimize.minimize(loss, np.concatenate([start, np.zeros(C)]), jac=True, method="L-BFGS-B", bounds=bounds)
    return Weighing(found.x[:K], found.x[K:])
