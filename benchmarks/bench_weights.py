"""What does it cost that weights may change between two calls, and what would it cost at least?

python benchmarks/bench_weights.py [--network lstm] [--cells PATTERN] [--seconds 4]

Inference of a single row through the drop-in, which packs the weights anew in each call. Beside it the same layer
frozen, which looks at no weight; and the frozen one after all threads have read each weight once, where the call before
has left it. To know for certain that no weight has changed takes no less, be it a comparison or a hash, and memory for
packed weights that are kept.
"""

import argparse
import os
from collections.abc import Callable, Sequence

import torch

import contest
import tidegate
import tidegate.torch
from case import Case
from contender import Contender
from grid import INFERENCE, chosen
from peers import pytorch
from tidegate import _native

FLOATS = 256
"""The gauge of reading takes multiples of so many."""


def reader(weights: Sequence[torch.Tensor], threads: int, isa: str) -> Callable[[], None]:
    """Returns what reads matrices once, each shared by the threads."""
    shares = []
    for weight in weights:
        flat = weight.detach().numpy().reshape(-1)
        each = len(flat) // threads // FLOATS * FLOATS
        shares.append([flat[i * each : (i + 1) * each] for i in range(threads)] if each else [])

    def read() -> None:
        for share in shares:
            if share:
                _native.read(isa, share, 1)

    return read


def measure(case: Case, seconds: float, threads: int) -> dict[str, float]:
    """Returns the microseconds of a call that packs, of a frozen one, and of a frozen one after all was read."""
    packing, frozen = (
        pytorch.layer(case, tidegate.torch).eval(),
        tidegate.torch.freeze(pytorch.layer(case, tidegate.torch)),
    )
    matrices = [weight for weight in packing.parameters() if weight.dim() > 1]
    pack, run = (pytorch.inference_of(pytorch.whole(module, case), case) for module in (packing, frozen))
    read = reader(matrices, threads, tidegate.isas()[0])
    ways = {"packed": pack, "read": lambda: (read(), run()), "frozen": run}
    for call in ways.values():
        call()
    times = contest.medians({name: Contender(call, dict) for name, call in ways.items()}, seconds)
    return {name: time * 1e6 for name, time in times.items()}


def main() -> None:
    """Prints a line for each cell of a single row and several steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="gru", help="the cell of all layers")
    parser.add_argument("--cells", default="one sequence", help="a regular expression that finds `use shape`")
    parser.add_argument("--seconds", type=float, default=4.0, help="least time for each line of the table")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    contest.confine(options.threads, "")
    print(f"{contest.machine()}; {options.threads} threads\n")
    print("| I/H/T/B | weights, MB | packed in each call, µs | read once, then frozen | frozen |")
    print("|---|---:|---:|---:|---:|")
    for cell in chosen(INFERENCE, options.cells, options.network):
        if cell.B == 1 and cell.T > 1:
            case = Case(cell)
            times = measure(case, options.seconds, options.threads)
            megabytes = sum(array.nbytes for array in case.weights.values()) / 1e6
            cells = [f"{times[name]:,.0f} ({times[name] / times['frozen']:.2f} ×)" for name in ("packed", "read")]
            print(f"| {cell.shape} | {megabytes:.1f} | {' | '.join(cells)} | {times['frozen']:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
