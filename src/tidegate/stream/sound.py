"""Sound in a stream: the samples of windows that are not complete yet."""

import numpy as np
import numpy.typing as npt

from tidegate.sequences.features import Features
from tidegate.sequences.logmel import LogMel
from tidegate.sequences.padding import pad
from tidegate.stream.parts import Array, Field, Kept, Rows, Steps, StreamPart


class SoundPart:
    """A part of a network whose steps are frames of sound, and those of the stream samples.

    It keeps the samples from the beginning of the next window on, which are fewer than a window has.
    """

    def __init__(self, front_end: LogMel, features: Features, part: StreamPart) -> None:
        """Takes what makes frames, what scales them, and the part."""
        self._front_end, self._features, self._part = front_end, features, part
        self.fields = {**part.fields, "sound": Field((front_end.win_length - 1,)), "heard": Field(())}

    def read(self, kept: Kept, rows: Rows, steps: Steps) -> None:
        """See `StreamPart`; the steps are samples, [N, B, 1]."""
        frames = [
            self._frames(kept, row, steps.x[:length, b, 0])
            for b, (row, length) in enumerate(zip(rows.tolist(), steps.lengths.tolist(), strict=True))
        ]
        going = [b for b, found in enumerate(frames) if len(found)]
        if going:
            x, lengths = pad([self._features.scaled("the sound", frames[b]) for b in going], self._features.size)
            self._part.read(kept, rows[going], Steps(x.astype(np.float32, copy=False), None, lengths))

    def _frames(self, kept: Kept, row: int, more: Array) -> Array:
        """Makes the frames that are complete now, and keeps the rest."""
        sound = np.concatenate([kept["sound"][row, : int(kept["heard"][row])], more])
        frames = self._front_end.frames(sound)
        rest = sound[len(frames) * self._front_end.hop_length :]
        kept["sound"][row] = 0
        kept["sound"][row, : len(rest)] = rest
        kept["heard"][row] = len(rest)
        return frames

    def results(self, kept: Kept, rows: Rows, counts: npt.NDArray[np.int64]) -> tuple[Array | None, Array | None]:
        """See `StreamPart`."""
        return self._part.results(kept, rows, self._front_end.count(counts))
