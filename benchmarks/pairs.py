"""Two of a kind beside each other, through each interface of ours: tables of their medians and of the ratio."""

import math
from collections.abc import Collection, Iterator, Mapping

from grid import Cell

Side = str
Times = Mapping[tuple[str, Side], float]
"""Seconds by interface and side; without those that could not be measured."""

INTERFACES = {"tidegate": "arrays", "tidegate.torch": "drop-in"}


def heading(kind: str, sides: tuple[Side, Side]) -> Iterator[str]:
    """Yields the lines above a table."""
    first, second = sides
    yield ""
    yield f"{kind}, medians in µs; ×: {second} / {first}"
    yield f"{'':15} {'':9} {'I/H/T/B':19}" + "".join(f" {name:>10} {'':>10} {'':>6}" for name in INTERFACES.values())
    yield f"{'':45}" + f" {first:>10} {second:>10} {'×':>6}" * len(INTERFACES)


def line(cell: Cell, times: Times, sides: tuple[Side, Side]) -> str:
    """Returns one line of a table."""
    text = f"{cell.use[:15]:15} {cell.network.split()[0]:9} {cell.shape:19}"
    for name in INTERFACES:
        each = (_number(times.get((name, side), math.nan) * 1e6) for side in sides)
        ratio = ratios(times, sides).get(name, math.nan)
        text += "".join(f" {number:>10}" for number in each) + f" {_number(ratio):>6}"
    return text


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:,.{2 if value < 100 else 0}f}"


def ratios(times: Times, sides: tuple[Side, Side]) -> dict[str, float]:
    """Returns the time of the second side over that of the first, by interface."""
    first, second = sides
    pairs = {name: (times.get((name, second)), times.get((name, first))) for name in INTERFACES}
    return {name: above / below for name, (above, below) in pairs.items() if above is not None and below is not None}


def named(cell: Cell, kind: str, times: Times, sides: tuple[Side, Side]) -> list[tuple[float, str]]:
    """Returns each ratio of a line, and what it is of."""
    found = ratios(times, sides).items()
    return [(ratio, f"{cell.name}, {cell.network}, {kind}, {INTERFACES[name]}") for name, ratio in found]


def closing(found: Collection[tuple[float, str]]) -> str:
    """Returns the geometric mean of all ratios, and the largest."""
    if not found:
        return "nothing was measured on both sides"
    mean, (worst, where) = math.exp(sum(math.log(ratio) for ratio, _ in found) / len(found)), max(found)
    return f"geometric mean {mean:.3f}, worst {worst:.2f} ({where})"
