"""One vector for a whole sequence: the summaries without weights, and those of a recurrent layer's outputs.

Sums over time are taken row by row, so the summary of a sequence has the same bits alone, in any batch and with any
padding.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from tidegate.ops.checks import check_choice

Array = npt.NDArray[np.floating[Any]]
Sequences = Sequence[npt.ArrayLike] | npt.NDArray[Any]
"""Sequences as users have them: a list of arrays [T, I], each with its own T, or one array [B, T, I]."""

Summary = Literal["last", "mean", "max", "mean+max"]
SUMMARIES: tuple[str, ...] = get_args(Summary)

# A batch holds as many padded steps as keep its float32 arrays at a few MB per hundred features.
STEPS_PER_BATCH = 16_384


def average(sequences: Sequences) -> Array:
    """Averages each sequence over its steps: how much, but not when.

    Two people count their push-ups on each day of a week. One grows stronger, the other grows tired, and their
    averages cannot tell who is who:

        >>> stronger = np.array([[10.0], [12], [15], [18], [20], [24], [27]])
        >>> tired = stronger[::-1]
        >>> average([stronger, tired])
        array([[18.],
               [18.]])

    Args:
        sequences: Numbers [T, I] for each of B sequences, T of any length, or one array [B, T, I].

    Returns:
        The averages [B, I], float32 if all sequences are of float32 or less, otherwise float64; 0 for length 0.

    Raises:
        TypeError: The sequences are no real numbers.
        ValueError: A sequence has another number of axes or features, or the number of features is unknown.
    """
    arrays, width = as_sequences(sequences)
    averages = [array.sum(axis=0) / max(len(array), 1) for array in arrays]
    return np.array(averages, np.result_type(np.float32, *arrays)).reshape(len(arrays), width)


def compound(sequences: Sequences, rate: npt.ArrayLike) -> Array:
    """Compounds each sequence as a savings account does, `h = rate·h + x`: what came first has grown longest.

    Three yearly deposits in a bank that pays 5 % a year. The same money is worth more when it comes early, for the
    oldest deposit has earned interest longest:

        >>> steady = [[1000.0], [1000.0], [1000.0]]
        >>> early, late = [[3000.0], [0.0], [0.0]], [[0.0], [0.0], [3000.0]]
        >>> compound([steady, early, late], rate=1.05)
        array([[3152.5],
               [3307.5],
               [3000. ]])

    With a rate below 1 it forgets instead: the weight of a step halves every log(1/2)/log(rate) steps.

    Args:
        sequences: Numbers [T, I] for each of B sequences, T of any length, or one array [B, T, I].
        rate: Growth factor per step, one number or one for each feature [I].

    Returns:
        The balances [B, I] after the last step, in the dtype that `average` has; 0 for length 0.

    Raises:
        TypeError: The sequences are no real numbers.
        ValueError: A sequence has another number of axes or features, or the rate is not finite.
    """
    arrays, width = as_sequences(sequences)
    rates = np.asarray(rate, np.float64)
    if rates.shape not in ((), (1,), (width,)):
        raise ValueError(f"rate has shape {rates.shape}, expected one number or [I] = ({width},)")
    if not np.isfinite(rates).all():
        raise ValueError(f"rate is {rates.tolist()}, expected finite growth factors per step")

    x, lengths = pad(arrays, width, np.result_type(np.float32, *arrays))
    return compounded(x, rates, lengths)[1]


def compounded(x: Array, rate: npt.ArrayLike, lengths: npt.NDArray[np.int64]) -> tuple[Array, Array]:
    """Compounds a padded batch and keeps every step.

    Args:
        x: Input, float [T, B, I].
        rate: Growth factors per step, [], [1] or [I].
        lengths: Steps of each row, int [B].

    Returns:
        Balances after each step [T, B, I], and after each row's last step [B, I], in the dtype of x.
    """
    rate = np.asarray(rate, x.dtype)
    y, h = np.empty_like(x), np.zeros(x.shape[1:], x.dtype)
    for t in range(len(x)):
        h = np.where(t < lengths[:, None], rate * h + x[t], h)
        y[t] = h
    return y, h


def summarize(y: Array, h_n: Array, lengths: npt.NDArray[np.int64], summary: str) -> Array:
    """Reduces the outputs of a recurrent stack to one vector for each sequence.

    Args:
        y: Outputs of the last layer, float [T, B, F] with F = H or, in both directions, 2·H.
        h_n: Final states, float [L, B, H] or [2·L, B, H], layer by layer and forward first; or those of a cell of
            several states [S, L·D, B, H], of which the first are the outputs.
        lengths: Steps of each row, int [B].
        summary: "last" is the final state of the last layer, of both directions side by side if there are two (the
            backward one ends at the sequence's start); "mean" and "max" are taken over time, feature by feature;
            "mean+max" has both side by side.

    Returns:
        Summaries [B, F], [B, 2·F] for "mean+max"; mean and max of an empty sequence are 0.

    Raises:
        ValueError: The summary has an unknown name.
    """
    check_choice("summary", summary, SUMMARIES)
    if summary == "last":
        outputs = h_n[0] if h_n.ndim == 4 else h_n
        directions = y.shape[2] // outputs.shape[2]
        return np.concatenate(list(outputs[-directions:]), axis=1)

    parts = [np.zeros(y.shape[1:], y.dtype) for _ in summary.split("+")]
    for part, reduction in zip(parts, summary.split("+"), strict=True):
        for b in np.flatnonzero(lengths):
            steps = y[: lengths[b], b]
            part[b] = steps.max(axis=0) if reduction == "max" else steps.sum(axis=0) / y.dtype.type(len(steps))
    return np.concatenate(parts, axis=1)


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
    check_choice("summary", summary, SUMMARIES)
    steps = np.arange(1, len(y) + 1, dtype=y.dtype)[:, None]
    so_far: dict[str, Callable[[], Array]] = {
        "last": lambda: y,
        "mean": lambda: np.add.accumulate(y, axis=0) / steps,
        "max": lambda: np.maximum.accumulate(y, axis=0),
    }
    return np.concatenate([so_far[part]() for part in summary.split("+")], axis=1)


def as_sequences(sequences: Sequences, features: int | None = None) -> tuple[list[Array], int]:
    """Checks sequences as users have them, and makes them arrays of float32 or float64.

    Args:
        sequences: Numbers [T, I] for each of B sequences, or one array [B, T, I]; an empty list is a sequence too.
        features: I where the caller's weights say it.

    Returns:
        B arrays [T, I], float32 those of float32 or less, float64 the others; and I.

    Raises:
        TypeError: They are no real numbers.
        ValueError: A sequence has another number of axes or features, or the number of features is unknown.
    """
    if isinstance(sequences, np.ndarray) and sequences.ndim != 3:
        raise ValueError(
            f"sequences has shape {sequences.shape}, expected [B, T, I] or a list of [T, I]: "
            f"one sequence x [T, I] is passed as [x], sequences of one number a step as x[..., None]"
        )
    arrays = [_as_floats(f"sequences[{b}]", sequence) for b, sequence in enumerate(sequences)]
    width, source = features, "the weights"
    if width is None and isinstance(sequences, np.ndarray):
        width, source = sequences.shape[2], "sequences"
    for b, array in enumerate(arrays):
        if array.shape == (0,):
            continue
        if array.ndim != 2:
            raise ValueError(f"sequences[{b}] has shape {array.shape}, expected [T, I]: one row for each step")
        if width is None:
            width, source = array.shape[1], f"sequences[{b}]"
        if array.shape[1] != width:
            raise ValueError(
                f"sequences[{b}] has shape {array.shape}, expected [T, I] with I={width}: it comes from {source}"
            )
    if width is None:
        raise ValueError(f"sequences holds {len(arrays)} sequences and no step, expected one step: I is unknown")
    return [array.reshape(len(array), width) for array in arrays], width


def pad(
    sequences: Sequence[Array], features: int, dtype: npt.DTypeLike = np.float32
) -> tuple[Array, npt.NDArray[np.int64]]:
    """Lays sequences side by side, time first, and fills up with 0.

    Args:
        sequences: B arrays [T, I].
        features: I.
        dtype: Of the result.

    Returns:
        The padded batch [T, B, I] and the length of each row, int64 [B].
    """
    lengths = np.array([len(sequence) for sequence in sequences], np.int64)
    x: Array = np.zeros((lengths.max(initial=0), len(sequences), features), dtype)
    for b, sequence in enumerate(sequences):
        x[: lengths[b], b] = sequence
    return x, lengths


def batches(lengths: Sequence[int] | npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.intp]]:
    """Groups sequences of similar length, longest first, into batches of bounded size.

    Args:
        lengths: Steps of each sequence, int [B].

    Yields:
        The positions of the sequences of a batch; each position comes once.
    """
    order = np.argsort(lengths, kind="stable")[::-1]
    while len(order):
        rows = max(1, STEPS_PER_BATCH // max(1, lengths[order[0]]))
        yield order[:rows]
        order = order[rows:]


def _as_floats(name: str, sequence: npt.ArrayLike) -> Array:
    """Converts to float32 what float32 holds exactly by numpy's rules, and to float64 all else."""
    try:
        array = np.asarray(sequence)
    except ValueError as error:
        raise ValueError(f"{name} is no array [T, I]: {error}") from error
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} has dtype {array.dtype}, expected real numbers")
    return array.astype(np.result_type(array.dtype, np.float32), copy=False)
