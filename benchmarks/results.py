"""What the benchmarks have found on a machine, kept as JSON, and what it comes to."""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from peers import ANSWERED_BY, OURS
from tidegate.ops.processor import processor

FOLDER = Path(__file__).parent / "results"
Row = dict[str, Any]


def file() -> Path:
    """Returns the file of this machine, named after its processor."""
    return FOLDER / (re.sub(r"[^a-z0-9]+", "-", processor().lower()).strip("-") + ".json")


def kept() -> list[dict[str, Any]]:
    """Returns what is kept of each machine on which layers were timed."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))]
    return [one for one in found if "layer" in one]


def question(network: str, isa: str = "") -> str:
    """Returns under which name the layers of a network are kept, on an instruction set that is not the best."""
    return "-".join(["layer", *[network] * (network != "gru"), *[isa] * bool(isa)])


def save(question: str, found: dict[str, Any]) -> None:
    """Writes what one question has found; rows that were not measured this time are kept."""
    path = file()
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if "rows" in found:
        rows = {key(row): row for row in before.get(question, {}).get("rows", []) + found["rows"]}
        found = found | {"rows": list(rows.values())}
    after = {"machine": processor()} | before | {question: found}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(after, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"written to {path}")


def key(row: Row) -> tuple[str, ...]:
    """Returns what a row is about."""
    return row["use"], row["shape"], row["kind"]


def ratios(microseconds: dict[str, float]) -> dict[str, float]:
    """Returns how many times longer each peer takes than that interface of ours which takes what it takes."""
    return {
        peer: time / microseconds[ANSWERED_BY.get(peer, "tidegate")]
        for peer, time in microseconds.items()
        if peer not in OURS and ANSWERED_BY.get(peer, "tidegate") in microseconds
    }


def closest(row: Row) -> tuple[str, float]:
    """Returns the peer that does best against us, and the ratio; an infinite one without peers."""
    return min(ratios(row["microseconds"]).items(), key=lambda pair: pair[1], default=("nobody", math.inf))


def best_of_ours(row: Row) -> float:
    """Returns the microseconds of the faster one of our interfaces, that is, of the kernels."""
    return min((row["microseconds"][name] for name in OURS if name in row["microseconds"]), default=math.nan)


def share_of_peak(row: Row) -> float:
    """Returns the matrix products' operations a second as a share of the peak measured beside them."""
    return row["operations"] / (best_of_ours(row) * 1e-6) / (row["peak_gflops"] * 1e9)


def over_floor(row: Row) -> float:
    """Returns our time over the least that reading the weights takes."""
    return best_of_ours(row) / row["floor_us"]


def _mean(values: Iterable[float]) -> float:
    """Returns the geometric mean, NaN of nothing."""
    logs = [math.log(value) for value in values if math.isfinite(value)]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


def _named(rows: Iterable[Row], figure: Callable[[Row], float], worst: Callable[..., Row]) -> str:
    """Returns the worst figure and where it was, of rows that may be none."""
    found = [row for row in rows if math.isfinite(figure(row))]
    if not found:
        return "-"
    row = worst(found, key=figure)
    return f"{figure(row):.2f} ({row['use']} {row['shape']}, {row['kind']})"


def _over_torch(row: Row) -> float:
    """Returns how many times longer torch takes, with packed rows where they are ragged; infinite without torch."""
    return ratios(row["microseconds"]).get("torch", math.inf)


def _over_best(row: Row) -> float:
    """Returns how many times longer the closest peer takes."""
    return closest(row)[1]


def against_torch(rows: list[Row]) -> float:
    """Returns the geometric mean over the training steps of how many times longer torch takes."""
    return _mean(_over_torch(row) for row in rows if row["kind"] == "training")


def summary(rows: list[Row]) -> dict[str, str]:
    """Returns what all rows together say, by what it is called."""
    return _against_others(rows) | _against_limits(rows)


AT_PEAK = "if all cells with B ≥ 16, H ≥ 128 ran at the multiply-add peak"


def _at_peak(rows: list[Row], over: Callable[[Row], float]) -> Iterator[float]:
    """Yields what the ratios would be if the matrix products of batches took all of the processor."""
    return (over(row) / (share_of_peak(row) if _is_batch(row) else 1) for row in rows)


def _against_others(rows: list[Row]) -> dict[str, str]:
    """Returns the means and least of the ratios, as `summary` does."""
    inference, training = ([row for row in rows if row["kind"] == kind] for kind in ("inference", "training"))
    dense = [row for row in training if not set(row["shape"]) & set("~|")]
    ragged = [row for row in training if "~" in row["shape"]]
    reviews = [row for row in training if row["use"] == "reviews"]
    return {
        "inference, against the best peer, geometric mean": f"{_mean(map(_over_best, inference)):.2f}",
        "inference, against the best peer, least ratio": _named(inference, _over_best, min),
        "training, against torch, geometric mean": f"{against_torch(training):.2f}",
        "training, against torch, rows of equal length, geometric mean": f"{against_torch(dense):.2f}",
        f"training, against torch, rows of equal length, {AT_PEAK}": f"{_mean(_at_peak(dense, _over_torch)):.2f}",
        "training, against torch, rows of equal length, least ratio": _named(dense, _over_torch, min),
        "training, against packed torch, ragged rows, geometric mean": f"{against_torch(ragged):.2f}",
        "training, against the best peer, geometric mean": f"{_mean(map(_over_best, training)):.2f}",
        f"training, against the best peer, {AT_PEAK}": f"{_mean(_at_peak(training, _over_best)):.2f}",
        "least ratio to the best peer": _named(rows, _over_best, min),
        "ragged reviews, training, against packed torch": _named(reviews, _over_torch, min),
    }


def _against_limits(rows: list[Row]) -> dict[str, str]:
    """Returns how near the limits of the machine the rows come, as `summary` does."""
    single = [row for row in rows if row["kind"] == "inference" and row["B"] == 1 and row["H"] >= 128]
    lines = {}
    for kind in ("inference", "training"):
        batches = [row for row in rows if row["kind"] == kind and _is_batch(row)]
        lines[f"least share of the multiply-add peak, B ≥ 16, H ≥ 128, {kind}"] = _named(batches, share_of_peak, min)
    floored = [row for row in single if row["floor_us"]]
    lines["most time over the floor, B = 1, H ≥ 128, inference"] = _named(floored, over_floor, max)
    barriers = [row["barrier_ns"] for row in rows if row.get("barrier_ns")]
    span = f"{min(barriers)} to {max(barriers)}" if barriers else "-"
    lines["a barrier of all threads, measured next to every cell, ns"] = span
    return lines


def _is_batch(row: Row) -> bool:
    """Tells whether a row is one of matrix products."""
    return bool(row["B"] >= 16 and row["H"] >= 128)
