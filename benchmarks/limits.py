"""What the machine can do at most, as contenders that take their turns with the others: medians beside medians.

A virtual machine's speed moves by several parts in a hundred within seconds. So its peak is no number of its own, but
that of the same turns in which everybody else was timed.
"""

import os
from collections.abc import Mapping
from typing import NamedTuple

from case import Case
from contender import Contender
from tidegate import _native

OPERATIONS, BYTES, MEETINGS = 1e9, 256 << 20, 1000  # of one call, about

KIB = 1024
SIZES = (16 * KIB, 512 * KIB, 4096 * KIB, 65536 * KIB)
"""Bytes of the arrays whose reading is timed for the description of a machine: the three caches and the memory."""


class Gauge(NamedTuple):
    """A contender that does nothing but keep one part of the machine busy.

    Attributes:
        contender: What is timed.
        amount: What one call comes to: operations, bytes or meetings.
    """

    contender: Contender
    amount: float


def multiply_adds(threads: int, isa: str) -> Gauge:
    """Returns the gauge of float32 operations: multiply-adds in registers, on all threads."""
    rounds = 1000
    each = _native.multiply_adds(isa, threads, rounds)
    rounds = round(OPERATIONS / each * rounds)
    return Gauge(Contender(lambda: _native.multiply_adds(isa, threads, rounds), dict), each / 1000 * rounds)


def reading(size: float, threads: int, isa: str) -> Gauge:
    """Returns the gauge of bytes read by threads that have `size` bytes in all, each in an array of its own."""
    floats = max(1, round(size / threads / 512)) * 128
    arrays = [_native.empty((floats,)) for _ in range(threads)]
    for array in arrays:
        array.fill(1.0)
    once = threads * floats * 4
    rounds = max(1, BYTES // once)
    return Gauge(Contender(lambda: _native.read(isa, arrays, rounds), dict), once * rounds)


def meetings(threads: int) -> Gauge:
    """Returns the gauge of meetings: all threads tell all others that they are there.

    How long it takes depends on where the processors are: cores that share a cache are a few times nearer than those of
    two chips. A virtual machine may be moved from one to the other while it runs.
    """
    return Gauge(Contender(lambda: _native.meeting_seconds(threads, MEETINGS), dict), MEETINGS)


class Reading(NamedTuple):
    """What a single row cannot do without: to read some weights, some times."""

    size: float  # bytes
    times: int
    threads: int


class Limits:
    """The limits of one case: the gauges that take part in its contest, and what their medians say.

    Attributes:
        gauges: By name.
    """

    def __init__(self, case: Case, threads: int, isa: str, *, floor: bool) -> None:
        """Chooses the gauges; with `floor` those of a single row's reading too."""
        self.case, self.threads = case, threads
        self.readings = _readings(case, threads) if floor and case.cell.B == 1 else {}
        self.gauges = {"multiply-adds": multiply_adds(threads, isa)}
        for name, one in self.readings.items():
            self.gauges[name] = reading(one.size, one.threads, isa)
        if self.readings and threads > 1:
            self.gauges["meetings"] = meetings(threads)

    def found(self, seconds: Mapping[str, float]) -> dict[str, float]:
        """Returns peak, floor and a meeting's time, 0 where there is none, from the median of each gauge."""
        rates = {name: gauge.amount / seconds[name] for name, gauge in self.gauges.items()}
        peak = rates["multiply-adds"]
        return {
            "peak_gflops": round(peak / 1e9, 1),
            "meeting_ns": round(1e9 / rates["meetings"]) if "meetings" in rates else 0,
            "floor_us": round(sum(self._seconds(name, rates[name], peak) for name in self.readings) * 1e6, 2),
        }

    def _seconds(self, name: str, rate: float, peak: float) -> float:
        """Returns the least time of one reading; the products of all steps' inputs may be what it waits for."""
        size, times, _ = self.readings[name]
        products = size / 4 * 2 * self.case.cell.T / peak if name == "inputs" else 0.0
        return max(size * times / rate, products)


def _readings(case: Case, threads: int) -> dict[str, Reading]:
    """Returns what a single row has to read: weights of states once a step, of inputs once in all.

    One core reads what fits in its own cache, where threads would have to wait for each other at every step; what is
    larger, or shared by its nature, all of them.
    """
    cell = case.cell
    state = sum(array.nbytes for name, array in case.weights.items() if "weight_hh" in name)
    inputs = sum(array.nbytes for name, array in case.weights.items() if "weight_ih" in name)
    if cell.T == 1:
        return {"weights": Reading(state + inputs, 1, threads if state + inputs > second_cache() else 1)}
    layer = state / cell.layers
    sharing = threads if cell.bidirectional or layer > second_cache() else 1
    return {"states": Reading(layer, cell.layers * cell.T, sharing), "inputs": Reading(inputs, 1, threads)}


def second_cache() -> int:
    """Returns the size in bytes of a core's own second cache, 1 MiB where the system does not tell."""
    try:
        return os.sysconf("SC_LEVEL2_CACHE_SIZE") or KIB**2
    except (AttributeError, ValueError, OSError):
        return KIB**2
