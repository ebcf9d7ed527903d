"""Features that may be missing in a stream: what is carried from one piece to the next."""

import numpy as np
import numpy.typing as npt

from tidegate.sequences.features import Features
from tidegate.stream.parts import Array, Field, Kept, Rows, Steps, StreamPart


class GapsPart:
    """A part of a network whose steps have gaps, which are filled before it reads them.

    It keeps the last value of each feature that may be missing, and the steps since, which float32 counts up to 2²⁴.
    """

    def __init__(self, features: Features, part: StreamPart) -> None:
        """Takes the features and the part."""
        self._features, self._part = features, part
        of_each = (len(features.missing),)
        self.fields = {**part.fields, "carried": Field(of_each), "unseen": Field(of_each)}

    def read(self, kept: Kept, rows: Rows, steps: Steps) -> None:
        """See `StreamPart`; the steps are as `Features.scaled` returns them."""
        x, since = self._features.filled(steps.x, kept["carried"][rows], kept["unseen"][rows])
        latest = (steps.lengths - 1, np.arange(len(rows)))
        kept["carried"][rows] = x[latest][:, list(self._features.missing)]
        kept["unseen"][rows] = since[latest]
        self._part.read(kept, rows, steps._replace(x=x))

    def results(self, kept: Kept, rows: Rows, counts: npt.NDArray[np.int64]) -> tuple[Array | None, Array | None]:
        """See `StreamPart`."""
        return self._part.results(kept, rows, counts)
