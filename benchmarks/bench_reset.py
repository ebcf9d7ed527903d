"""What does a GRU cost whose reset gate is applied elsewhere? Beside the standard one, over all batches of the grid.

python benchmarks/bench_reset.py [--reset before] [--cells PATTERN] [--kind training] [--seconds 2]

`before` multiplies U_n by r ∘ h and not r by U_n h, so that a step is two products one after the other.
"""

import argparse
import os

import contest
import pairs
import peers
from case import Case
from grid import INFERENCE, TRAINING, chosen

FEWEST_ROWS = 16


def measure(cases: dict[str, Case], kind: str, seconds: float, threads: int) -> pairs.Times:
    """Times the same cell with each reset, through each interface."""
    contenders = {}
    for side, case in cases.items():
        for name in pairs.INTERFACES:
            make = peers.ways(name, kind)
            contender = contenders[name, side] = make(case, threads)[0]
            contender.prepare()
            contender.call()
    return contest.medians(contenders, seconds)


def main() -> None:
    """Prints a table for each kind, and what they come to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reset", default="before", help="where the reset gate is applied")
    parser.add_argument("--cells", default="", help="a regular expression that finds `use shape` in the grid")
    parser.add_argument("--kind", choices=[INFERENCE, TRAINING], help="only this")
    parser.add_argument("--seconds", type=float, default=2.0, help="least time for each line of the table")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    contest.confine(options.threads, "")
    sides = ("after", options.reset)
    print(f"{contest.machine()}; {options.threads} threads", flush=True)
    found: list[tuple[float, str]] = []
    for kind in (INFERENCE, TRAINING) if options.kind is None else (options.kind,):
        print("\n".join(pairs.heading(kind, sides)), flush=True)
        for cells in zip(*(chosen(kind, options.cells, f"gru reset={side}") for side in sides), strict=True):
            if cells[0].B >= FEWEST_ROWS:
                cases = {side: Case(cell) for side, cell in zip(sides, cells, strict=True)}
                times = measure(cases, kind, options.seconds, options.threads)
                print(pairs.line(cells[0], times, sides), flush=True)
                found += pairs.named(cells[0], kind, times, sides)
    print(f"\n{options.reset} / after: {pairs.closing(found)}")


if __name__ == "__main__":
    main()
