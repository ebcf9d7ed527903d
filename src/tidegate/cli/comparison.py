"""Several summaries on the same validation texts, side by side, and what the difference means in a sentence."""

from collections.abc import Mapping
from dataclasses import dataclass

from tidegate.cli.console import say, show_table
from tidegate.models.metrics import Report, paired_difference
from tidegate.training.events import Epoch

_SURE = 2.0  # standard errors, about 95 %
AVERAGE = "average"  # what everything else is compared with


@dataclass(frozen=True)
class Trained:
    """A classifier that was trained to its end.

    Attributes:
        title: What its cell is called.
        ordered: Whether it has a recurrent layer, so that the order of words counts.
        best: Its best epoch.
        seconds: Time that training took, validation included.
    """

    title: str
    ordered: bool
    best: Epoch
    seconds: float

    def figures(self) -> dict[str, float]:
        """What the model file keeps of it."""
        report = self.best.report
        return {"accuracy": report.accuracy, "macro_f1": report.macro_f1, "seconds": self.seconds}


def compare(results: Mapping[str, Trained]) -> None:
    """Prints the scores by cell, and for an ordered cell whether it beats the average.

    Args:
        results: What was trained, by cell, in the order to show.
    """
    rows = [
        (r.title, f"{r.best.report.accuracy:.4f}", f"{r.best.report.macro_f1:.4f}", f"{r.seconds:.1f}")
        for r in results.values()
    ]
    show_table(("", "accuracy", "macro F1", "seconds"), rows)
    average = results.get(AVERAGE)
    for result in results.values():
        if average and result.ordered:
            say(verdict(result.title, result.best.report, average.best.report))


def verdict(name: str, report: Report, average: Report) -> str:
    """Says in a sentence whether a cell is more accurate than the average, and whether chance could explain it.

    Args:
        name: What the cell is called.
        report: Its scores.
        average: Those of the average on the same texts.
    """
    gain, error = paired_difference(report.correct, average.correct)
    points, doubt = f"{abs(gain) * 100:.1f} points", f"± {_SURE * error * 100:.1f} on these {report.n:,} texts"
    if gain <= 0:
        behind = f"it is {points} behind ({doubt})" if gain < 0 else "both are equally accurate"
        return (
            f"The {name} is NOT better than the average: {behind}. The order of words has added nothing here; "
            f"--cell {AVERAGE} is smaller and faster."
        )
    if gain < _SURE * error:
        return f"The {name} is ahead of the average by {points}, which may be chance ({doubt})."
    return f"The {name} is better than the average by {points} ({doubt})."
