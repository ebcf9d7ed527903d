"""The parts of a file shared out among threads."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import Any

import tidegate
from tidegate.cli.inputs import Part
from tidegate.files.writing import is_stream

Columns = Mapping[str, Any]


def worked_on(source: str, parts: Iterator[Part], work: Callable[[Part], Columns]) -> Iterator[tuple[Part, Columns]]:
    """Yields parts and what is made of each, in their order.

    Of many parts each thread works on one of its own: Python cuts texts on one thread at a time, while the
    networks of others run in native code. A part that comes by a pipe is answered before the next one is there.

    Args:
        source: Where the parts come from.
        parts: What `read_parts` yields.
        work: Makes columns of a part.
    """
    threads = tidegate.get_num_threads()
    first = [] if source == "-" or is_stream(source) else list(islice(parts, threads))
    if threads == 1 or len(first) < threads:
        yield from ((part, work(part)) for part in chain(first, parts))
        return
    tidegate.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads) as pool:
            waiting: deque[tuple[Part, Future[Columns]]] = deque()
            for part in chain(first, parts):
                waiting.append((part, pool.submit(work, part)))
                if len(waiting) > threads:
                    done, columns = waiting.popleft()
                    yield done, columns.result()
            yield from ((part, columns.result()) for part, columns in waiting)
    finally:
        tidegate.set_num_threads(threads)
