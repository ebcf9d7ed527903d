"""Tables that are no texts with one class each, recognised before time is spent on them."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.data.tables.label_names import several_in

_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)(e[+-]?\d+)?", re.IGNORECASE)
_MOST_FRACTIONS = 10  # classes that are numbers with a fraction: stars from 0.5 to 5
_FEW = 20  # sequences below which a feature may tell the label by chance
_MOST_RARE = 20  # classes that may have fewer than two rows each on average


def check_words(texts: Sequence[str], column: str, *, named: bool = False) -> None:
    """Checks that texts are not numbers alone, which a text classifier would learn by heart as words.

    Args:
        texts: The texts.
        column: Where they come from, for errors.
        named: Whether the user has named the column; then whole numbers are words, as those of things that were bought.

    Raises:
        ValueError: All of them are numbers, one each or several.
    """
    measured = listed = False
    example = ""
    for text in texts:
        parts = re.split(r"[\s;|]+|,\s+", text.strip(" \t\r\n[](),;|"))
        if not all(part == "" or _NUMBER.fullmatch(part) for part in parts):
            return
        example = example or text.strip()
        measured = measured or any(map(_has_fraction, parts))
        listed = listed or len(parts) > 1
    found = f"the texts of column {column!r} are numbers, such as {example!r:.40}, expected words"
    rows = f"--features {column} takes each row for a sequence"
    if not listed:
        rows = "--key COLUMN takes each row for a step of a sequence, COLUMN being what tells the sequences apart"
    if example and measured:
        raise ValueError(
            f"{found}: if these are measured values, {rows}; otherwise name the column of texts with --text"
        )
    if example and not named:
        raise ValueError(
            f"{found}: name the column of texts with --text (--text {column} reads numbers as words); or, if these "
            f"are measured values, {rows}"
        )


def check_no_copies(texts: Sequence[str], labels: Sequence[str], columns: tuple[str, str]) -> None:
    """Checks that texts are not the labels themselves.

    Args:
        texts: The texts.
        labels: Their labels.
        columns: Where both come from, for errors.

    Raises:
        ValueError: Every text is its label.
    """
    if labels and all(text.strip() == label for text, label in zip(texts, labels, strict=True)):
        raise ValueError(
            f"the texts of column {columns[0]!r} are those of column {columns[1]!r}, the labels: name the column of "
            f"texts with --text"
        )


def check_classes(labels: Sequence[str], column: str) -> None:
    """Checks that labels are classes, one for each text.

    Args:
        labels: Of all rows.
        column: Where they come from, for errors.

    Raises:
        ValueError: They are numbers to be predicted, nearly all different, or several in one cell.
    """
    names = dict.fromkeys(labels)
    rare = len(names) > _MOST_RARE and 2 * len(names) > len(labels)
    if are_amounts(labels):
        fraction = next(filter(_has_fraction, names))
        raise ValueError(
            f"the labels of column {column!r} are numbers with a fraction, such as {fraction}, and {len(names)} "
            f'different ones, expected classes: --task regression predicts numbers (in Python task="regression")'
        )
    if len(names) == len(labels) <= _MOST_RARE:
        rows = "1 row" if len(labels) == 1 else f"{len(labels)} rows with as many different labels"
        raise ValueError(
            f"column {column!r} has {rows}: this is too little to train on. Each of two labels or more needs two rows "
            f"or more, one to train on and one to judge by; if these are no labels, name their column with --label"
        )
    if len(names) == len(labels) or rare:
        amounts = ", or predict numbers with --task regression" * all(map(_NUMBER.fullmatch, names))
        raise ValueError(
            f"column {column!r} has {len(names)} different labels in {len(labels)} rows, expected classes that come "
            f"again and again: name the column of labels with --label{amounts}"
        )
    if several := several_in(list(names)):
        raise ValueError(
            f"the label {several[0]!r:.60} of column {column!r} reads as several labels in one cell: {several[1]} "
            f"predicts any number of labels for each row; otherwise keep one of them"
        )


def check_sets(sets: Sequence[Sequence[str]], column: str, separator: str | None) -> None:
    """Checks that rows have several labels each, which come again and again.

    Args:
        sets: The labels of all rows.
        column: Where they come from, for errors.
        separator: What was taken to stand between them; None for lists.

    Raises:
        ValueError: No row has several, or nearly all labels differ.
    """
    if not any(len(labels) > 1 for labels in sets):
        how = (
            "--multi-label SEPARATOR says what stands between the labels of a cell"
            if separator is None
            else f"does {separator!r} stand between them?"
        )
        raise ValueError(f"no row has several labels in column {column!r}, but the task is multi-label: {how}")
    count, names = sum(map(len, sets)), {label for labels in sets for label in labels}
    if len(names) > _MOST_RARE and 2 * len(names) > count:
        raise ValueError(
            f"column {column!r} has {len(names)} different labels among {count} of {len(sets)} rows, expected labels "
            f"that come again and again: name the column of labels with --label"
        )


def are_amounts(labels: Sequence[str]) -> bool:
    """Whether labels are numbers to be predicted and no classes: with fractions, and many or nearly all different."""
    names = dict.fromkeys(labels)
    many = len(names) > _MOST_FRACTIONS or 2 * len(names) > len(labels)
    return many and any(map(_has_fraction, names)) and all(map(_NUMBER.fullmatch, names))


def _has_fraction(name: str) -> bool:
    return any(sign in name.lower() for sign in (".", ",", "e-"))


def check_copies(sequences: Sequence[npt.NDArray[Any]], targets: Any, names: Sequence[str]) -> None:
    """Checks that no feature stands for the label: one number at all steps of a sequence, and another for each label.

    Args:
        sequences: B arrays [T, K].
        targets: Their labels [B], or numbers [B, C].
        names: Names of the K features.

    Raises:
        ValueError: A feature is a copy of the labels.
    """
    filled = [b for b, sequence in enumerate(sequences) if len(sequence)]
    if len(filled) < _FEW:
        return
    for k, name in enumerate(names):
        constants = np.array([_constant(sequences[b][:, k]) for b in filled])
        if np.isnan(constants).any() or len(np.unique(constants)) == 1:
            continue
        numbers = np.asarray(targets)
        if numbers.dtype.kind == "f":
            copied = any(np.allclose(constants, column, rtol=1e-6, atol=0) for column in numbers[filled].T)
        else:
            pairs = {(constant, targets[b]) for constant, b in zip(constants.tolist(), filled, strict=True)}
            copied = len(pairs) == len({label for _, label in pairs}) == len({constant for constant, _ in pairs})
        if copied:
            raise ValueError(
                f"feature {name!r} tells the label: it never changes within a sequence, and each label has a number of "
                f"its own. A model would learn nothing else; name the other features with --features"
            )


def check_copies_of_steps(steps: npt.NDArray[Any], labels: Sequence[str], names: Sequence[str]) -> None:
    """Checks that no feature stands for the labels of steps: a number of its own for each label.

    Args:
        steps: All N steps, [N, K].
        labels: Their labels [N].
        names: Names of the K features.

    Raises:
        ValueError: A feature is a copy of the labels.
    """
    if len(steps) < _FEW:
        return
    known, classes = np.unique(np.asarray(labels), return_inverse=True)
    for name, column in zip(names, steps.T, strict=True):
        values, numbers = np.unique(column, return_inverse=True)
        if len(values) == len(known) == len(np.unique(numbers * len(known) + classes)):
            raise ValueError(
                f"feature {name!r} tells the label: at each step, each label has a number of its own. A model would "
                f"learn nothing else; name the other features with --features"
            )


def _constant(values: npt.NDArray[Any]) -> float:
    """Returns the number that a feature has at every step; NaN if it changes or is missing."""
    return float(values[0]) if (values == values[0]).all() else float("nan")
