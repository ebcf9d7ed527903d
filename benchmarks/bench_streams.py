"""How many streams does a processor carry? A pool of sessions, beside ONNX Runtime with the states in and out.

python benchmarks/bench_streams.py speed|memory|schedules|voice [--threads 2] [--rounds 9] [--count N] [--save]

speed: 10,000 sessions of two layers of 128 units, a step of each in one call of the pool; ONNX Runtime is given all
rows as one batch, and one session a call, and beside each stands what the processor could do at most. memory: what a
session takes, and whether opening and dropping a million sessions leaves anything behind. schedules: random
interleavings of sessions, cuts, evictions and threads, each compared with sessions that are alone, to the bit. voice: a
voice activity detector, an LSTM of 128 units that reads a frame each 32 ms: the streams that one core carries.
"""

import argparse
import gc
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import contest
import limits
import results
from case import Array, Case
from grid import Cell
from schedules import interleave, networks
from tidegate import Recurrent, Session, StreamPool, isas
from turns import rest

SESSIONS, UNITS, LAYERS = 10_000, 128, 2
OPENED, SMALL, AT_ONCE = 1_000_000, 16, 1_000  # sessions that are opened, units of each, and how many at a time
FRAME, BANDS = 0.032, 40  # seconds, and the numbers that describe a frame

Call = Callable[[], object]


def case_of(network: str, I: int, H: int, layers: int) -> Case:
    """Returns weights, and an input for each of `SESSIONS` rows."""
    return Case(Cell("streams", I, H, 1, SESSIONS, layers=layers, network=network))


def pool_step(case: Case, count: int = SESSIONS) -> Call:
    """Returns a step of all sessions of a pool, each of which has read one already."""
    pool, keys, x = StreamPool(Recurrent(case.weights, case.cell.network)), list(map(str, range(count))), case.x[0]
    pool.push(keys, x[:count])
    return lambda: pool.push(keys, x[:count])


def peer_steps(case: Case, threads: int) -> dict[str, Call]:
    """Returns a step of all rows by ONNX Runtime, in one call, and in a call for each."""
    from peers.onnx_stream import stepper, zeros  # noqa: PLC0415 - the other parts need no peer

    x, whole, single = case.x[0], stepper(case, threads), stepper(case, 1)
    states, each = [zeros(case, len(x))], [zeros(case, 1) for _ in x]

    def batch() -> None:
        states[0] = whole(x, states[0])

    def one_by_one() -> None:
        for row in range(len(x)):
            each[row] = single(x[row : row + 1], each[row])

    return {"ONNX Runtime, one batch": batch, "ONNX Runtime, a call each": one_by_one}


def seconds(call: Call) -> float:
    """Times one call."""
    rest()
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def speed(options: argparse.Namespace) -> dict[str, Any]:
    """Times a step of all sessions beside each peer, in turn; prints and returns steps per second."""
    found: dict[str, Any] = {}
    gauge = limits.multiply_adds(options.threads, isas()[0])
    for network, blocks in (("lstm", 4), ("gru", 3)):
        case = case_of(network, UNITS, UNITS, LAYERS)
        pool, operations = pool_step(case), 2 * 2 * blocks * UNITS**2 * LAYERS  # of the products of a step
        for name, peer in peer_steps(case, options.threads).items():  # one at a time: their threads spin
            calls = (pool, peer, gauge.contender.call)
            times = [[seconds(call) for call in calls] for _ in range(options.rounds + 1)][1:]
            own, other, full = (statistics.median(each) for each in zip(*times, strict=True))
            own, other, most = SESSIONS / own, SESSIONS / other, gauge.amount / full / operations
            print(f"{network:5} the pool {own:9,.0f} steps/s   {name:25} {other:9,.0f}   {own / other:5.2f} ×")
            print(
                f"      at the peak of multiply-adds, {most * operations / 1e9:,.0f} GFLOP/s, nothing but the products:"
                f" {most:,.0f} steps/s, {most / other:.1f} ×; the pool is at {own / most:.0%} of it"
            )
            found[f"{network}, {name}"] = {"pool": own, "peer": other, "peak": most}
    return found


def resident() -> int:
    """Returns the bytes of memory that this process has."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * 4096


def memory(options: argparse.Namespace) -> dict[str, Any]:
    """Measures what sessions take, and what is left of sessions that are gone."""
    case = case_of("lstm", UNITS, UNITS, LAYERS)
    gc.collect()
    pool, x, before = StreamPool(Recurrent(case.weights, "lstm")), case.x[0][:AT_ONCE], resident()
    for first in range(0, 100_000, AT_ONCE):
        pool.push([f"user-{i}" for i in range(first, first + AT_ONCE)], x)
    beside = (resident() - before) / len(pool) - pool.memory.session
    print(f"{len(pool):,} sessions: {pool.memory.session:,} bytes of states each, {beside:,.0f} beside")
    del pool
    small = case_of("lstm", SMALL, SMALL, 1)
    pool, after = StreamPool(Recurrent(small.weights, "lstm"), max_sessions=10_000), []
    for first in range(0, options.count or OPENED, AT_ONCE):
        keys = [f"user-{i}" for i in range(first, first + AT_ONCE)]
        pool.push(keys, small.x[0][:AT_ONCE])
        for key in keys[: AT_ONCE // 2]:
            pool.drop(key)
        after.append(resident())
    growth = after[-1] / after[len(after) // 10] - 1
    print(f"{options.count or OPENED:,} sessions opened and dropped: memory {growth:+.2%} since the first tenth")
    return {"session": 4 * 2 * LAYERS * UNITS, "beside": beside, "growth": growth}


def schedules(options: argparse.Namespace) -> dict[str, Any]:
    """Runs random interleavings, each of which compares itself with sessions that are alone."""
    count, stored = options.count or 1000, 0
    models = networks()
    for seed in range(count):
        stored += interleave(models[seed % len(models)], seed)
    print(f"{count:,} schedules as if alone, to the bit; {stored:,} sessions went through a store on their way")
    return {"schedules": count, "stored": stored}


def voice(options: argparse.Namespace) -> dict[str, Any]:
    """Times a frame of streams of one layer on one core: together, and one by one."""
    case = case_of("lstm", BANDS, UNITS, 1)
    together, found = pool_step(case), {}
    times = sorted(seconds(together) for _ in range(options.rounds + 1))
    found["one push for all"] = SESSIONS / times[len(times) // 2] * FRAME
    layer = Recurrent(case.weights, "lstm")
    sessions = [Session(layer) for _ in range(200)]
    frames: Array = case.x[0]

    def one_by_one() -> None:
        for session, frame in zip(sessions, frames, strict=False):
            session.push(frame)

    times = sorted(seconds(one_by_one) for _ in range(options.rounds + 1))
    found["a push for each session"] = len(sessions) / times[len(times) // 2] * FRAME
    for name, streams in found.items():
        print(f"{name:24} {streams:9,.0f} streams of 32 ms frames")
    return found


PARTS = {"speed": speed, "memory": memory, "schedules": schedules, "voice": voice}


def main() -> None:
    """Runs one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--count", type=int, help="of sessions to open, or of schedules")
    parser.add_argument("--save", action="store_true", help="write what was found to benchmarks/results/")
    options = parser.parse_args()
    threads = 1 if options.part == "voice" else options.threads
    contest.confine(threads, "")
    print(f"{contest.machine()}; {threads} threads")
    found = PARTS[options.part](options)
    if options.save:
        results.save(f"streams_{options.part}", found)


if __name__ == "__main__":
    main()
