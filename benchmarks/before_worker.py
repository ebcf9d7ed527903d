"""A process of `bench_before`: builds cases with the tidegate that is installed for this Python, and takes turns.

It is asked by lines of JSON and answers each with one. What differs from build to build is bridged here.
"""

import gc
import inspect
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import tidegate

INTERFACES = {"tidegate": "arrays", "tidegate.torch": "drop_in"}


def bridge() -> None:
    """Puts the cells of a build without folders where the benchmarks look for them; before anything imports them."""
    if not hasattr(tidegate.ops, "__path__"):
        sys.modules["tidegate.ops.cells"] = sys.modules["tidegate.cells"]


class Renamed:
    """What older builds call `resets`, under the name `episode_starts`, for as long as a case needs it."""

    def __init__(self) -> None:
        import tidegate.torch as drop_ins  # noqa: PLC0415 - after the processors are chosen

        places = [(tidegate.ops, "forward"), (tidegate.ops, "backward"), (drop_ins.GRU, "forward")]
        functions = {(owner, name): getattr(owner, name) for owner, name in places}
        self.older = {
            place: function
            for place, function in functions.items()
            if "resets" in inspect.signature(function).parameters
        }

    def apply(self, needed: bool) -> None:
        """Renames, or puts back what was there, so that nobody else pays for it."""
        for (owner, name), function in self.older.items():
            setattr(owner, name, renamed(function) if needed else function)


def renamed(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function of an older build, to be told of `episode_starts`."""

    def call(*arguments: Any, episode_starts: Any = None, **options: Any) -> Any:
        return function(*arguments, resets=episode_starts, **options)

    return call


class Builds:
    """The contenders of the case at hand, by interface."""

    def __init__(self) -> None:
        from importlib import import_module  # noqa: PLC0415 - peers need the bridge

        self.peers = {name: import_module(f"peers.{module}") for name, module in INTERFACES.items()}
        self.turns, self.case, self.grid = map(import_module, ("turns", "case", "grid"))
        self.renamed, self.contenders = Renamed(), {}

    def who(self) -> str:
        """Says which build this is."""
        return f"{Path(tidegate.__file__).parent}, {tidegate.isas()[0]}, numpy {np.__version__}"

    def build(self, cell: dict[str, Any], kind: str, threads: int) -> dict[str, str]:
        """Builds the contenders of a cell and calls each once; returns why some could not be built."""
        self.contenders, failures = {}, {}
        gc.collect()
        for name, peer in self.peers.items():
            try:
                self.renamed.apply(bool(cell["episode"]))
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
