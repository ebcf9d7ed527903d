"""The steps that follow sequences, as rows of a table."""

from collections.abc import Sequence
from typing import Any

from tidegate.cli.inputs import Part
from tidegate.data.tables.values import plain_values
from tidegate.models.sequence_model import SequenceModel

SEQUENCE, STEP = "sequence", "step"


def forecast_columns(model: SequenceModel, sequences: Sequence[Any], steps: int) -> dict[str, Any]:
    """Predicts the steps that follow each of B sequences: B·steps rows of columns `step`, from 1, and the features."""
    found = model.forecast(list(sequences), steps)
    names = model.config.feature_names
    numbers = {name: found[:, :, k].ravel() for k, name in enumerate(names)}
    return {STEP: list(range(1, steps + 1)) * len(found), **numbers}


def told_apart(model: SequenceModel, part: Part, first: int, steps: int) -> dict[str, Any]:
    """Names the sequence of each row: by its key, or by the number of its row in the input, counted from `first`."""
    key = model.config.key
    known = key is not None and key in part.columns
    values = plain_values(part.columns[key]) if known else range(first, first + len(part))  # type: ignore[index]
    return {(key if known else None) or SEQUENCE: [value for value in values for _ in range(steps)]}
