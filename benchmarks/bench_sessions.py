"""What do the sessions of a service cost? Commits of their states, WebSocket libraries, and memory.

python benchmarks/bench_sessions.py commits|sockets|memory [--rounds 5] [--seconds 3] [--count 200000]

commits: the time to store the states of 1 to 256 sessions of two layers of 128 units, with and without waiting for the
disk. sockets: pushes per second of 64 clients that wait for each answer, over the libraries that uvicorn can use, and
with the states in a folder; the server has a process of its own, the clients share another. memory: what is left of
sessions that were opened and dropped.
"""

import argparse
import asyncio
import json
import multiprocessing
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI
from websockets.asyncio.client import connect

from bench_streams import resident
from tidegate import Network, NetworkConfig, set_num_threads
from tidegate.serve import listen, server
from tidegate.serve.sessions.sessions import Sessions
from tidegate.serve.sessions.sockets import sessions_router
from tidegate.serve.sessions.steps import Step
from tidegate.stream.storage import StateFolder, Stored

LIBRARIES = ("websockets-sansio", "wsproto")
CLIENTS, AT_ONCE = 64, 1000


def network(hidden_size: int = 128, layers: int = 2) -> Network:
    """Makes a classifier of vectors with random weights."""
    sizes: dict[str, Any] = {"input_size": 8, "hidden_size": hidden_size, "num_layers": layers}
    config = NetworkConfig(cell="lstm", labels=("low", "high"), **sizes)
    rng = np.random.default_rng(0)
    arrays = {name: 0.1 * rng.standard_normal(s).astype(np.float32) for name, s in config.shapes().items()}
    return Network(config, arrays)


def commits(options: argparse.Namespace) -> None:
    """Times commits of a folder on this disk, in turn."""
    stream = network().stream()
    state = stream.state
    with TemporaryDirectory(dir=".") as name:
        folders = {power: StateFolder(Path(name) / str(power), power_loss=power) for power in (False, True)}
        for size in (1, 32, 256):
            times: dict[bool, list[float]] = {False: [], True: []}
            for turn in range(40 * options.rounds):
                rows = [(Stored("m", str((turn * size + i) % 5000), turn, 0.0), state) for i in range(size)]
                for power, folder in folders.items():
                    start = time.perf_counter()
                    folder.commit(rows)
                    times[power].append(1000 * (time.perf_counter() - start))
            for power, found in times.items():
                found.sort()
                which = "for power loss" if power else "for a kill"
                print(
                    f"{size:4} states of {len(state):,} bytes, {which:15} median {statistics.median(found):7.3f} ms, "
                    f"99 of 100 below {found[int(0.99 * len(found))]:7.2f} ms"
                )
        for folder in folders.values():
            folder.close()


def served(library: str, folder: str | None, power: bool, ready: Any) -> None:
    """Serves streams until it is killed."""
    set_num_threads(1)
    states = StateFolder(Path(folder), power_loss=power) if folder else None
    app = FastAPI()
    app.include_router(sessions_router(Sessions({"m": network()}, states)))
    config = server.configured(app)
    config.ws = library
    with listen("127.0.0.1", 0) as taken:
        ready.put(taken.getsockname()[1])
        uvicorn.Server(config).run(sockets=[taken])


@contextmanager
def running(library: str, folder: str | None, power: bool = False) -> Iterator[str]:
    """Starts a server; yields the address of its streams."""
    context = multiprocessing.get_context("spawn")
    ready = context.Queue()
    process = context.Process(target=served, args=(library, folder, power, ready))
    process.start()
    try:
        yield f"ws://127.0.0.1:{ready.get(timeout=60)}/stream/m"
    finally:
        process.kill()
        process.join()


async def talk(address: str, seconds: float) -> list[float]:
    """Pushes one vector after another; returns the time of each in seconds."""
    message, times = json.dumps({"vectors": [[0.5] * 8]}), []
    async with connect(address, compression=None) as socket:
        await socket.send('{"begin": true}')
        await socket.recv()
        end = time.perf_counter() + seconds
        while (start := time.perf_counter()) < end:
            await socket.send(message)
            await socket.recv()
            times.append(time.perf_counter() - start)
        await socket.send('{"end": true}')
        await socket.recv()
    return times


async def load(address: str, seconds: float) -> list[float]:
    """Lets all clients talk."""
    found = await asyncio.gather(*(talk(address, seconds) for _ in range(CLIENTS)))
    return sorted(each for times in found for each in times)


def sockets(options: argparse.Namespace) -> None:
    """Counts pushes over each library, and with states in a folder, in turn."""
    with TemporaryDirectory(dir=".") as name:
        kinds: dict[str, tuple[Any, ...]] = {library: (library, None) for library in LIBRARIES}
        kinds |= {f"{LIBRARIES[0]}, stored for a kill": (LIBRARIES[0], f"{name}/kill", False)}
        kinds |= {f"{LIBRARIES[0]}, stored for power loss": (LIBRARIES[0], f"{name}/power", True)}
        found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
        for _ in range(options.rounds):
            for kind, what in kinds.items():
                with running(*what) as address:
                    times = asyncio.run(load(address, options.seconds))
                found[kind].append((len(times) / options.seconds, 1000 * times[int(0.99 * len(times))]))
        for kind, results in found.items():
            rate, slow = (statistics.median(each) for each in zip(*results, strict=True))
            print(f"{kind:42} {rate:8,.0f} pushes/s, 99 of 100 within {slow:6.1f} ms")


async def open_and_drop(sessions: Sessions, many: int) -> list[int]:
    """Opens sessions, a thousand at a time, and ends half; returns the memory after each thousand."""
    x, after = np.zeros((1, 8), np.float32), []
    for first in range(0, many, AT_ONCE):
        keys = [f"token:{i:032x}" for i in range(first, first + AT_ONCE)]
        await asyncio.gather(*(sessions.step(Step("m", key, x, begins=True)) for key in keys))
        await asyncio.gather(*(sessions.step(Step("m", key, ends=True)) for key in keys[::2]))
        after.append(resident())
    return after


def memory(options: argparse.Namespace) -> None:
    """Measures what is left of sessions that were ended, or forgotten because they idled."""
    for stored in (False, True):
        with TemporaryDirectory(dir=".") as name:
            folder = StateFolder(Path(name)) if stored else None
            # A clock that moves on with each batch: sessions idle after some thousand others.
            limits: dict[str, Any] = {"max_sessions": 20_000, "idle_seconds": 20, "clock": count().__next__}
            sessions = Sessions({"m": network(16, 1)}, folder, **limits)
            after = asyncio.run(open_and_drop(sessions, options.count))
            growth = after[-1] / after[len(after) // 10] - 1
            size = sum(path.stat().st_size for path in Path(name).iterdir()) / 1e6
            where = f"in a folder of {size:.0f} MB" if stored else "in memory"
            print(
                f"{options.count:,} sessions opened and dropped, {where}: {sessions.count:,} are left, the process has "
                f"{after[-1] / 1e6:.0f} MB, {growth:+.2%} since the first tenth"
            )
            sessions.close()


PARTS = {"commits": commits, "sockets": sockets, "memory": memory}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--count", type=int, default=200_000, help="of sessions to open")
    given = parser.parse_args()
    PARTS[given.part](given)
