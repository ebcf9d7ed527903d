"""Estimators to scikit-learn's contract: for pipelines, searches over parameters and cross-validation.

Training needs PyTorch (`pip install 'tidegate[train,sklearn]'`), a trained estimator does not.
"""

try:
    import sklearn as _sklearn  # noqa: F401 - to say what is missing
except ImportError as error:
    raise ImportError("tidegate.sklearn needs scikit-learn: pip install 'tidegate[sklearn]'") from error

from tidegate.sklearn.sequences import SequenceClassifier as SequenceClassifier
from tidegate.sklearn.sequences import SequenceEncoder as SequenceEncoder
from tidegate.sklearn.sequences import SequenceRegressor as SequenceRegressor
from tidegate.sklearn.texts import TextClassifier as TextClassifier
from tidegate.sklearn.texts import TextEncoder as TextEncoder
from tidegate.sklearn.texts import TextRegressor as TextRegressor
