"""The benchmarks' own parts: the grid, the turns of a contest, what the results come to, the page made from them."""

import math
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from importlib import import_module
from itertools import product
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence

import tidegate
from tidegate.training.data.next_tokens import prepare_tokens

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
ALIVE: list[ModuleType] = []  # OpenVINO's Cores among them: findings/openvino-cores-unmap-the-signal-stack.sh
NAMES = ("grid", "case", "contender", "contest", "limits", "results", "report", "page", "pairs", "peers", "turns")


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    """The modules that need no peer, imported as scripts in benchmarks/ see them, and forgotten after the test."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield {name: import_module(name) for name in NAMES}
    for name, module in list(sys.modules.items()):
        if BENCHMARKS in Path(getattr(module, "__file__", None) or "/").parents:
            ALIVE.append(sys.modules.pop(name))


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


SMALL: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {  # I, H, T, B, and what else
    "step": ((3, 5, 1, 1), {}),
    "step of layers": ((3, 5, 1, 1), {"layers": 2}),
    "rows": ((3, 5, 6, 4), {"layers": 2, "bidirectional": True}),
    "ragged": ((3, 5, 6, 4), {"lengths": (1, 6)}),
    "ragged, both directions": ((3, 5, 6, 4), {"layers": 2, "bidirectional": True, "lengths": (1, 6)}),
    "episodes": ((3, 5, 6, 4), {"episode": 3}),
}
COMPILED = ("ragged, both directions", "episodes")  # enough of what has to be compiled for seconds
NEEDED = {"ONNX Runtime": ("onnx", "onnxruntime"), "OpenVINO": ("onnx", "openvino"), "JAX": ("jax",)}


@pytest.mark.parametrize(
    "peer", ["tidegate", "tidegate.torch", "torch", "torch padded", "ONNX Runtime", "OpenVINO", "JAX"]
)
@pytest.mark.parametrize("network", ["gru", "lstm", "rnn_tanh", "rnn_relu"])
def test_a_contender_computes_what_torch_computes(modules: dict[str, ModuleType], network: str, peer: str) -> None:
    """In every network, each of its ways gives the outputs of torch, and the gradients, or says why it cannot."""
    for library in NEEDED.get(peer, ()):
        found = pytest.importorskip(library)
        if library == "jax":  # what is right is right without them too, and compiled in half the time
            found.config.update("jax_disable_most_optimizations", True)
    peers, difference = modules["peers"], modules["contender"].difference
    assert network in peers.NETWORKS
    names, compared = COMPILED if peer == "JAX" else SMALL, 0
    for (sizes, options), kind in product([SMALL[name] for name in names], ("inference", "training")):
        case = modules["case"].Case(modules["grid"].Cell("small", *sizes, **options, network=network))
        reference = peers.ways("torch", kind)(case, 1)[0]
        expected = reference.answer(reference.call())
        make = peers.ways(peer, kind)
        try:
            ways = make(case, 1) if make else []
        except modules["case"].Unable:
            assert case.cell.episode
            continue
        for way in ways:
            assert difference(way.answer(way.call()), expected) < modules["contender"].TOLERANCE
            compared += 1
    assert compared >= len(names) - 1 or peer == "torch padded"


@pytest.mark.usefixtures("modules")
@pytest.mark.parametrize("mode", [nullcontext, torch.no_grad, torch.inference_mode])
def test_the_path_of_torch_is_seen(mode: Callable[[], AbstractContextManager[Any]]) -> None:
    """An LSTM over rows of equal length is given to oneDNN, one over ragged rows is walked step by step."""
    path = import_module("peers.pytorch").path
    layer, gru, x = torch.nn.LSTM(3, 5), torch.nn.GRU(3, 5), torch.zeros(6, 4, 3)

    def path_of(call: Callable[[], Any]) -> Any:
        def within() -> None:
            with mode():
                call()

        return path(within)

    assert path_of(lambda: gru(x)) == "steps"
    assert path_of(lambda: layer(pack_padded_sequence(x, torch.tensor([6, 5, 5, 1])))) == "steps"
    if platform.machine() == "x86_64":
        assert path_of(lambda: layer(x)) == "oneDNN"


def test_operations_are_those_of_all_gates(modules: dict[str, ModuleType]) -> None:
    """A GRU has three times the operations and the weights of a vanilla RNN, in a training step too."""
    cells = [modules["grid"].Cell("gates", 3, 5, 6, 4, network=network) for network in ("rnn_tanh", "gru")]
    one, three = map(modules["case"].Case, cells)
    assert one.operations == 2 * 5 * (3 + 5) * 6 * 4
    assert three.operations == 3 * one.operations
    assert three.training_operations == 3 * one.training_operations
    assert len(three.weights["weight_hh_l0"]) == 3 * len(one.weights["weight_hh_l0"])


def test_cells_are_chosen_by_name_and_kind(modules: dict[str, ModuleType]) -> None:
    """A pattern finds use and shape; what is found is of the network that is asked for."""
    found = modules["grid"].chosen("inference", "^reviews.*⇄", "rnn_tanh")
    assert [(cell.use, cell.bidirectional, cell.network) for cell in found] == [("reviews", True, "rnn_tanh")]
    assert not modules["grid"].chosen("inference", "PPO")


def test_medians_are_those_of_the_calls(modules: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that only calls move on, each contender has the time of its own."""
    contender, now = modules["contender"].Contender, [0.0]

    def nap(seconds: float) -> None:
        now[0] += seconds

    clock = SimpleNamespace(perf_counter=lambda: now[0], process_time=lambda: 0.0, sleep=nap)
    for module in ("contest", "turns"):
        monkeypatch.setattr(modules[module], "time", clock)
    naps = {"short": 0.001, "long": 0.02}
    calls = {name: contender(partial(nap, seconds), lambda nothing: {}) for name, seconds in naps.items()}
    assert modules["contest"].medians(calls, 0.0) == pytest.approx(naps)


FLOORS = {  # a cell's sizes and options, threads, microseconds of a barrier, microseconds of the floor
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


@pytest.mark.parametrize(("sizes", "options", "threads", "barrier", "floor"), FLOORS.values(), ids=FLOORS)
def test_the_floor_is_the_least_time_to_read_the_weights(
    modules: dict[str, ModuleType],
    sizes: tuple[int, ...],
    options: dict[str, Any],
    threads: int,
    barrier: float,
    floor: float,
) -> None:
    """With 1 GB/s a thread, 1 TFLOP/s: states' weights once a step, inputs' once in all or as long as the products."""
    case = modules["case"].Case(modules["grid"].Cell("floor", *sizes, **options))
    limits = modules["limits"].Limits(case, threads, tidegate.isas()[0], floor=True)
    seconds = {}
    for name, gauge in limits.gauges.items():
        rate = {"multiply-adds": 1e12, "barriers": 1e6 / barrier}.get(name) or 1e9 * int(name.split()[-1])
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


def test_the_summary_tells_equal_rows_from_packed_ones(modules: dict[str, ModuleType]) -> None:
    """Of training, rows of equal length and ragged ones have means of their own; episodes are in neither."""
    shapes = {"128/128/1/16 ⇄": 3, "128/128/9/16 ~": 20, "128/128/9/16 |": 7}
    rows = [row(ours=10, drop_in=10, torch=10 * ratio) | {"shape": shape} for shape, ratio in shapes.items()]
    summary = modules["results"].summary(rows)
    assert summary["training, against torch, rows of equal length, geometric mean"] == "3.00"
    assert summary["training, against torch, rows of equal length, least ratio"].startswith("3.00 (wide 128/128/1/16")
    assert summary["training, against packed torch, ragged rows, geometric mean"] == "20.00"


def test_every_network_and_instruction_set_is_kept_apart(modules: dict[str, ModuleType]) -> None:
    """The results of the GRU have the plain name."""
    question = modules["results"].question
    assert [question("gru"), question("lstm"), question("gru", "avx2")] == ["layer", "layer-lstm", "layer-avx2"]


def test_two_sides_are_compared_by_interface(modules: dict[str, ModuleType]) -> None:
    """A line fits the terminal; the end names the worst ratio; what one side lacks is left out."""
    pairs, cell, sides = modules["pairs"], modules["grid"].GRID[0], ("before", "now")
    times = {("tidegate", "before"): 1.0, ("tidegate", "now"): 2.0, ("tidegate.torch", "now"): 1.0}
    assert pairs.ratios(times, sides) == {"tidegate": 2.0}
    line = pairs.line(cell, times, sides)
    assert "1,000,000  2,000,000   2.00" in line
    assert max(map(len, [line, *pairs.heading("training", sides)])) <= 120
    found = [*pairs.named(cell, "training", times, sides), (0.5, "another")]
    assert pairs.closing(found) == f"geometric mean 1.000, worst 2.00 ({cell.name}, gru, training, arrays)"
    assert "nothing" in pairs.closing([])


def test_a_worker_builds_a_cell_and_takes_turns(modules: dict[str, ModuleType]) -> None:
    """It runs a build in a process of its own, through both interfaces, and says what it cannot."""
    worker = import_module("bench_before").Worker(sys.executable)
    cell = {"use": "small", "I": 3, "H": 5, "T": 6, "B": 4, "episode": 3}
    assert worker.ask("build", cell=cell, kind="training", threads=1) == {}
    assert all(0 < worker.ask("turn", interface=name) < 1 for name in modules["pairs"].INTERFACES)
    failed = worker.ask("build", cell=cell | {"network": "other"}, kind="training", threads=1)
    assert all("other" in reason for reason in failed.values())
    worker.end()


@pytest.mark.usefixtures("modules")
def test_the_bridge_to_older_builds_leaves_this_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keywords are those of the build that is installed."""
    arrays, worker = import_module("peers.arrays"), import_module("before_worker")
    worker.bridge()
    assert (arrays.EPISODE_STARTS, arrays.GRADIENTS) == ("episode_starts", {"need": ("dx",)})
    monkeypatch.setattr(tidegate.ops, "backward", lambda layer, *, resets=None, need_dh0=True: None)
    worker.bridge()
    assert (arrays.EPISODE_STARTS, arrays.GRADIENTS) == ("resets", {"need_dh0": False})


def test_a_line_of_the_table_fits_the_terminal(modules: dict[str, ModuleType]) -> None:
    """No line is wider than 120 columns, and a cell that is lost is marked."""
    report = modules["report"]
    slow = row(ours=2_000_000, drop_in=2_000_000, torch=5_000_000, jax=1_900_000) | {"paths": {"torch": "oneDNN"}}
    line = report.line(slow)
    assert len(line) <= 120
    assert "5,000k" in line
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


@pytest.mark.usefixtures("modules")
def test_the_same_network_is_trained_on_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in for our layer, loss and threads is found, and comes to the losses of ours but for rounding."""
    characters = import_module("bench_characters")
    monkeypatch.setitem(characters.SIZES, "hidden_size", 8)
    examples = prepare_tokens(["to be or not to be " * 40], tokens="characters", validation=["to be "], bptt=16)
    ours = characters.trained(examples, "lstm", 1, 0)
    with characters.on_torch():
        theirs = characters.trained(examples, "lstm", 1, 0)
    assert theirs.loss == pytest.approx(ours.loss, rel=1e-4)
