"""Pictures as SVG: curves over steps or distances, and points with their intervals."""

import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import ScaledTranslation

from tidegate.inspection.statistics import Interval
from tidegate.study.findings import Figure

# Okabe & Ito (2008) and two more, told apart by colour-blind people; markers and dashes tell them apart without colour.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999", "#882255")
MARKERS, DASHES = "osD^vPX*<", ("-", "--", "-.", ":")
APART = "The curves are moved sideways a little, so that none hides another."  # what a caption says of it
_APART_BY = 4.6  # points from one mark to the next


class Curve(NamedTuple):
    """A curve: x [n], y [n], and the ends of its intervals [n] if there are any."""

    x: npt.ArrayLike
    y: npt.ArrayLike
    low: npt.ArrayLike | None = None
    high: npt.ArrayLike | None = None


def curve_of(points: Mapping[Any, Interval]) -> Curve:
    """Joins intervals to a curve, by x."""
    ends = [(interval.mean, interval.low, interval.high) for interval in points.values()]
    y, low, high = np.array(ends, np.float64).reshape(-1, 3).T
    return Curve(list(points), y, np.where(np.isfinite(low), low, y), np.where(np.isfinite(high), high, y))


def curves(
    title: str,
    caption: str,
    panels: Mapping[str, Mapping[str, Curve]],
    labels: tuple[str, str],
    *,
    logarithmic: bool = False,
    marks: bool = True,
    apart: bool = False,
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Draws curves, one panel beside the other.

    Args:
        title: Of the figure.
        caption: What to see in it.
        panels: Curves by name, by the title of their panel.
        labels: Of the axes, x and y.
        logarithmic: Whether x is.
        marks: Whether points are marked.
        apart: Whether curves are moved sideways a little, so that none hides another; ticks are where
            their points are.
        limits: Of y.
    """
    names = list(dict.fromkeys(name for panel in panels.values() for name in panel))

    def draw(axes: Axes, panel: Mapping[str, Curve]) -> None:
        for name, (x, y, low, high) in panel.items():
            style = _style(names.index(name))
            drawn: list[Artist] = [
                *axes.plot(x, y, label=name, markersize=5, **style | ({} if marks else {"marker": ""}))
            ]
            if low is not None and high is not None:
                band = {"color": style["color"], "alpha": 0.13, "linewidth": 0}
                drawn.append(axes.fill_between(np.asarray(x, np.float64), low, high, **band))
            if apart:
                _move(axes, drawn, names.index(name) - (len(names) - 1) / 2)
        if logarithmic:
            _logarithmic(axes)
        if apart:
            axes.margins(x=0.12)  # room for what was moved
            axes.set_xticks(np.unique([float(place) for curve in panel.values() for place in np.ravel(curve.x)]))
            axes.minorticks_off()
        if limits:
            axes.set_ylim(limits)

    return _figure(title, caption, panels, labels, draw, len(names))


def points(
    title: str,
    caption: str,
    panels: Mapping[str, Mapping[str, Mapping[str, Interval]]],
    label: str,
    *,
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Draws means with their intervals, a row for each group.

    Args:
        title: Of the figure.
        caption: What to see in it.
        panels: Intervals by group, by name, by the title of their panel.
        label: Of the x axis.
        limits: Of x.
    """
    names = list(dict.fromkeys(name for panel in panels.values() for name in panel))
    groups = list(dict.fromkeys(group for panel in panels.values() for series in panel.values() for group in series))

    def draw(axes: Axes, panel: Mapping[str, Mapping[str, Interval]]) -> None:
        for name, series in panel.items():
            style = _style(names.index(name)) | {"linestyle": ""}
            shift = (names.index(name) - (len(names) - 1) / 2) * 0.7 / len(names)
            y = [groups.index(group) + shift for group in series]
            x = np.array([interval.mean for interval in series.values()])
            ends = np.array([(interval.low, interval.high) for interval in series.values()]).T
            reach = np.where(np.isfinite(ends), np.abs(ends - x), 0)
            axes.errorbar(x, y, xerr=reach, label=name, markersize=6, capsize=2.5, elinewidth=1.4, **style)
        axes.set_yticks(range(len(groups)), groups)
        axes.set_ylim(len(groups) - 0.5, -0.5)
        axes.grid(axis="x", color="0.9")
        if limits:
            axes.set_xlim(limits)
        if limits and limits[0] < 0:
            axes.axvline(0, color="0.6", linewidth=1)

    return _figure(title, caption, panels, (label, ""), draw, len(names))


def scatter(
    title: str, caption: str, panels: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]], labels: tuple[str, str]
) -> Figure:
    """Draws a cloud of points in each panel, x on a logarithmic scale."""

    def draw(axes: Axes, panel: tuple[npt.ArrayLike, npt.ArrayLike]) -> None:
        axes.scatter(*panel, s=9, color=COLOURS[0], alpha=0.5, linewidths=0)
        _logarithmic(axes)

    return _figure(title, caption, panels, labels, draw, 0)


def _figure(
    title: str, caption: str, panels: Mapping[str, Any], labels: tuple[str, str], draw: Any, names: int
) -> Figure:
    """Lays out the panels in rows of up to three, with one legend below, and returns the picture."""
    wide = 2 if len(panels) == 4 else min(3, len(panels))
    high = -(-len(panels) // wide)
    look: Any = {"svg.fonttype": "none", "svg.hashsalt": title, "font.size": 10, "axes.titlesize": 10.5}
    with mpl.rc_context(look):
        canvas = Canvas(figsize=(max(6.4, 3.7 * wide), 3.5 * high + 0.22 * names), layout="constrained")
        grid = canvas.subplots(high, wide, squeeze=False, sharey="row")
        for axes, (name, panel) in zip(grid.flat, panels.items(), strict=False):
            draw(axes, panel)
            axes.set_title(name, loc="left")
            axes.set_xlabel(labels[0])
            axes.spines[["top", "right"]].set_visible(False)
        for axes in grid.flat[len(panels) :]:
            axes.set_axis_off()
        for row in grid:
            row[0].set_ylabel(labels[1])
        _legend(canvas, list(grid.flat[: len(panels)]), names)
        target = io.StringIO()
        canvas.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    return Figure(title, caption, target.getvalue())


def _move(axes: Axes, drawn: Sequence[Artist], places: float) -> None:
    """Moves what was drawn to the right, by the width of so many marks."""
    inches = ScaledTranslation(_APART_BY * places / 72, 0, axes.figure.dpi_scale_trans)
    for artist in drawn:
        artist.set_transform(axes.transData + inches)


def _logarithmic(axes: Axes) -> None:
    """Makes x logarithmic, with plain numbers at 1, 2 and 5."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=30))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", labelsize=8)


def _legend(canvas: Canvas, panels: Sequence[Axes], names: int) -> None:
    if names > 1:
        found: dict[str, Any] = {}
        for axes in panels:
            handles, labels = axes.get_legend_handles_labels()
            found |= dict(zip(labels, handles, strict=True))
        canvas.legend(found.values(), found.keys(), loc="outside lower left", ncols=2, frameon=False, fontsize=9)


def _style(index: int) -> dict[str, Any]:
    count = len(COLOURS)
    return {"color": COLOURS[index % count], "marker": MARKERS[index % count], "linestyle": DASHES[index % len(DASHES)]}
