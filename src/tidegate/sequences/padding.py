"""Sequences as users have them, side by side in padded batches."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]
Sequences = Sequence[npt.ArrayLike] | npt.NDArray[Any]
"""Sequences as users have them: a list of arrays [T, I], each with its own T, or one array [B, T, I]."""

# A batch holds as many padded steps as keep its float32 arrays at a few MB per hundred features.
STEPS_PER_BATCH = 16_384


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
    arrays = [as_floats(f"sequences[{b}]", sequence) for b, sequence in enumerate(sequences)]
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
    sequences: Sequence[Array], features: int, dtype: npt.DTypeLike = np.float32, fill: float = 0
) -> tuple[Array, npt.NDArray[np.int64]]:
    """Lays sequences side by side, time first, and fills up with one number.

    Args:
        sequences: B arrays [T, I].
        features: I.
        dtype: Of the result.
        fill: What stands beyond the ends.

    Returns:
        The padded batch [T, B, I] and the length of each row, int64 [B].
    """
    lengths = np.array([len(sequence) for sequence in sequences], np.int64)
    x: Array = np.full((lengths.max(initial=0), len(sequences), features), fill, dtype)
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


def as_floats(name: str, sequence: npt.ArrayLike) -> Array:
    """Converts to float32 what float32 holds exactly by numpy's rules, and to float64 all else.

    Raises:
        TypeError: They are no real numbers.
        ValueError: They are no array.
    """
    try:
        array = np.asarray(sequence)
    except ValueError as error:
        raise ValueError(f"{name} is no array [T, I]: {error}") from error
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} has dtype {array.dtype}, expected real numbers")
    return array.astype(np.result_type(array.dtype, np.float32), copy=False)
