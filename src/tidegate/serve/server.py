"""How an application is served on this machine: an address, uvicorn, and an end in which nobody is cut off."""

import asyncio
import gc
import ipaddress
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn
from fastapi import FastAPI

from tidegate.ops.threads import set_num_threads
from tidegate.serve.limits import Limits
from tidegate.serve.sessions.sockets import LARGEST_MESSAGE

BACKLOG = 2048  # clients that have called and wait to be let in
SWITCH = 0.0002  # seconds


def listen(host: str, port: int) -> socket.socket:
    """Takes a port, before anything is said about it.

    Args:
        host: An address of this machine.
        port: 0 for any that is free.

    Raises:
        OSError: The port is in use, or may not be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sends small answers at once; else they wait for the client, 40 ms at a time.
    taken = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((host, port))
        taken.listen(BACKLOG)
    except OSError as error:
        taken.close()
        raise OSError(f"cannot serve on {host}:{port}: {error.strerror}; choose another with --port") from error
    return taken


def compute_with(threads: int | None = None) -> int:
    """Says how many threads read batches, before the first is read; returns their number.

    One processor is left to HTTP: threads that wait for each other lose more where the event loop takes one of theirs.
    The tokenizer's own threads are no more than these.

    Args:
        threads: None for all processors but one.
    """
    count = threads or max(1, (os.cpu_count() or 1) - 1)
    set_num_threads(count)
    alone = count == 1  # a pool of one thread would only be one more
    os.environ.setdefault(*(("TOKENIZERS_PARALLELISM", "false") if alone else ("RAYON_NUM_THREADS", str(count))))
    return count


def serve(
    app: FastAPI, taken: socket.socket, ready: Callable[[], object] = lambda: None, drain: float = Limits.drain
) -> None:
    """Serves until Ctrl-C, SIGTERM or SIGHUP; requests that are under way then are answered.

    Args:
        app: What `create_app` returned.
        taken: What `listen` returned; it is closed at the end.
        ready: Called once before the first question is answered.
        drain: Seconds for the requests under way.
    """
    server = uvicorn.Server(configured(app, drain))
    interval = sys.getswitchinterval()
    # Between native calls, the thread that reads a batch asks for the interpreter's lock. By Python's own interval the
    # event loop keeps it for 5 ms more each time it has work, several times a batch.
    sys.setswitchinterval(SWITCH)
    # What is loaded by now stays to the end. Python's collector would walk through all of it again and again, and keep
    # requests waiting for 50 ms and more each time.
    gc.collect()
    gc.freeze()
    logging.getLogger("uvicorn.error").addFilter(lambda record: not (server.should_exit and _is_cancelled(record)))
    with taken, suppress(KeyboardInterrupt), _termination_is_an_interrupt():
        try:
            ready()
            server.run(sockets=[taken])
        finally:
            sys.setswitchinterval(interval)
            gc.unfreeze()


def configured(app: FastAPI, drain: float = Limits.drain) -> uvicorn.Config:
    """Says how uvicorn serves an application.

    The parser of HTTP and the event loop are those of httptools and uvloop, where they are installed.
    """
    # Messages are small: to compress them would take more memory for each connection than its session.
    sockets: dict[str, Any] = {"ws_max_size": LARGEST_MESSAGE, "ws_per_message_deflate": False}
    seconds = max(1, round(drain))
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        ws="websockets-sansio",
        timeout_graceful_shutdown=seconds,
        **sockets,
    )


@contextmanager
def _termination_is_an_interrupt() -> Iterator[None]:
    """Ends `serve` on SIGTERM as on Ctrl-C: uvicorn sends the signal on when it has ended by it.

    SIGHUP, which uvicorn leaves alone, is taken for SIGTERM.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {signal.SIGTERM: signal.signal(signal.SIGTERM, signal.default_int_handler)}
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup asks to survive the terminal
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_cancelled(record: logging.LogRecord) -> bool:
    """Whether a record says that a question under way was given up, which is no error when the server ends."""
    kind = record.exc_info[0] if record.exc_info else None
    return kind is asyncio.CancelledError or "graceful shutdown exceeded" in record.getMessage()


def is_here(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
