"""A calculation in a thread of its own, beside a training that has the other processors."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import TypeVar

from tidegate.ops.threads import get_num_threads, set_num_threads

Result = TypeVar("Result")
Check = Callable[[], None]


class AbandonedError(Exception):
    """Nobody waits for the result any more."""


@contextmanager
def beside(calculate: Callable[[Check], Result]) -> Iterator[Callable[[], Result]]:
    """Calculates while the caller does something else; native calls take one thread less until it is done.

    Threads of a native call wait for each other, so that one thread too many slows all of them down.

    Args:
        calculate: Returns the result. It calls its argument now and then, which raises an error where the caller has
            left without the result.

    Yields:
        What waits for the result and returns it, or raises what `calculate` has raised.
    """
    before, abandoned = get_num_threads(), Event()
    less = max(1, before - 1)

    def check() -> None:
        if abandoned.is_set():
            raise AbandonedError

    def calculated() -> Result:
        try:
            return calculate(check)
        finally:
            if get_num_threads() == less:
                set_num_threads(before)

    with ThreadPoolExecutor(1, "beside") as pool:
        set_num_threads(less)
        future = pool.submit(calculated)
        try:
            yield future.result
        finally:
            abandoned.set()
