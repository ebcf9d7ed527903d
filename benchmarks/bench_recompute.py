"""What does `recompute_every` cost and save on a very long sequence? Peak memory and time of one training step.

python benchmarks/bench_recompute.py [--every 0,1000] [--steps 100000] [--rounds 7] [--save]

Each setting runs in a process of its own, for a peak never comes down again, and they take turns, for the machine's
speed may change between two of them: told are the medians. 0 keeps the trace of every step. The memory without any
training, of Python with torch, the inputs and the layer, is told beside it.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

import contest
import results

ROWS, SIZE = 8, 128
REPEATS = 3


def peak_megabytes() -> float:
    """Returns the most memory that this process has had so far."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 2**20 if sys.platform == "darwin" else most / 2**10


def train(every: int, steps: int) -> dict[str, float]:
    """Runs training steps in this process; returns the median seconds of one, and megabytes before and at the peak."""
    import torch  # noqa: PLC0415 - the process that starts the others needs none

    from tidegate.torch import GRU  # noqa: PLC0415 - likewise

    gru = GRU(SIZE, SIZE, recompute_every=every or None)
    x, dy = torch.randn(steps, ROWS, SIZE), torch.ones(1, ROWS, SIZE)
    before, seconds = peak_megabytes(), []
    for _ in range(REPEATS):
        start = time.perf_counter()
        gru.zero_grad()
        _, h_n = gru(x.detach().requires_grad_())
        h_n.backward(dy)
        seconds.append(time.perf_counter() - start)
    return {"seconds": sorted(seconds)[REPEATS // 2], "before_mb": before, "peak_mb": peak_megabytes()}


def apart(every: int, steps: int) -> dict[str, Any]:
    """Runs `train` in a process of its own; returns what it found, or the last line of its complaint as `failure`."""
    command = [sys.executable, __file__, "--child", str(every), "--steps", str(steps)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        return {"failure": (done.stderr.strip().splitlines() or ["killed"])[-1]}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def medians(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the median of each figure; of runs that failed, the first one."""
    failed = [run for run in runs if "failure" in run]
    return failed[0] if failed else {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def main() -> None:
    """Prints a line for each setting."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", default="0,316,1000", help="settings of recompute_every, commas between them")
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7, help="processes for each setting")
    parser.add_argument("--save", action="store_true", help="write what was found to benchmarks/results/")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        print(json.dumps(train(options.child, options.steps)))
        return
    print(f"{contest.machine()}; one training step, {options.rounds} rounds")
    print(f"T={options.steps} B={ROWS} I=H={SIZE}", flush=True)
    settings = [int(every) for every in options.every.split(",")]
    runs = [{every: apart(every, options.steps) for every in settings} for _ in range(options.rounds)]
    found = {str(every): medians([one[every] for one in runs]) for every in settings}
    for every in settings:
        run = found[str(every)]
        name = f"recompute_every={every}" if every else "every step kept"
        if "failure" in run:
            print(f"{name:24} {run['failure']}", flush=True)
        else:
            print(f"{name:24} {run['seconds']:6.2f} s, peak {run['peak_mb']:,.0f} MB ({run['before_mb']:,.0f} before)")
    if options.save:
        results.save("recompute", {"steps": options.steps, "runs": found})


if __name__ == "__main__":
    main()
