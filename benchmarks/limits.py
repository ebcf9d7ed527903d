"""What the machine can do at most, as contenders that take their turns with the others: medians beside medians.

A virtual machine's speed moves by several parts in a hundred within seconds. So its peak is no number of its own, but
that of the turns in which everybody else was timed.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from case import Case
from contender import Contender
from tidegate import _native

OPERATIONS, BYTES, BARRIERS = 1e9, 256 << 20, 20_000  # of one call, about

KIB = 1024
SIZES = (16 * KIB, 512 * KIB, 4096 * KIB, 65536 * KIB)
"""Bytes of the arrays whose reading is timed for the description of a machine."""


class Gauge(NamedTuple):
    """A contender that does nothing but keep one part of the machine busy.

    Attributes:
        contender: What is timed.
        amount: What one call comes to: operations, bytes or barriers.
    """

    contender: Contender
    amount: float


def multiply_adds(threads: int, isa: str) -> Gauge:
    """Returns the gauge of float32 operations: multiply-adds in registers, on all threads."""
    each = _native.multiply_adds(isa, threads, 1)
    rounds = round(OPERATIONS / each)
    return Gauge(Contender(lambda: _native.multiply_adds(isa, threads, rounds), dict), each * rounds)


def reading(size: float, threads: int, isa: str) -> Gauge:
    """Returns the gauge of bytes read by threads that share `size` bytes, each in an array of its own.

    As weights are, the arrays are written by the calling thread first, which on several sockets says where they lie.
    """
    floats = max(1, round(size / threads / 512)) * 128
    arrays = [_native.empty((floats,)) for _ in range(threads)]
    for array in arrays:
        array.fill(1.0)
    once = threads * floats * 4
    rounds = max(1, BYTES // once)
    return Gauge(Contender(lambda: _native.read(isa, arrays, rounds), dict), once * rounds)


def barriers(threads: int) -> Gauge:
    """Returns the gauge of barriers: all threads wait for all others.

    How long it takes depends on where the processors are: cores that share a cache are a few times nearer than those of
    two chips. A virtual machine may be moved from one to the other while it runs.
    """
    return Gauge(Contender(lambda: _native.barrier_seconds(threads, BARRIERS), dict), BARRIERS)


class Reading(NamedTuple):
    """What a single row cannot do without: to read some weights, again and again.

    Attributes:
        size: Bytes read each time.
        times: How often.
        barriers: How often threads that share them wait at a barrier each time; 0 if they need not.
        operations: Of the products with them, which may take longer; they count where these are done as one.
    """

    size: float
    times: int
    barriers: int
    operations: float = 0.0

    def thread_counts(self, threads: int) -> list[int]:
        """Returns by how many threads they may be read: one alone spares the barriers."""
        return sorted({1, threads}) if self.barriers else [threads]

    def seconds(self, rates: Mapping[int, float], barrier: float, peak: float) -> float:
        """Returns the least time, from the bytes a second of each number of threads."""
        ways = (self.size / rate + (self.barriers * barrier if n > 1 else 0.0) for n, rate in rates.items())
        return max(self.times * min(ways), self.operations / peak)


def readings(case: Case) -> Iterator[Reading]:
    """Yields what a single row has to read: weights of states once a step, of inputs once in all.

    In one step both are read together, and threads meet after each layer; those of two directions need not meet.
    """
    cell = case.cell
    state = sum(array.nbytes for name, array in case.weights.items() if "weight_hh" in name)
    inputs = sum(array.nbytes for name, array in case.weights.items() if "weight_ih" in name)
    if cell.T == 1:
        yield Reading(state + inputs, 1, barriers=cell.layers)
    else:
        yield Reading(state / cell.layers, cell.layers * cell.T, barriers=0 if cell.bidirectional else 1)
        yield Reading(inputs, 1, barriers=0, operations=inputs / 4 * 2 * cell.T)


class Limits:
    """The limits of one case: the gauges that take part in its contest, and what their medians say.

    Attributes:
        gauges: By name.
    """

    def __init__(self, case: Case, threads: int, isa: str, *, floor: bool) -> None:
        """Chooses the gauges; with `floor` those of a single row's reading too."""
        found = readings(case) if floor and case.cell.B == 1 else ()
        self.readings = {one: {n: f"{one.size:.0f} bytes by {n}" for n in one.thread_counts(threads)} for one in found}
        self.gauges = {"multiply-adds": multiply_adds(threads, isa)}
        for one, names in self.readings.items():
            self.gauges |= {name: reading(one.size, n, isa) for n, name in names.items()}
        if threads > 1:
            self.gauges["barriers"] = barriers(threads)

    def found(self, seconds: Mapping[str, float]) -> dict[str, float]:
        """Returns peak, a barrier's time and floor, 0 where there is none, from the median of each gauge."""
        rates = {name: gauge.amount / seconds[name] for name, gauge in self.gauges.items()}
        peak, barrier = rates["multiply-adds"], 1 / rates["barriers"] if "barriers" in rates else 0.0
        floor = sum(
            one.seconds({n: rates[name] for n, name in names.items()}, barrier, peak)
            for one, names in self.readings.items()
        )
        return {
            "peak_gflops": round(peak / 1e9, 1),
            "barrier_ns": round(barrier * 1e9),
            "floor_us": round(floor * 1e6, 2),
        }
