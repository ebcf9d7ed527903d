"""How fast is a GRU layer beside every other way to run one? Inference and a training step, all peers in one run.

python benchmarks/bench_layer.py [--cells PATTERN] [--kind inference] [--peers torch,JAX] [--seconds 1] [--save]

Each peer computes the same as torch, which is checked, and is seen at its best: of several ways or numbers of threads
the fastest takes part. It is compared with that interface of tidegate which takes what it takes: tidegate.torch.GRU
beside torch, numpy arrays beside the others. A training step is forward and backward with the gradients of input and
weights. The share of the peak counts the operations of the matrix products alone: 2·3·H·(I+H) a row and step forward,
three times that in a training step, but for the gradient by the first states, which nobody asks for. The floor of a
single row is the time to read its weights once a step (those of the input once in all, for its products are done as
one, at the peak), from the nearest cache that they fit in.
"""

import argparse
import os
import re
import sys
import time
from importlib.metadata import PackageNotFoundError, version

import contest
import peers
import report
import results
from case import Case, Unable
from contender import TOLERANCE, Contender, difference
from grid import GRID, INFERENCE, TRAINING, Cell


def arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", default="", help="a regular expression that finds `use shape` in the grid")
    parser.add_argument("--kind", choices=[INFERENCE, TRAINING], help="only this")
    parser.add_argument("--peers", default=",".join(peers.PEERS), help="some of the peers, commas between them")
    parser.add_argument("--seconds", type=float, default=1.5, help="time for each line of the table")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--isa", default="", help="one of tidegate.isas(), by default the best")
    parser.add_argument("--save", action="store_true", help="write what was found to benchmarks/results/")
    return parser.parse_args()


def confine(threads: int, isa: str) -> None:
    """Keeps this process to as many processors as threads, whatever library starts them, and to one instruction set."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    os.environ["TIDEGATE_NUM_THREADS"] = str(threads)
    if isa:
        os.environ["TIDEGATE_ISA"] = isa


class Field:
    """The contenders of one case; those that fail drop out, with the reason."""

    def __init__(self, case: Case, kind: str, threads: int) -> None:
        self.case, self.kind, self.threads = case, kind, threads
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
                self.contenders[name] = contest.fastest(ways)
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


def floor(case: Case, bandwidth: contest.Bandwidth, peak: float) -> float:
    """Returns the least microseconds of a single row, 0 for others: weights read once a step, input products as one."""
    cell, T = case.cell, case.cell.T
    if cell.B > 1:
        return 0.0
    state = sum(array.nbytes for name, array in case.weights.items() if "weight_hh" in name)
    inputs = sum(array.nbytes for name, array in case.weights.items() if "weight_ih" in name)
    if T == 1:
        return bandwidth.seconds(state + inputs, shared=False) * 1e6
    products = max(inputs / 4 * 2 * T / peak, bandwidth.seconds(inputs, shared=True))
    layer = bandwidth.seconds(state / cell.layers, shared=cell.bidirectional) * T
    return (cell.layers * layer + products) * 1e6


def measure(cell: Cell, kind: str, options: argparse.Namespace, bandwidth: contest.Bandwidth) -> results.Row:
    """Times all contenders of a cell."""
    case = Case(cell)
    isa = options.isa or None
    field = Field(case, kind, options.threads)
    for name in [*peers.OURS, *filter(None, options.peers.split(","))]:
        field.enter(name)
    before = quiet_peak(options.threads, isa)
    times = contest.medians(field.contenders, options.seconds)
    peak = max(before, quiet_peak(options.threads, isa))
    return {
        "use": cell.use,
        "shape": cell.shape,
        "kind": kind,
        **{letter: getattr(cell, letter) for letter in "IHTB"},
        "microseconds": {name: round(seconds * 1e6, 2) for name, seconds in times.items()},
        "settings": {name: one.setting for name, one in field.contenders.items() if one.setting},
        "failures": field.failures,
        "operations": case.training_operations if kind == TRAINING else case.operations,
        "peak_gflops": round(peak / 1e9, 1),
        "meeting_ns": round(contest.meeting(options.threads) * 1e9) if options.threads > 1 else 0,
        "floor_us": round(floor(case, bandwidth, peak), 2) if kind == INFERENCE else 0,
    }


def quiet_peak(threads: int, isa: str | None) -> float:
    """Returns the multiply-add peak, once the idle threads of the libraries have stopped spinning."""
    contest.rest()
    return contest.fma_peak(threads, isa, tries=4)


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
    confine(options.threads, options.isa)
    start, bandwidth = time.perf_counter(), contest.Bandwidth(options.threads, options.isa or None)
    about = {
        "threads": options.threads,
        "isa": options.isa or contest.tidegate.isas()[0],
        "versions": versions(),
        "bandwidth_gbs": {
            str(n): {str(size): round(speed / 1e9, 1) for size, speed in zip(contest.SIZES, speeds, strict=True)}
            for n, speeds in bandwidth.by_threads.items()
        },
    }
    print(f"{contest.machine()}; {options.threads} threads; {', '.join(map(' '.join, about['versions'].items()))}")
    rows = []
    for kind in (INFERENCE, TRAINING):
        cells = [cell for cell in GRID if kind in cell.kinds and options.kind in (None, kind)]
        cells = [cell for cell in cells if re.search(options.cells, f"{cell.use} {cell.shape}")]
        if cells:
            print("\n".join(report.heading(kind)))
        for cell in cells:
            rows.append(measure(cell, kind, options, bandwidth))
            print(report.line(rows[-1]), flush=True)
    print("\n".join(["", *report.failures(rows), "", *report.closing(rows)]))
    print(f"{time.perf_counter() - start:.0f} s in all")
    if options.save:
        results.save("layer" + (f"-{options.isa}" if options.isa else ""), about | {"rows": rows})


if __name__ == "__main__":
    main()
