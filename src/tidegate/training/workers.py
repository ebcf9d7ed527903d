"""Processes of this machine that train together: this one and others that it starts, by gloo.

The others get the run by pickle, and do all of its trainings as this one does. They end with this one, however it ends.
"""

import os
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from multiprocessing.process import BaseProcess, parent_process
from time import monotonic, sleep
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import distributed

from tidegate.ops.threads import get_num_threads, set_num_threads, usable_processors
from tidegate.training.data.examples import Examples, TextExamples
from tidegate.training.events import DivergedError
from tidegate.training.group import LostWorkerError
from tidegate.training.run import Run

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # which a terminal or a scheduler sends to all processes
_PATIENCE = timedelta(days=1)  # a process that ends closes its connections; nothing else is a reason to give up
_BETWEEN_LOOKS = 0.05  # seconds
_TO_END = 5.0  # seconds in which a process whose connection is closed has ended, and is known to the system as such
_TO_FINISH = 1.0  # seconds in which a group is made, if it ever will be, whose processes have all connected


class Processes:
    """The processes of torch's default group.

    Attributes:
        bytes: How many bytes this process has given to be added up.
    """

    def __init__(self) -> None:
        self.rank, self.size, self.bytes = distributed.get_rank(), distributed.get_world_size(), 0

    def sum(self, values: npt.NDArray[np.float32]) -> None:
        """Puts the sum over all processes in the place of values, see `Group`."""
        self.bytes += values.nbytes
        with _losses():
            distributed.all_reduce(torch.from_numpy(values))

    def share(self, value: Any) -> Any:
        """Returns the value that the first process has given."""
        given = [value]
        with _losses():
            distributed.broadcast_object_list(given, src=0)
        return given[0]


@contextmanager
def _losses() -> Iterator[None]:
    """Turns gloo's errors into those of `Group`."""
    try:
        yield
    except RuntimeError as error:
        raise LostWorkerError(f"a process that trains together with this one has ended: {error}") from error


@contextmanager
def workers(run: Run, count: int) -> Iterator[Run]:
    """Starts processes for a run, and shares the threads out among them.

    Args:
        run: What is trained.
        count: How many processes train it, this one included.

    Yields:
        The run to be trained here, all of its networks in their order. The others are ended with the context.

    Raises:
        LostWorkerError: A process has ended; the message says which one and how.
        ValueError: This process trains together with others already, or there are more than it has processors for.
    """
    if count == 1:
        yield run
        return
    if count > max(2, usable_processors()):
        raise ValueError(f"{count} workers are asked for, but there are processors for {usable_processors()} alone")
    if distributed.is_initialized():
        raise ValueError(f"{count} workers are asked for, but torch.distributed has a group in this process already")
    threads = get_num_threads()
    store = distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # type: ignore[attr-defined]
    started: list[BaseProcess] = []
    joining = _Joining(store, count)
    set_num_threads(max(1, threads // count))
    try:
        started += _start(without_texts(run), count, store.port)
        _wait_for(started, store)
        joining.make(started)
        yield replace(run, group=Processes())
    except LostWorkerError as error:
        raise LostWorkerError(_who_has_ended(started, store)) from error
    finally:
        for process in started:
            process.kill()
            process.join()
        joining.undo()
        set_num_threads(threads)


def _start(run: Run, count: int, port: int) -> Iterator[BaseProcess]:
    """Starts all processes but the first, which leave signals to that one from the beginning."""
    context = torch.multiprocessing.get_context("spawn")
    here = threading.current_thread() is threading.main_thread()  # no other may change what signals do
    before = [(number, signal.signal(number, signal.SIG_IGN)) for number in _SIGNALS] if here else []
    try:
        for rank in range(1, count):
            process = context.Process(target=_work, args=(run, rank, count, port, get_num_threads()), daemon=True)
            process.start()
            yield process
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def without_texts(run: Run) -> Run:
    """Leaves out of a run what its other processes have no use for, the texts that n-grams read."""

    def lean(examples: Examples) -> Examples:
        return replace(examples, texts=((), ())) if isinstance(examples, TextExamples) else examples

    beside = [each._replace(examples=lean(each.examples)) for each in run.baselines]
    return replace(run, examples=lean(run.examples), baselines=beside)


def _wait_for(started: Sequence[BaseProcess], store: Any) -> None:
    """Waits until all processes have their run.

    Raises:
        LostWorkerError: One has ended before.
    """
    for rank in range(1, len(started) + 1):
        while not store.check([f"ready/{rank}"]):
            if not all(process.is_alive() for process in started):
                raise LostWorkerError
            sleep(_BETWEEN_LOOKS)


class _Joining(threading.Thread):
    """Makes the group here, while others look after the processes: gloo would wait for one that has ended.

    It ends with this process, and holds the store, which lives as long as its connection is waited for.
    """

    def __init__(self, store: Any, count: int) -> None:
        super().__init__(daemon=True)
        self._store, self._count = store, count
        self._error: Exception | None = None

    def run(self) -> None:
        """Makes the group, on a connection of its own: one that waits answers nobody else."""
        try:
            _join(_connection(self._store.port), 0, self._count)
        except Exception as error:  # noqa: BLE001 - raised in the other thread
            self._error = error

    def make(self, started: Sequence[BaseProcess]) -> None:
        """Makes the group, while it is seen to that all processes live.

        Raises:
            LostWorkerError: One has ended meanwhile.
        """
        self.start()
        while self.is_alive():
            self.join(_BETWEEN_LOOKS)
            if self.is_alive() and not all(process.is_alive() for process in started):
                raise LostWorkerError
        if self._error:
            raise LostWorkerError from self._error

    def undo(self) -> None:
        """Leaves nothing of the group behind, once the other processes have ended, so that another can be made."""
        if self.ident is None:
            return  # it was not begun
        self.join(_TO_FINISH)
        if not distributed.is_initialized():
            # torch has counted it, and would look for the processes of the next one under another name than theirs
            nothing = distributed.HashStore()  # type: ignore[attr-defined]
            distributed.init_process_group("gloo", store=nothing, rank=0, world_size=1)
        distributed.destroy_process_group()


def _connection(port: int) -> Any:
    """Connects to the store of the first process."""
    return distributed.TCPStore("127.0.0.1", port, is_master=False, wait_for_workers=False)  # type: ignore[attr-defined]


def _join(store: Any, rank: int, count: int) -> None:
    """Makes the group of all processes, which speak over the loopback interface alone."""
    loopback = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), None)
    if loopback:
        os.environ["GLOO_SOCKET_IFNAME"] = loopback
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=count, timeout=_PATIENCE)


def _work(run: Run, rank: int, count: int, port: int, threads: int) -> None:
    """Does what the first process does, in another one."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_first, daemon=True).start()
    set_num_threads(threads)
    store = _connection(port)
    try:
        store.set(f"ready/{rank}", "")
        _join(store, rank, count)
        replace(run, group=Processes()).train_all()
    except (LostWorkerError, DivergedError):
        return  # the first process knows, or is no more
    except BaseException as error:
        with suppress(RuntimeError):
            store.set(f"error/{rank}", f"{type(error).__name__}: {error}")
        raise


def _end_with_the_first() -> None:
    """Ends this process when the first one has ended, whatever it does: to connect, torch tries for minutes."""
    first = parent_process()
    assert first  # noqa: S101 - for mypy: this one was started
    first.join()
    os._exit(1)


def _who_has_ended(started: Sequence[BaseProcess], store: Any) -> str:
    """Says which process has ended before its time, and how."""
    until = monotonic() + _TO_END
    for process in started:
        process.join(max(0.0, until - monotonic()))
    for rank, process in enumerate(started, 1):
        worker = f"worker {rank + 1} of {len(started) + 1}"
        if store.check([f"error/{rank}"]):
            return f"{worker} has ended: {store.get(f'error/{rank}').decode()}"
        if process.exitcode is not None and process.exitcode < 0:
            return f"{worker} was killed by {signal.Signals(-process.exitcode).name}"
        if process.exitcode and not store.check([f"ready/{rank}"]):
            return (
                f"{worker} has ended before it began, for it imports the script that started it: what that does has to "
                f'stand under `if __name__ == "__main__":`, in a file'
            )
    return "the connection to a worker is lost"
