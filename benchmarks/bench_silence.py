"""Does a stream take longer when it turns silent? A state that dies away is full of denormal numbers, which are slow.

python benchmarks/bench_silence.py [--rounds 7] [--save]

A stream of 10,000 steps of 10 ms, step by step and in chunks of 100: one that is loud to the end, and one that turns
silent after the first second. Both are run in turn; what counts is the time of the second over that of the first.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

import contest
import results
from case import Array, Case
from grid import Cell
from peers import pytorch
from tidegate import ops

SIZE, STEPS, LOUD = 64, 10_000, 100
Run = Callable[[Array], object]


def quiet_case() -> Case:
    """Returns a layer without bias but for that of the update gate, so that its state dies away, and slowly."""
    case = Case(Cell("silence", SIZE, SIZE, 1, 1))
    for name, array in case.weights.items():
        if name.startswith("bias"):
            array[:] = 0
    case.weights["bias_ih_l0"][SIZE : 2 * SIZE] = 2  # nine tenths of the state are kept: 900 steps until it is denormal
    return case


def ours(case: Case, chunk: int) -> Run:
    """Returns a run of the stream on numpy arrays, some steps at a time."""
    weights = case.weights
    layer = ops.pack("gru", *(weights[f"{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")))

    def run(stream: Array) -> Array:
        h = np.zeros((1, SIZE), np.float32)
        if chunk == 1:
            for x in stream:
                ops.step(layer, x, h, out=h)
            return h
        for start in range(0, STEPS, chunk):
            h = ops.forward(layer, stream[start : start + chunk], h).h_n
        return h

    return run


def theirs(case: Case) -> Run:
    """Returns a run of the stream by torch, step by step."""
    gru = pytorch.layer(case)

    def run(stream: Array) -> torch.Tensor:
        h, steps = torch.zeros(1, 1, SIZE), torch.from_numpy(stream)
        with torch.inference_mode():
            for step in steps:
                h = gru(step.unsqueeze(0), h)[1]
        return h

    return run


def microseconds(run: Run, streams: dict[str, Array], rounds: int) -> dict[str, float]:
    """Returns the median time of a step for each stream, run in turn."""
    times: dict[str, list[float]] = {name: [] for name in streams}
    for _ in range(rounds):
        for name, stream in streams.items():
            start = time.perf_counter()
            run(stream)
            times[name].append((time.perf_counter() - start) / STEPS * 1e6)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    """Prints a line for each way to run the stream."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--save", action="store_true", help="write what was found to benchmarks/results/")
    options = parser.parse_args()
    torch.set_num_threads(1)
    case = quiet_case()
    loud = np.random.default_rng(0).standard_normal((STEPS, 1, SIZE), np.float32)
    silent = loud * (np.arange(STEPS) < LOUD)[:, None, None].astype(np.float32)
    runs = {"tidegate, step by step": ours(case, 1), "tidegate, 100 steps": ours(case, 100), "torch": theirs(case)}
    print(f"{contest.machine()}; µs a step, GRU of {SIZE} units")
    found = {}
    for name, run in runs.items():
        found[name] = microseconds(run, {"loud": loud, "silent": silent}, options.rounds)
        longer = found[name]["silent"] / found[name]["loud"] - 1
        print(f"{name:24} loud {found[name]['loud']:7.2f}  silent {found[name]['silent']:7.2f}  {longer:+.1%}")
    if options.save:
        results.save("silence", {"microseconds": found})


if __name__ == "__main__":
    main()
