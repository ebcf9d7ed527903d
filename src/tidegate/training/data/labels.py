"""Labels as numbers: the classes that occur, one or several for each sequence, or the numbers of a regression."""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.data.tables.label_names import BOOLEANS, label_name
from tidegate.models.tasks import TASKS, Task
from tidegate.training.data.corpus import Integers


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What is to be predicted.

    Attributes:
        labels: Names of the C classes, or of the C numbers of a regression.
        task: The name of one of `tidegate.models.tasks.TASKS`.
        classes: What the labels stand for where it is not the labels themselves.
    """

    labels: tuple[str, ...]
    task: str = "classification"
    classes: tuple[Hashable, ...] | None = None

    @property
    def aim(self) -> Task:
        """The task as a value."""
        return TASKS[self.task]

    def numbers(self, labels: Any, source: str, count: int) -> npt.NDArray[Any]:
        """Turns labels into what a loss takes.

        These are indices of classes, int64 [B]; 1 for each label of a sequence that has several, and 0 for the others,
        float32 [B, C]; or the numbers of a regression, float32 [B, C].

        Args:
            labels: The B labels.
            source: What the labels belong to, for errors.
            count: B, the number of sequences.

        Raises:
            TypeError: The labels of a regression are no real numbers.
            ValueError: Their number is another, one of them is no class or not finite, or C is another.
        """
        return _TRUTHS[self.aim.truth].encoded(self, labels, source, count)

    def numbers_of_steps(self, labels: Sequence[Any], source: str, lengths: Sequence[int]) -> Integers:
        """Turns the labels of steps into indices of classes, int64 [N].

        Args:
            labels: Those of all N steps, one sequence behind the other.
            source: What they belong to, for errors.
            lengths: The steps of each sequence.

        Raises:
            ValueError: Their number is another, or one of them is no class; the message says of which step.
        """
        _check_count(labels, source, sum(lengths))
        ends = np.cumsum(lengths)

        def place(n: int) -> str:
            b = int(np.searchsorted(ends, n, side="right"))
            return f"step {n - int(ends[b]) + lengths[b] + 1} of sequence {b + 1}"

        return _indices(labels, self.classes or self.labels, source, place)

    def groups(self, numbers: npt.NDArray[Any]) -> Integers:
        """Returns groups that both parts should have, if a part is held out: classes, or the rarest label of each row.

        Args:
            numbers: What `numbers` has returned.
        """
        return _TRUTHS[self.aim.truth].grouped(numbers)


def targets_for(labels: Any, task: str) -> Targets:
    """Names what is to be predicted.

    Args:
        labels: The B labels as the task has them.
        task: The name of one of `tidegate.models.tasks.TASKS` with something to be predicted.

    Raises:
        TypeError: As in `targets_of` and `sets_of`.
        ValueError: Likewise.
    """
    return _TRUTHS[TASKS[task].truth].named(labels)


def step_targets_of(labels: Iterable[Any]) -> Targets:
    """Names the classes of steps, see `targets_of`."""
    return replace(targets_of(labels), task="labelling")


def numbers_of(labels: Any) -> Targets:
    """Names the numbers of a regression."""
    shape = np.shape(labels)
    names = ("value",) if len(shape) < 2 or shape[1] == 1 else tuple(f"value {c + 1}" for c in range(shape[1]))
    return Targets(labels=names, task="regression")


def targets_of(labels: Iterable[Any], fewest: int = 2) -> Targets:
    """Names the classes that occur, numbers and truth values as tables name them.

    Example:
        >>> targets_of([3, 1, 3]), targets_of(["no", "yes"]).labels, targets_of([True, False]).labels
        (Targets(labels=('1', '3'), task='classification', classes=(1, 3)), ('no', 'yes'), ('false', 'true'))

    Raises:
        TypeError: A label is not hashable.
        ValueError: There are fewer than `fewest`, two of them are written alike, or one is None or a number with a
            fraction.
    """
    plain = list(map(_plain, labels))
    found = set(plain)
    if None in found:
        raise ValueError(f"row {plain.index(None) + 1} has no label (None): leave such rows out")
    for label in found:
        if isinstance(label, float) and not label.is_integer():
            raise ValueError(f'a label is {label}, expected classes: to predict numbers, say task="regression"')
    if all(isinstance(label, str) for label in found):
        return Targets(labels=label_names(plain, fewest))
    try:
        classes = tuple(sorted(found))
    except TypeError:
        classes = tuple(sorted(found, key=str))
    names = tuple(map(_name, classes))
    _check_enough(names, len(plain), fewest)
    if len(set(names)) < len(names):
        raise ValueError(f"two labels are written alike: {', '.join(names)[:80]}, expected distinct texts")
    return Targets(labels=names, classes=classes)


def sets_of(labels: Iterable[Any]) -> Targets:
    """Names the labels that occur, of which each sequence may have any number.

    Example:
        >>> sets_of([("war", "love"), ("love",), ()]).labels
        ('love', 'war')

    Raises:
        TypeError: The labels of a sequence are one text, or no collection, or one of them is not hashable; or all are
            one array of numbers.
        ValueError: There is none, or as in `targets_of`.
    """
    several = _several(labels)
    for row, each in enumerate(several):
        if isinstance(each, str) or not isinstance(each, Collection):
            raise TypeError(f"the labels of row {row + 1} are {each!r:.60}, expected a list or a tuple of labels")
    found = targets_of([label for each in several for label in each], fewest=1)
    return replace(found, task="multi-label")


def set_indicators(labels: Iterable[Any], classes: Sequence[Any], source: str, count: int) -> npt.NDArray[np.float32]:
    """Turns sets of labels into 1 for each label of a row and 0 for the others, float32 [B, C].

    Args:
        labels: The labels of each of B rows.
        classes: The C labels.
        source: What they belong to, for errors.
        count: B, the number of sequences.

    Raises:
        TypeError: All are one array of numbers.
        ValueError: Their number is another, or one of them is empty or none of `classes`.
    """
    several = [list(each) for each in _several(labels)]
    _check_count(several, source, count)
    rows = np.repeat(np.arange(count), [len(each) for each in several])

    def place(n: int) -> str:
        return f"row {rows[n] + 1}"

    indicators = np.zeros((count, len(classes)), np.float32)
    indicators[rows, _indices([label for each in several for label in each], classes, source, place)] = 1
    return indicators


def _several(labels: Iterable[Any]) -> list[Any]:
    """Lists the labels of each row; an array of indicators would be read as labels 0 and 1."""
    if isinstance(labels, np.ndarray) and labels.ndim > 1 and labels.dtype.kind in "biuf":
        raise TypeError(
            f"labels is an array of {labels.dtype} {labels.shape}, expected a list of labels for each row: those of "
            f"indicators are [np.flatnonzero(row) for row in labels]"
        )
    return list(labels)


def _rarest(indicators: npt.NDArray[Any]) -> Integers:
    """Returns the rarest label of each row, C where it has none, int64 [B]; labels of a single row count as none."""
    counts = indicators.sum(axis=0)
    rarity = np.where((indicators > 0) & (counts > 1), counts, np.inf)
    groups: Integers = np.where(np.isfinite(rarity).any(axis=1), rarity.argmin(axis=1), indicators.shape[1])
    return groups


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


def label_names(labels: Sequence[str], fewest: int = 2) -> tuple[str, ...]:
    """Names the classes that occur, sorted; "2" comes before "10" if all of them are numbers.

    Raises:
        ValueError: There are fewer than `fewest`.
    """
    names = sorted(set(labels))
    _check_enough(names, len(labels), fewest)
    try:
        return tuple(sorted(names, key=float))
    except ValueError:
        return tuple(names)


def class_indices(
    labels: Sequence[Any], classes: Sequence[Any], source: str, count: int, rows: Sequence[int] | None = None
) -> Integers:
    """Turns labels into indices of `classes`, int64 [B].

    Args:
        labels: The B labels.
        classes: The C classes.
        source: What the labels belong to, for errors.
        count: B, the number of sequences.
        rows: The row of each label, from 0, for errors; None if they are those of all rows.

    Raises:
        ValueError: Their number is another, or one of them is empty or no class.
    """
    _check_count(labels, source, count)
    return _indices(labels, classes, source, lambda n: f"row {(n if rows is None else rows[n]) + 1}")


def _indices(labels: Sequence[Any], classes: Sequence[Any], source: str, place: Callable[[int], str]) -> Integers:
    """Turns labels into indices of `classes`; errors say the place of the n-th."""
    index = {label: i for i, label in enumerate(classes)}
    # "true" of a column of truth values is the "True" of classes among which it was a word, and the other way round
    for i, label in enumerate(classes):
        if isinstance(label, str) and label.lower() in BOOLEANS:
            index.setdefault(label.lower(), i)
    indices = [_index(label, index) for label in labels]
    for n, (label, known_as) in enumerate(zip(labels, indices, strict=True)):
        if known_as is None:
            known = ", ".join(map(repr, classes[:8])) + (", …" if len(classes) > 8 else "")
            raise ValueError(f"{source}: {place(n)} has the label {label!r:.60}, expected one of {known}")
    return np.array(indices, np.int64)


def _index(label: Any, index: Mapping[Any, int]) -> int | None:
    if not isinstance(label, str):
        return index.get(label)
    return index.get(label, index.get(label.lower()) if label.lower() in BOOLEANS else None) if label.strip() else None


def as_numbers(labels: Any, source: str, count: int, C: int) -> npt.NDArray[np.float32]:
    """Turns the labels of a regression into numbers, float32 [B, C].

    Args:
        labels: Numbers [B] or [B, C].
        source: What the labels belong to, for errors.
        count: B, the number of sequences.
        C: How many numbers each has.

    Raises:
        TypeError: They are no real numbers.
        ValueError: Their shape is another, or one of them is not finite.
    """
    numbers = np.asarray(labels)
    if numbers.dtype.kind not in "fiub":
        raise TypeError(f"labels has dtype {numbers.dtype}, expected real numbers for a regression")
    _check_count(numbers, source, count)
    if numbers.size != count * C:
        raise ValueError(f"{source}: labels has shape {numbers.shape}, expected [B, C] = {(count, C)}")
    if not np.isfinite(numbers).all():
        raise ValueError(f"{source}: {np.count_nonzero(~np.isfinite(numbers))} labels are not finite")
    return numbers.reshape(count, C).astype(np.float32)


def _check_enough(names: Sequence[str], rows: int, fewest: int) -> None:
    if len(names) < fewest:
        found = f"found {len(names)} label(s) ({', '.join(names)}) in {rows} rows"
        raise ValueError(f"{found}, expected at least {fewest}")


def _check_count(labels: Any, source: str, count: int) -> None:
    if len(labels) != count:
        raise ValueError(f"{source}: found {len(labels)} labels for {count} rows, expected one for each")


def _as_numbers(targets: Targets, labels: Any, source: str, count: int) -> npt.NDArray[np.float32]:
    return as_numbers(labels, source, count, len(targets.aim.numbers(targets.labels)))


class _Truth(NamedTuple):
    """What is known of sequences: how it is named, how it becomes numbers, and which groups are to be in both parts."""

    named: Callable[[Any], Targets]
    encoded: Callable[[Targets, Any, str, int], npt.NDArray[Any]]
    grouped: Callable[[npt.NDArray[Any]], Integers]


def _class_indices(targets: Targets, labels: Any, source: str, count: int) -> Integers:
    return class_indices(labels, targets.classes or targets.labels, source, count)


_TRUTHS = {
    "class": _Truth(targets_of, _class_indices, lambda numbers: numbers),
    "classes of steps": _Truth(step_targets_of, _class_indices, lambda numbers: numbers),
    "classes": _Truth(
        sets_of,
        lambda targets, labels, source, count: set_indicators(labels, targets.classes or targets.labels, source, count),
        _rarest,
    ),
    "numbers": _Truth(
        numbers_of,
        _as_numbers,
        lambda numbers: np.zeros(len(numbers), np.int64),
    ),
}
"""By `Task.truth`."""
