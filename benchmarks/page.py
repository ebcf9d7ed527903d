"""The generated parts of docs/performance.md, as lines of Markdown."""

import re
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import results
from limits import KIB, SIZES
from report import COLUMNS, failures, limit
from results import Row, closest, summary

Found = dict[str, Any]


def about(found: Found) -> Iterator[str]:
    """Yields what was measured, on what."""
    layer = found["layer"]
    libraries = ", ".join(f"{name} {version}" for name, version in layer["versions"].items() if name != "tidegate")
    one, *more = (
        [f"{size // KIB} KiB {speeds[str(size)]:.0f}" for size in SIZES] for speeds in layer["bandwidth_gbs"].values()
    )
    yield f"{found['machine']}, {layer['isa']}, {layer['threads']} threads. {libraries}."
    yield f"Peak of float32 multiply-adds: {_peak(found):.0f} GFLOP/s. Reading a private array, one thread: "
    yield ", ".join(one) + " GB/s" + (f"; all threads: {', '.join(more[-1])} GB/s." if more else ".")


def _peak(found: Found) -> float:
    """Returns the GFLOP/s of multiply-adds, the median of those measured beside the cells."""
    return float(median(row["peak_gflops"] for row in found["layer"]["rows"]))


def table(rows: list[Row]) -> Iterator[str]:
    """Yields a table of all contenders, one line a cell."""
    yield f"| | I/H/T/B | {' | '.join(COLUMNS.values())} | × | limit |"
    yield "|---|---|" + "---:|" * (len(COLUMNS) + 2)
    for row in rows:
        times = [row["microseconds"].get(name) for name in COLUMNS]
        cells = " | ".join("–" if time is None else f"{time:,.{0 if time >= 100 else 1}f}" for time in times)
        shape = row["shape"].replace("|", "\\|")
        yield f"| {row['use']} | {shape} | {cells} | **{closest(row)[1]:.1f}** | {limit(row)} |"


def tables(kind: str) -> Callable[[Found], Iterator[str]]:
    """Returns what yields the table of inference or training."""
    return lambda found: table([row for row in found["layer"]["rows"] if row["kind"] == kind])


def speed(found: Found) -> Iterator[str]:
    """Yields the short table of the README: torch, the best peer and us, for a single sequence and for a batch."""
    machine = next(about(found)).split(". ")[0]
    yield (
        "`tidegate.torch.GRU` compared with `torch.nn.GRU` and with the fastest of torch.compile, ONNX Runtime, "
        "OpenVINO and JAX; float32, medians in µs."
    )
    yield f"I inputs, H hidden units, T steps, B rows. {machine}."
    yield ""
    yield "| | I/H/T/B | | torch | best other | tidegate | × torch |"
    yield "|---|---|---|---:|---:|---:|---:|"
    for row in found["layer"]["rows"]:
        if (row["use"], row["shape"]) in SHORT:
            times = row["microseconds"]
            others = [time for name, time in times.items() if name not in {"torch", *results.OURS}]
            ours, torch = times["tidegate.torch"], times["torch"]
            cells = " | ".join(f"{time:,.0f}" for time in (torch, min(others), ours))
            yield f"| {row['use']} | {row['shape']} | {row['kind']} | {cells} | **{torch / ours:.1f}** |"


def slow(found: Found) -> Iterator[str]:
    """Yields the cells in which somebody else is faster."""
    lost = sorted((row for row in found["layer"]["rows"] if closest(row)[1] < 1), key=lambda row: closest(row)[1])
    for row in lost:
        peer, ratio = closest(row)
        yield f"- {row['use']} {row['shape']}, {row['kind']}: {peer} takes {ratio:.2f} × the time of tidegate"
    if not lost:
        yield "Nowhere: in every cell the closest peer takes at least as long as tidegate."


def closing(found: Found) -> Iterator[str]:
    """Yields what all cells come to, as a table: on this machine, and on the others that were measured."""
    machines = [found, *(other for other in results.kept() if other["machine"] != found["machine"])]
    peaks = {"peak of float32 multiply-adds, GFLOP/s": [f"{_peak(machine):.0f}" for machine in machines]}
    sums = [summary(machine["layer"]["rows"]) for machine in machines]
    yield f"| measure | {' | '.join(machine['machine'] for machine in machines)} |"
    yield "|---|" + "---|" * len(machines)
    for name, figures in (peaks | {name: [one[name] for one in sums] for name in sums[0]}).items():
        yield f"| {name} | {' | '.join(figure.replace('|', chr(92) + '|') for figure in figures)} |"


def absent(found: Found) -> Iterator[str]:
    """Yields why a contender has no figure."""
    for reason in failures(found["layer"]["rows"]):
        yield f"- {reason}"


def growth(found: Found) -> Iterator[str]:
    """Yields the picture of growth."""
    if "growth" in found:
        yield "![Time as steps, rows and units grow](pictures/growth.svg)"


def older(found: Found) -> Iterator[str]:
    """Yields the figures of the AVX2 kernels beside torch."""
    if "layer-avx2" in found:
        yield from table(found["layer-avx2"]["rows"])
        yield ""
        yield f"Training against torch, geometric mean: {results.against_torch(found['layer-avx2']['rows']):.1f}."


def lstm(found: Found) -> Iterator[str]:
    """Yields the figures of an LSTM beside all peers, and what they come to, of this machine or another."""
    measured = next((one for one in (found, *results.kept()) if "layer-lstm" in one), None)
    if measured is None:
        return
    rows = measured["layer-lstm"]["rows"]
    yield f"{measured['machine']}, {measured['layer-lstm']['isa']}, {measured['layer-lstm']['threads']} threads."
    for kind in ("inference", "training"):
        yield f"\n{kind.capitalize()}:\n"
        yield from table([row for row in rows if row["kind"] == kind])
    yield "\n| measure | |\n|---|---|"
    yield from (f"| {name} | {figure.replace('|', chr(92) + '|')} |" for name, figure in summary(rows).items())


def silence(found: Found) -> Iterator[str]:
    """Yields the times of a step of a loud and of a silent stream."""
    if "silence" in found:
        yield "| | loud, µs a step | silent, µs a step | longer |\n|---|---:|---:|---:|"
        for name, one in found["silence"]["microseconds"].items():
            yield f"| {name} | {one['loud']:.2f} | {one['silent']:.2f} | {one['silent'] / one['loud'] - 1:+.1%} |"


def trace(found: Found) -> Iterator[str]:
    """Yields what returning every gate costs."""
    if "trace" in found:
        yield "| | I/H/T/B | forward, µs | with a trace | in training, µs | with a trace |"
        yield "|---|---|---:|---:|---:|---:|"
        for row in found["trace"]["rows"]:
            plain, traced, training, both = row["microseconds"].values()
            cells = f"{plain:,.0f} | {traced / plain - 1:+.0%} | {training:,.0f} | {both / training - 1:+.0%}"
            yield f"| {row['use']} | {row['shape']} | {cells} |"


def words(found: Found) -> Iterator[str]:
    """Yields how many words a second are read and trained on, by an embedding before the layer and without one."""
    if "words" in found:
        rates = found["words"]["words_per_second"]
        yield f"| words a second; {found['words']['different']:.0%} of a batch's are different | reading | training |"
        yield "|---|---:|---:|"
        for name in rates["inference"]:
            yield f"| {name} | {rates['inference'][name]:,} | {rates['training'][name]:,} |"


def recompute(found: Found) -> Iterator[str]:
    """Yields time and memory of a training step on a long sequence."""
    runs = found.get("recompute", {"runs": {}})["runs"]
    if runs:
        yield "| recompute_every | seconds | peak, MB | of these before training |\n|---|---:|---:|---:|"
    for every, run in runs.items():
        if "failure" not in run:
            name = "–" if every == "0" else every
            yield f"| {name} | {run['seconds']:.2f} | {run['peak_mb']:,.0f} | {run['before_mb']:,.0f} |"


SHORT = (("one sequence", "128/128/200/1"), ("small batch", "100/128/200/32"))
"""Uses and shapes that the README shows, in inference and in training."""

PARTS: dict[str, Callable[[Found], Iterator[str]]] = {
    "about": about,
    "summary": closing,
    "inference": tables("inference"),
    "training": tables("training"),
    "speed": speed,
    "slow": slow,
    "absent": absent,
    "avx2": older,
    "lstm": lstm,
    "growth": growth,
    "silence": silence,
    "recompute": recompute,
    "trace": trace,
    "words": words,
}


def page(text: str, found: Found) -> str:
    """Returns the page with every generated part written anew; its marks stay.

    Raises:
        KeyError: A mark names no part.
    """

    def part(match: re.Match[str]) -> str:
        lines = "\n".join(PARTS[match[1]](found)).strip() or "Not measured yet."
        return f"<!-- {match[1]} -->\n{lines}\n<!-- end -->"

    return re.sub(r"<!-- (\w+) -->\n.*?<!-- end -->", part, text, flags=re.DOTALL)
