"""An explanation as a picture, by matplotlib."""

import warnings
from textwrap import wrap
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from tidegate.cli.explain.explained import Explained
from tidegate.cli.picture import new_figure, plain_texts, show_colours
from tidegate.cli.words import rgb, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH = 9.0  # inches
_LETTERS = 96  # in a line of words
_SMALL_LETTERS = 120  # in a line below the panels
_LINE = 0.25  # inches
_PANEL = 1.1  # inches
_MOST_TICKS = 32  # words that still stand side by side under a panel


@plain_texts()
def draw(explained: Explained, file: BinaryIO) -> None:
    """Draws the words, the probability or number after each, what each counts, and what is in memory of it.

    Args:
        explained: What to show.
        file: Where the PNG goes.

    Raises:
        ImportError: matplotlib is missing.
    """
    lines = list(wrapped(explained.words, _LETTERS))
    remembers = bool(np.any(explained.shares))  # n-grams alone have no memory
    heights = [_LINE * len(lines), *[_PANEL] * (2 + remembers)]
    figure = new_figure(_WIDTH, sum(heights) + 1.8)
    from matplotlib.ticker import PercentFormatter  # noqa: PLC0415 - an extra, which new_figure has checked

    words, after, *bars = figure.subplots(len(heights), height_ratios=heights)
    label, value = explained.prediction
    said = ", with a probability of" if explained.has_probabilities else ":"
    words.set_title(f"{label}{said} {explained.shown_after(value)}", loc="left", weight="bold")
    show_colours(words, explained.name, _tint)
    _draw_words(words, explained, lines)
    steps = np.arange(len(explained.words))
    after.plot(steps, explained.curve, color="0.2", drawstyle="steps-mid")
    after.set_ylabel(f"{explained.name}\nafter it")
    if explained.has_probabilities:
        after.axhline(0.5, color="0.8", linewidth=0.8, zorder=0)
        after.set(ylim=(-0.02, 1.02), yticks=(0, 0.5, 1), ylabel=f"P({explained.name})\nafter it")
    drawn = [(explained.contributions, "counts"), (explained.shares, "in memory")]
    for axes, (values, ylabel) in zip(bars, drawn, strict=False):
        axes.bar(steps, values, width=0.86, color=[_tint(s, 0.25) for s in explained.strengths])
        axes.axhline(0, color="0.5", linewidth=0.8)
        axes.set_ylabel(ylabel)
    if remembers:
        bars[-1].yaxis.set_major_formatter(PercentFormatter(1.0))
    for axes in (after, *bars):
        axes.set_xlim(-0.7, len(steps) - 0.3)
        axes.set_xticks([])
        axes.spines[["top", "right", "bottom"]].set_visible(False)
    _name_words(bars[-1], explained)
    sums = [f"{name}: {fact}" for name, fact in explained.facts if name in {"ledger", "gradients", "occlusion"}]
    bars[-1].set_xlabel("\n".join(line for fact in sums for line in wrap(fact, _SMALL_LETTERS)), fontsize=8)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # no font has every script: it draws a box instead
        figure.savefig(file, format="png", dpi=150)


def _draw_words(axes: "Axes", explained: Explained, lines: list[list[int]]) -> None:
    """Writes the words like a text, each on its colour."""
    axes.set(xlim=(0, _LETTERS), ylim=(len(lines) - 0.5, -0.5))
    axes.axis("off")
    for row, line in enumerate(lines):
        column = 0
        for t in line:
            box = {"facecolor": _tint(explained.strengths[t]), "edgecolor": "none", "boxstyle": "square,pad=0.15"}
            axes.text(column, row, explained.words[t], family="monospace", fontsize=9.5, va="center_baseline", bbox=box)
            column += len(explained.words[t]) + 1


def _name_words(axes: "Axes", explained: Explained) -> None:
    """Names the words under a panel: all if they are few, the strongest that have room if they are many."""
    words = explained.words
    places = list(range(len(words)))
    if len(words) > _MOST_TICKS:
        room, places = len(words) / _MOST_TICKS, []
        for t in explained.listed:
            if all(abs(t - other) > room for other in places):
                places.append(t)
    axes.set_xticks(places, [words[t] for t in places], rotation=50, ha="right", rotation_mode="anchor", fontsize=9)


def _tint(strength: float, least: float = 0) -> tuple[float, float, float, float]:
    """Colours what counts −1..1: the less, the fainter, but never fainter than `least`."""
    red, green, blue = (channel / 255 for channel in rgb(strength > 0))
    return red, green, blue, least + (0.75 - least) * abs(float(strength))
