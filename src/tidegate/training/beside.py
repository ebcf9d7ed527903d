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

    Threads of a native call wait for each other, so that one thread too many slows all of them down. Where there is a
    single thread, it calculates when the result is asked for.

    Args:
        calculate: Returns the result. It calls its argument now and then, which raises an error where the caller has
            left without the result.

    Yields:
        What waits for the result and returns it, or raises what `calculate` has raised.
    """
    before, abandoned = get_num_threads(), Event()

    def check() -> None:
        if abandoned.is_set():
            raise AbandonedError

    def calculated() -> Result:
        try:
            return calculate(check)
        finally:
            if get_num_threads() == before - 1:
                set_num_threads(before)

    if before == 1:
        yield lambda: calculate(check)
        return
    with ThreadPoolExecutor(1, "beside") as pool:
        set_num_threads(before - 1)
        future = pool.submit(calculated)
        try:
            yield future.result
        finally:
            abandoned.set()
