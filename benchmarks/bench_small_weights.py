"""How much faster is a step with int8 or bfloat16 weights? Through `Recurrent.step`, called again and again.

python benchmarks/bench_small_weights.py [--cell lstm] [--rows 1] [--rounds 25]

The three take turns, with one thread and with all; figures are medians in µs.
"""

import argparse
import os
import time
from statistics import median

import numpy as np

import tidegate
from tidegate.ops.cells import Cell
from tidegate.ops.compressed import DTYPES
from tidegate.ops.processor import processor
from tidegate.sequences.recurrent import Recurrent

SHAPES = [(128, 128, 1), (256, 256, 3), (128, 384, 1), (384, 384, 3), (512, 512, 1), (1024, 1024, 1)]  # I, H, L
CALLS = 20


def stacks(cell: str, I: int, H: int, L: int) -> dict[str, Recurrent]:
    """The same stack by the dtype of its weights."""
    rng, rows = np.random.default_rng(0), Cell.of(cell).G * H
    shapes = {f"weight_ih_l{l}": (rows, H if l else I) for l in range(L)} | {
        f"weight_hh_l{l}": (rows, H) for l in range(L)
    }
    shapes |= {f"bias_{kind}_l{l}": (rows,) for l in range(L) for kind in ("ih", "hh")}
    float32 = Recurrent({name: rng.uniform(-1, 1, shape) / H**0.5 for name, shape in shapes.items()}, cell)
    return {"float32": float32} | {dtype: float32.compressed(dtype) for dtype in DTYPES}


def step_times(by_dtype: dict[str, Recurrent], rows: int, rounds: int) -> dict[str, float]:
    """Medians of the time of a step, in µs, taken in turns."""
    first = by_dtype["float32"]
    x = np.random.default_rng(1).standard_normal((rows, first.input_size)).astype(np.float32)
    h = first.outputs(x[None])[1]
    times: dict[str, list[float]] = {dtype: [] for dtype in by_dtype}
    for _ in range(rounds):
        for dtype, stack in by_dtype.items():
            for call in range(CALLS + 3):
                if call == 3:
                    start = time.perf_counter()
                stack.step(x, h, out=h)
            times[dtype].append((time.perf_counter() - start) / CALLS * 1e6)
    return {dtype: median(each) for dtype, each in times.items()}


def main() -> None:
    """Prints a line for each shape and number of threads."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cell", default="gru", help="the cell, with what is chosen of it")
    parser.add_argument("--rows", type=int, default=1, help="streams that take the step together")
    parser.add_argument("--rounds", type=int, default=25, help="turns of each")
    options = parser.parse_args()
    print(f"{processor()}, {tidegate.isas()[0]}; {options.cell}, {options.rows} row(s), one step\n")
    print("| I/H × L | threads | float32 | bfloat16 | int8 |\n|---|---|---|---|---|")
    for I, H, L in SHAPES:
        by_dtype = stacks(options.cell, I, H, L)
        for threads in sorted({1, len(os.sched_getaffinity(0))}):
            tidegate.set_num_threads(threads)
            times = step_times(by_dtype, options.rows, options.rounds)
            cells = (f"{times[d]:.1f} ({times['float32'] / times[d]:.2f} ×)" for d in ("bfloat16", "int8"))
            print(f"| {I}/{H} × {L} | {threads} | {times['float32']:.1f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
