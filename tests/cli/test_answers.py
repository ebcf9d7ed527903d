"""The columns of what a model answers."""

import numpy as np
import pytest

pytest.importorskip("pyarrow")

from tidegate.cli.answers import answer_columns
from tidegate.models.config import SequenceConfig


def test_numbers_have_the_digits_that_a_float32_has() -> None:
    """Whatever the bits of a float32, its number is the one of float64 with the fewest digits that means it."""
    some = np.random.default_rng(0).integers(0, 2**32, 20_000, dtype=np.uint32).view(np.float32)
    rare = np.array([0.1, -0.0, np.inf, -np.inf, np.nan, 1e-45], np.float32)
    values = np.append(np.where(np.isfinite(some), some, np.float32(1)), rare).reshape(-1, 2)
    config = SequenceConfig(cell="gru", task="regression", labels=("a", "b"), features=1, hidden_size=2)
    found = answer_columns(config, values, ())
    for column, name in zip(values.T, ("prediction_a", "prediction_b"), strict=True):
        np.testing.assert_array_equal(found[name], [float(str(value)) for value in column])
    assert len(answer_columns(config, values[:0], ())["prediction_a"]) == 0
