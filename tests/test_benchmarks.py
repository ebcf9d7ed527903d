"""The benchmarks' own parts: the grid, the turns of a contest, what the results come to, the page made from them."""

import math
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import tidegate

ROOT = Path(__file__).parents[1]


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    """The modules that need no peer, imported as scripts in benchmarks/ see them."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    names = ("grid", "case", "contender", "contest", "limits", "results", "report", "page")
    modules = {name: __import__(name) for name in names}
    for name in ("peers", *names):
        monkeypatch.delitem(sys.modules, name)
    return modules


def row(**microseconds: float) -> dict[str, object]:
    """A result of the cell `wide`, 16 rows of 128 units."""
    names = {"ours": "tidegate", "drop_in": "tidegate.torch", "torch": "torch", "jax": "JAX"}
    return {
        "use": "wide",
        "shape": "128/128/1/16",
        "kind": "training",
        "B": 16,
        "H": 128,
        "microseconds": {names[name]: time for name, time in microseconds.items()},
        "failures": {},
        "operations": 1e6,
        "peak_gflops": 100.0,
        "floor_us": 0,
    }


def test_every_cell_of_the_grid_has_a_name_of_its_own(modules: dict[str, ModuleType]) -> None:
    """No two cells of the grid share use and shape, by which results are kept."""
    names = [(cell.use, cell.shape) for cell in modules["grid"].GRID]
    assert len(set(names)) == len(names)


def test_ragged_rows_have_the_lengths_of_their_distribution(modules: dict[str, ModuleType]) -> None:
    """Lengths reach from the shortest to the longest, which is T, and their mean is that of the quantiles."""
    cell = next(cell for cell in modules["grid"].GRID if cell.lengths and cell.use == "reviews")
    lengths = modules["case"].Case(cell).lengths
    assert lengths.shape == (cell.B,)
    assert lengths.min() >= cell.lengths[0]
    assert lengths.max() == cell.T
    assert lengths.mean() == pytest.approx(208, rel=0.05)


def test_episodes_hold_every_step_once(modules: dict[str, ModuleType]) -> None:
    """Cut into episodes, every step of every row is there once, in its order, and comes back where it was."""
    case = modules["case"].Case(modules["grid"].Cell("episodes", 1, 1, 12, 5, episode=3))
    cut = case.episodes
    assert sorted(cut.order) == list(range(60))
    assert (cut.order[cut.back] == np.arange(60)).all()
    assert cut.batch_sizes.sum() == cut.lengths.sum() == 60
    assert len(cut.lengths) == 5 + case.episode_starts[1:].sum()
    first = cut.order[: cut.batch_sizes[0]]
    assert (case.episode_starts.ravel()[first] | (first < 5)).all()


def test_the_slower_contender_has_the_larger_median(modules: dict[str, ModuleType]) -> None:
    """Medians belong to the contender that they are named after."""
    contender = modules["contender"].Contender
    naps = {"short": 0.001, "long": 0.02}
    calls = {name: contender(lambda nap=nap: time.sleep(nap), lambda nothing: {}) for name, nap in naps.items()}
    medians = modules["contest"].medians(calls, 0.0)
    assert medians["short"] < medians["long"]


FLOORS = {  # a cell's sizes and options, threads, microseconds of a meeting, microseconds of the floor
    "alone": ((64, 64, 200, 1), {}, 2, 100, 200 * 49.152 + 24.576),
    "shared": ((64, 64, 200, 1), {}, 2, 1, 200 * 25.576 + 24.576),
    "one thread": ((64, 64, 200, 1), {}, 1, 1, 200 * 49.152 + 49.152),
    "products": ((256, 64, 5000, 1), {}, 2, 1, 5000 * 25.576 + 5000 * 0.098304),
    "layers": ((64, 64, 10, 1), {"layers": 3}, 2, 1, 30 * 25.576 + 3 * 24.576),
    "directions": ((64, 64, 10, 1), {"bidirectional": True}, 2, 1, 10 * 49.152 + 49.152),
    "one step": ((64, 64, 1, 1), {}, 2, 1, 49.152 + 1),
    "one step of layers": ((64, 64, 1, 1), {"layers": 3}, 2, 1, 3 * 49.152 + 3),
    "rows": ((64, 64, 200, 2), {}, 2, 1, 0),
}


@pytest.mark.parametrize(("sizes", "options", "threads", "meeting", "floor"), FLOORS.values(), ids=FLOORS)
def test_the_floor_is_the_least_time_to_read_the_weights(
    modules: dict[str, ModuleType],
    sizes: tuple[int, ...],
    options: dict[str, Any],
    threads: int,
    meeting: float,
    floor: float,
) -> None:
    """With 1 GB/s a thread, 1 TFLOP/s: states' weights once a step, inputs' once in all or as long as the products."""
    case = modules["case"].Case(modules["grid"].Cell("floor", *sizes, **options))
    limits = modules["limits"].Limits(case, threads, tidegate.isas()[0], floor=True)
    seconds = {}
    for name, gauge in limits.gauges.items():
        rate = {"multiply-adds": 1e12, "meetings": 1e6 / meeting}.get(name) or 1e9 * int(name.split()[-1])
        seconds[name] = gauge.amount / rate
    found = limits.found(seconds)
    assert found["floor_us"] == pytest.approx(floor, rel=1e-3)
    assert found["peak_gflops"] == 1000


def test_a_wrong_answer_differs(modules: dict[str, ModuleType]) -> None:
    """The comparison with torch sees a number that is off, and takes what is not a number for infinitely wrong."""
    difference = modules["contender"].difference
    right = {"y": np.array([1.0, 4.0])}
    assert difference(right, right) == 0
    assert difference({"y": np.array([1.0, 4.4])}, right) == pytest.approx(0.1)
    assert difference({"y": np.array([1.0, np.nan])}, right) == math.inf


def test_a_peer_is_compared_with_the_interface_of_its_kind(modules: dict[str, ModuleType]) -> None:
    """The ratio is the least of torch over the drop-in and of the others over the functions on arrays."""
    closest = modules["results"].closest
    assert closest(row(ours=10, drop_in=20, torch=60, jax=50)) == ("torch", 3.0)
    assert closest(row(ours=10, drop_in=20, torch=60, jax=9)) == ("JAX", 0.9)
    assert closest(row(ours=10, drop_in=20)) == ("nobody", math.inf)


def test_the_summary_names_the_worst_cell(modules: dict[str, ModuleType]) -> None:
    """Means are geometric; the least ratio comes with its cell."""
    rows = [row(ours=10, drop_in=10, torch=20, jax=40), row(ours=10, drop_in=10, torch=80, jax=20)]
    summary = modules["results"].summary(rows)
    assert summary["training, against torch, geometric mean"] == "4.00"
    assert summary["training, against the best peer, geometric mean"] == "2.00"
    assert summary["least ratio to the best peer"].startswith("2.00 (wide 128/128/1/16")
    assert summary["least share of the multiply-add peak, B ≥ 16, H ≥ 128, training"].startswith("1.00")


def test_a_line_of_the_table_fits_the_terminal(modules: dict[str, ModuleType]) -> None:
    """No line is wider than 120 columns, and a cell that is lost is marked."""
    report = modules["report"]
    line = report.line(row(ours=2_000_000, drop_in=2_000_000, torch=5_000_000, jax=1_900_000))
    assert len(line) <= 120
    assert line.endswith(" <")
    assert max(map(len, report.heading("training"))) <= 120


def test_the_page_is_written_between_its_marks(modules: dict[str, ModuleType]) -> None:
    """What is written by hand stays, what is generated is replaced, and doing it twice changes nothing."""
    page = modules["page"].page
    found = {"layer": {"rows": [row(ours=10, drop_in=10, torch=20)]}}
    text = "by hand\n<!-- training -->\nold\n<!-- end -->\nby hand too\n"
    once = page(text, found)
    assert "| wide | 128/128/1/16 | 10.0 |" in once
    assert once.startswith("by hand\n")
    assert once.endswith("\nby hand too\n")
    assert "old" not in once
    assert page(once, found) == once
