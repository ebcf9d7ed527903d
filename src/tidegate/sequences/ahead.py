"""What comes after each step of a sequence: the steps that a network is to foresee."""

from typing import Any

import numpy as np
import numpy.typing as npt


def steps_ahead(sequence: npt.NDArray[Any], horizon: int) -> npt.NDArray[Any]:
    """Lays the next steps beside each step that is followed by as many.

    Example:
        >>> steps_ahead(np.array([[1], [2], [3], [4]]), horizon=2).tolist()
        [[2, 3], [3, 4]]

    Args:
        sequence: Steps [T, K].
        horizon: How many steps to foresee, h.

    Returns:
        [max(0, T − h), h·K]: the h next steps, one behind the other.
    """
    T = max(0, len(sequence) - horizon)
    return np.concatenate([sequence[j : j + T] for j in range(1, horizon + 1)], axis=1)


def names_ahead(names: tuple[str, ...], horizon: int) -> tuple[str, ...]:
    """Names the h·K numbers of `steps_ahead`: those of the features, with "+1", "+2", … if there are several steps."""
    if horizon == 1:
        return names
    return tuple(f"{name} +{j}" for j in range(1, horizon + 1) for name in names)


def are_binary(sequences: list[npt.NDArray[Any]]) -> bool:
    """Whether sequences consist of several features that are 0 or 1 at every step, such as the keys of a piano."""
    return all(sequence.shape[1] > 1 and ((sequence == 0) | (sequence == 1)).all() for sequence in sequences)
