"""One turn of a contender: the time that its call takes once nothing else is at work and the processor is up to speed.

It needs nothing of tidegate, so that a worker of `bench_before` can take turns with an older build of it.
"""

import statistics
import time

from contender import Contender

REST, LONGEST_REST, WARM_UP, TURN = 0.01, 0.5, 0.01, 0.01  # seconds
WARM = 0.1  # seconds from which a call needs no other one right before it
PAUSED_CALLS = 5  # of a turn in which each call comes after a pause


def rest() -> None:
    """Waits until all threads of this process are idle: those of some libraries spin for 50 ms after a call."""
    end = time.perf_counter() + LONGEST_REST
    while True:
        before = time.process_time()
        time.sleep(REST)
        if time.process_time() - before < REST / 10 or time.perf_counter() > end:
            return


def turn(contender: Contender, pause: float = 0.0) -> float:
    """Returns the seconds that a call takes, the mean of as many as fill a turn.

    With a pause, in seconds, it is the median of some calls that each come after one, as the frames of a stream do:
    threads are asleep by then, and the processor has slowed down.
    """
    contender.prepare()
    rest()
    if pause:
        return statistics.median([_after(contender, pause) for _ in range(PAUSED_CALLS)])
    first = _seconds(contender, 1)
    if first > WARM:
        return first
    start, calls = time.perf_counter(), 0
    while (passed := time.perf_counter() - start) < WARM_UP:
        contender.call()
        calls += 1
    calls = max(1, round(calls * TURN / passed))
    return _seconds(contender, calls) / calls


def _after(contender: Contender, pause: float) -> float:
    time.sleep(pause)
    return _seconds(contender, 1)


def _seconds(contender: Contender, times: int) -> float:
    call, start = contender.call, time.perf_counter()
    for _ in range(times):
        call()
    return time.perf_counter() - start
