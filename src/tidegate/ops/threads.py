"""How many threads a native call takes: a number that belongs to the process."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from operator import index

from tidegate import _native

_MOST_THREADS = 1024
_threads = 0  # 0: not decided yet


def get_num_threads() -> int:
    """Returns the number of threads of a native call.

    Decided at first use: TIDEGATE_NUM_THREADS, else 1 inside a child of multiprocessing (such as a DataLoader worker),
    else OMP_NUM_THREADS (which Ray sets for its workers), else the number of processors that this process may use.

    Raises:
        ValueError: TIDEGATE_NUM_THREADS is no number from 1 to 1024.
    """
    global _threads
    if _threads == 0:
        _threads = _default_threads()
    return _threads


def set_num_threads(threads: int) -> None:
    """Sets the number of threads of native calls in this process; children made by fork decide anew.

    Raises:
        TypeError: It is no integer.
        ValueError: It is less than 1 or more than 1024.
    """
    global _threads
    threads = index(threads)
    if not 1 <= threads <= _MOST_THREADS:
        raise ValueError(f"threads is {threads}, expected 1 to {_MOST_THREADS}")
    _threads = threads


@contextmanager
def kept_awake() -> Iterator[None]:
    """Lets the threads of native calls wait for the next call some milliseconds before they sleep.

    For a loop that has the processors to itself and calls again and again: waking a thread takes a tenth of a
    millisecond, and its caches are cold then. Anywhere else it would take time from other programs.
    """
    _native.stay_awake(5_000_000)
    try:
        yield
    finally:
        _native.stay_awake(0)


def _default_threads() -> int:
    wanted = os.environ.get("TIDEGATE_NUM_THREADS", "")
    if wanted:
        if not wanted.isdecimal() or not 1 <= int(wanted) <= _MOST_THREADS:
            raise ValueError(f"TIDEGATE_NUM_THREADS is {wanted!r}, expected a number from 1 to {_MOST_THREADS}")
        return int(wanted)
    processes = sys.modules.get("multiprocessing.process")  # a child of multiprocessing has imported it
    if processes is not None and processes.parent_process() is not None:
        return 1
    for_openmp = os.environ.get("OMP_NUM_THREADS", "")
    if for_openmp.isdecimal() and int(for_openmp) > 0:
        return min(int(for_openmp), _MOST_THREADS)
    return usable_processors()


def usable_processors() -> int:
    """Returns the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _forget_threads() -> None:
    global _threads
    _threads = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
