"""Times contenders side by side: repetitions in turn, medians, and the peak of the machine measured in the same run."""

import gc
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping

import tidegate
from tidegate import _native

REST, TURN = 0.01, 0.002  # seconds


def medians(contenders: Mapping[str, Callable[[], object]], seconds: float = 2.0) -> dict[str, float]:
    """Returns the median time of each contender in seconds.

    They run in turn (A B C A B C ...), so that a change in the machine's speed or load meets all of them alike. Before
    each turn the machine rests, for the idle threads of one contender may spin for milliseconds on the processors that
    the next one wants; then one call warms up and the next ones count.

    Args:
        contenders: Name and call.
        seconds: Time to spend in all; at least five rounds are made.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    gc.collect()
    gc.disable()
    end, rounds = time.perf_counter() + seconds, 0
    while time.perf_counter() < end or rounds < 5:
        rounds += 1
        for name, call in contenders.items():
            time.sleep(REST)
            warm = _seconds(call, 1)
            calls = max(1, round(TURN / warm))
            times[name].append(_seconds(call, calls) / calls)
    gc.enable()
    return {name: statistics.median(values) for name, values in times.items()}


def _seconds(call: Callable[[], object], times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        call()
    return time.perf_counter() - start


def fma_peak(threads: int, isa: str | None = None) -> float:
    """Returns the most float32 operations a second that multiply-adds in registers reach, by the best of ten tries."""
    isa = isa or tidegate.isas()[0]
    best = 0.0
    for _ in range(10):
        start = time.perf_counter()
        operations = _native.multiply_adds(isa, threads, 2_000_000)
        best = max(best, operations / (time.perf_counter() - start))
    return best


def machine() -> str:
    """Returns the processor's name, its number of processors and the load, in one line."""
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as lines:
            name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), name)
    except OSError:
        pass
    return f"{name}, {os.cpu_count()} processors, {tidegate.isas()[0]}, load {os.getloadavg()[0]:.1f}"
