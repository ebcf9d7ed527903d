"""Several summaries on the same validation texts, side by side, and what the difference means in a sentence."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tidegate.cli.console import say, show_table
from tidegate.inspection.statistics import Interval, bootstrap
from tidegate.models.metrics.reports import Report
from tidegate.training.events import Epoch
from tidegate.training.ngrams.parts import NGRAMS, TOGETHER

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


def compare(results: Mapping[str, Trained], cell: str) -> None:
    """Prints the scores of what was trained, and says in sentences what the differences mean.

    Args:
        results: What was trained, by name, in the order to show.
        cell: The name of the network.
    """
    show_scores(results)
    network = results.get(cell)
    baselines = {name: each for name, each in results.items() if name not in (cell, NGRAMS, TOGETHER)}
    *_, last = results.values()
    if AVERAGE in baselines and any(each.weights for each in results.values()):
        if network and network.ordered:
            lost = f"The order of words has added nothing here; --cell {AVERAGE} is smaller and faster."
            say(verdict(network, baselines[AVERAGE], "the average", lost))
    elif network and baselines:
        best = max(baselines.values(), key=lambda each: each.best.report.quality)
        say(verdict(network, best, f"the best baseline, {best.title}", "The simpler model is the better choice here."))
    if network and len(last.weights) > 2:  # a network beside both models of n-grams
        report, ngrams = last.best.report, results[NGRAMS].best.report
        say(f"The n-grams add {gain(report, network.best.report)} to the {network.title}.")
        say(f"The {network.title} adds {gain(report, ngrams)} to the n-grams.")


def show_scores(results: Mapping[str, Trained]) -> None:
    """Prints a row of scores for each of what was trained, and the time that it took."""
    shown = next(iter(results.values())).best.report.shown
    rows = [
        (r.title, *(f"{getattr(r.best.report, name):.4f}" for name in shown), f"{r.seconds:.1f}")
        for r in results.values()
    ]
    show_table(("", *shown.values(), "seconds"), rows, spare=(3,))


def gain(report: Report, without: Report) -> str:
    """Says by how much one model is more accurate than another on the same texts, with the 95 % bootstrap interval."""
    return _said(_difference(report, without), report)


def _difference(report: Any, other: Any) -> Interval:
    """Compares two models row by row: those on which both are right or wrong add no doubt."""
    return bootstrap(report.gains(other), seed=0)


def _said(found: Interval, report: Any) -> str:
    gained: str = report.gained.format(found.mean, found.low, found.high)
    return gained.replace("-", "−")


def verdict(network: Trained, other: Trained, beside: str, lost: str) -> str:
    """Says in a sentence whether a network is better than something simpler, and whether chance could explain it.

    Args:
        network: The network.
        other: What it is compared with, on the same rows.
        beside: What the other is called.
        lost: What to say if the network is not better.
    """
    found = _difference(network.best.report, other.best.report)
    points = _said(found, network.best.report)
    if found.mean <= 0:
        return f"The {network.title} is NOT better than {beside}: {points}. {lost}"
    if found.low <= 0:
        return f"The {network.title} is ahead of {beside}, which may be chance: {points}."
    return f"The {network.title} is better than {beside}: {points}."
