"""Pooling: one vector for a whole sequence without a recurrent layer, by averaging or by compounding."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.sequences.padding import Sequences, as_sequences, pad

Array = npt.NDArray[np.floating[Any]]


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


def compounded(
    x: Array, rate: npt.ArrayLike, lengths: npt.NDArray[np.int64], h0: Array | None = None
) -> tuple[Array, Array]:
    """Compounds a padded batch and keeps every step.

    Args:
        x: Input, float [T, B, I].
        rate: Growth factors per step, [], [1] or [I].
        lengths: Steps of each row, int [B].
        h0: Balances to begin with, [B, I]; None for 0.

    Returns:
        Balances after each step [T, B, I], and after each row's last step [B, I], in the dtype of x.
    """
    rate = np.asarray(rate, x.dtype)
    y, h = np.empty_like(x), np.zeros(x.shape[1:], x.dtype) if h0 is None else h0
    for t in range(len(x)):
        h = np.where(t < lengths[:, None], rate * h + x[t], h)
        y[t] = h
    return y, h


@dataclass(frozen=True)
class Pooling:
    """A way to read sequences without a recurrent layer, where a network may have one.

    Attributes:
        name: What files and the command line call it.
        title: What readers call it.
        summary: Which part of its outputs is the summary, see `summaries.PARTS`.
        has_rate: Whether its outputs are compounded balances, which have a growth factor, or the inputs themselves.
        learning_rate: Of AdamW, for a first try.
    """

    name: str
    title: str
    summary: str
    has_rate: bool = False
    learning_rate: float = 3e-3

    def outputs(
        self, x: Array, rate: npt.ArrayLike | None, lengths: npt.NDArray[np.int64], h0: Array | None = None
    ) -> tuple[Array, Array]:
        """Reads a padded batch.

        Args:
            x: Input, float [T, B, I].
            rate: Growth factors per step, [], [1] or [I]; None without.
            lengths: Steps of each row, int [B].
            h0: Initial states [1, B, I]; None for 0.

        Returns:
            Outputs [T, B, I] and final states [1, B, I], of which `summarize` makes the summaries.
        """
        if rate is None:
            return x, np.zeros((1, *x.shape[1:]), x.dtype)
        y, h_n = compounded(x, rate, lengths, None if h0 is None else h0[0])
        return y, h_n[None]


POOLINGS = {
    pooling.name: pooling
    for pooling in (
        Pooling("average", "average", summary="mean"),
        Pooling("compound", "compounding", summary="last", has_rate=True),
    )
}
"""The poolings by name."""

NOTHING = Pooling("none", "no network", summary="mean")
"""In the place of a pooling where no network reads the vectors, which have no numbers then: I is 0."""
