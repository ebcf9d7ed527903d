"""Labels as numbers: the classes that occur, or the numbers of a regression."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.data.tables.label_names import BOOLEANS, label_name
from tidegate.training.corpus import Integers


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What is to be predicted.

    Attributes:
        labels: Names of the C classes, or of the C numbers of a regression.
        task: "classification" or "regression".
        classes: What the labels stand for where it is not the labels themselves.
    """

    labels: tuple[str, ...]
    task: str = "classification"
    classes: tuple[Hashable, ...] | None = None

    def numbers(self, labels: Any, source: str, count: int) -> npt.NDArray[Any]:
        """Turns labels into indices of classes, int64 [B], or into the numbers of a regression, float32 [B, C].

        Args:
            labels: The B labels.
            source: What the labels belong to, for errors.
            count: B, the number of sequences.

        Raises:
            TypeError: The labels of a regression are no real numbers.
            ValueError: Their number is another, one of them is no class or not finite, or C is another.
        """
        if self.task == "classification":
            return class_indices(labels, self.classes or self.labels, source, count)
        return as_numbers(labels, source, (count, len(self.labels)))


def numbers_of(labels: Any) -> Targets:
    """Names the numbers of a regression."""
    shape = np.shape(labels)
    names = ("value",) if len(shape) < 2 or shape[1] == 1 else tuple(f"value {c + 1}" for c in range(shape[1]))
    return Targets(labels=names, task="regression")


def targets_of(labels: Iterable[Any]) -> Targets:
    """Names the classes that occur, numbers and truth values as tables name them.

    Example:
        >>> targets_of([3, 1, 3]), targets_of(["no", "yes"]).labels, targets_of([True, False]).labels
        (Targets(labels=('1', '3'), task='classification', classes=(1, 3)), ('no', 'yes'), ('false', 'true'))

    Raises:
        TypeError: A label is not hashable.
        ValueError: There are fewer than two, two of them are written alike, or one is None or a number with a fraction.
    """
    plain = list(map(_plain, labels))
    found = set(plain)
    if None in found:
        raise ValueError(f"row {plain.index(None) + 1} has no label (None): leave such rows out")
    for label in found:
        if isinstance(label, float) and not label.is_integer():
            raise ValueError(f'a label is {label}, expected classes: to predict numbers, say task="regression"')
    if all(isinstance(label, str) for label in found):
        return Targets(labels=label_names(plain))
    try:
        classes = tuple(sorted(found))
    except TypeError:
        classes = tuple(sorted(found, key=str))
    names = tuple(map(_name, classes))
    if len(names) < 2:
        raise ValueError(f"found {len(names)} label(s) ({', '.join(names)}) in {len(plain)} rows, expected at least 2")
    if len(set(names)) < len(names):
        raise ValueError(f"two labels are written alike: {', '.join(names)[:80]}, expected distinct texts")
    return Targets(labels=names, classes=classes)


def _plain(label: Any) -> Any:
    """Returns Python's own value for one of numpy and for a number of fixed precision; -0.0 is 0.0."""
    if isinstance(label, np.generic):
        label = label.item()
    if isinstance(label, Decimal):
        label = int(label) if label == label.to_integral_value() else float(label)
    return 0.0 if isinstance(label, float) and label == 0 else label


def _name(label: Any) -> str:
    """Names a class that is no text."""
    return label_name(label) or str(label) if isinstance(label, int | float) else str(label)


def label_names(labels: Sequence[str]) -> tuple[str, ...]:
    """Names the classes that occur, sorted; "2" comes before "10" if all of them are numbers.

    Raises:
        ValueError: There are fewer than two.
    """
    names = sorted(set(labels))
    if len(names) < 2:
        raise ValueError(f"found {len(names)} label(s) ({', '.join(names)}) in {len(labels)} rows, expected at least 2")
    try:
        return tuple(sorted(names, key=float))
    except ValueError:
        return tuple(names)


def class_indices(labels: Sequence[Any], classes: Sequence[Any], source: str, count: int) -> Integers:
    """Turns labels into indices of `classes`, int64 [B].

    Args:
        labels: The B labels.
        classes: The C classes.
        source: What the labels belong to, for errors.
        count: B, the number of sequences.

    Raises:
        ValueError: Their number is another, or one of them is empty or no class.
    """
    _check_count(labels, source, count)
    index = {label: i for i, label in enumerate(classes)}
    # "true" of a column of truth values is the "True" of classes among which it was a word, and the other way round
    for i, label in enumerate(classes):
        if isinstance(label, str) and label.lower() in BOOLEANS:
            index.setdefault(label.lower(), i)
    indices = [_index(label, index) for label in labels]
    for row, (label, place) in enumerate(zip(labels, indices, strict=True)):
        if place is None:
            known = ", ".join(map(repr, classes[:8])) + (", …" if len(classes) > 8 else "")
            raise ValueError(f"{source}: row {row + 1} has the label {label!r:.60}, expected one of {known}")
    return np.array(indices, np.int64)


def _index(label: Any, index: Mapping[Any, int]) -> int | None:
    if not isinstance(label, str):
        return index.get(label)
    return index.get(label, index.get(label.lower()) if label.lower() in BOOLEANS else None) if label.strip() else None


def as_numbers(labels: Any, source: str, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Turns the labels of a regression into numbers, float32 [B, C].

    Args:
        labels: Numbers [B] or [B, C].
        source: What the labels belong to, for errors.
        shape: B, C.

    Raises:
        TypeError: They are no real numbers.
        ValueError: Their shape is another, or one of them is not finite.
    """
    numbers = np.asarray(labels)
    if numbers.dtype.kind not in "fiub":
        raise TypeError(f"labels has dtype {numbers.dtype}, expected real numbers for a regression")
    _check_count(numbers, source, shape[0])
    if numbers.size != shape[0] * shape[1]:
        raise ValueError(f"{source}: labels has shape {numbers.shape}, expected [B, C] = {shape}")
    if not np.isfinite(numbers).all():
        raise ValueError(f"{source}: {np.count_nonzero(~np.isfinite(numbers))} labels are not finite")
    return numbers.reshape(shape).astype(np.float32)


def _check_count(labels: Any, source: str, count: int) -> None:
    if len(labels) != count:
        raise ValueError(f"{source}: found {len(labels)} labels for {count} rows, expected one for each")
