"""The last step of a stream, to which a network of changes adds what it predicts."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tidegate.stream.parts import Array, Field, Kept, Rows, Steps


class LastStepPart:
    """A part of a network whose scores are made of the last step alone, which it keeps."""

    def __init__(self, features: int, scores: Callable[[Array], Array]) -> None:
        """Takes the number of features, K, and what makes scores [B, C] of steps [B, K]."""
        self.fields = {"latest": Field((features,))}
        self._scores = scores

    def read(self, kept: Kept, rows: Rows, steps: Steps) -> None:
        """See `StreamPart`."""
        kept["latest"][rows] = steps.x[steps.lengths - 1, np.arange(len(rows))]

    def results(self, kept: Kept, rows: Rows, counts: npt.NDArray[np.int64]) -> tuple[None, Array]:
        """See `StreamPart`."""
        return None, self._scores(kept["latest"][rows])
