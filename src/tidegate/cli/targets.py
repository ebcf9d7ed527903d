"""What is to be predicted, as the commands read it: classes, or numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.cli.console import say
from tidegate.data.series.cells import numbers_of
from tidegate.data.series.roles import shortened
from tidegate.data.tables.columns import names_in
from tidegate.data.tables.containers import Source
from tidegate.data.tables.folders import names_of_columns
from tidegate.data.tables.label_names import label_name
from tidegate.training.examples import Examples
from tidegate.training.tasks import are_amounts

_SAID = 8  # labels that are listed


def find_task(asked: str, labels: Mapping[str, Sequence[Any]]) -> str:
    """Decides whether classes or numbers are to be predicted, and says so if it was not asked for.

    Args:
        asked: "classification", "regression", or "auto" to go by the labels.
        labels: The labels by column.
    """
    if asked != "auto":
        return asked
    [*columns] = ([name for value in values if (name := label_name(value)) is not None] for values in labels.values())
    if len(columns) > 1 or are_amounts(columns[0]):
        say("task: regression, as the labels are numbers; --task classification takes them for classes")
        return "regression"
    return "classification"


def label_columns(label: str, source: Source, kind: str | None) -> tuple[str, ...]:
    """Names the columns of the numbers of a regression.

    Args:
        label: A column, whose name may have a comma, or several with commas between them.
        source: The table, a folder or a pattern.
        kind: What kind of table it is; None to go by how it begins.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file is damaged, or no column is named.
    """
    names = names_in([label], names_of_columns(source, kind) if "," in label else ())
    if not names:
        raise ValueError(f"--label is {label!r}, expected the name of a column")
    return names


def numbers_to_predict(labels: Mapping[str, Sequence[Any] | None]) -> npt.NDArray[np.float64]:
    """Reads the numbers of a regression.

    Args:
        labels: C columns of B numbers, by name; None if there is no such column.

    Returns:
        float64 [B, C].

    Raises:
        ValueError: A column is not there, or a cell holds no number or an infinite one.
    """
    columns = []
    for name, values in labels.items():
        if values is None:
            raise ValueError(f"there is no column {name!r} to predict")
        numbers = numbers_of(values, name)
        if wrong := np.flatnonzero(~np.isfinite(numbers)).tolist():
            raise ValueError(f"row {wrong[0] + 1} has no number in column {name!r}, expected one to predict")
        columns.append(numbers)
    return np.stack(columns, axis=1)


def columns_said(names: Sequence[str]) -> str:
    """Says which columns hold the labels."""
    return f"labels: column{'s' * (len(names) > 1)} {shortened(names)}"


def describe_targets(examples: Examples) -> None:
    """Prints the share of each class, or the range of each number."""
    if examples.task == "regression":
        for name, numbers in zip(examples.labels, examples.train.targets.T, strict=True):
            say(f"numbers of {name!r}: {numbers.min():g} to {numbers.max():g}, mean {numbers.mean():g}")
        return
    counts = np.bincount(examples.train.targets)
    named = zip(examples.labels[:_SAID], counts, strict=False)
    shares = ", ".join(f"{name} {n / counts.sum():.0%}" for name, n in named)
    say(f"labels: {shares}" + (f" and {len(counts) - _SAID} more" if len(counts) > _SAID else ""))
