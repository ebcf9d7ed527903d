"""Times contenders side by side: repetitions in turn, and their medians."""

import gc
import math
import os
import statistics
import time
from collections.abc import Hashable, Mapping, Sequence
from itertools import count
from random import Random
from typing import TypeVar

import tidegate
from contender import Contender
from tidegate.ops.processor import processor

Name = TypeVar("Name", bound=Hashable)

REST, LONGEST_REST, WARM_UP, TURN = 0.01, 0.5, 0.01, 0.01  # seconds
WARM = 0.1  # seconds from which a call needs no other one right before it
FEWEST, FEWEST_SLOW, SLOW = 5, 3, 2  # rounds; rounds once the time given was passed SLOW times


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
    times: dict[Name, list[float]] = {name: [] for name in contenders}
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


def _rest() -> None:
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
    _rest()
    first = _seconds(contender, 1)
    if first > WARM:
        return first
    start, calls = time.perf_counter(), 0
    while (passed := time.perf_counter() - start) < WARM_UP:
        contender.call()
        calls += 1
    calls = max(1, round(calls * TURN / passed))
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


def machine() -> str:
    """Returns the processor's name, the number of processors, the instruction set and the load, in one line."""
    return f"{processor()}, {tidegate.isas()[0]}, load {os.getloadavg()[0]:.1f}"
