"""Work on torch's tensors that several threads of Python share, each of which leaves torch one thread."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

from tidegate.ops.threads import get_num_threads

Map = Callable[..., Iterator[Any]]


@contextmanager
def shared_map() -> Iterator[Map]:
    """Yields what is called as Python's `map`, and calls the function on as many threads as native calls take.

    Results come in the order of the arguments, and few of them wait to be fetched. Of one thread it is `map` itself.
    """
    threads = get_num_threads()
    if threads == 1:
        yield map
        return
    with ThreadPoolExecutor(threads) as executor:
        yield partial(_in_order, executor, 2 * threads)


def _in_order(
    executor: ThreadPoolExecutor, most: int, function: Callable[..., Any], *arguments: Sequence[Any]
) -> Iterator[Any]:
    waiting: deque[Future[Any]] = deque()
    for each in zip(*arguments, strict=True):
        waiting.append(executor.submit(function, *each))
        if len(waiting) == most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
