"""Estimators of texts."""

from collections.abc import Iterable
from typing import Any

from tidegate.sklearn.estimator import Classifier, Encoder, Estimator, Regressor
from tidegate.text.texts import check_texts
from tidegate.training.data.vocabulary import RAREST, VOCAB_SIZE
from tidegate.training.settings import Settings


class TextEstimator(Estimator):
    """An estimator that reads B texts, in any collection.

    Args:
        cell: The text of a cell, such as "gru" or "lstm", or the name of a pooling.
        parts: What a classifier is made of, such as "network,ngrams", see `tidegate.fit`; None for a network alone.
        embedding_size: E, the numbers of a word vector.
        hidden_size: H.
        num_layers: L.
        bidirectional: Whether each layer walks in both directions.
        summary: "last", "mean", "max" or "mean+max".
        vocab_size: Most words to know, the most frequent ones first.
        min_frequency: How often a word must occur to be known.
        max_length: Longest text in words, the rest is not read; None for no limit.
        validation: The share to hold out, by which the best epoch is chosen; 0 to train on all.
        epochs: Most passes over the texts; None for what `tidegate.training.Settings` decides, and so are the next two.
        batch_size: Texts in a step.
        learning_rate: Of AdamW, at its highest.
        weight_decay: Of AdamW.
        dropout: Probability of zeroing a feature.
        random_state: Seed of everything random.

    Attributes:
        model_: The trained `tidegate.TextModel`, which explains and saves too.
    """

    def __init__(
        self,
        *,
        cell: str = "gru",
        parts: str | None = None,
        embedding_size: int = 100,
        hidden_size: int = 128,
        num_layers: int = 1,
        bidirectional: bool = False,
        summary: str = "last",
        vocab_size: int = VOCAB_SIZE,
        min_frequency: int = RAREST,
        max_length: int | None = 1000,
        validation: float = 0.1,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        weight_decay: float = Settings.weight_decay,
        dropout: float = Settings.dropout,
        random_state: Any = None,
    ) -> None:
        self.cell = cell
        self.parts = parts
        self.embedding_size = embedding_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.summary = summary
        self.vocab_size = vocab_size
        self.min_frequency = min_frequency
        self.max_length = max_length
        self.validation = validation
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.random_state = random_state

    def _read(self, X: Any, *, reset: bool) -> Any:
        """Checks texts.

        Raises:
            TypeError: It is one text, or one of them is no text.
            ValueError: There is none.
        """
        if not isinstance(X, Iterable):
            raise TypeError(f"X is {X!r:.60}, expected several texts")
        texts = list(check_texts(X))
        if not texts:
            raise ValueError("found no text in X, expected at least one")
        return texts

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags


class TextClassifier(Classifier, TextEstimator):
    """Classifies texts; its parameters are those of `TextEstimator`.

    With `parts` it takes no `sample_weight`.

    Example:
        >>> classifier = TextClassifier(hidden_size=8, epochs=20, batch_size=4, learning_rate=0.1, random_state=0)
        >>> classifier.fit(["so good", "so bad"] * 8, [1, 0] * 8).predict(["good", "bad"])
        array([1, 0])
    """


class TextRegressor(Regressor, TextEstimator):
    """Predicts numbers of texts; its parameters are those of `TextEstimator`."""


class TextEncoder(Encoder, TextEstimator):
    """Turns texts into vectors; its parameters are those of `TextEstimator`."""
