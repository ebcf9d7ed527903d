"""Writes the figures of docs/performance.md and README.md anew from benchmarks/results/, and draws its pictures.

python benchmarks/make_page.py [RESULTS.json]

Prose is written by hand; what stands between `<!-- NAME -->` and `<!-- end -->` is generated.
"""

import json
import math
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

import results
from page import Found, page
from report import COLUMNS
from results import Row, ratios

DOCS = Path(__file__).parents[1] / "docs"
PAGE, PICTURES = DOCS / "performance.md", DOCS / "pictures"
README = DOCS.parent / "README.md"


def draw_ratios(axes: Axes, rows: list[Row]) -> None:
    """Draws how many times longer each peer takes, a line for each cell."""
    for number, peer in enumerate(name for name in COLUMNS if name not in results.OURS):
        points = [(ratios(row["microseconds"]).get(peer, math.nan), place) for place, row in enumerate(rows)]
        if any(math.isfinite(ratio) for ratio, _ in points):
            axes.scatter(*zip(*points, strict=True), label=COLUMNS[peer], s=26, color=f"C{number}", zorder=2)
    axes.axvline(1, color="0.3", linewidth=1)
    axes.set_xscale("log")
    axes.set_xticks([0.5, 1, 2, 5, 10, 20, 50], ["½", "1", "2", "5", "10", "20", "50"])
    axes.set_yticks(range(len(rows)), [f"{row['use']} {row['shape']}" for row in rows], fontsize=8)
    axes.invert_yaxis()
    axes.grid(color="0.9")
    axes.set_title(f"{rows[0]['kind']}: time of a peer over ours", fontsize=10)
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.05), ncols=5)


def draw_growth(axes: Axes, rows: list[Row]) -> None:
    """Draws time over one size, and what growth in proportion to the arithmetic would be from the middle on."""
    sizes, power = [int(row["shape"]) for row in rows], 2 if rows[0]["use"] == "H" else 1
    for kind, colour in (("inference", "C0"), ("training", "C1")):
        times = [row["microseconds"][kind] / 1000 for row in rows]
        middle = len(rows) // 2
        axes.plot(sizes, [times[middle] * (size / sizes[middle]) ** power for size in sizes], ":", color=colour)
        axes.plot(sizes, times, "o-", color=colour, markersize=4, label=kind)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlabel({"T": "steps T", "B": "rows B", "H": "hidden units and inputs H = I"}[rows[0]["use"]])
    axes.grid(color="0.9")


def draw(found: Found) -> None:
    """Draws the pictures of the page, the same bytes for the same results."""
    mpl.rcParams["svg.hashsalt"] = "tidegate"
    options = {"metadata": {"Date": None}, "format": "svg"}
    kinds = {kind: [row for row in found["layer"]["rows"] if row["kind"] == kind] for kind in ("inference", "training")}
    kinds = {kind: rows for kind, rows in kinds.items() if rows}
    figure, grid = plt.subplots(1, len(kinds), figsize=(11, 5.5), layout="constrained", squeeze=False)
    for axes, rows in zip(grid[0], kinds.values(), strict=True):
        draw_ratios(axes, rows)
    figure.savefig(PICTURES / "peers.svg", **options)
    if "growth" in found:
        figure, all_axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained", sharey=True)
        for axes, letter in zip(all_axes, "TBH", strict=True):
            draw_growth(axes, [row for row in found["growth"]["rows"] if row["use"] == letter])
        all_axes[0].set_ylabel("ms; dotted: as the arithmetic")
        all_axes[0].legend(fontsize=8)
        figure.savefig(PICTURES / "growth.svg", **options)


def main() -> None:
    """Writes the page and the pictures."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else results.file()
    found = json.loads(path.read_text(encoding="utf-8"))
    for text in (PAGE, README):
        text.write_text(page(text.read_text(encoding="utf-8"), found), encoding="utf-8")
    draw(found)
    print(f"{PAGE} and its pictures are those of {path}")


if __name__ == "__main__":
    main()
