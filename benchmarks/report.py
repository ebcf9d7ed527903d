"""The results as lines for a terminal, at most 120 columns wide."""

from collections import defaultdict
from collections.abc import Iterator

from results import Row, closest, over_floor, share_of_peak, summary

COLUMNS = {
    "tidegate": "tidegate",
    "tidegate.torch": "drop-in",
    "torch": "torch",
    "torch.compile": "compile",
    "ONNX Runtime": "ORT",
    "OpenVINO": "OpenVINO",
    "JAX": "JAX",
}

MOST_NAMED = 4


def heading(kind: str) -> Iterator[str]:
    """Yields the lines above a table."""
    yield ""
    yield f"{kind}, medians in µs; by: how torch runs; ×: against the closest peer; of the peak, or × floor (B = 1)"
    names = " ".join(f"{name:>8}" for name in COLUMNS.values())
    yield f"{'':15} {'I/H/T/B':19} {names} {'by':>6} {'×':>5} {'limit':>5}"


def limit(row: Row) -> str:
    """Returns how near the machine's limits we are: a share of the peak, or a multiple of the floor."""
    return f"{over_floor(row):.1f}×" if row["floor_us"] else f"{share_of_peak(row):.0%}"


def line(row: Row) -> str:
    """Returns one line of a table; a ratio below 1 is marked."""
    times = [row["microseconds"].get(name) for name in COLUMNS]
    cells = " ".join(f"{'-' if time is None else _short(time):>8}" for time in times)
    by, (peer, ratio) = row.get("paths", {}).get("torch", "-"), closest(row)
    note = f" {peer}" if peer not in COLUMNS and ratio < float("inf") else ""
    mark = " <" if ratio < 1 else ""
    return f"{row['use'][:15]:15} {row['shape']:19} {cells} {by:>6} {ratio:5.1f} {limit(row):>5}{mark}{note}"


def _short(microseconds: float) -> str:
    """Writes a time in at most eight characters; from a second on in thousands of microseconds."""
    if microseconds < 100:
        return f"{microseconds:,.1f}"
    return f"{microseconds:,.0f}" if microseconds < 1e6 else f"{microseconds / 1000:,.0f}k"


def failures(rows: list[Row]) -> Iterator[str]:
    """Yields why contenders did not take part, each reason once with the cells, or their number if they are many."""
    cells: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        for name, reason in row["failures"].items():
            cells[f"{name}: {reason}"].append(f"{row['shape']} {row['kind']}")
    for reason, where in cells.items():
        yield f"{reason} [{'; '.join(where) if len(where) <= MOST_NAMED else f'{len(where)} cells'}]"


def closing(rows: list[Row]) -> Iterator[str]:
    """Yields what all rows come to."""
    for name, figure in summary(rows).items():
        yield f"{name}: {figure}"
