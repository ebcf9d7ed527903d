"""How much faster is a training step under `torch.autocast("cpu", dtype=torch.bfloat16)`? Ours and torch's, in turns.

python benchmarks/bench_autocast.py [--shapes 32/256/50,64/512/100] [--threads 2] [--seconds 4]

A step is forward and backward, with the gradients of inputs, states and weights; figures are medians in ms, interleaved
so that the machine's load meets all four alike.
"""

import argparse
import os
from functools import partial

import torch

import contest
import tidegate.torch
from contender import Contender

SHAPES = "32/256/50,64/256/100,128/256/50,32/512/50,64/512/100,128/512/50"  # B, I = H, T
CELLS = ("GRU", "LSTM")


def train(layer: torch.nn.Module, x: torch.Tensor, dy: torch.Tensor, cast: bool) -> None:
    """Takes one step."""
    layer.zero_grad()
    x = x.detach().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=cast):
        y, _ = layer(x)
    y.backward(dy.to(y.dtype))


def step_times(cell: str, B: int, H: int, T: int, seconds: float) -> dict[str, float]:
    """Returns the median of each way, in ms."""
    torch.manual_seed(0)
    theirs, ours = getattr(torch.nn, cell)(H, H), getattr(tidegate.torch, cell)(H, H)
    ours.load_state_dict(theirs.state_dict())
    x, dy = torch.randn(T, B, H), torch.randn(T, B, H)
    ways = {
        f"{name} {dtype}": partial(train, layer, x, dy, dtype == "bfloat16")
        for name, layer in (("ours", ours), ("torch", theirs))
        for dtype in ("float32", "bfloat16")
    }
    for way in ways.values():
        way()
    contenders = {name: Contender(way, lambda _: {}) for name, way in ways.items()}
    return {name: 1000 * time for name, time in contest.medians(contenders, seconds).items()}


def main() -> None:
    """Prints a line for each cell and shape."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", default=SHAPES, help="rows/units/steps, commas between them")
    parser.add_argument("--cells", default=",".join(CELLS))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seconds", type=float, default=4, help="for each line")
    options = parser.parse_args()
    contest.confine(options.threads, "")
    torch.set_num_threads(options.threads)
    layer = tidegate.torch.GRU(2, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        reason = layer.route(torch.zeros(1, 1, 2)).reason
    print(f"{contest.machine()}, {options.threads} threads; under autocast: {reason}\n")
    print("| cell, B/H/T | float32 | bfloat16 | gain | torch float32 | torch bfloat16 | its gain | ours over torch's |")
    print("|---|---|---|---|---|---|---|---|")
    for cell in options.cells.split(","):
        for shape in options.shapes.split(","):
            f, b, tf, tb = step_times(cell, *map(int, shape.split("/")), options.seconds).values()
            print(
                f"| {cell} {shape} | {f:.1f} | {b:.1f} | **{f / b:.2f}** | {tf:.1f} | {tb:.1f} | {tf / tb:.2f} "
                f"| {tb / b:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
