"""How far probabilities can be trusted: a reliability picture, and what a threshold does."""

from typing import TYPE_CHECKING, BinaryIO

from rich.text import Text

from tidegate.cli.console import say, show_table
from tidegate.cli.picture import new_figure, plain_texts
from tidegate.cli.words import bar, rgb
from tidegate.models.metrics.calibration import ReliabilityBin
from tidegate.models.metrics.reports import Report
from tidegate.models.metrics.thresholds import OperatingPoint

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH = 30  # characters of the longest bar
_INCHES = 4.5


def show_reliability(report: Report, noun: str) -> None:
    """Prints for each range of confidences how many texts or sequences there are, and what share of them is right.

    The mark in a bar is where the share would be if the probabilities were right.
    """
    say(f"{noun} by the probability of the predicted class; │ is the mean probability, the bar the share that is right")
    rows = [
        (f"{b.low:.2f}–{b.high:.2f}", Text(marked(b)), f"{b.confidence:.3f}", f"{b.accuracy:.3f}", f"{b.n:,}")
        for b in report.reliability()
    ]
    show_table(("range", "", "probability", "right", noun), rows, bars=1)


def marked(one: ReliabilityBin) -> str:
    """Draws the share that is right as a bar, with a mark where it should end."""
    drawn = bar(one.accuracy, _WIDTH).ljust(_WIDTH)
    place = min(_WIDTH - 1, round(one.confidence * _WIDTH))
    return drawn[:place] + "│" + drawn[place + 1 :]


def show_points(label: str, points: list[OperatingPoint], noun: str) -> None:
    """Prints what thresholds on the probability of a class do."""
    rows = [(f"{p.threshold:.4f}", f"{p.precision:.4f}", f"{p.recall:.4f}") for p in points]
    show_table(("threshold", "precision", "recall"), rows, title=f"{noun} taken for {label!r}")


@plain_texts()
def draw_reliability(report: Report, file: BinaryIO) -> None:
    """Draws the share that is right over the probability of the predicted class, and how many texts there are.

    Args:
        report: What to draw.
        file: Where the PNG goes.

    Raises:
        ImportError: matplotlib is missing.
    """
    figure = new_figure(_INCHES, _INCHES * 1.25)
    bins = report.reliability()
    upper, lower = figure.subplots(2, height_ratios=(4, 1), sharex=True)
    _draw_bins(upper, bins)
    upper.set_title(f"calibration error {report.ece:.3f}, log-loss {report.log_loss:.3f}", loc="left", fontsize=10)
    middles = [(b.low + b.high) / 2 for b in bins]
    lower.bar(middles, [b.n for b in bins], width=[0.9 * (b.high - b.low) for b in bins], color="0.6")
    lower.set(xlabel="probability of the predicted class", ylabel="texts")
    figure.savefig(file, format="png", dpi=150)


def _draw_bins(axes: "Axes", bins: list[ReliabilityBin]) -> None:
    middles, widths = [(b.low + b.high) / 2 for b in bins], [0.9 * (b.high - b.low) for b in bins]
    axes.bar(middles, [b.accuracy for b in bins], width=widths, color=_colour(1))
    axes.plot([0, 1], [0, 1], color="0.2", linewidth=1, linestyle="--")
    axes.plot([b.confidence for b in bins], [b.accuracy for b in bins], "o", color=_colour(0), markersize=4)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share that is right")


def _colour(p: float) -> tuple[float, float, float]:
    """Returns a colour of the command line as matplotlib has them."""
    red, green, blue = rgb(p)
    return red / 255, green / 255, blue / 255
