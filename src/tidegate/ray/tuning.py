"""Trials of settings on the workers of a Ray cluster, each on one of them: the same search as in one process.

Plain tasks, not Ray Tune: that keeps what was tried in a store of its own, and here a search begun on a cluster
goes on without one, and the other way round.
"""

from collections.abc import Iterator
from contextlib import suppress
from time import perf_counter
from typing import Any

from tidegate.ops.threads import set_num_threads
from tidegate.ray.cluster import connected, fetched, ray_module
from tidegate.ray.training import put
from tidegate.ray.working import Workers, count_of
from tidegate.training.run import Run
from tidegate.training.tuning import Asked, Trial, made


def made_on_cluster(run: Run, asked: Iterator[Asked], end: float, workers: Workers) -> Iterator[Trial]:
    """Makes trials of a run, as many at a time as there are workers, and yields them as they are done.

    A trial whose worker is lost is made again.

    Args:
        run: The run, whose data are in memory; it goes to Ray's object store.
        asked: The trials to make, which may follow from those that are done.
        end: When they must be done, on the clock of `perf_counter`.
        workers: Who makes them.

    Raises:
        ImportError: Ray is missing.
        RuntimeError: A trial has ended the processes that made it, or the cluster is lost.
        ValueError: The data are on a disk of this machine, or a cluster of this machine has no room for the workers.
    """
    ray = connected(workers.address)
    count, given = count_of(ray, workers), put(ray, run)
    task = ray.remote(_made).options(num_cpus=workers.threads, max_retries=workers.failures)
    busy: list[Any] = []
    try:
        while True:
            while len(busy) < count and (trial := next(asked, None)):
                busy.append(task.remote([given], trial, end - perf_counter(), workers.threads))
            if not busy:
                return
            done, busy = ray.wait(busy, num_returns=1, timeout=max(0.0, end - perf_counter()))
            for each in done:
                if found := fetched(ray, each, "a trial"):
                    yield found
            if not done:  # the time is over, also for what has waited for room on the cluster all along
                return
    finally:
        for each in busy:
            with suppress(Exception):  # of a cluster that is lost, which would hide what was lost with it
                ray.cancel(each, force=True)


def _made(given: list[Any], asked: Asked, seconds: float, threads: int) -> Trial | None:
    """Makes a trial in one of the workers."""
    set_num_threads(threads)
    return made(ray_module().get(given[0]), *asked, seconds)
