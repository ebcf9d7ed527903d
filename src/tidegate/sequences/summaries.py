"""One vector for a whole sequence, from the outputs of a recurrent layer: the last one, their mean, their maximum.

A summary is made of parts, and `PARTS` is the one table of them: training, inspection and the command line read it.
Sums over time are taken row by row, so the summary of a sequence has the same bits alone, in any batch and with any
padding.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from tidegate.ops.checks import check_choice

Array = npt.NDArray[np.floating[Any]]

Summary = Literal["last", "mean", "max", "mean+max"]
SUMMARIES: tuple[str, ...] = get_args(Summary)


class Part(NamedTuple):
    """One way to reduce the n states of a sequence to one vector, feature by feature.

    Attributes:
        reduce: The vector [F] of states [n, F], n ≥ 1.
        start: What is kept of a sequence before its first state, for each feature: the neutral number of `more`.
        more: What is kept with one more state, of what was kept and the state, [..., F] both.
        value: The vector of what is kept and the number n ≥ 1 of states, [..., F] of [..., F] and [..., 1].
        so_far: The vectors of all beginnings, [n, F] of states [n, F].
        weights: The weight of each state in the vector, which is also its gradient: float64 [n, ...] of states
            [n, ...], n ≥ 1, in the order in which the layer walked them.
    """

    reduce: Callable[[Array], Array]
    start: float
    more: Callable[[Array, Array], Array]
    value: Callable[[Array, npt.NDArray[Any]], Array]
    so_far: Callable[[Array], Array]
    weights: Callable[[Array], npt.NDArray[np.float64]]


def _at(states: Array, steps: Any) -> npt.NDArray[np.float64]:
    """Returns 1 at one step of each feature and 0 elsewhere, float64 [n, ...]."""
    weights: npt.NDArray[np.float64] = np.zeros(states.shape)
    np.put_along_axis(weights, np.broadcast_to(steps, states.shape[1:])[None], 1.0, axis=0)
    return weights


def _in_order(join: np.ufunc, y: Array) -> Array:
    """Joins states from the first to the last, [F] of [n, F], as a stream does."""
    joined: Array = join.reduce(y, axis=0)
    if y.shape[1] == 1 and len(y) > 2:  # numpy takes a single column in another order
        return np.array(join.accumulate(y, axis=0)[-1])
    return joined


PARTS = {
    "last": Part(
        reduce=lambda y: y[-1],
        start=0.0,
        more=lambda _, y: y,
        value=lambda kept, _: kept,
        so_far=lambda y: y,
        weights=lambda states: _at(states, len(states) - 1),
    ),
    "mean": Part(
        reduce=lambda y: _in_order(np.add, y) / y.dtype.type(len(y)),
        start=-0.0,  # 0 would turn a sum of -0 alone into 0
        more=np.add,
        value=lambda kept, n: kept / n.astype(kept.dtype),
        so_far=lambda y: np.add.accumulate(y, axis=0) / np.arange(1, len(y) + 1, dtype=y.dtype)[:, None],
        weights=lambda states: np.full(states.shape, 1 / len(states)),
    ),
    "max": Part(
        reduce=lambda y: _in_order(np.maximum, y),
        start=-np.inf,
        more=np.maximum,
        value=lambda kept, _: kept,
        so_far=lambda y: np.maximum.accumulate(y, axis=0),
        weights=lambda states: _at(states, states.argmax(axis=0)),
    ),
}
"""The parts of summaries by name. The maximum credits the first of equal states."""


def summary_parts(summary: str) -> tuple[str, ...]:
    """Lists the parts of a summary, whose vectors stand side by side in this order: "mean+max" is mean, max.

    Raises:
        ValueError: The summary has an unknown name.
    """
    check_choice("summary", summary, SUMMARIES)
    return tuple(summary.split("+"))


def summary_size(summary: str, features: int) -> int:
    """Returns F, the size of a summary of outputs with D·H features.

    Raises:
        ValueError: The summary has an unknown name.
    """
    return features * len(summary_parts(summary))


def summary_weights(states: Array, part: str) -> npt.NDArray[np.float64]:
    """Returns the weight of each state in one part of a summary, which is also the gradient of the part by the state.

    Args:
        states: States of one direction in the order of its walk, so that the last one walked is `states[-1]`; float
            [n, ...], for example [n, H] of one sequence or [T, B, H] of sequences of equal length.
        part: One of `PARTS`.

    Returns:
        Weights, float64 [n, ...].
    """
    return PARTS[part].weights(states) if len(states) else np.zeros(states.shape)


def summarize(y: Array, h_n: Array, lengths: npt.NDArray[np.int64], summary: str) -> Array:
    """Reduces the outputs of a recurrent stack to one vector for each sequence.

    Args:
        y: Outputs of the last layer, float [T, B, F] with F = H or, in both directions, 2·H.
        h_n: Final states, float [L, B, H] or [2·L, B, H], layer by layer and forward first; for a cell of several
            states [S, …], of which the first is the output.
        lengths: Steps of each row, int [B].
        summary: "last" is the final state of the last layer, of both directions side by side if there are two (the
            backward one ends at the sequence's start); "mean" and "max" are taken over time, feature by feature;
            "mean+max" has both side by side.

    Returns:
        Summaries [B, F], [B, 2·F] for "mean+max"; mean and max of an empty sequence are 0.

    Raises:
        ValueError: The summary has an unknown name.
    """
    h_n = h_n if h_n.ndim == 3 else h_n[0]
    vectors = []
    for part in summary_parts(summary):
        if part == "last":  # the only part that knows directions, and the state of a sequence without a step
            vectors.append(np.concatenate(list(h_n[-(y.shape[2] // h_n.shape[2]) :]), axis=1))
            continue
        vectors.append(np.zeros(y.shape[1:], y.dtype))
        for b in np.flatnonzero(lengths):
            vectors[-1][b] = PARTS[part].reduce(y[: lengths[b], b])
    return np.concatenate(vectors, axis=1)


def summarize_so_far(y: Array, summary: str) -> Array:
    """Reduces the outputs of one sequence to its summary after each step, for a stack that walks forward only.

    Args:
        y: Outputs, float [T, F].
        summary: As in `summarize`.

    Returns:
        Row t is the summary of the first t + 1 steps, [T, F], or [T, 2·F] for "mean+max".

    Raises:
        ValueError: The summary has an unknown name.
    """
    return np.concatenate([PARTS[part].so_far(y) for part in summary_parts(summary)], axis=1)
