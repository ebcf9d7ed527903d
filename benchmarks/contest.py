"""Times contenders side by side: repetitions in turn, medians, and what the machine can do at most, in the same run."""

import gc
import math
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from itertools import accumulate, count
from random import Random

import tidegate
from contender import Contender
from tidegate import _native
from tidegate.processor import processor

REST, LONGEST_REST, WARM_UP, TURN = 0.01, 0.5, 0.001, 0.004  # seconds
WARM = 0.1  # seconds from which a call needs no other one right before it
FEWEST, FEWEST_SLOW, SLOW = 5, 3, 8  # rounds; rounds once the time given was passed SLOW times

KIB = 1024
SIZES = tuple(KIB << power for power in range(4, 17))
"""Sizes in bytes of the arrays whose reading is timed, 16 KiB to 64 MiB."""


def medians(contenders: Mapping[str, Contender], seconds: float = 2.0) -> dict[str, float]:
    """Returns the median time of each contender in seconds.

    They run in turn (A B C B A C ...), so that a change in the machine's speed or load meets all of them alike, in an
    order drawn anew for each round, so that none always follows the one that leaves the caches worst. Before each turn
    the machine rests until no thread spins on the processors that the next contender wants; then short calls warm up
    for a millisecond, and the next ones count.

    Args:
        contenders: By name, each called at least once before.
        seconds: Time to spend in all; at least five rounds are made, or three where they are very slow.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    gc.collect()
    gc.disable()
    turns, start = Random(0), time.perf_counter()  # noqa: S311 - an order, no secret
    for rounds in count():
        spent = time.perf_counter() - start
        if spent > seconds and rounds >= (FEWEST_SLOW if spent > SLOW * seconds else FEWEST):
            break
        for name in turns.sample(list(contenders), len(contenders)):
            times[name].append(_turn(contenders[name]))
    gc.enable()
    return {name: statistics.median(values) for name, values in times.items()}


def rest() -> None:
    """Waits until all threads of this process are idle: those of some libraries spin for 50 ms after a call."""
    end = time.perf_counter() + LONGEST_REST
    while True:
        before = time.process_time()
        time.sleep(REST)
        if time.process_time() - before < REST / 10 or time.perf_counter() > end:
            return


def _turn(contender: Contender) -> float:
    """Returns the seconds that a call takes, the mean of as many as fill a turn."""
    contender.prepare()
    rest()
    first = _seconds(contender, 1)
    if first > WARM:
        return first
    warm = _seconds(contender, calls) / calls if (calls := round(WARM_UP / first)) else first
    calls = max(1, round(TURN / warm))
    return _seconds(contender, calls) / calls


def _seconds(contender: Contender, times: int) -> float:
    call, start = contender.call, time.perf_counter()
    for _ in range(times):
        call()
    return time.perf_counter() - start


def fastest(ways: Sequence[Contender]) -> Contender:
    """Returns the fastest of several ways to do the same, by the best of three turns each; each was called before."""
    if len(ways) == 1:
        return ways[0]
    best = [math.inf] * len(ways)
    for _ in range(3):
        best = [min(seconds, _turn(way)) for seconds, way in zip(best, ways, strict=True)]
    return ways[best.index(min(best))]


def fma_peak(threads: int, isa: str | None = None, tries: int = 10) -> float:
    """Returns the most float32 operations a second that multiply-adds in registers reach, by the best of some tries."""
    isa = isa or tidegate.isas()[0]
    best = 0.0
    for _ in range(tries):
        start = time.perf_counter()
        operations = _native.multiply_adds(isa, threads, 2_000_000)
        best = max(best, operations / (time.perf_counter() - start))
    return best


def meeting(threads: int, tries: int = 5) -> float:
    """Returns the seconds in which some threads, two or more, meet: all tell all others, the best of some tries.

    It depends on where the processors are: cores that share a cache are a few times nearer than those of two chips. A
    virtual machine may be moved from one to the other while it runs.
    """
    rounds = 1000
    return min(_native.meeting_seconds(threads, rounds) for _ in range(tries)) / rounds


class Bandwidth:
    """How fast arrays are read, by their size: the bandwidth of the nearest cache that each fits in.

    Attributes:
        threads: Most threads measured.
        by_threads: For one thread and for all, bytes a second of all threads together, for each of SIZES; every thread
            reads an array of its own of that size.
        second_cache: Bytes of the largest cache that a core has for itself.
    """

    def __init__(self, threads: int, isa: str | None = None) -> None:
        self.threads = threads
        self.second_cache = _second_cache()
        isa = isa or tidegate.isas()[0]
        self.by_threads = {n: _bandwidths(isa, n) for n in sorted({1, threads})}

    def of(self, size: float, threads: int) -> float:
        """Returns the bytes a second at which some threads read `size` bytes shared out among them."""
        speeds, share = self.by_threads[threads], max(size / threads, SIZES[0])
        place = min(math.log2(share / SIZES[0]), len(SIZES) - 1.0)
        below = min(int(place), len(SIZES) - 2)
        return speeds[below] + (place - below) * (speeds[below + 1] - speeds[below])

    def seconds(self, size: float, *, shared: bool) -> float:
        """Returns the least time to read `size` bytes once.

        One core reads what fits in its own cache, where threads would have to wait for each other at every step; what
        is larger, or `shared` by its nature, all of them.
        """
        threads = self.threads if shared or size > self.second_cache else 1
        return size / self.of(size, threads)


def _bandwidths(isa: str, threads: int) -> list[float]:
    """Returns the bytes a second for each of SIZES; a part of an array is read at least as fast as the whole one."""
    speeds = [_read(isa, threads, size) for size in SIZES]
    return list(accumulate(speeds[::-1], max))[::-1]


def _read(isa: str, threads: int, size: int) -> float:
    """Returns the bytes a second that threads read together, by the best of ten tries of some milliseconds."""
    rounds = max(1, (256 << 20) // size)
    slowest = min(max(_native.read_seconds(isa, threads, size // 4, rounds)) for _ in range(10))
    return threads * size * rounds / slowest


def _second_cache() -> int:
    """Returns the size in bytes of a core's own second cache, 1 MiB where the system does not tell."""
    try:
        return os.sysconf("SC_LEVEL2_CACHE_SIZE") or KIB**2
    except (AttributeError, ValueError, OSError):
        return KIB**2


def machine() -> str:
    """Returns the processor's name, the number of processors, the instruction set and the load, in one line."""
    return f"{processor()}, {tidegate.isas()[0]}, load {os.getloadavg()[0]:.1f}"
