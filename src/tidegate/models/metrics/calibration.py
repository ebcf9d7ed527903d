"""Whether confidence can be believed: how often predictions of about the same probability are right."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

CALIBRATION_BINS = 15


class ReliabilityBin(NamedTuple):
    """Rows of about the same confidence.

    Attributes:
        low: Least confidence.
        high: Largest confidence.
        n: Number of rows.
        confidence: Their mean confidence.
        accuracy: Share of them that is right.
    """

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


def reliability(
    correct: npt.NDArray[np.bool_], confidence: npt.NDArray[np.floating], bins: int = CALIBRATION_BINS
) -> list[ReliabilityBin]:
    """Groups rows by confidence, and compares it with the share that is right; empty bins are left out.

    Args:
        correct: Whether each row was predicted right, bool [B].
        confidence: Probability of the predicted class, float [B].
        bins: How many equally wide bins there are from 0 to 1.
    """
    which = _bins(confidence, bins)
    return [
        ReliabilityBin(b / bins, (b + 1) / bins, int(inside.sum()), *means)
        for b in range(bins)
        if (inside := which == b).any()
        for means in [(float(confidence[inside].mean()), float(correct[inside].mean()))]
    ]


def calibration_error(
    correct: npt.NDArray[np.bool_], confidence: npt.NDArray[np.floating], bins: int = CALIBRATION_BINS
) -> float:
    """Expected calibration error: how far confidence and accuracy are apart, on average.

    Rows are put into `bins` equally wide bins by confidence; the error is the mean of |accuracy − confidence| over
    the bins, weighted by their rows (Guo et al. 2017, "On Calibration of Modern Neural Networks", eq. 3).

    Args:
        correct: Whether each row was predicted right, bool [B].
        confidence: Probability of the predicted class, float [B].
        bins: Number of bins between 0 and 1.
    """
    which = _bins(confidence, bins)
    surplus = np.bincount(which, correct - confidence.astype(np.float64), minlength=bins)
    return float(np.abs(surplus).sum() / len(correct))


def _bins(confidence: npt.NDArray[np.floating], bins: int) -> npt.NDArray[np.int64]:
    """Puts confidences into equally wide bins from 0 to 1, int64 [B]."""
    return np.minimum((confidence * bins).astype(np.int64), bins - 1)
