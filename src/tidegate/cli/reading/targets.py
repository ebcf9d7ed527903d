"""What is to be predicted, as the commands read it: classes, one or several, or numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, replace
from functools import partial
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from tidegate.cli.console import say
from tidegate.cli.reading.label_columns import names_of_labels
from tidegate.data.series.cells import numbers_of
from tidegate.data.series.roles import shortened
from tidegate.data.tables import Names, class_names, label_sets
from tidegate.data.tables.columns import names_in
from tidegate.data.tables.folders import names_of_columns
from tidegate.data.tables.sources.containers import Source
from tidegate.models.architecture import Architecture
from tidegate.models.metrics.quantiles import check_levels
from tidegate.models.tasks import TASKS, Task
from tidegate.training.data.examples import Examples
from tidegate.training.data.tasks import are_amounts, check_classes, check_sets

_SAID = 8  # labels that are listed

Kind = TypeVar("Kind", bound=Examples)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be predicted.

    Attributes:
        task: The name of one of `tidegate.models.tasks.TASKS`, or "auto" to go by the labels.
        multi_label: What stands between the labels of a cell, if there may be several; None where they are lists.
        horizon: How many steps are predicted after each step.
        quantiles: Levels of quantiles of the numbers of a regression, with commas.
        residual: Whether next steps are predicted as changes of the last one; None to go by the data.

    `label_per_step`, whether each step has a label of its own, asks for the task "labelling", whose name the command
    line does not know.
    """

    task: str = "auto"
    multi_label: str | None = None
    horizon: int = 1
    quantiles: str | None = None
    residual: bool | None = None
    label_per_step: InitVar[bool] = False

    def __post_init__(self, label_per_step: bool) -> None:
        """Lets options that only one task has decide the task.

        Raises:
            ValueError: They do not fit the task that was asked for.
        """
        if self.horizon > 1 and not self.foresees:
            raise ValueError(f"--horizon {self.horizon} is about predicting next steps, which is --task next")
        if self.residual is not None and not self.foresees:
            raise ValueError("--residual and --no-residual are about predicting next steps, which is --task next")
        if self.quantiles is not None:
            if self.task not in {"auto", "regression"}:
                raise ValueError(f"--quantiles are those of a regression, but --task is {self.task}")
            _levels(self.quantiles)
            object.__setattr__(self, "task", "regression")
        if label_per_step:
            if self.task not in {"auto", "classification"} or self.multi_label is not None:
                other = "--multi-label is given" if self.multi_label is not None else f"--task is {self.task}"
                raise ValueError(f"--label-per-step gives each step one class, but {other}")
            object.__setattr__(self, "task", "labelling")
        if self.multi_label is None:
            return
        if not self.multi_label:
            raise ValueError("--multi-label is empty, expected what stands between the labels of a cell, such as '|'")
        if self.task not in {"auto", "multi-label"}:
            raise ValueError(f"--multi-label splits labels, but --task is {self.task}: leave one of them out")
        object.__setattr__(self, "task", "multi-label")

    @classmethod
    def of(cls, config: Architecture) -> Self:
        """Returns what a model predicts."""
        return cls(task=config.task, multi_label=config.separator, horizon=config.horizon)

    @property
    def aim(self) -> Task | None:
        """The task as a value; None where the labels decide it."""
        return TASKS.get(self.task)

    @property
    def foresees(self) -> bool:
        """Whether the next steps are to be predicted, for which there are no labels."""
        return self.aim is not None and self.aim.foresees

    @property
    def labels_steps(self) -> bool:
        """Whether each step has a label of its own."""
        return self.aim is not None and self.aim.labels_steps

    @property
    def names(self) -> Names:
        """What names the labels of a column."""
        if self.aim and self.aim.truth == "classes":
            return partial(label_sets, separator=self.multi_label)
        return class_names

    @property
    def sizes(self) -> dict[str, Any]:
        """What a configuration has of this."""
        sizes = {"separator": self.multi_label or None, "residual": self.residual}
        return {name: value for name, value in sizes.items() if value is not None}

    def named(self, examples: Kind, names: Sequence[str]) -> Kind:
        """Names the numbers of a regression in examples, and asks for their quantiles if they are wanted.

        Raises:
            ValueError: The levels of the quantiles are no such numbers.
        """
        if examples.task != "regression":
            return examples
        examples = replace(examples, labels=tuple(names))
        if self.quantiles is None:
            return examples
        return examples.quantiles(_levels(self.quantiles))

    def decided(self, labels: Mapping[str, Sequence[Any]]) -> Self:
        """Decides by labels what is not decided yet, see `find_task`."""
        return replace(self, task=find_task(self.task, labels))

    def several(self, columns: int) -> None:
        """Checks that there may be so many columns of labels.

        Raises:
            ValueError: There may not.
        """
        if columns > 1 and self.aim and self.aim.truth != "numbers":
            raise ValueError(f"--label names {columns} columns, expected one for classes, or --task regression")

    def check(self, labels: Sequence[Any], column: str) -> None:
        """Refuses labels that cannot be meant.

        Raises:
            ValueError: They are no classes, or no row has several, see `check_classes` and `check_sets`.
        """
        truth = self.aim.truth if self.aim else ""
        if truth in {"class", "classes of steps"}:
            check_classes(labels, column)
        if truth == "classes":
            check_sets(labels, column, self.multi_label)


def _levels(text: str) -> tuple[float, ...]:
    """Reads levels of quantiles.

    Raises:
        ValueError: They are no numbers between 0 and 1, or do not ascend.
    """
    numbers: list[float] = []
    try:
        numbers += map(float, text.split(","))
        return check_levels(numbers)
    except ValueError:
        percent = ": divide by 100" if any(1 < number < 100 for number in numbers) else ""
        expected = "expected ascending levels between 0 and 1, such as 0.1,0.5,0.9"
        raise ValueError(f"--quantiles is {text!r:.60}, {expected}{percent}") from None


def find_task(asked: str, labels: Mapping[str, Sequence[Any]]) -> str:
    """Decides whether classes or numbers are to be predicted, and says so if it was not asked for.

    Args:
        asked: The name of a task, or "auto" to go by the labels.
        labels: The labels by column.
    """
    if asked != "auto":
        return asked
    [*columns] = (
        [each for each in names_of_labels(values, name) if each is not None] for name, values in labels.items()
    )
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
    """Prints the share of each class, or the range of each number, which of rows on a disk is that of a sample."""
    truth = TASKS[examples.task].truth
    if truth == "numbers":
        for name, numbers in zip(examples.aim.numbers(examples.labels), examples.train.targets.T, strict=True):
            said = f"{numbers.min():g} to {numbers.max():g}, mean {numbers.mean():g}"
            say(f"numbers of {name!r}: {said}{', of a sample' if examples.spool else ''}")
        return
    if truth == "steps":
        C, what = len(examples.labels), " as 0 or 1" if examples.aim.has_probabilities else ""
        say(f"to predict after each step: {C} number{'s' * (C > 1)}{what}, {shortened(examples.labels)}")
        return
    targets, rows = examples.train.targets, len(examples.source)
    if truth == "classes of steps":
        truth, rows = "class", len(targets)
    counts = examples.class_counts() if truth == "class" else targets.sum(axis=0).astype(np.int64)
    named = zip(examples.labels[:_SAID], counts, strict=False)
    shares = ", ".join(f"{name} {n / rows:.0%}" for name, n in named)
    more = f" and {len(counts) - _SAID} more" if len(counts) > _SAID else ""
    many = f"; {counts.sum() / len(targets):.1f} a row on average" if truth == "classes" else ""
    say(f"labels: {shares}{more}{many}")
