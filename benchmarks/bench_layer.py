"""How fast is a recurrent layer beside every other way to run one? Inference and a training step, all peers in one run.

python benchmarks/bench_layer.py [--network lstm] [--cells PATTERN] [--kind inference] [--peers torch,JAX]
    [--seconds 1] [--pause 10] [--save]

Each peer computes the same as torch, which is checked, and is seen at its best: of several ways or numbers of threads
the fastest takes part. It is compared with that interface of tidegate which takes what it takes: tidegate.torch
beside torch, numpy arrays beside the others. A training step is forward and backward with the gradients of input and
weights. The share of the peak counts the operations of the matrix products alone: 2·G·H·(I+H) a row and step forward,
three times that in a training step, but for the gradient by the first states, which nobody asks for. The floor of a
single row is the time to read its weights once a step (those of the input once in all, for its products are done as
one, at the peak), from the nearest cache that they fit in. Peak and bandwidth are medians of the same turns.

`--pause 10` lets all of them rest for 10 ms before each call, as a stream does between two frames.

The column `by` says how torch ran its layer: by one operation of oneDNN, or step by step.
"""

import argparse
import os
import sys
import time
from functools import partial
from importlib.metadata import PackageNotFoundError, version

import contest
import limits
import peers
import report
import results
import tidegate
from case import Case, Unable
from contender import TOLERANCE, Contender, difference
from grid import INFERENCE, TRAINING, Cell, chosen
from turns import turn


def arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=peers.NETWORKS, default="gru", help="the cell of all layers")
    parser.add_argument("--cells", default="", help="a regular expression that finds `use shape` in the grid")
    parser.add_argument("--kind", choices=[INFERENCE, TRAINING], help="only this")
    parser.add_argument("--peers", default=",".join(peers.PEERS), help="some of the peers, commas between them")
    parser.add_argument("--seconds", type=float, default=4.0, help="least time for each line of the table")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--isa", default="", help="one of tidegate.isas(), by default the best")
    parser.add_argument("--pause", type=float, default=0.0, help="milliseconds without work before each call")
    parser.add_argument("--save", action="store_true", help="write what was found to benchmarks/results/")
    options = parser.parse_args()
    options.peers = [name for name in options.peers.split(",") if name]
    if unknown := set(options.peers) - set(peers.PEERS):
        parser.error(f"--peers: {', '.join(sorted(unknown))}: not one of {', '.join(peers.PEERS)}")
    if options.pause and options.save:
        parser.error("--save keeps the results of calls that follow each other: leave out --pause")
    return options


class Field:
    """The contenders of one case; those that fail drop out, with the reason."""

    def __init__(self, case: Case, kind: str, threads: int, pause: float) -> None:
        self.case, self.kind, self.threads, self.pause = case, kind, threads, pause
        self.contenders: dict[str, Contender] = {}
        self.failures: dict[str, str] = {}
        reference = peers.ways("torch", kind)
        first = reference(case, threads)[0] if reference else None
        self.expected = first.answer(first.call()) if first else {}

    def enter(self, name: str) -> None:
        """Lets a contender take part, the fastest of its ways, if it computes what torch computes."""
        try:
            make = peers.ways(name, self.kind)
            ways = make(self.case, self.threads) if make else []
            for way in ways:
                self.check(way)
            if ways:
                self.contenders[name] = contest.fastest(ways, self.pause)
        except Unable as reason:
            self.failures[name] = str(reason)
        except Exception as error:  # noqa: BLE001 - a peer may fail in any way, the others go on
            self.failures[name] = f"{type(error).__name__}: {error}"[:300]
            print(f"{name}: {self.failures[name]}", file=sys.stderr)

    def check(self, way: Contender) -> None:
        """Raises `Unable` if a way does not compute what torch computes; its first call, in which it may compile."""
        way.prepare()
        error = difference(way.answer(way.call()), self.expected)
        if error > TOLERANCE:
            raise Unable(f"differs from torch by {error:.1e}")


def measure(cell: Cell, kind: str, options: argparse.Namespace, isa: str) -> results.Row:
    """Times all contenders of a cell, and the machine beside them."""
    case = Case(cell)
    pause = options.pause / 1000
    field = Field(case, kind, options.threads, pause)
    for name in [*peers.OURS, *options.peers]:
        field.enter(name)
    limit = limits.Limits(case, options.threads, isa, floor=kind == INFERENCE)
    machine = {name: gauge.contender for name, gauge in limit.gauges.items()}
    takers = {name: partial(turn, one, pause) for name, one in field.contenders.items()}
    takers |= {name: partial(turn, gauge) for name, gauge in machine.items()}
    times = contest.rounds(takers, options.seconds)
    paths = {name: path(one.call) for name, one in field.contenders.items() if (path := peers.path(name))}
    return {
        "network": cell.network,
        "use": cell.use,
        "shape": cell.shape,
        "kind": kind,
        **{letter: getattr(cell, letter) for letter in "IHTB"},
        "microseconds": {name: round(seconds * 1e6, 2) for name, seconds in times.items() if name in field.contenders},
        "paths": paths,
        "settings": {name: one.setting for name, one in field.contenders.items() if one.setting},
        "failures": field.failures,
        "operations": case.training_operations if kind == TRAINING else case.operations,
        **limit.found(times),
    }


def bandwidths(threads: int, isa: str) -> dict[str, dict[str, float]]:
    """Returns, for one thread and for all, the gigabytes a second at which arrays are read, by the size of each."""
    gauges = {(n, size): limits.reading(n * size, n, isa) for n in sorted({1, threads}) for size in limits.SIZES}
    times = contest.medians({key: gauge.contender for key, gauge in gauges.items()}, seconds=1.0)
    found: dict[str, dict[str, float]] = {}
    for (n, size), gauge in gauges.items():
        found.setdefault(str(n), {})[str(size)] = round(gauge.amount / times[n, size] / 1e9, 1)
    return found


def versions() -> dict[str, str]:
    """Returns the versions of all libraries that take part."""
    found = {}
    for name in ("tidegate", "numpy", "torch", "onnxruntime", "openvino", "jax"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def main() -> None:
    """Prints the tables line by line, and what they come to."""
    options = arguments()
    contest.confine(options.threads, options.isa)
    start, isa = time.perf_counter(), options.isa or tidegate.isas()[0]
    about = {
        "threads": options.threads,
        "isa": isa,
        "versions": versions(),
        "bandwidth_gbs": bandwidths(options.threads, isa),
    }
    print(f"{contest.machine()}; {options.threads} threads; {', '.join(map(' '.join, about['versions'].items()))}")
    rows = []
    for kind in (INFERENCE, TRAINING):
        cells = chosen(kind, options.cells, options.network) if options.kind in {None, kind} else []
        if cells:
            print("\n".join(report.heading(kind)))
        for cell in cells:
            rows.append(measure(cell, kind, options, isa))
            print(report.line(rows[-1]), flush=True)
    print("\n".join(["", *report.failures(rows), "", *report.closing(rows)]))
    print(f"{time.perf_counter() - start:.0f} s in all")
    if options.save:
        results.save(results.question(options.network, options.isa), about | {"rows": rows})


if __name__ == "__main__":
    main()
