"""How does the cost of a layer grow with its steps, rows and hidden units? It should be no faster than the arithmetic.

python benchmarks/bench_growth.py [--seconds 1] [--threads 2] [--save]

From 128 units, 100 steps and 32 rows one size at a time is doubled. Twice the steps or rows are twice the arithmetic;
twice the units, of inputs too, are four times. The last columns say how much of the arithmetic's rate is left of that
at the starting point: 100 % is proportional growth, less is a cliff.
"""

import argparse
import os
from collections.abc import Iterator

import contest
import results
from case import Case
from grid import Cell
from peers import arrays

START = {"T": 100, "B": 32, "H": 128}
GROWN = {
    "T": (25, 50, 100, 200, 400, 800, 1600, 3200),
    "B": (1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
    "H": (16, 32, 64, 128, 256, 512, 1024, 2048),
}
MAKERS = {"inference": arrays.inference, "training": arrays.training}


def measure(letter: str, size: int, options: argparse.Namespace) -> results.Row:
    """Times one size, inference and training in turn."""
    sizes = START | {letter: size}
    case = Case(Cell("growth", sizes["H"], sizes["H"], sizes["T"], sizes["B"]))
    contenders = {kind: make(case, options.threads)[0] for kind, make in MAKERS.items()}
    for contender in contenders.values():
        contender.call()
    times = contest.medians(contenders, options.seconds)
    operations = {"inference": case.operations, "training": case.training_operations}
    rates = {kind: operations[kind] / time / 1e9 for kind, time in times.items()}
    return {
        "use": letter,
        "shape": str(size),
        "kind": "growth",
        **sizes,
        "microseconds": {kind: round(time * 1e6, 1) for kind, time in times.items()},
        "gflops": {kind: round(rate, 1) for kind, rate in rates.items()},
    }


def lines(rows: list[results.Row]) -> Iterator[str]:
    """Yields the table of one size that grows."""
    start = next(row for row in rows if all(row[letter] == size for letter, size in START.items()))
    for row in rows:
        times = " ".join(f"{row['microseconds'][kind]:12,.0f}" for kind in MAKERS)
        rates = " ".join(f"{row['gflops'][kind] / start['gflops'][kind]:10.0%}" for kind in MAKERS)
        yield f"{row['use']} = {row['shape']:>5} {times} {rates}"


def main() -> None:
    """Prints a table for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each line of the table")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--save", action="store_true", help="write what was found to benchmarks/results/")
    options = parser.parse_args()
    contest.confine(options.threads, "")
    print(f"{contest.machine()}; {options.threads} threads; µs, and the rate of the arithmetic beside that at {START}")
    found = []
    for letter, sizes in GROWN.items():
        print(f"\n{'':9} {'inference':>12} {'training':>12} {'inference':>10} {'training':>10}")
        rows = [measure(letter, size, options) for size in sizes]
        print("\n".join(lines(rows)), flush=True)
        found += rows
    if options.save:
        results.save("growth", {"threads": options.threads, "rows": found})


if __name__ == "__main__":
    main()
