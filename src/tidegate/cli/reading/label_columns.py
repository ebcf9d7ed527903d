"""Columns of labels: names of classes, a list of them for the steps of each sequence, a column for each of several."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from tidegate.data.tables.label_names import as_booleans, label_name


def names_of_labels(
    labels: Sequence[Any], column: str, place: Callable[[int], str] = "row {}".format
) -> list[str | None]:
    """Names labels, see `label_name`.

    Args:
        labels: The labels.
        column: Their column.
        place: Says where one of them is, from 1.

    Raises:
        ValueError: One is neither a text nor a number; the message says where it is.
    """
    found = []
    for number, label in enumerate(labels, 1):
        try:
            found.append(label_name(label))
        except ValueError as error:
            raise ValueError(f"{place(number)} of label column {column!r} {error}") from None
    return found


def labels_of_steps(labels: Mapping[str, Sequence[Any]], lengths: Sequence[int], place: Callable[[int], str]) -> Any:
    """Names the labels of the steps of sequences, a list for each.

    Args:
        labels: One column, which has a list for each of B sequences.
        lengths: Steps of each.
        place: Says where a sequence is in its table.

    Raises:
        ValueError: A sequence has no such list, or one of another length, or a step has no label, or there are several
            columns.
    """
    if len(labels) > 1:
        raise ValueError(f"--label names {len(labels)} columns, expected one for --label-per-step")
    [(name, by_sequence)] = labels.items()
    found: list[list[str]] = []
    for b, (values, steps) in enumerate(zip(by_sequence, lengths, strict=True)):
        if not isinstance(values, list) or len(values) != steps:
            what = f"{len(values)} labels" if isinstance(values, list) else f"the label {values!r:.40}"
            raise ValueError(f"{place(b)} has {what} in column {name!r}, expected a list of {steps}, one for each step")
        names = names_of_labels(values, name, partial(_step_of, place, b))
        if None in names:
            raise ValueError(f"{place(b)} has no label in column {name!r} at step {names.index(None) + 1}")
        found.append([label for label in names if label is not None])
    flat = as_booleans(list(chain.from_iterable(found)))
    ends = np.cumsum(lengths).tolist()
    return [flat[end - steps : end] for end, steps in zip(ends, lengths, strict=True)]


def _step_of(place: Callable[[int], str], b: int, step: int) -> str:
    return f"step {step} of {place(b)}"


def sets_in_columns(labels: Mapping[str, Sequence[Any]]) -> list[tuple[str, ...]]:
    """Names the labels of each row, of which each has a column of 1 and 0, or of true and false.

    Args:
        labels: The columns, B values each.

    Raises:
        ValueError: A cell holds something else.
    """
    found: list[list[str]] = [[] for _ in next(iter(labels.values()))]
    for column, values in labels.items():
        for row, (name, value) in enumerate(zip(names_of_labels(values, column), values, strict=True)):
            there = {"1": True, "true": True, "0": False, "false": False}.get((name or "").lower())
            if there is None:
                raise ValueError(
                    f"row {row + 1} of label column {column!r} holds {value!r:.40}, expected 1 or 0: with --task "
                    f"multi-label, each of several columns says whether a row has its label"
                )
            if there:
                found[row].append(column)
    return [tuple(each) for each in found]


def check_each_occurs(sets: Sequence[Sequence[str]], columns: Collection[str]) -> None:
    """Checks that some row has each label: a model of labels that were never seen has none of them.

    Args:
        sets: What `sets_in_columns` has made.
        columns: The columns of the labels.

    Raises:
        ValueError: No row has one.
    """
    seen = set(chain.from_iterable(sets))
    if never := [column for column in columns if column not in seen]:
        raise ValueError(
            f"no row has a 1 in label column {never[0]!r}, expected some from which the label is learned: leave it out"
        )
