"""What a threshold on the probability of one class does, and the threshold at which enough of the class is found."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class OperatingPoint(NamedTuple):
    """What a threshold on the probability of one class does.

    Attributes:
        threshold: Least probability from which a row is said to be of the class.
        precision: Share of those rows that are, 0 when there are none.
        recall: Share of the rows of the class that are found, 0 when there are none.
    """

    threshold: float
    precision: float
    recall: float


def at_threshold(
    positive: npt.NDArray[np.bool_], probability: npt.NDArray[np.floating], threshold: float
) -> OperatingPoint:
    """Measures precision and recall of one class at a threshold.

    Args:
        positive: Whether each row is of the class, bool [B].
        probability: Its probability, float [B].
        threshold: Least probability of the rows that are taken.
    """
    taken = probability >= threshold
    hits = int((taken & positive).sum())
    return OperatingPoint(threshold, hits / max(1, int(taken.sum())), hits / max(1, int(positive.sum())))


def at_recall(positive: npt.NDArray[np.bool_], probability: npt.NDArray[np.floating], recall: float) -> OperatingPoint:
    """Finds the highest threshold at which a share of the rows of a class is found, and measures there.

    Args:
        positive: Whether each row is of the class, bool [B]; one at least is.
        probability: Its probability, float [B].
        recall: The share, above 0 and up to 1.

    Raises:
        ValueError: No row is of the class, or the share is out of its range.
    """
    if not 0 < recall <= 1:
        raise ValueError(f"recall is {recall}, expected a number above 0 and up to 1")
    if not positive.any():
        raise ValueError("no row is of the class, so there is no recall to reach")
    ranked = np.sort(probability[positive])[::-1]
    needed = max(1, int(np.ceil(recall * len(ranked) - 1e-9)))  # 0.07 of 100 are 7, not 8
    return at_threshold(positive, probability, float(ranked[needed - 1]))
