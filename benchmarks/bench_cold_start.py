"""How long does a fresh process take to its first prediction, and how much memory?

python benchmarks/bench_cold_start.py MODEL [--rounds 9]

Each round is a process of its own: `import tidegate`, `tidegate.load`, one text predicted. Python's own start is not
counted in the time, but in the memory, which is the peak of the process. Figures are medians.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

STEPS = ("import tidegate", "load", "first prediction")


def start(path: str) -> list[float]:
    """Does the steps in this process; returns the seconds of each, and the peak of memory in MB."""
    times = [time.perf_counter()]
    import tidegate  # noqa: PLC0415 - it is what is timed

    times.append(time.perf_counter())
    model = tidegate.load(path, tidegate.TextModel)
    times.append(time.perf_counter())
    model.predict_proba(["a good film"])
    times.append(time.perf_counter())
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    return [*(after - before for before, after in pairwise(times)), peak]


def main() -> None:
    """Prints a line for each step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a model that reads texts")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(start(options.model)))
        return
    command = [sys.executable, __file__, options.model, "--child"]
    found = [
        json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        for _ in range(options.rounds)
    ]
    *seconds, peak = map(statistics.median, zip(*found, strict=True))
    print(f"{options.model}, {Path(options.model).stat().st_size / 1e6:.1f} MB")
    for step, time_ in zip(STEPS, seconds, strict=True):
        print(f"{step:17} {time_ * 1000:6.1f} ms")
    print(f"{'together':17} {sum(seconds) * 1000:6.1f} ms, {peak:.1f} MB at most")


if __name__ == "__main__":
    main()
