"""One way to compute a case, ready to be timed, and how its answer is compared with those of the others."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from case import Array

TOLERANCE = 1e-4
"""Largest difference to torch that still counts as the same answer, as a share of the largest number (at least 1)."""


def nothing() -> None:
    """Prepares nothing."""


@dataclass(frozen=True)
class Contender:
    """One way to compute a case.

    Attributes:
        call: What is timed: a forward pass, or a whole training step.
        answer: Turns what `call` returns into named arrays: y [T, B, D·H] in inference, and in training the gradients
            dx and those of the first layer's weights.
        setting: What was chosen, for a contender that could be run in more than one way.
        prepare: Called before a turn and not timed.
    """

    call: Callable[[], Any]
    answer: Callable[[Any], Mapping[str, Array]]
    setting: str = ""
    prepare: Callable[[], None] = nothing


def difference(answer: Mapping[str, Array], expected: Mapping[str, Array]) -> float:
    """Returns the largest difference, each array's as a share of its largest number (at least 1); NaN is infinite."""
    worst = 0.0
    for name, array in expected.items():
        error = np.abs(answer[name] - array).max() / max(1.0, float(np.abs(array).max()))
        worst = max(worst, float(error) if np.isfinite(error) else np.inf)
    return worst
