"""Where a command computes: on the threads of this process, or on the workers of a Ray cluster."""

import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from itertools import chain, islice
from typing import Any

import tidegate
from tidegate.cli.reading.inputs import Part
from tidegate.files.writing import is_stream

Columns = Mapping[str, Any]
Work = Callable[[Sequence[Any], int], Columns]
"""Makes columns of sequences, the first of which is this row of the input."""


@dataclass(frozen=True)
class Place:
    """Where a command computes.

    Attributes:
        threads: How many, of each worker if there are such; None for all processors, or one for each worker.
        workers: Processes of the cluster; None for as many as it has processors for.
        ray_address: Of the cluster; None to compute in this process.
    """

    threads: int | None = None
    workers: int | None = None
    ray_address: str | None = None

    def __post_init__(self) -> None:
        """Checks that there are workers on a cluster alone.

        Raises:
            ValueError: There is no cluster.
        """
        if self.workers and not self.ray_address:
            raise ValueError(
                "--workers are processes of a cluster, but no --ray-address names one: here there are --threads"
            )

    def use_threads(self) -> None:
        """Has this process compute with the threads that are asked for."""
        if self.threads and not self.ray_address:
            tidegate.set_num_threads(self.threads)

    def worked_on(self, source: str, parts: Iterator[Part], work: Work) -> Generator[tuple[Part, Columns], None, None]:
        """Yields parts and what is made of their sequences, in their order; close it when a part cannot be used.

        Until then, standard output is another and the workers are held.

        Args:
            source: Where the parts come from.
            parts: What `read_parts` yields.
            work: Makes columns of the sequences of a part.

        Raises:
            ValueError: A cluster is to work on a pipe, whose rows are answered at once: it would wait for several.
        """
        if self.ray_address is None:
            yield from _on_threads(source, parts, work)
            return
        if source == "-" or is_stream(source):
            raise ValueError(
                "--ray-address is for files, as rows that come by a pipe are answered at once, in this process: leave "
                "it out, or give a file"
            )
        cluster = import_module("tidegate.ray.working")
        workers = cluster.Workers(self.ray_address, self.workers, self.threads or 1)
        with redirect_stdout(sys.stderr):  # or Ray prints among the rows (findings/)
            yield from cluster.worked_on_cluster((piece for part in parts for piece in part.cut()), work, workers)


def _on_threads(source: str, parts: Iterator[Part], work: Work) -> Iterator[tuple[Part, Columns]]:
    """Works on parts in this process.

    Of many parts each thread works on one of its own: texts are cut and networks run in native code, and what Python
    does is done on one thread at a time. A part that comes by a pipe is answered before the next one is there.
    """
    threads = tidegate.get_num_threads()
    first = [] if source == "-" or is_stream(source) else list(islice(parts, threads))
    if threads == 1 or len(first) < threads:
        yield from ((part, work(part.sequences, part.first)) for part in chain(first, parts))
        return
    tidegate.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads) as pool:
            waiting: deque[tuple[Part, Future[Columns]]] = deque()
            for part in chain(first, parts):
                waiting.append((part, pool.submit(work, part.sequences, part.first)))
                if len(waiting) > threads:
                    done, columns = waiting.popleft()
                    yield done, columns.result()
            yield from ((part, columns.result()) for part, columns in waiting)
    finally:
        tidegate.set_num_threads(threads)
