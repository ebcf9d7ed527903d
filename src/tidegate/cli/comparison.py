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


def compare(results: Mapping[str, Trained], cell: str) -> None:
    """Prints the scores of what was trained, and says in sentences what the differences mean.

    Args:
        results: What was trained, by name, in the order to show.
        cell: The name of the network.
    """
    show_scores(results)
    network, others = results.get(cell), {name: each for name, each in results.items() if name != cell}
    *_, last = results.values()
    if AVERAGE in others and any(each.weights for each in results.values()):
        if network and network.ordered:
            lost = f"The order of words has added nothing here; --cell {AVERAGE} is smaller and faster."
            say(verdict(network, others[AVERAGE], "the average", lost))
    elif network and others:
        best = max(others.values(), key=lambda each: each.best.report.quality)
        say(verdict(network, best, f"the best baseline, {best.title}", "The simpler model does as well here."))
    if network and len(last.weights) > 2:  # a network beside both models of n-grams
        report, ngrams = last.best.report, results["ngrams"].best.report
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
    return _points(_difference(report, without))


def _difference(report: Report, other: Report) -> Interval:
    """Compares two models text by text, in points: those on which both are right or wrong add no doubt."""
    return bootstrap(100 * (report.correct.astype(np.float64) - other.correct), seed=0)


def _points(found: Interval) -> str:
    return f"{found.mean:+.1f} points (95 %: {found.low:+.1f} to {found.high:+.1f})".replace("-", "−")


def verdict(network: Trained, other: Trained, beside: str, lost: str) -> str:
    """Says in a sentence whether a network is better than something simpler, and whether chance could explain it.

    Args:
        network: The network.
        other: What it is compared with, on the same rows.
        beside: What the other is called.
        lost: What to say if the network is not better.
    """
    report, without = network.best.report, other.best.report
    if isinstance(report, Report):
        found = _difference(report, without)
        points = _points(found)
    else:
        found = bootstrap(without.errors - report.errors, seed=0)
        points = f"an error smaller by {found.mean:.3f} standard deviations (95 %: {found.low:.3f} to {found.high:.3f})"
        points = points.replace("-", "−")
    if found.mean <= 0:
        return f"The {network.title} is NOT better than {beside}: {points}. {lost}"
    if found.low <= 0:
        return f"The {network.title} is ahead of {beside}, which may be chance: {points}."
    return f"The {network.title} is better than {beside}: {points}."
