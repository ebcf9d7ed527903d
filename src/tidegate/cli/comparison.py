"""Several summaries on the same validation texts, side by side, and what the difference means in a sentence."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tidegate.cli.console import say, show_table
from tidegate.inspection.statistics import Interval, bootstrap
from tidegate.models.metrics import Report
from tidegate.training.events import Epoch

AVERAGE = "average"  # what everything else is compared with


@dataclass(frozen=True)
class Trained:
    """A classifier that was trained to its end.

    Attributes:
        title: What its cell is called.
        ordered: Whether it has a recurrent layer, so that the order of words counts.
        best: Its best epoch.
        seconds: Time that training took, validation included.
        weights: Of the parts that it is the sum of, by name.
    """

    title: str
    ordered: bool
    best: Epoch
    seconds: float
    weights: Mapping[str, float] = field(default_factory=dict)

    def figures(self) -> dict[str, float]:
        """What the model file keeps of it."""
        report = self.best.report
        scores = {name: getattr(report, name) for name in report.shown}
        return {**scores, "seconds": self.seconds}


def compare(results: Mapping[str, Trained]) -> None:
    """Prints the scores by cell, and for an ordered cell whether it beats the average.

    Args:
        results: What was trained, by cell, in the order to show.
    """
    show_scores(results)
    average = results.get(AVERAGE)
    for result in results.values():
        if average and result.ordered:
            say(verdict(result.title, result.best.report, average.best.report))
    *_, last = results.values()
    if len(last.weights) > 2:  # a network beside both models of n-grams
        network, ngrams = results[_network(results)], results["ngrams"]
        say(f"The n-grams add {gain(last.best.report, network.best.report)} to the {network.title}.")
        say(f"The {network.title} adds {gain(last.best.report, ngrams.best.report)} to the n-grams.")


def show_scores(results: Mapping[str, Trained]) -> None:
    """Prints a row of scores for each of what was trained, and the time that it took."""
    shown = next(iter(results.values())).best.report.shown
    rows = [
        (r.title, *(f"{getattr(r.best.report, name):.4f}" for name in shown), f"{r.seconds:.1f}")
        for r in results.values()
    ]
    show_table(("", *shown.values(), "seconds"), rows, spare=(3,))


def _network(results: Mapping[str, Trained]) -> str:
    """Finds the network among what was trained: the part with one weight of its own."""
    return next(cell for cell, result in results.items() if list(result.weights) == ["network"])


def gain(report: Report, without: Report) -> str:
    """Says by how much one model is more accurate than another on the same texts, with the 95 % bootstrap interval."""
    return _points(_difference(report, without))


def _difference(report: Report, other: Report) -> Interval:
    """Compares two models text by text, in points: those on which both are right or wrong add no doubt."""
    return bootstrap(100 * (report.correct.astype(np.float64) - other.correct), seed=0)


def _points(found: Interval) -> str:
    return f"{found.mean:+.1f} points (95 %: {found.low:+.1f} to {found.high:+.1f})".replace("-", "−")


def verdict_on(results: Mapping[str, Trained], name: str) -> str:
    """Says in a sentence whether a network is better than the best of its baselines, or may be so by chance.

    Args:
        results: What was trained, by name.
        name: The network.
    """
    result = results[name]
    report, others = result.best.report, {other: each for other, each in results.items() if other != name}
    best = max(others.values(), key=lambda each: each.best.report.quality)
    if isinstance(report, Report):
        found, points = _difference(report, best.best.report), _points(_difference(report, best.best.report))
    else:
        found = bootstrap(best.best.report.errors - report.errors, seed=0)
        points = f"an error smaller by {found.mean:.3f} standard deviations (95 %: {found.low:.3f} to {found.high:.3f})"
        points = points.replace("-", "−")
    beside = f"the best baseline, {best.title}"
    if found.mean <= 0:
        return f"The {result.title} is NOT better than {beside}: {points}. The simpler model does as well here."
    if found.low <= 0:
        return f"The {result.title} is ahead of {beside}, which may be chance: {points}."
    return f"The {result.title} is better than {beside}: {points}."


def verdict(name: str, report: Report, average: Report) -> str:
    """Says in a sentence whether a cell is more accurate than the average, and whether chance could explain it.

    Args:
        name: What the cell is called.
        report: Its scores.
        average: Those of the average on the same texts.
    """
    found = _difference(report, average)
    if found.mean <= 0:
        return (
            f"The {name} is NOT better than the average: {_points(found)}. The order of words has added nothing here; "
            f"--cell {AVERAGE} is smaller and faster."
        )
    if found.low <= 0:
        return f"The {name} is ahead of the average, which may be chance: {_points(found)}."
    return f"The {name} is better than the average: {_points(found)}."
