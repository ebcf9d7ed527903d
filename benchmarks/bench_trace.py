"""What does a trace cost? A forward pass that returns every gate of every step, beside one that returns the states.

python benchmarks/bench_trace.py [--cells PATTERN] [--seconds 1] [--save]

Four arrays [T, B, H] more are written: reset, update, candidate and U_n h + b_hn. In training they are there in any
case, for the backward pass reads them, and returning them costs nothing; so a forward pass that keeps what the backward
pass needs is a contender too.
"""

import argparse
import os
import re
from typing import Any

import torch

import contest
import results
import tidegate.torch
from case import Case
from contender import Contender
from grid import GRID, INFERENCE
from peers import pytorch

PLAIN, TRACED, TRAINING, TRAINING_TRACED = "plain", "traced", "in training", "in training, traced"


def contenders(case: Case, threads: int) -> dict[str, Contender]:
    """Returns the four ways to run a forward pass, by name."""
    layer, x = pytorch.layer(case, tidegate.torch), torch.from_numpy(case.x)

    def way(trace: bool, training: bool) -> Contender:
        def call() -> Any:
            with torch.set_grad_enabled(training):
                return layer(x, lengths=case.lengths, return_trace=trace)

        return Contender(call, lambda output: {"y": output[0].numpy(force=True)})

    torch.set_num_threads(threads)
    return {
        PLAIN: way(trace=False, training=False),
        TRACED: way(trace=True, training=False),
        TRAINING: way(trace=False, training=True),
        TRAINING_TRACED: way(trace=True, training=True),
    }


def main() -> None:
    """Prints a line for each shape."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", default="", help="a regular expression that finds `use shape` in the grid")
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each shape")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--save", action="store_true", help="write what was found to benchmarks/results/")
    options = parser.parse_args()
    contest.confine(options.threads, "")
    print(f"{contest.machine()}; {options.threads} threads; µs, and how much longer with a trace")
    rows = []
    for cell in GRID:
        if cell.T < 2 or cell.episode or INFERENCE not in cell.kinds:
            continue
        if not re.search(options.cells, f"{cell.use} {cell.shape}"):
            continue
        times = contest.medians(contenders(Case(cell), options.threads), options.seconds)
        row = {"use": cell.use, "shape": cell.shape, "kind": "trace"}
        rows.append(row | {"microseconds": {name: round(time * 1e6, 1) for name, time in times.items()}})
        longer = times[TRACED] / times[PLAIN] - 1, times[TRAINING_TRACED] / times[TRAINING] - 1
        print(
            f"{cell.use:16}{cell.shape:20} {times[PLAIN] * 1e6:11,.0f} {longer[0]:+7.1%}"
            f"   in training {times[TRAINING] * 1e6:11,.0f} {longer[1]:+7.1%}",
            flush=True,
        )
    if options.save:
        results.save("trace", {"rows": rows})


if __name__ == "__main__":
    main()
