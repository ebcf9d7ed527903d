"""How many streams does a processor carry? A pool of sessions, beside ONNX Runtime with the states in and out.

python benchmarks/bench_streams.py speed|memory|schedules|voice [--threads 2] [--count N] [--save]

speed: 10,000 sessions of two layers of 128 units, a step of each in one call of the pool; ONNX Runtime is given all
rows as one batch, and one session a call. memory: what a session takes, and whether opening and dropping a million
sessions leaves anything behind. schedules: random interleavings of sessions, cuts, evictions and threads, each compared
with sessions that are alone, to the bit. voice: a voice activity detector, 128 units, a frame each 32 ms: the streams
that one core carries.
"""

import argparse
import gc
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import contest
import results
from case import Array, Case
from grid import Cell
from turns import rest
from tidegate import Recurrent, StreamPool, set_num_threads

SESSIONS, UNITS, LAYERS = 10_000, 128, 2
FRAME, FRAME_FEATURES = 0.032, 40  # seconds, and the bands of a spectrum


def stack(case: Case) -> Recurrent:
    """Returns the layers of a case."""
    return Recurrent(case.weights, case.cell.network)


def pool_step(case: Case, keys: list[str], x: Array) -> Callable[[], object]:
    """Returns a step of all sessions of a pool, each of which has read one already."""
    pool = StreamPool(stack(case))
    pool.push(keys, x)
    return lambda: pool.push(keys, x)


def batch_step(case: Case, x: Array, threads: int) -> Callable[[], object]:
    """Returns a step of all rows by ONNX Runtime in one call."""
    from peers.onnx_stream import stepper, zeros  # noqa: PLC0415 - the other parts need no peer

    step, states = stepper(case, threads), zeros(case, len(x))

    def call() -> None:
        states[:] = step(x, states)

    return call


def single_steps(case: Case, x: Array, threads: int) -> Callable[[], object]:
    """Returns a step of all rows by ONNX Runtime, a call for each."""
    from peers.onnx_stream import stepper, zeros  # noqa: PLC0415

    step, states = stepper(case, threads), [zeros(case, 1) for _ in x]

    def call() -> None:
        for row in range(len(x)):
            states[row] = step(x[row : row + 1], states[row])

    return call


def seconds(call: Callable[[], object]) -> float:
    """Times one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def speed(threads: int, rounds: int) -> dict[str, dict[str, float]]:
    """Times a step of all sessions in turn, and returns steps per second."""
    found = {}
    keys = [f"user-{i}" for i in range(SESSIONS)]
    for network in ("lstm", "gru"):
        case = Case(Cell("streams", UNITS, UNITS, 1, SESSIONS, layers=LAYERS, network=network))
        x = case.x[0]
        ways = {
            "pool": pool_step(case, keys, x),
            "ONNX Runtime, one batch": batch_step(case, x, threads),
            "ONNX Runtime, a call a session": single_steps(case, x, 1),
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds + 1):
            for name, call in ways.items():
                rest()
                times[name].append(seconds(call))
        rates = {name: SESSIONS / statistics.median(values[1:]) for name, values in times.items()}
        found[network] = rates
        for name, rate in rates.items():
            print(f"{network:5} {name:31} {rate:11,.0f} steps/s   pool: {rates['pool'] / rate:5.2f} ×")
    return found


def main() -> None:
    pass


if __name__ == "__main__":
    set_num_threads(2)
    speed(2, 5)
