"""Summary vectors to answers: the linear head of a trained network, and what its outputs mean."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.models.encoder import Encoder

Array = npt.NDArray[np.float32]


class Predictor(Encoder):
    """An encoder with a linear head, whose outputs are the logits of classes, or numbers."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the C outputs."""
        return self.config.labels

    @property
    def head_weight(self) -> Array:
        """Weights of the head, float32 [C, F].

        Raises:
            ValueError: There is no head.
        """
        if not self.config.has_head:
            raise ValueError(f"a network of the task {self.config.task!r} has no head, and so no scores to look into")
        return self.arrays["head.weight"]

    @property
    def head_bias(self) -> Array:
        """Bias of the head, float32 [C]."""
        return self.arrays["head.bias"]

    def predict(self, sequences: Any) -> npt.NDArray[Any]:
        """Names the most probable class of each sequence, or all probable labels, or computes numbers.

        Args:
            sequences: B sequences.

        Returns:
            Classes [B], `str` objects unless the configuration says otherwise; of several labels, tuples of those of a
            probability of 0.5 or more; of a regression float32 [B], or [B, C] for several numbers.

        Raises:
            TypeError: The sequences are of another type.
            ValueError: A shape does not fit, or the network has no head.
        """
        return self.predictions_of(self.scores(sequences))

    def predictions_of(self, scores: Array) -> npt.NDArray[Any]:
        """Returns what `predict` does for scores [B, C]."""
        return self.config.aim.answers(self.values_of(scores), self._classes)

    def predict_proba(self, sequences: Any) -> Array:
        """Computes the probability of each class.

        Args:
            sequences: B sequences.

        Returns:
            Probabilities, float32 [B, C], in the order of `labels`; each row sums to 1, unless a sequence may have
            several labels.

        Raises:
            TypeError: The sequences are of another type.
            ValueError: A shape does not fit, or the network is not a classifier.
        """
        self._need_probabilities()
        return self.probabilities_of(self.scores(sequences))

    def probabilities_of(self, scores: Array) -> Array:
        """Returns the probability of each class of scores [B, C].

        Raises:
            ValueError: The network is not a classifier.
        """
        self._need_probabilities()
        return self.values_of(scores)

    def values_of(self, scores: Array) -> Array:
        """Returns what scores [B, C] mean: probabilities, or the numbers of a regression."""
        return self.config.aim.values(scores, self.labels)

    def order_of(self, scores: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
        """Says which of the scores [C] of one sequence each of the C answers is, [C]: quantiles are sorted."""
        return self.config.aim.order(scores, self.labels)

    @property
    def has_probabilities(self) -> bool:
        """Whether the outputs of the head are logits of classes, and not numbers."""
        return self.config.aim.has_probabilities

    def scores(self, sequences: Any) -> Array:
        """Computes the outputs of the head: logits, whose softmax are the probabilities, or numbers.

        Args:
            sequences: B sequences.

        Returns:
            Outputs, float32 [B, C].

        Raises:
            TypeError: The sequences are of another type.
            ValueError: A shape does not fit, or the network has no head.
        """
        if not self.config.has_head:
            raise ValueError("this network has no head to predict with: use encode, which gives summary vectors")
        return self.head(self.encode(sequences))

    def head(self, summaries: Array) -> Array:
        """Applies the linear head.

        Args:
            summaries: Summary vectors, float32 [B, F].

        Returns:
            Logits, or the numbers of a regression, float32 [B, C].
        """
        # A matrix product by BLAS rounds differently from one number of rows to another, einsum does not.
        logits: Array = np.einsum("bf,cf->bc", np.ascontiguousarray(summaries), self.head_weight)
        return logits + self.head_bias

    @property
    def _classes(self) -> npt.NDArray[Any]:
        """What `predict` returns for each label: numbers as numbers, everything else as objects, [C]."""
        values = self.labels if self.config.classes is None else self.config.classes
        if {type(value) for value in values} in ({int}, {float}, {bool}):
            return np.array(values)
        classes = np.empty(len(values), object)
        classes[:] = values
        return classes

    def _need_probabilities(self) -> None:
        if not self.config.aim.has_probabilities:
            raise ValueError(f"this is a network for {self.config.aim.title}, expected one for classification")

    def _need_classes(self) -> None:
        if not self.config.aim.exclusive:
            raise ValueError(f"this is a network for {self.config.aim.title}, expected one for classification")
