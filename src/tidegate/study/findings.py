"""What a study comes to: sentences, tables and figures; and the intervals that the sentences rest on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tidegate.inspection.statistics import Interval

Row = dict[str, Any]
"""One measurement: its condition, its seed, and what was measured, as JSON holds it."""

# Two-sided 95 % quantiles of Student's t for 1, 2, … degrees of freedom.
_T95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)


@dataclass(frozen=True)
class Table:
    """Columns and rows of text, the first column to the left."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Figure:
    """A picture as SVG, and a sentence on what to see in it."""

    title: str
    caption: str
    svg: str


@dataclass(frozen=True)
class Findings:
    """What a study comes to.

    Attributes:
        verdict: Sentences drawn from the numbers, the most important first.
        tables: The numbers.
        figures: The pictures; the first one stands on the summary page.
    """

    verdict: Sequence[str]
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = field(default=())


def over_seeds(values: Iterable[float], least: float = -np.inf, most: float = np.inf) -> Interval:
    """Computes the mean over seeds and the 95 % interval of Student's t; beyond 16 values it is a little too wide.

    Example:
        >>> written(over_seeds([1.0, 2.0, 3.0]), 2)
        '2.00 (−0.48 to 4.48)'
        >>> written(over_seeds([0.1, 0.9], 0, 1), 2)
        '0.50 (0.00 to 1.00)'

    Args:
        values: One for each seed; of one alone the interval has no ends.
        least: What a mean cannot be below, where the interval is cut off.
        most: What it cannot be above.
    """
    array = np.array(list(values), np.float64)
    if len(array) < 2:
        return Interval(float(array.mean()) if len(array) else np.nan, -np.inf, np.inf)
    reach = _T95[min(len(array) - 1, len(_T95)) - 1] * array.std(ddof=1) / np.sqrt(len(array))
    mean = float(array.mean())
    return Interval(mean, max(least, float(mean - reach)), min(most, float(mean + reach)))


def paired(first: Iterable[Row], second: Iterable[Row], key: str) -> Interval:
    """Compares two conditions seed by seed: the same seed means the same data, so that its luck cancels.

    Args:
        first: Rows of one condition, one for each seed.
        second: Rows of the other.
        key: What to compare.

    Returns:
        First minus second, over the seeds that both have.
    """
    others = {row["seed"]: row[key] for row in second}
    return over_seeds(row[key] - others[row["seed"]] for row in first if row["seed"] in others)


def scored(groups: Mapping[Any, Iterable[Row]], key: str = "score", least: float = 0.0) -> dict[Any, Interval]:
    """Computes the interval over seeds of each group of rows, by its name.

    Args:
        groups: Rows by name.
        key: A share of 0..1, or if the least is −1 a correlation.
        least: The least that it can be.
    """
    return {name: over_seeds((row[key] for row in rows), least, 1.0) for name, rows in groups.items()}


def clear(interval: Interval) -> bool:
    """Says whether 0 is outside an interval."""
    return interval.low > 0 or interval.high < 0


def written(interval: Interval, digits: int = 3, scale: float = 1.0) -> str:
    """Writes the mean and both ends, such as "0.912 (0.880 to 0.944)"."""
    mean, low, high = (
        f"{end * scale:.{digits}f}".replace("-", "−") for end in (interval.mean, interval.low, interval.high)
    )
    return f"{mean} ({low} to {high})" if np.isfinite(interval.low) else mean


def pick(rows: Iterable[Row], **wanted: Any) -> list[Row]:
    """Chooses the rows that hold these values."""
    return [row for row in rows if all(row.get(name) == value for name, value in wanted.items())]


def values(rows: Iterable[Row], name: str) -> list[Any]:
    """Lists the values under a name, each once, in the order in which they come."""
    return list(dict.fromkeys(row[name] for row in rows if name in row))


def best(rows: Iterable[Row], key: str = "held_out", choice: str = "learning_rate") -> list[Row]:
    """Chooses the rows of the learning rate, or another choice, whose mean is highest over the seeds that all have.

    Args:
        rows: Rows of one condition.
        key: What is to be high: a score on other sequences than those that are reported.
        choice: What may be chosen.
    """
    listed = list(rows)
    groups = [pick(listed, **{choice: value}) for value in values(listed, choice)]
    seeds = [{row["seed"] for row in group} for group in groups]
    shared = set.intersection(*seeds) if seeds else set()
    held = [[row for row in group if row["seed"] in shared] or group for group in groups]
    means = [float(np.mean([row[key] for row in some])) for some in held]
    return groups[int(np.argmax(means))] if groups else []


def versus(first: str, second: str, difference: Interval, unit: str = " points", scale: float = 100.0) -> str:
    """Says which of two is ahead, by how much, and whether chance could explain it.

    Args:
        first: What the one is called.
        second: What the other is called.
        difference: First minus second.
        unit: What stands after the number.
        scale: What the difference is multiplied by.
    """
    if difference.mean < 0:
        first, second = second, first
        difference = Interval(-difference.mean, -difference.high, -difference.low)
    gain, low, high = (
        f"{end * scale:.1f}".replace("-", "−") for end in (difference.mean, difference.low, difference.high)
    )
    sure = f"95 % interval {low} to {high}" if np.isfinite(difference.low) else "one seed alone"
    if clear(difference):
        return f"{first} is ahead of {second} by {gain}{unit} ({sure})."
    return f"{first} and {second} do not clearly differ: {gain}{unit} for the former ({sure})."


def against(standard: str, task: str, groups: Mapping[str, Sequence[Row]], key: str = "score") -> str:
    """Says in a sentence how far each of several conditions is from a standard one, in points.

    Args:
        standard: The name of the standard one.
        task: On what they are compared.
        groups: The rows of each condition, by name.
        key: What to compare.
    """
    reached = over_seeds(row[key] for row in groups[standard])
    said = []
    for name, rows in groups.items():
        if name != standard:
            difference = paired(rows, groups[standard], key)
            size = written(difference, 1, 100)
            said.append(f"{name} {size if clear(difference) else f'{size}, may be chance'}")
    return f"{task.capitalize()}: {standard} reaches {reached.mean:.3f}; against it, in points: {'; '.join(said)}."
