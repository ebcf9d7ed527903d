"""What is made of the parts of a table by the processes of a Ray cluster: in their order, each part once.

Plain actors, not Ray Data: the parts are read and written here, as without a cluster, and what travels are the texts or
numbers that a model reads, and what it makes of them. So every format and every command has the same rows in the same
order, and only the parts that are under way are in memory, here and in Ray's object store.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from time import perf_counter
from typing import Any, Generic, Protocol, TypeVar

from tidegate.ops.threads import set_num_threads
from tidegate.ray.cluster import LOCAL, connected, fetched, ray_module

_SHORT, _MOST = 0.1, 8  # seconds that a group of parts should take at least, because to send it takes some; parts
_AHEAD = 2  # groups of parts that a worker has at most, so that the next one is there when one is done
_BEHIND = 4  # groups for each worker that may wait for an earlier one, whose worker is slow or was lost


@dataclass(frozen=True)
class Workers:
    """Processes of a cluster that compute.

    Attributes:
        address: Of the cluster, see `connected`.
        count: How many; None for as many as the cluster has processors for.
        threads: Of each, which are its processors too.
        failures: How often a part is tried again whose process has ended.
    """

    address: str = LOCAL
    count: int | None = None
    threads: int = 1
    failures: int = 3


class Part(Protocol):
    """What parts must have."""

    @property
    def sequences(self) -> Sequence[Any]:
        """What is worked on."""
        ...

    @property
    def first(self) -> int:
        """The row of the first of them, from 0."""
        ...


P = TypeVar("P", bound=Part)


def worked_on_cluster(
    parts: Iterator[P], work: Callable[[Sequence[Any], int], Any], workers: Workers
) -> Iterator[tuple[P, Any]]:
    """Yields parts and what is made of their sequences, in their order.

    A process that is lost is started again, and makes its parts again: what it had made of them is nowhere yet.

    Args:
        parts: What is worked on, of a file: several are waited for, to be sent together.
        work: Makes something of sequences and the row of the first, the same every time; it is sent by pickle.
        workers: Who works.

    Raises:
        ImportError: Ray is missing.
        RuntimeError: A part has ended the processes that worked on it, or the cluster is lost.
        ValueError: A cluster of this machine has no processors for so many.
    """
    ray = connected(workers.address)
    crew = _Crew[P](ray, ray.put(work), _started(ray, workers))
    try:
        while group := list(islice(parts, crew.parts)):
            crew.send(group)
            while crew.has_news:
                yield from crew.next()
        while crew.waiting:
            yield from crew.next()
    finally:
        for actor in crew.actors:
            with suppress(Exception):  # of a cluster that is lost, which would hide what was lost with it
                ray.kill(actor)


def count_of(ray: Any, workers: Workers) -> int:
    """Returns how many workers there are.

    Raises:
        ValueError: As in `worked_on_cluster`.
    """
    room = int(ray.cluster_resources().get("CPU", 1)) // workers.threads
    if workers.count is None:
        return max(1, room)
    if workers.address == LOCAL and workers.count > room:
        raise ValueError(
            f"{workers.count} workers of {workers.threads} threads are asked for, but there is room for {room}"
        )
    return workers.count


def _started(ray: Any, workers: Workers) -> list[Any]:
    """Starts the processes."""
    how = {"num_cpus": workers.threads, "max_restarts": -1, "max_task_retries": workers.failures}
    kind = ray.remote(_Worker).options(**how)
    return [kind.remote(workers.threads) for _ in range(count_of(ray, workers))]


class _Worker:
    """An actor, which fetches the work, and the model in it, once."""

    _work: Callable[[Sequence[Any], int], Any] | None = None

    def __init__(self, threads: int) -> None:
        set_num_threads(threads)

    def made(self, work: Sequence[Any], group: Sequence[tuple[Sequence[Any], int]]) -> tuple[list[Any], float]:
        """Works on the sequences of some parts; returns also how long that took, in seconds."""
        self._work = self._work or ray_module().get(work[0])
        began = perf_counter()
        return [self._work(*each) for each in group], perf_counter() - began


@dataclass
class _Crew(Generic[P]):
    """The workers, and what they have to do.

    Attributes:
        ray: Ray.
        work: What they do, in the object store.
        actors: The workers.
        waiting: Groups of parts that were sent, and what is made of them, in their order.
        busy: Which worker has each group that is not done.
        parts: Of the next group.
    """

    ray: Any
    work: Any
    actors: Sequence[Any]
    waiting: deque[tuple[list[P], Any]] = field(default_factory=deque)
    busy: dict[Any, int] = field(default_factory=dict)
    parts: int = 1

    def send(self, group: list[P]) -> None:
        """Gives a group to the worker that has the least to do, once one has room for it."""
        self._look(most=_AHEAD * len(self.actors) - 1)
        has = Counter(self.busy.values())
        free = min(range(len(self.actors)), key=has.__getitem__)
        made = self.actors[free].made.remote([self.work], [(part.sequences, part.first) for part in group])
        self.busy[made] = free
        self.waiting.append((group, made))

    @property
    def has_news(self) -> bool:
        """Whether the first group is done, or has to be waited for because too many others are."""
        if not self.waiting:
            return False
        return self.waiting[0][1] not in self.busy or len(self.waiting) > _BEHIND * len(self.actors)

    def next(self) -> Iterator[tuple[P, Any]]:
        """Takes the first group, and waits for what is made of it.

        Raises:
            RuntimeError: As in `worked_on_cluster`.
        """
        group, made = self.waiting.popleft()
        found, seconds = fetched(self.ray, made, "a part")
        if seconds < _SHORT:
            self.parts = min(_MOST, 2 * self.parts)
        return zip(group, found, strict=True)

    def _look(self, most: int) -> None:
        """Forgets groups that are done, once as few as wanted are not."""
        if len(self.busy) > most:
            self.ray.wait(list(self.busy), num_returns=len(self.busy) - most)
        if self.busy:
            _, rest = self.ray.wait(list(self.busy), num_returns=len(self.busy), timeout=0)
            self.busy = {made: self.busy[made] for made in rest}
