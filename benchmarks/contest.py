"""Times contenders side by side, on as many processors as threads: repetitions in turn, and their medians."""

import gc
import math
import os
import statistics
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from itertools import count
from random import Random
from typing import TypeVar

import tidegate
from contender import Contender
from tidegate.ops.processor import processor
from turns import turn

Name = TypeVar("Name", bound=Hashable)

FEWEST, FEWEST_SLOW, SLOW = 5, 3, 2  # rounds; rounds once the time given was passed SLOW times


def confine(threads: int, isa: str) -> None:
    """Keeps this process to as many processors as threads, whatever library starts them, and to one instruction set."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    os.environ["TIDEGATE_NUM_THREADS"] = str(threads)
    if isa:
        os.environ["TIDEGATE_ISA"] = isa


def medians(contenders: Mapping[Name, Contender], seconds: float = 2.0) -> dict[Name, float]:
    """Returns the median time of each contender in seconds.

    They run in turn (A B C B A C ...), so that a change in the machine's speed or load meets all of them alike, in an
    order drawn anew for each round, so that none always follows the one that leaves the caches worst. Before each turn
    the machine rests until no thread spins on the processors that the next contender wants. A processor that has rested
    takes some milliseconds to get up to speed, so the first ten of a turn do not count, unless a call takes long.

    Args:
        contenders: By name, each called at least once before.
        seconds: Time to spend in all; at least five rounds are made, or three where they are very slow.
    """
    return rounds({name: partial(turn, contender) for name, contender in contenders.items()}, seconds)


def rounds(takers: Mapping[Name, Callable[[], float]], seconds: float) -> dict[Name, float]:
    """Returns the median time of each contender in seconds, as `medians`, given what takes a turn of each."""
    times: dict[Name, list[float]] = {name: [] for name in takers}
    gc.collect()
    gc.disable()
    order, start = Random(0), time.perf_counter()  # noqa: S311 - an order, no secret
    for made in count():
        spent = time.perf_counter() - start
        if spent > seconds and made >= (FEWEST_SLOW if spent > SLOW * seconds else FEWEST):
            break
        for name in order.sample(list(takers), len(takers)):
            times[name].append(takers[name]())
    gc.enable()
    return {name: statistics.median(values) for name, values in times.items()}


def fastest(ways: Sequence[Contender], pause: float = 0.0) -> Contender:
    """Returns the fastest of several ways to do the same, by the best of three turns each; each was called before."""
    if len(ways) == 1:
        return ways[0]
    best = [math.inf] * len(ways)
    for _ in range(3):
        best = [min(seconds, turn(way, pause)) for seconds, way in zip(best, ways, strict=True)]
    return ways[best.index(min(best))]


def machine() -> str:
    """Returns the processor's name, the number of processors, the instruction set and the load, in one line."""
    return f"{processor()}, {tidegate.isas()[0]}, load {os.getloadavg()[0]:.1f}"
