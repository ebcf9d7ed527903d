"""What does a drop-in take right after an operation that torch has shared among its threads, and after a rest?

python benchmarks/bench_beside_torch.py [--calls 15]

torch's threads spin for milliseconds after an operation, on the processors that ours are about to use. Medians in µs
of a call without gradients: again and again; each right after a `torch.nn.Linear` of the same size; after 10 ms in
which nothing runs; and on one thread. Beside it torch's own layer after the same `Linear`.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch

import contest
import tidegate
import tidegate.torch

SHAPES = [(128, 128, 50, 8), (128, 128, 200, 1), (512, 512, 200, 1), (100, 128, 200, 32), (512, 512, 64, 16)]  # I/H/T/B
COLUMNS = ("at once", "after a Linear", "after 10 ms", "one thread", "torch after a Linear")


def microseconds(call: Callable[[], object], calls: int, before: Callable[[], object]) -> float:
    """Returns the median time of a call, each after something that does not count."""
    times = []
    for _ in range(calls):
        before()
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return median(times) * 1e6


def measure(I: int, H: int, T: int, B: int, calls: int) -> list[float]:
    """Returns a time for each column."""
    layer, theirs, linear = tidegate.torch.GRU(I, H), torch.nn.GRU(I, H), torch.nn.Linear(I, I)
    x, threads = torch.randn(T, B, I), tidegate.get_num_threads()
    for each in (linear, theirs, layer):
        each(x)
    time.sleep(0.1)

    def rest() -> None:
        time.sleep(0.01)

    times = [microseconds(lambda: layer(x), calls, before) for before in (int, lambda: linear(x), rest)]
    tidegate.set_num_threads(1)
    times.append(microseconds(lambda: layer(x), calls, rest))
    tidegate.set_num_threads(threads)
    return [*times, microseconds(lambda: theirs(x), calls, lambda: linear(x))]


def main() -> None:
    """Prints a line for each shape."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=15, help="calls of each kind")
    calls = parser.parse_args().calls
    print(f"{contest.machine()}; {tidegate.get_num_threads()} threads\n")
    print(f"| I/H/T/B | {' | '.join(COLUMNS)} |\n|---|{'---:|' * len(COLUMNS)}")
    with torch.inference_mode():
        for shape in SHAPES:
            cells = [f"{each:,.0f}" for each in measure(*shape, calls)]
            print(f"| {'/'.join(map(str, shape))} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
