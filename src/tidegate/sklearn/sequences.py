"""Estimators of sequences of numbers: ragged lists, arrays of three axes, or rows of a fixed length."""

from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from tidegate.sequences.features import LAYOUTS
from tidegate.sequences.samples import as_sound
from tidegate.sklearn.estimator import Classifier, Encoder, Estimator, Regressor
from tidegate.training.settings import VECTOR_DROPOUT, Settings


class SequenceEstimator(Estimator):
    """An estimator that reads B sequences of numbers.

    They come as a list of arrays [T, K], each with its own T, as an object array or a pandas series of these, or as one
    array [B, T, K]; or as rows of numbers [B, T·K], an array or a data frame, as other estimators take them. NaN stands
    for a missing value; of a feature that was never missing in training it is an error.

    Args:
        cell: The text of a cell, such as "gru" or "lstm", or the name of a pooling.
        hidden_size: H.
        num_layers: L.
        bidirectional: Whether each layer walks in both directions.
        summary: "last", "mean", "max" or "mean+max".
        input_size: K, the numbers of each step, where rows [B, T·K] are given.
        layout: "channels_first" if sequences are arrays [K, T] or [B, K, T], and rows are K·T numbers.
        frontend: What makes frames of sound, such as "logmel sample_rate=16000"; X has clips then, samples [N] each,
            see `tidegate.LogMel`. None where X has numbers.
        validation: The share to hold out, by which the best epoch is chosen; 0 to train on all.
        epochs: Most passes over the sequences; None for what `tidegate.training.Settings` decides, and so are the next
            two.
        batch_size: Sequences in a step.
        learning_rate: Of AdamW, at its highest.
        weight_decay: Of AdamW.
        dropout: Probability of zeroing a feature.
        noise: Standard deviation of the noise that is added to the numbers that are trained on, in units of their
            feature's scale, see `tidegate.training.Settings`.
        random_state: Seed of everything random.

    Attributes:
        model_: The trained `tidegate.SequenceModel`, which explains and saves too.
        n_features_in_: T·K where rows were given, 1 of sound, else K.
        feature_names_in_: Names of the columns, where a data frame of rows was given.
    """

    n_features_in_: int
    _own = ("random_state", "input_size")

    def __init__(
        self,
        *,
        cell: str = "gru",
        hidden_size: int = 128,
        num_layers: int = 1,
        bidirectional: bool = False,
        summary: str = "last",
        input_size: int = 1,
        layout: str = LAYOUTS[0],
        frontend: str | None = None,
        validation: float = 0.1,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        weight_decay: float = Settings.weight_decay,
        dropout: float = VECTOR_DROPOUT,
        noise: float = Settings.noise,
        random_state: Any = None,
    ) -> None:
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.summary = summary
        self.input_size = input_size
        self.layout = layout
        self.frontend = frontend
        self.validation = validation
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.noise = noise
        self.random_state = random_state

    def _read(self, X: Any, *, reset: bool) -> Any:
        """Checks sequences, and turns rows [B, T·K] into sequences.

        Raises:
            ValueError: There is no sequence, one has another number of features than in training, or a row has no whole
                number of steps.
        """
        if self.frontend is not None:
            return self._clips(X, reset=reset)
        axis = -1 if self.layout == LAYOUTS[0] else 0
        if not _are_sequences(X):
            rows = validate_data(self, X, reset=reset, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan")
            if rows.shape[1] % self.input_size:
                raise ValueError(
                    f"X has {rows.shape[1]} numbers in a row, expected T·K: a multiple of input_size={self.input_size}"
                )
            sizes = (-1, self.input_size) if axis else (self.input_size, -1)
            return rows.reshape(len(rows), *sizes)
        sequences = [np.asarray(sequence) for sequence in X]
        widths = {sequence.shape[axis] for sequence in sequences if sequence.size}
        expected = next(iter(widths), 0) if reset else self.n_features_in_
        if widths - {expected}:
            found = f"X has sequences of {sorted(widths)} features"
            raise ValueError(f"{found}, but {type(self).__name__} is expecting {expected}")
        if reset:
            self.n_features_in_ = expected
        return sequences

    def _clips(self, X: Any, *, reset: bool) -> list[Any]:
        """Checks clips of sound.

        Raises:
            ValueError: There is none.
        """
        clips = [as_sound(f"X[{b}]", clip) for b, clip in enumerate(X)]
        if not clips:
            raise ValueError("found no clip in X, expected at least one")
        if reset:
            self.n_features_in_ = 1
        return clips

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        tags.non_deterministic = False
        return tags


class SequenceClassifier(Classifier, SequenceEstimator):
    """Classifies sequences of numbers; its parameters are those of `SequenceEstimator`.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> X = [rng.normal(size=(rng.integers(4, 9), 2)) for _ in range(60)]
        >>> y = ["up" if x[:, 0].sum() > 0 else "down" for x in X]
        >>> classifier = SequenceClassifier(hidden_size=8, epochs=15, learning_rate=0.03, random_state=0).fit(X, y)
        >>> classifier.score(X, y) > 0.8
        True
    """


class SequenceRegressor(Regressor, SequenceEstimator):
    """Predicts numbers of sequences of numbers; its parameters are those of `SequenceEstimator`."""


class SequenceEncoder(Encoder, SequenceEstimator):
    """Turns sequences of numbers into vectors; its parameters are those of `SequenceEstimator`.

    Without labels it learns to predict the next step of each sequence.
    """

    _unlabelled = "next"


def _are_sequences(X: Any) -> bool:
    """Whether these are sequences of several axes, and not the rows of a table."""
    if getattr(X, "ndim", 1) == 3:
        return True
    if getattr(X, "ndim", 1) != 1 or not hasattr(X, "__len__") or not len(X):
        return False
    first = X[0] if isinstance(X, list | tuple | np.ndarray) else next(iter(X))
    return not isinstance(first, str) and np.ndim(first) == 2
