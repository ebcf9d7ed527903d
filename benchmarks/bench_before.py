"""Has a change made a layer faster or slower? Two builds of tidegate on the grid, taking turns in one run.

python benchmarks/bench_before.py --before /path/to/older/.venv/bin/python [--networks gru,rnn_tanh] [--cells PATTERN]
    [--kind training] [--seconds 2]

Each build runs in a process of its own that computes the same cells on this checkout's benchmarks. While one takes its
turn, the other waits with all its threads asleep. Figures are medians; the last line is the geometric mean of
now / before over all cells and interfaces, and the worst of them. Of a vanilla RNN a few shapes are enough.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import contest
import pairs
from grid import INFERENCE, TRAINING, Cell, chosen

WORKER = Path(__file__).with_name("before_worker.py")
SIDES = ("before", "now")
FEW = "^one step 64|^one sequence 128|^small batch 100/128|^sensors|^wide 512/512|^reviews [^⇄]* ~"
"""The shapes that a vanilla RNN is measured with."""


class Worker:
    """A process that runs one build, asked over a pipe: a line of JSON for each question and for each answer."""

    def __init__(self, python: str) -> None:
        self.python = python
        self.process = subprocess.Popen([python, str(WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, question: str, **about: Any) -> Any:
        """Asks one question and waits for the answer.

        Raises:
            RuntimeError: The process has ended.
        """
        asked, answers = self.process.stdin, self.process.stdout
        if asked is None or answers is None or self.process.poll() is not None:
            raise RuntimeError(f"{self.python} has ended")
        print(json.dumps({"question": question} | about), file=asked, flush=True)
        if not (answer := answers.readline()):
            raise RuntimeError(f"{self.python} has ended without an answer to {question!r}")
        return json.loads(answer)

    def end(self) -> None:
        """Lets the process end."""
        self.process.communicate()


def measure(cell: Cell, kind: str, workers: dict[str, Worker], seconds: float, threads: int) -> pairs.Times:
    """Times one cell on both builds, through each interface that both of them have."""
    about = {"cell": asdict(cell), "kind": kind, "threads": threads}
    failures = {side: worker.ask("build", **about) for side, worker in workers.items()}
    for side, failed in failures.items():
        for name, reason in failed.items():
            print(f"{side}, {name}: {reason}", file=sys.stderr)
    names = [name for name in pairs.INTERFACES if all(name not in failed for failed in failures.values())]
    takers = {
        (name, side): partial(worker.ask, "turn", interface=name) for name in names for side, worker in workers.items()
    }
    return contest.rounds(takers, seconds) if takers else {}


def cells(options: argparse.Namespace) -> Iterator[tuple[str, list[Cell]]]:
    """Yields what is to be measured of each kind."""
    for kind in (INFERENCE, TRAINING):
        if options.kind in {None, kind}:
            found = [cell for network in options.networks for cell in chosen(kind, options.cells, network)]
            yield kind, [cell for cell in found if not cell.network.startswith("rnn") or re.search(FEW, cell.name)]


def arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", required=True, help="the Python in which the older build is installed")
    parser.add_argument(
        "--now", default=sys.executable, help="that of the newer one, by default the one that runs this"
    )
    parser.add_argument("--networks", default="gru,rnn_tanh", type=lambda text: text.split(","))
    parser.add_argument("--cells", default="", help="a regular expression that finds `use shape` in the grid")
    parser.add_argument("--kind", choices=[INFERENCE, TRAINING], help="only this")
    parser.add_argument("--seconds", type=float, default=2.0, help="least time for each line of the table")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--isa", default="", help="one of tidegate.isas(), by default the best")
    return parser.parse_args()


def main() -> None:
    """Prints a table for each kind, and what they come to."""
    options = arguments()
    contest.confine(options.threads, options.isa)  # the workers inherit it
    print(f"{contest.machine()}; {options.threads} threads", flush=True)
    workers = {side: Worker(python) for side, python in zip(SIDES, (options.before, options.now), strict=True)}
    for side, worker in workers.items():
        print(f"{side}: {worker.ask('who')}")
    found: list[tuple[float, str]] = []
    for kind, some in cells(options):
        print("\n".join(pairs.heading(kind, SIDES)) if some else "", flush=True)
        for cell in some:
            times = measure(cell, kind, workers, options.seconds, options.threads)
            print(pairs.line(cell, times, SIDES), flush=True)
            found += pairs.named(cell, kind, times, SIDES)
    for worker in workers.values():
        worker.end()
    print(f"\nnow / before: {pairs.closing(found)}")


if __name__ == "__main__":
    main()
