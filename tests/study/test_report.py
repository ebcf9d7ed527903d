"""Reports: the HTML file, the JSON beside it, and the page that sums up."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate.inspection.statistics import Interval
from tidegate.study import figures, report
from tidegate.study.findings import Findings, Row, Table
from tidegate.study.frame import Setup, Study, find
from tidegate.study.vanishing import NETWORKS


@pytest.fixture
def study() -> Study:
    return find("vanishing")


def kept(study: Study, complete: bool = True, **changes: Any) -> tuple[Row, Findings]:
    """A record and what it is of."""
    picture = figures.curves("A <figure>", "Look.", {"left": {"a": figures.Curve([1, 2], [3, 4])}}, ("x", "y"))
    findings = Findings(["A beats B & C."], [Table("Some <table>", ["", "score"], [["a<b", "1"]])], [picture])
    rows = [{"score": np.float32(0.5), "seed": 0, "lost": np.nan}]
    return report.record(study, Setup(3, {"size": 10}), rows, findings, 65.0, complete) | changes, findings


def test_the_numbers_are_kept_as_json(study: Study, tmp_path: Path) -> None:
    """The JSON holds question, verdict, settings, machine, versions, tables and all rows."""
    found, findings = kept(study)
    page = report.write(tmp_path / "new", found, findings.figures)
    read = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    assert list(read) == list(found)
    assert {"question", "method", "verdict", "settings", "machine", "versions", "seconds", "seeds"} <= read.keys()
    assert read["rows"] == [{"score": 0.5, "seed": 0, "lost": None}]
    assert {"tidegate", "torch", "numpy", "Python"} <= read["versions"].keys()
    assert re.search(r", (1 thread|(?!1 )\d+ threads)$", read["machine"])


def test_the_report_needs_no_other_file(study: Study, tmp_path: Path) -> None:
    """The page asks nobody for anything: pictures and style are inside it."""
    found, findings = kept(study)
    text = report.write(tmp_path, found, findings.figures).read_text(encoding="utf-8")
    sources = re.findall(r"(?:src|href)=\"([^\"]*)\"", text)
    assert sources
    assert all(source.startswith("data:") for source in sources)
    assert not re.search(r"@import|<script|<link", text)


def test_what_is_written_is_no_markup(study: Study, tmp_path: Path) -> None:
    """Characters of HTML in names and sentences are shown as they are."""
    found, findings = kept(study)
    text = report.write(tmp_path, found, findings.figures).read_text(encoding="utf-8")
    for shown in ("A beats B &amp; C.", "Some &lt;table&gt;", "<td>a&lt;b</td>", "A &lt;figure&gt;", "size 10", "65 s"):
        assert shown in text
    assert found["question"] in text


def test_the_command_is_the_one_that_was_given(study: Study) -> None:
    """Seeds and quick sizes are part of it where they are not the study's own."""
    for setup, options in (
        (study.setup(), ""),
        (study.setup(4), " --seeds 4"),
        (study.setup(quick=True), " --quick"),
        (study.setup(4, quick=True), " --quick --seeds 4"),
    ):
        assert (
            report.record(study, setup, [], Findings([]), 1.0, True)["command"] == f"tidegate study vanishing{options}"
        )


@pytest.mark.parametrize("complete", [True, False])
def test_a_stopped_run_is_said_to_be(study: Study, tmp_path: Path, complete: bool) -> None:
    """Both the report and the summary page tell that not all was done."""
    found, findings = kept(study, complete=complete)
    page = report.write(tmp_path, found, findings.figures)
    for path in (page, tmp_path / "index.md"):
        assert ("stopped early" in path.read_text(encoding="utf-8")) is not complete


def test_the_summary_page_quotes_all_studies_of_the_folder(study: Study, tmp_path: Path) -> None:
    """Each verdict is there, in the order of the studies, with links to its report; the others stay when one is run."""
    other, findings = kept(find("summaries"), verdict=["Order is worth 3 points."])
    report.write(tmp_path, other, [])
    found, findings = kept(study)
    report.write(tmp_path, found, findings.figures)
    text = (tmp_path / "index.md").read_text(encoding="utf-8")
    assert text.index("- A beats B & C.") < text.index("- Order is worth 3 points.")
    assert "![Vanishing gradients](vanishing.svg)" in text
    assert "(summaries.html)" in text
    assert "summaries.svg" not in text
    assert report.index(tmp_path) == text


def test_every_kind_of_figure_is_drawn() -> None:
    """Curves with bands, points with intervals and clouds become SVG; unbounded intervals are drawn without ends."""
    interval, alone = Interval(0.5, 0.4, 0.6), Interval(0.5, -np.inf, np.inf)
    drawn = [
        figures.curves("c", "", {"p": {"a": figures.curve_of({1: interval, 10: alone})}}, ("x", "y"), logarithmic=True),
        figures.points("p", "", {"p": {"a": {"group": interval}, "b": {"group": alone}}}, "x", limits=(0, 1)),
        figures.scatter("s", "", {f"{i}": ([1, 2], [0.5, 0.6]) for i in range(4)}, ("x", "y")),
    ]
    for figure in drawn:
        assert figure.svg.lstrip().startswith("<?xml")
        assert "</svg>" in figure.svg


def test_every_curve_has_a_look_of_its_own() -> None:
    """No two lines of the study with the most networks have the same colour and dashes, and no two the same mark."""
    panel = {name: figures.Curve([1, 2], [i, i]) for i, name in enumerate(NETWORKS)}
    svg = figures.curves("t", "", {"p": panel}, ("x", "y"), marks=False).svg
    looks = set(re.findall(r"fill: none; ([^\"]*stroke: #\w{6}; stroke-width: 1.5)", svg))
    assert len(looks) == len(panel) <= len(figures.COLOURS)
    assert len(set(figures.MARKERS)) >= len(panel)


def test_marks_of_the_same_point_stand_side_by_side() -> None:
    """Equal curves hide one another unless they are drawn apart: then each has a place of its own around the tick."""
    panel = {name: figures.Curve([10, 1000], [1, 1]) for name in "abcde"}
    for apart in (False, True):
        svg = figures.curves("t", "", {"p": panel}, ("x", "y"), logarithmic=True, apart=apart).svg
        marks = re.findall(r'<use [^>]*x="([\d.]+)" y="([\d.]+)" style="fill', svg)
        x = [float(place) for place, height in marks if height == marks[0][1]]  # those of the legend are further below
        assert len(x) == 2 * len(panel)
        assert len(set(x)) == (len(x) if apart else 2)
        if apart:
            ticks = [float(place) for place in re.findall(r'x="([\d.]+)"[^>]*>(?:10|1000)</text>', svg)]
            assert ticks == pytest.approx([np.mean(x[::2]), np.mean(x[1::2])], abs=1e-3)
            assert np.diff(sorted(x)).min() > 4


def test_a_figure_is_drawn_the_same_again() -> None:
    """Nothing in a picture depends on the time or on chance, so that a report changes only if its numbers do."""
    first, again = (figures.curves("t", "", {"p": {"a": figures.Curve([1], [2])}}, ("x", "y")).svg for _ in range(2))
    assert first == again
