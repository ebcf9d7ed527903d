"""How much the parts of a sum of logits count, and what the classes of n-grams say of each other.

Both are those of the smallest log-loss on texts that nothing was fitted to, so that they calibrate the probabilities
too (Platt 1999; Guo et al. 2017).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

import numpy as np
import numpy.typing as npt

from tidegate.sequences.embedded import softmax

Array = npt.NDArray[np.float64]

_PULL = 4.0  # texts that the start is worth, such as equal weights and no bias: little beside hundreds, much beside ten


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


@dataclass(frozen=True, eq=False)
class Mixing:
    """What the margins of K linear models, each class against the rest, make of the logit of every class.

    Attributes:
        matrices: Of each model, float64 [K, C, C]; row = class of the margin, column = class of the logit.
        bias: Added to the logits of each model, float64 [C].
    """

    matrices: Array
    bias: Array


def weigh(logits: Sequence[Array], targets: npt.NDArray[np.integer], importance: Array | None = None) -> Weighing:
    """Finds the weights, 0 or more, and the bias with which the sum of logits has the smallest log-loss.

    Args:
        logits: Of K parts for B texts, float [B, C] each.
        targets: Index of the class of each text, int [B].
        importance: How much each class counts, [C]; None for each text the same.
    """
    K, C = len(logits), logits[0].shape[1]
    stacked = np.stack(logits).astype(np.float64)
    found = _fit(
        lambda x: np.tensordot(x[:K], stacked, 1) + x[K:],
        lambda slopes: np.concatenate([np.einsum("kbc,bc->k", stacked, slopes), slopes.sum(axis=0)]),
        np.concatenate([np.full(K, 1 / K), np.zeros(C)]),
        [(0, None)] * K + [(None, None)] * C,
        targets,
        importance,
    )
    return Weighing(found[:K], found[K:])


def mix(logits: Sequence[Array], targets: npt.NDArray[np.integer], importance: Array | None = None) -> Mixing:
    """Finds how the margins of all classes make the logit of each with the smallest log-loss (Wolpert 1992, stacking).

    A class that lies between others, such as three stars of five, is no linear function of words against the rest; the
    margins of its neighbours say where it begins and ends.

    Args:
        logits: Of K models for B texts that they were not fitted to, float [B, C] each.
        targets: As in `weigh`, and so is importance.
        importance: As in `weigh`.
    """
    C, weighing = logits[0].shape[1], weigh(logits, targets, importance)
    sums = np.tensordot(weighing.weights, np.stack(logits), 1)
    found = _fit(
        lambda x: sums @ x[C:].reshape(C, C) + x[:C],
        lambda slopes: np.concatenate([slopes.sum(axis=0), (sums.T @ slopes).ravel()]),
        np.concatenate([weighing.bias, np.eye(C).ravel()]),
        [(None, None)] * (C + C * C),
        targets,
        importance,
    )
    # equal weights of the models, from which `weigh` starts, then make the sum that was fitted here
    return Mixing(len(logits) * weighing.weights[:, None, None] * found[C:].reshape(C, C), found[:C])


def _fit(
    sum_of: Callable[[Array], Array],
    slopes_of: Callable[[Array], Array],
    start: Array,
    bounds: Sequence[tuple[float | None, float | None]],
    targets: npt.NDArray[np.integer],
    importance: Array | None,
) -> Array:
    """Finds the numbers of the smallest log-loss, pulled a little towards their start.

    Args:
        sum_of: Computes the logits of B texts, [B, C], from the numbers.
        slopes_of: Computes the slopes of the log-loss by the numbers from those by the logits.
        start: The numbers to begin with.
        bounds: Least and largest of each; None for any.
        targets: As in `weigh`, and so is importance.
        importance: As in `weigh`.
    """
    optimize, B = import_module("scipy.optimize"), len(targets)
    counts = np.ones(B) if importance is None else importance[targets]
    counts = counts / counts.sum()

    def loss(x: Array) -> tuple[float, Array]:
        probabilities = softmax(sum_of(x)).astype(np.float64)
        true, away = np.maximum(probabilities[np.arange(B), targets], np.finfo(np.float64).tiny), x - start
        probabilities[np.arange(B), targets] -= 1
        slopes = slopes_of(counts[:, None] * probabilities)
        return float(-counts @ np.log(true) + _PULL / B * (away @ away)), slopes + 2 * _PULL / B * away

    found: Array = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return found
