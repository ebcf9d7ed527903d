"""Sequences as a network reads them."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class Embedded(NamedTuple):
    """Sequences of vectors, padded.

    Attributes:
        x: Vectors, float32 [T, B, I], 0 beyond a row's length.
        lengths: Steps of each row, int64 [B].
        tokens: The words of each row; None if the sequences are no texts.
        ids: The ids of the words of each row, int32 [T_b] each; None if the sequences are no texts.
    """

    x: npt.NDArray[np.float32]
    lengths: npt.NDArray[np.int64]
    tokens: tuple[tuple[str, ...], ...] | None
    ids: tuple[npt.NDArray[np.int32], ...] | None = None


def sigmoid(scores: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    """Turns logits into probabilities one by one; none overflows."""
    probabilities: npt.NDArray[np.floating[Any]] = np.exp(-np.logaddexp(0, -scores))
    return probabilities


def softmax(scores: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    """Turns logits [B, C] into probabilities; the largest is taken off first, so that none overflows."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities: npt.NDArray[np.floating[Any]] = powers / powers.sum(axis=1, keepdims=True)
    return probabilities
