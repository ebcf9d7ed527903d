"""A trained network that reads sequences of numbers as they are measured, or sound: features before a `Network`."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.models.config import SequenceConfig
from tidegate.models.encoder import Array
from tidegate.models.network import Network
from tidegate.ops.checks import check, check_count
from tidegate.sequences.embedded import Embedded
from tidegate.sequences.features import Features, steps_first
from tidegate.sequences.padding import as_floats, as_sequences, batches, pad
from tidegate.sequences.samples import as_sound, is_one_clip
from tidegate.stream.gaps import GapsPart
from tidegate.stream.last import LastStepPart
from tidegate.stream.parts import StreamPart
from tidegate.stream.sound import SoundPart


class SequenceModel(Network):
    """A trained network that reads sequences of numbers in their own units, with gaps if it has seen gaps.

    It scales the features and fills the gaps as `features` says, and has what a `Network` has. Sequences are a list of
    arrays [T, K], each with its own T, or one array [B, T, K]; [K, T] and [B, K, T] if the configuration says so. NaN
    stands for a missing value; one of a feature that was never missing in training is a ValueError.

    A model of sound, whose configuration has a front-end, reads clips: samples [N] as `as_sound` takes them, in a list,
    each with its own N, or one array [B, N]; an array [N] or [N, 1] is one clip, whichever method it is given to. Its
    steps, where they are looked into, are the frames of the front-end.

    Example:
        A model that averages temperatures, made by hand:

        >>> config = SequenceConfig(cell="average", labels=("cold", "warm"), features=1)
        >>> arrays = {"features.center": np.array([15.0]), "features.scale": np.array([10.0])}
        >>> arrays |= {"head.weight": np.array([[-1], [1]]), "head.bias": np.zeros(2)}
        >>> model = SequenceModel(config, {name: array.astype(np.float32) for name, array in arrays.items()})
        >>> model.predict([[[20.0], [16.0]], [[3.0]]]).tolist()
        ['warm', 'cold']

    Attributes:
        config: Features, cell, sizes, summary, task and labels.
        features: What becomes of the numbers of a step before the network reads them.
        front_end: What makes the numbers of sound; None for a model that does not read sound.
    """

    config: SequenceConfig
    described = "a model that reads sequences of numbers"

    def __init__(
        self,
        config: SequenceConfig,
        arrays: Mapping[str, npt.NDArray[Any]],
        metrics: Mapping[str, Any] | None = None,
        versions: Mapping[str, str] | None = None,
    ) -> None:
        """Checks the arrays, copies them, and packs the weights for the kernels.

        Args:
            config: As the attribute.
            arrays: `features.center` [K] and `features.scale` [K], and what a `Network` has; float32.
            metrics: Anything that JSON holds.
            versions: None for the version of tidegate at hand.

        Raises:
            TypeError: An array is not float32.
            ValueError: An array is missing, left over, of a wrong shape or not finite, or a scale is not above 0.
        """
        super().__init__(config, arrays, metrics, versions)
        self.features = Features(self.arrays["features.center"], self.arrays["features.scale"], config.missing)
        self.front_end = config.front_end
        if not (self.features.scale > 0).all():
            raise ValueError(f"features.scale has {self.features.scale.min()}, expected numbers above 0")

    def embed(self, source: Any) -> Embedded:
        """Makes a padded batch of sequences, scaled and without gaps.

        Args:
            source: One sequence, an array [T, K]; several, a list of such arrays or one array [B, T, K], in the layout
                of the model; or what `embed` returned, which is passed on as it is.

        Raises:
            TypeError: It is none of these.
            ValueError: A sequence has another number of features, or a number that is infinite or may not be missing.
        """
        if self.front_end and isinstance(source, np.ndarray):
            source = _clips(source)
        elif isinstance(source, np.ndarray) and source.ndim == 2:
            source = [source]
        return super().embed(source)

    def check_vectors(self, name: str, source: Any, axes: str) -> Array:
        """Scales the steps of a stream, whose gaps are filled as it is read.

        Args:
            name: What errors call them.
            source: Steps in the layout of the model, [T, K] or [K, T], or a single one, [K]; or samples, [N] or [B, N].
            axes: Letters of the axes before the features, as they are where steps come first.

        Returns:
            float32 [..., K], NaN where a value is missing; of sound [..., 1], full scale 1.

        Raises:
            TypeError: They are no numbers.
            ValueError: As in `embed`.
        """
        if self.front_end:
            clips = source if axes == "B T" else [source]
            sound = [as_sound(name, clip)[:, None] for clip in clips]
            return np.stack(sound) if axes == "B T" else sound[0]
        array = as_floats(name, source)
        if self.config.layout == "channels_first" and "T" in axes and array.ndim >= 2:
            array = array.swapaxes(-1, -2)
        shape = np.broadcast_to(np.float32(0), array.shape)
        check(name, shape, f"{axes} K", {"K": (self.config.features, "the model")})
        return self.features.scaled(name, array)

    def predict_steps(self, sequences: Any) -> list[Array]:
        """Predicts what follows each step, by a model that foresees steps, or the class of each step.

        Args:
            sequences: B sequences, as in `predict`.

        Returns:
            The h next steps after each step, one behind the other, float32 [T, h·K] for each sequence; of a model of 0
            and 1, the probabilities of a 1; of one that labels steps, those of the classes, [T, C].

        Raises:
            TypeError: The sequences are of another type.
            ValueError: A shape does not fit, or the model predicts nothing at each step.
        """
        if not self.config.aim.each_step:
            raise ValueError(
                f"this is a network for {self.config.aim.title}, expected one that foresees or labels steps"
            )
        rows = self._vectors(sequences)
        found: list[Array] = [np.empty(0, np.float32)] * len(rows)
        for batch in batches(np.array([len(row) for row in rows], np.int64)):
            x, lengths = pad([rows[b] for b in batch], self.config.input_size)
            y, _ = self.outputs(x, lengths)
            for place, b in enumerate(batch):
                scores = self.head(y[: lengths[place], place])
                found[b] = self.values_of(scores + self._repeated(rows[b]) if self.config.residual else scores)
        return found

    def label_steps(self, sequences: Any) -> list[npt.NDArray[Any]]:
        """Names the most probable class of each step, by what has come so far; `predict` names that of the last one.

        Args:
            sequences: B sequences, as in `predict`.

        Returns:
            Classes [T] for each sequence.

        Raises:
            TypeError: The sequences are of another type.
            ValueError: A shape does not fit, or the model does not label steps.
        """
        if not self.config.aim.labels_steps:
            raise ValueError(f"this is a network for {self.config.aim.title}, expected one that labels steps")
        return [self.config.aim.answers(values, self._classes) for values in self.predict_steps(sequences)]

    def scores(self, sequences: Any) -> Array:
        """Computes the outputs of the head, see `Predictor.scores`, and adds the last steps to predicted changes."""
        scores = super().scores(sequences)
        return scores + self.unchanged(sequences) if self.config.residual else scores

    def unchanged(self, sequences: Any) -> Array:
        """Computes what a network of changes (`residual`) adds to: the next steps if nothing changed.

        Args:
            sequences: B sequences, as in `predict`.

        Returns:
            The last step of each sequence h times, float32 [B, h·K], the median where there is none.

        Raises:
            TypeError: As in `predict`.
            ValueError: As in `predict`.
        """
        nothing = np.zeros((1, self.config.features), np.float32)
        rows = (row[-1:] if len(row) else nothing for row in self._vectors(sequences))
        return self._repeated(np.concatenate([nothing[:0], *rows]))

    def _repeated(self, x: Array) -> Array:
        """Returns steps x [N, K] in the units of the features, once for each step ahead, float32 [N, h·K]."""
        return np.tile(self.features.unscaled(x), self.config.horizon)

    def forecast(self, sequences: Any, steps: int = 1) -> Array:
        """Predicts the steps that follow each sequence; those beyond the horizon follow from the ones before them.

        Example:
            >>> model.forecast([temperatures], steps=24)  # doctest: +SKIP

        Args:
            sequences: B sequences, as in `predict`.
            steps: How many steps.

        Returns:
            float32 [B, steps, K]; of a model of 0 and 1, what is more probable.

        Raises:
            TypeError: The sequences are of another type.
            ValueError: As in `predict_steps`, or steps is no integer of 1 or more.
        """
        self._need_foresight()
        check_count("steps", steps)
        arrays, K = as_sequences(steps_first(sequences, self.config.layout), self.config.features)
        found = np.empty((len(arrays), steps, K), np.float32)
        first = self.config.layout == "steps_first"
        for b, array in enumerate(arrays):
            session = self.stream()
            piece = array
            for start in range(0, steps, self.config.horizon):
                session.push(piece if first else piece.T)
                piece = self.predictions_of(session.scores[None]).reshape(-1, K)
                found[b, start : start + len(piece)] = piece[: steps - start]
        return found

    def _need_foresight(self) -> None:
        if not self.config.aim.foresees:
            raise ValueError(f"this is a network for {self.config.aim.title}, expected one that foresees steps")

    def stream_parts(self) -> tuple[StreamPart, ...]:
        """Returns the parts whose scores are added up, see `Network.stream_parts`."""
        [network] = super().stream_parts()
        if self.front_end:
            return (SoundPart(self.front_end, self.features, network),)
        if self.config.residual:
            return network, LastStepPart(self.config.features, self._repeated)
        return (GapsPart(self.features, network) if self.config.missing else network,)

    @property
    def reads_sound(self) -> bool:
        """Whether its steps are samples of sound."""
        return self.front_end is not None

    def frames(self, clip: Any) -> Array:
        """Makes the frames of a clip, as the network reads them before they are scaled.

        Args:
            clip: Samples [N], see `as_sound`.

        Returns:
            float32 [T, K].

        Raises:
            TypeError: They are no samples.
            ValueError: The model reads no sound, or there are several channels or numbers that are no samples.
        """
        if not self.front_end:
            raise ValueError("the model reads no sound: it has no front-end")
        return self.front_end.frames(as_sound("clip", clip))

    def _vectors(self, sequences: Any) -> list[Array]:
        if self.front_end:
            clips = [as_sound(f"sequences[{b}]", clip) for b, clip in enumerate(_clips(sequences))]
            return [self.features.read(f"sequences[{b}]", self.front_end.frames(clip)) for b, clip in enumerate(clips)]
        arrays, _ = as_sequences(steps_first(sequences, self.config.layout), self.config.features)
        return [self.features.read(f"sequences[{b}]", array) for b, array in enumerate(arrays)]


def _clips(source: Any) -> list[Any]:
    """Lists the clips of a model of sound: one array [N] or [N, 1] is one clip."""
    if isinstance(source, str) or not isinstance(source, Iterable):
        raise TypeError(f"source is {source!r:.60}, expected clips, arrays [N], in a list")
    return [source] if is_one_clip(source) else list(source)
