"""What a threshold on the probability of one class does, thresholds that suit best, and the labels that reach them."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

HALF = 0.5
"""The threshold of a label unless another one is given."""


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


def at_best_f1(positive: npt.NDArray[np.bool_], probability: npt.NDArray[np.floating]) -> OperatingPoint:
    """Finds the threshold of the largest F1 of one class, the highest of equals, and measures there.

    Args:
        positive: Whether each row is of the class, bool [B].
        probability: Its probability, float [B].

    Returns:
        The point; where no row is of the class, that of the threshold 0.5.
    """
    if not positive.any():
        return at_threshold(positive, probability, HALF)
    order = np.argsort(-probability, kind="stable")
    hits, taken = positive[order].cumsum(), np.arange(1, len(order) + 1)
    f1 = 2 * hits / (taken + positive.sum())
    last_of_equals = np.append(probability[order][1:] != probability[order][:-1], True)
    return at_threshold(positive, probability, float(probability[order[np.where(last_of_equals, f1, -1).argmax()]]))


def chosen_labels(
    probabilities: npt.NDArray[np.floating], thresholds: npt.ArrayLike = HALF, most: int | None = None
) -> npt.NDArray[np.bool_]:
    """Chooses the labels that each row is said to have.

    Example:
        >>> chosen_labels(np.array([[0.9, 0.6, 0.7], [0.1, 0.2, 0.3]]), 0.5, most=2).tolist()
        [[True, False, True], [False, False, False]]

    Args:
        probabilities: Of each label, float [B, C].
        thresholds: The least probability of what is chosen, one for all labels or one for each, [C].
        most: The most labels of a row, the most probable ones; None for any number.

    Returns:
        bool [B, C].
    """
    chosen: npt.NDArray[np.bool_] = probabilities >= np.asarray(thresholds)
    if most is None:
        return chosen
    places = np.argsort(np.argsort(-probabilities, axis=1, kind="stable"), axis=1)
    return chosen & (places < most)
