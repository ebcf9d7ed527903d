"""The columns in which the commands write what a model answers."""

from collections.abc import Collection, Mapping, Sequence
from math import exp
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.cli.choice import Choice
from tidegate.cli.reading.inputs import Part
from tidegate.cli.reading.texts import joined
from tidegate.data.series.columns import in_order
from tidegate.data.tables.values import plain_values
from tidegate.models.architecture import Architecture
from tidegate.models.sequence_model import SequenceModel
from tidegate.models.text_model import TextModel

SEQUENCE, STEP = "sequence", "step"


def answer_columns(config: Architecture, values: npt.NDArray[np.floating], classes: Collection[Any]) -> dict[str, Any]:
    """Names the columns of N answers: the prediction and the probability of each class, or numbers.

    Args:
        config: Of the model.
        values: Its probabilities or numbers, float [N, C].
        classes: What it predicts, [N], where it has probabilities.
    """
    columns = dict(zip(config.labels, values.astype(np.float64).T, strict=True))
    if not config.aim.has_probabilities:
        only = len(columns) == 1
        return {"prediction" if only else f"prediction_{n}": _short(column) for n, column in columns.items()}
    return {"prediction": classes} | {f"p_{label}": column.round(6) for label, column in columns.items()}


def forecast_columns(model: SequenceModel, sequences: Sequence[Any], steps: int) -> dict[str, Any]:
    """Predicts the steps that follow each of B sequences: B·steps rows of columns `step`, from 1, and the features."""
    found = model.forecast(list(sequences), steps)
    names = model.config.feature_names
    numbers = {name: _short(found[:, :, k].ravel()) for k, name in enumerate(names)}
    return {STEP: list(range(1, steps + 1)) * len(found), **numbers}


def _short(numbers: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Returns numbers of float32 as those of float64 that have the fewest digits: 0.1, not 0.10000000149011612."""
    import pyarrow as pa  # noqa: PLC0415 - only who predicts numbers needs it

    found = pa.py_buffer(np.ascontiguousarray(numbers, np.float32))
    floats = pa.Array.from_buffers(pa.float32(), len(numbers), [None, found])
    return np.asarray(np.from_dlpack(floats.cast(pa.string()).cast(pa.float64())), np.float64)


def labelled_columns(model: SequenceModel, sequences: Sequence[Any]) -> dict[str, Any]:
    """Labels the steps of sequences: a row for each, of columns `step`, from 1, the label, and all probabilities."""
    found, labels = model.predict_steps(list(sequences)), model.config.labels
    values = np.concatenate([np.zeros((0, len(labels)), np.float32), *found])
    steps = [step for each in found for step in range(1, len(each) + 1)]
    return {STEP: steps, **answer_columns(model.config, values, [labels[i] for i in values.argmax(axis=1)])}


def foreseen_columns(model: TextModel, texts: Sequence[str], first: int, choice: Choice) -> dict[str, Any]:
    """Says how probable each of B texts is, nats and tokens with its end, or what follows it: columns to add.

    Args:
        model: A model of next words.
        texts: The texts.
        first: The row of the first of them in the input, from 0, by which each draws its own words.
        choice: What is asked for.
    """
    if choice.steps:
        found = model.forecast(texts, choice.steps, temperature=choice.temperature, seed=choice.seed, first=first)
        return {"continuation": found}
    rows = model.log_likelihoods(texts)
    sums = [float(row.sum(dtype=np.float64)) for row in rows]
    perplexity = [exp(-total / len(row)) for total, row in zip(sums, rows, strict=True)]
    return {
        "log_likelihood": [round(total, 4) for total in sums],
        "tokens": [len(row) for row in rows],
        "perplexity": [round(each, 4) for each in perplexity],
    }


def told_apart(part: Part, steps: Sequence[int]) -> dict[str, Any]:
    """Names the sequence of each row, of which it has so many: by its key, or by the number of its row, from 1."""
    numbers = range(part.first + 1, part.first + 1 + len(part))
    values = numbers if part.key is None else plain_values(part.columns[part.key])
    return {part.key or SEQUENCE: [value for value, count in zip(values, steps, strict=True) for _ in range(count)]}


def labelled_rows(part: Part, lengths: Sequence[int], added: Mapping[str, Any]) -> dict[str, Any]:
    """Makes the rows of steps that were labelled: key and time as the table has them, and what was added.

    Args:
        part: The sequences.
        lengths: Their steps.
        added: What `labelled_columns` makes of them.
    """
    columns = told_apart(part, lengths)
    if part.time is not None and part.times is not None:
        columns[part.time] = in_order(part.times, np.arange(sum(lengths)))
    if STEP in columns:  # the table counts them itself, or calls its times so
        added = {name: values for name, values in added.items() if name != STEP}
    return joined(columns, added, "predict")
