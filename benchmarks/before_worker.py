"""A process of `bench_before`: builds cases with the tidegate that is installed for this Python, and takes turns.

It is asked by lines of JSON and answers each with one. What differs from build to build is bridged here.
"""

import gc
import inspect
import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import tidegate

INTERFACES = {"tidegate": "arrays", "tidegate.torch": "drop_in"}


def bridge() -> None:
    """Lets the benchmarks run on an older build: its cells say less, in another place, and keywords differ."""
    if not hasattr(tidegate.ops, "__path__"):
        sys.modules["tidegate.ops.cells"] = sys.modules["tidegate.cells"]
    cell = import_module("tidegate.ops.cells").Cell
    if not hasattr(cell, "G"):
        cell.G, cell.S = cell.gates, 1
    arrays = import_module("peers.arrays")
    keywords = inspect.signature(tidegate.ops.backward).parameters
    if "resets" in keywords:
        arrays.EPISODE_STARTS = "resets"
    if "need_dh0" in keywords:
        arrays.GRADIENTS = {"need_dh0": False}


class Builds:
    """The contenders of the case at hand, by interface."""

    def __init__(self) -> None:
        self.peers = {name: import_module(f"peers.{module}") for name, module in INTERFACES.items()}
        self.turns, self.case, self.grid = map(import_module, ("turns", "case", "grid"))
        self.contenders: dict[str, Any] = {}

    def who(self) -> str:
        """Says which build this is."""
        return f"{Path(tidegate.__file__).parent}, {tidegate.isas()[0]}, numpy {np.__version__}"

    def build(self, cell: dict[str, Any], kind: str, threads: int) -> dict[str, str]:
        """Builds the contenders of a cell and calls each once; returns why some could not be built."""
        self.contenders, failures = {}, {}
        gc.collect()
        for name, peer in self.peers.items():
            try:
                case = self.case.Case(self.grid.Cell(**cell))
                contender = getattr(peer, kind)(case, threads)[0]
                contender.prepare()
                contender.call()
                self.contenders[name] = contender
            except Exception as error:  # noqa: BLE001 - an older build may lack anything
                failures[name] = f"{type(error).__name__}: {error}"[:300]
        return failures

    def turn(self, interface: str) -> float:
        """Takes a turn, and rests before the answer, so that nothing is at work in the turn of the other process."""
        seconds: float = self.turns.turn(self.contenders[interface])
        self.turns.rest()
        return seconds


def main() -> None:
    """Answers until there are no more questions."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints is no answer
    bridge()
    builds = Builds()
    gc.disable()
    for line in sys.stdin:
        about = json.loads(line)
        print(json.dumps(getattr(builds, about.pop("question"))(**about)), file=answers, flush=True)


if __name__ == "__main__":
    main()
