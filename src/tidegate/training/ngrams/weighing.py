"""How much the parts of a sum of logits count, and stacking: logits from the margins of one-vs-rest models.

Both are those of the smallest log-loss on texts that nothing was fitted to, so that they calibrate the probabilities
too (Platt 1999; Guo et al. 2017).
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.sequences.embedded import softmax

Array = npt.NDArray[np.float64]

_MOST_STEPS = 200  # of L-BFGS; some twenty to sixty are usual
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
        total: Array = np.einsum("k,kbc->bc", self.weights, np.stack(logits)) + self.bias
        return total


@dataclass(frozen=True, eq=False)
class Stacking:
    """A linear model of the logits, whose features are the margins of K one-vs-rest models (Wolpert 1992, stacking).

    Attributes:
        matrices: Of each model, float64 [K, C, C]; row = class of the margin, column = class of the logit.
        bias: Added to the logits of each model, float64 [C].
    """

    matrices: Array
    bias: Array


def one_thread() -> AbstractContextManager[Any]:
    """Keeps BLAS to one thread for a `with` statement: the number of threads changes no bit of what is found."""
    limited: AbstractContextManager[Any] = import_module("threadpoolctl").threadpool_limits(1, user_api="blas")
    return limited


def weigh(
    logits: Sequence[Array],
    targets: npt.NDArray[np.integer],
    importance: Array | None = None,
    check: Callable[[], None] = lambda: None,
) -> Weighing:
    """Finds the weights, 0 or more, and the bias with which the sum of logits has the smallest log-loss.

    Args:
        logits: Of K parts for B texts, float [B, C] each.
        targets: Index of the class of each text, int [B].
        importance: How much each class counts, [C]; None for each text the same.
        check: Called at every step; what it raises ends the search.
    """
    K, C = len(logits), logits[0].shape[1]
    stacked = np.stack(logits, dtype=np.float64)
    found = _fit(
        lambda x: np.tensordot(x[:K], stacked, 1) + x[K:],
        lambda slopes: np.concatenate([np.einsum("kbc,bc->k", stacked, slopes), slopes.sum(axis=0)]),
        np.concatenate([np.full(K, 1 / K), np.zeros(C)]),
        [(0, None)] * K + [(None, None)] * C,
        targets,
        importance,
        check,
    )
    return Weighing(found[:K], found[K:])


def stack(
    logits: Sequence[Array],
    targets: npt.NDArray[np.integer],
    importance: Array | None = None,
    check: Callable[[], None] = lambda: None,
) -> Stacking:
    """Finds the matrix that makes logits of the margins of all classes with the smallest log-loss.

    A class that lies between others, such as three stars of five, is no linear function of words against the rest; the
    margins of its neighbours say where it begins and ends.

    Args:
        logits: Of K models for B texts that they were not fitted to, float [B, C] each.
        targets: As in `weigh`, and so is importance.
        importance: As in `weigh`, and so is check.
        check: As in `weigh`.
    """
    C, weighing = logits[0].shape[1], weigh(logits, targets, importance, check)
    sums = np.einsum("k,kbc->bc", weighing.weights, np.stack(logits))
    found = _fit(
        lambda x: sums @ x[C:].reshape(C, C) + x[:C],
        lambda slopes: np.concatenate([slopes.sum(axis=0), (sums.T @ slopes).ravel()]),
        np.concatenate([weighing.bias, np.eye(C).ravel()]),
        [(None, None)] * (C + C * C),
        targets,
        importance,
        check,
    )
    # equal weights of the models, from which `weigh` starts, then make the sum that was fitted here
    return Stacking(len(logits) * weighing.weights[:, None, None] * found[C:].reshape(C, C), found[:C])


def _fit(
    sum_of: Callable[[Array], Array],
    slopes_of: Callable[[Array], Array],
    start: Array,
    bounds: Sequence[tuple[float | None, float | None]],
    targets: npt.NDArray[np.integer],
    importance: Array | None,
    check: Callable[[], None],
) -> Array:
    """Finds the numbers of the smallest log-loss, pulled a little towards their start.

    Args:
        sum_of: Computes the logits of B texts, [B, C], from the numbers.
        slopes_of: Computes the slopes of the log-loss by the numbers from those by the logits.
        start: The numbers to begin with.
        bounds: Least and largest of each; None for any.
        targets: As in `weigh`, and so is importance.
        importance: As in `weigh`, and so is check.
        check: As in `weigh`.
    """
    optimize, B = import_module("scipy.optimize"), len(targets)
    counts = np.ones(B) if importance is None else importance[targets]
    counts = counts / counts.sum()

    def loss(x: Array) -> tuple[float, Array]:
        check()
        probabilities: Array = softmax(sum_of(x)).astype(np.float64, copy=False)
        true, away = np.maximum(probabilities[np.arange(B), targets], np.finfo(np.float64).tiny), x - start
        probabilities[np.arange(B), targets] -= 1
        probabilities *= counts[:, None]
        slopes = slopes_of(probabilities)
        return float(-counts @ np.log(true) + _PULL / B * (away @ away)), slopes + 2 * _PULL / B * away

    options = {"maxiter": _MOST_STEPS}
    with one_thread():
        found: Array = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    return found
