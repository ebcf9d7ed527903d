"""What all estimators have in common: how they are trained, and what they predict."""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    RegressorMixin,
    TransformerMixin,
)
from sklearn.utils import assert_all_finite, check_array, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, is_multilabel, type_of_target
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, check_is_fitted

from tidegate.models.metrics.thresholds import chosen_labels
from tidegate.models.network import Network
from tidegate.training.fitting import fit


class Estimator(BaseEstimator):  # type: ignore[misc]
    """An estimator whose parameters are those of `tidegate.fit`.

    Attributes:
        model_: The trained model, which explains and saves too.
    """

    _own: tuple[str, ...] = ("random_state",)
    """Parameters that `tidegate.fit` does not have."""

    model_: Network
    random_state: Any

    def _read(self, X: Any, *, reset: bool) -> Any:
        """Checks what is given, as scikit-learn wants it, and returns what `tidegate.fit` reads."""
        raise NotImplementedError

    def _train(self, X: Any, y: Any, task: str, sample_weight: Any) -> Self:
        """Trains the model."""
        check_consistent_length(X, y)
        if len(X) < 2:
            raise ValueError("found 1 sample, expected at least 2")
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        settings = {name: value for name, value in self.get_params(deep=False).items() if name not in self._own}
        if settings.get("frontend", "") is None:  # which is no setting of numbers that have no labels
            del settings["frontend"]
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self.model_ = fit(X, y, task=task, sample_weight=sample_weight, seed=seed, **settings)
        return self

    def _fitted(self, X: Any) -> Any:
        """Checks what a trained estimator is given."""
        check_is_fitted(self)
        return self._read(X, reset=False)

    def _required(self, y: Any) -> Any:
        """Checks that there are targets.

        Raises:
            ValueError: There are none.
        """
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        return y


class Classifier(ClassifierMixin, Estimator):  # type: ignore[misc]
    """Predicts one class for each sequence, or which of several labels it has.

    Attributes:
        classes_: The C classes in ascending order, of the type of the labels; 0 … C − 1 for the columns of labels.
    """

    _several: bool

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Trains the classifier.

        Args:
            X: B sequences.
            y: Their classes, [B]; or 1 for each label that a sequence has and 0 for the others, [B, C], such as
                scikit-learn's `MultiLabelBinarizer` makes them.
            sample_weight: How much each counts in the loss, float [B]; None for all the same.

        Raises:
            ImportError: PyTorch is missing.
            ValueError: X and y do not fit each other, or there is one class only.
        """
        X, y = self._read(X, reset=True), self._required(y)
        self._several = is_multilabel(y)
        if self._several:
            indicators = check_array(y, accept_sparse="csr", input_name="y")
            indicators = indicators.toarray() if hasattr(indicators, "toarray") else indicators
            if not indicators.any():
                raise ValueError("found no label in y: all its numbers are 0, expected a 1 for each label")
            self.classes_ = np.arange(indicators.shape[1])
            self._train(X, [np.flatnonzero(row).tolist() for row in indicators], "multi-label", sample_weight)
        else:
            y = column_or_1d(y, warn=True)
            assert_all_finite(y, input_name="y")
            check_classification_targets(y)
            self.classes_ = np.unique(y)
            if len(self.classes_) < 2:
                raise ValueError(f"found one class, {self.classes_.tolist()}, expected at least two classes")
            self._train(X, y, "classification", sample_weight)
        places = {label: place for place, label in enumerate(self.classes_.tolist())}
        self._columns = [places[label] for label in self.model_.config.classes or self.model_.labels]
        return self

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Predicts the class of each of B sequences, [B]; or 1 for the labels that it is said to have, int [B, C]."""
        probabilities = self.predict_proba(X)
        if self._several:
            return chosen_labels(probabilities).astype(np.int64)
        predicted: npt.NDArray[Any] = self.classes_[probabilities.argmax(axis=1)]
        return predicted

    def predict_proba(self, X: Any) -> npt.NDArray[np.float32]:
        """Computes the probability of each class, float32 [B, C], in the order of `classes_`.

        It is 0 for a label that no sequence had in training.
        """
        X = self._fitted(X)
        found = self.model_.predict_proba(X)
        probabilities = np.zeros((len(found), len(self.classes_)), np.float32)
        probabilities[:, self._columns] = found
        return probabilities

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class Regressor(RegressorMixin, Estimator):  # type: ignore[misc]
    """Predicts a number for each sequence, or several."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Trains the regressor.

        Args:
            X: B sequences.
            y: Their numbers, [B] or [B, C].
            sample_weight: How much each counts in the loss, float [B]; None for all the same.

        Raises:
            ImportError: PyTorch is missing.
            ValueError: X and y do not fit each other.
        """
        X = self._read(X, reset=True)
        y = _numbers(self._required(y))
        return self._train(X, y, "regression", sample_weight)

    def predict(self, X: Any) -> npt.NDArray[np.float64]:
        """Predicts the numbers of B sequences, float64 [B] or [B, C]."""
        X = self._fitted(X)
        return self.model_.predict(X).astype(np.float64)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class Encoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):  # type: ignore[misc]
    """Turns each sequence into one vector: what a network, trained to predict y, sees before it decides."""

    _unlabelled: str | None = None
    """The task where there are no labels; None if they are required."""

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Trains the network whose summary vectors are the result.

        Args:
            X: B sequences.
            y: Classes [B], or numbers [B] or [B, C] with a fraction: then it is a regression. None to predict the next
                step of each sequence (self-supervised), which sequences of numbers allow.
            sample_weight: How much each counts in the loss, float [B]; None for all the same.

        Raises:
            ImportError: PyTorch is missing.
            ValueError: X and y do not fit each other, or there is one class only.
        """
        X = self._read(X, reset=True)
        if y is None and self._unlabelled:
            return self._train(X, None, self._unlabelled, sample_weight)
        y = np.asarray(self._required(y))
        task = "regression" if type_of_target(y).startswith("continuous") else "classification"
        y = _numbers(y) if task == "regression" else column_or_1d(y)
        return self._train(X, y, task, sample_weight)

    def transform(self, X: Any) -> npt.NDArray[np.float32]:
        """Encodes B sequences, float32 [B, F]."""
        X = self._fitted(X)
        return self.model_.encode(X)

    @property
    def _n_features_out(self) -> int:
        return self.model_.config.summary_size

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self._unlabelled is None
        tags.transformer_tags.preserves_dtype = []  # vectors are float32
        return tags


def _numbers(y: Any) -> npt.NDArray[Any]:
    """Checks the numbers of a regression, [B] or [B, C]."""
    numbers: npt.NDArray[Any] = check_array(y, ensure_2d=False, dtype="numeric", input_name="y")
    return numbers
