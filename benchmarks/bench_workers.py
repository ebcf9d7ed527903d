"""Do two workers train as fast as two threads, what do they send, and how many workers are worth their price?

python benchmarks/bench_workers.py [--steps 40] [--turns 5] [--gigabits 10] [--price 0.05]

A GRU on texts of about 230 words, and one on sequences of 200 steps, are trained by one process with two threads and by
two workers with one thread each, in turns. Then a model of the time of a step is fitted to one process with one thread
at three sizes of a batch, and to sums of two sizes between two processes; what it says of two workers is printed beside
what was measured. The model says how many workers a network of so many gigabits a second feeds, and what a million
reviews cost at a price for an hour of a core.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from statistics import median
from typing import Any, NamedTuple

import numpy as np

import tidegate
from tidegate.training.baselines.baselines import Baseline
from tidegate.training.data.examples import Examples, prepare_sequences, prepare_texts
from tidegate.training.events import Step
from tidegate.training.run import Run
from tidegate.training.settings import Settings
from tidegate.training.workers import workers

ROWS, WORDS, BATCH = 3000, 20_000, 64
SIZES = (16, 32, 64)  # of a batch, for the fit
LONG = 1 << 20  # numbers of the longer of two sums
HELD_OUT = 0.02
SETTINGS = Settings(epochs=1000, patience=1000, batch_size=BATCH)


class Times(NamedTuple):
    """What a step takes, s: alike in every process; for a row of the batch; to begin a sum; for a byte of it."""

    alike: float
    row: float
    sum: float
    byte: float

    def step(self, rows: float, workers: int, size: float, per_byte: float | None = None) -> float:
        """Predicts a step of a batch of so many rows, whose gradients have so many bytes.

        A ring sends 2 (W − 1)/W of them from each process (Patarasu & Yuan 2009). `byte` is that of two processes.
        """
        byte = self.byte if per_byte is None else per_byte
        added = (self.sum * np.log2(workers) + byte * size * 2 * (workers - 1) / workers) if workers > 1 else 0.0
        return float(self.alike + self.row * rows / workers + added)


def texts() -> Examples:
    """Texts with the word frequencies of a language, and lengths as those of reviews."""
    rng = np.random.default_rng(0)
    names = np.array([f"w{i:x}" for i in range(WORDS)])
    lengths = np.minimum(rng.lognormal(5.2, 0.65, ROWS).astype(int) + 5, 1000)
    words = [names[np.minimum(rng.zipf(1.2, length), WORDS) - 1] for length in lengths]
    labels = rng.choice(["bad", "good"], ROWS).tolist()
    return prepare_texts([" ".join(row) for row in words], labels, validation=HELD_OUT)


def sensors() -> Examples:
    """Sequences of 200 steps of six numbers."""
    rng = np.random.default_rng(0)
    return prepare_sequences(rng.normal(size=(ROWS, 200, 6)), rng.choice(["a", "b"], ROWS), validation=HELD_OUT)


def stepping(run: Run, network: Baseline) -> Iterator[Step]:
    """The steps of a training."""
    return (event for event in run.train(network) if isinstance(event, Step))


class Speed(NamedTuple):
    """Steps done, s a step, and words read a second."""

    steps: int
    seconds: float
    words: float


def speed(steps: Iterator[Step], count: int) -> Speed:
    """Measures some steps, after one that is not measured."""
    first, began = next(steps), time.perf_counter()
    *_, last = islice(steps, count)
    seconds = time.perf_counter() - began
    return Speed(count, seconds / count, (last.words - first.words) / seconds)


def run_of(examples: Examples) -> Run:
    """A GRU of the usual size."""
    return Run(examples, examples.config("gru"), SETTINGS)


def sums(group: Any) -> list[tuple[int, float]]:
    """Times sums of a few numbers and of many, bytes and s; the other process does the same, see `Summing`."""
    found = []
    for size in (16, LONG):
        values = np.zeros(size, np.float32)
        taken = []
        for _ in range(20):
            began = time.perf_counter()
            group.sum(values)
            taken.append(time.perf_counter() - began)
        found.append((values.nbytes, median(taken)))
    return found


class Summing(Run):
    """A run that measures sums before it trains."""

    def train(self, *given: object) -> Iterator[object]:  # type: ignore[override]
        """Sums, then trains."""
        sums(self.group)
        yield from super().train(*given)  # type: ignore[arg-type]


def measured(
    run: Run, steps: int, turns: int
) -> tuple[list[tuple[Speed, Speed]], float, float, list[tuple[int, float]]]:
    """Measures one process with two threads and two workers in turns; bytes of a step, all and sent; and sums."""
    [network] = run.networks
    dense = sum(int(np.prod(shape)) for shape in run.config.shapes().values()) * 4
    summing = Summing(**vars(run))
    with workers(summing, 2) as shared:
        group: Any = shared.group
        of_sums = sums(group)
        two = stepping(Run(**vars(shared)), network)
        next(two)
        tidegate.set_num_threads(2)
        one = stepping(run, network)
        pairs, before, done = [], group.bytes, 0
        for _ in range(turns):
            tidegate.set_num_threads(2)
            alone = speed(one, steps)
            tidegate.set_num_threads(1)
            pairs.append((alone, speed(two, steps)))
            done += steps + 1
        sent = (group.bytes - before) / done
    return pairs, dense, sent, of_sums


def fitted(run: Run, steps: int, of_sums: list[tuple[int, float]]) -> Times:
    """Fits the model of a step to one process with one thread at some sizes of a batch, and to sums."""
    tidegate.set_num_threads(1)
    seconds = []
    for size in SIZES:
        sized = replace(run, settings=replace(run.settings, batch_size=size))
        seconds.append(speed(stepping(sized, *sized.networks), steps * BATCH // size // 2).seconds)
    row, alike = np.polyfit(SIZES, seconds, 1)
    (few, short), (many, long) = of_sums
    byte = max(0.0, (long - short) / (many - few))
    print(f"  fit: {1e3 * alike:.1f} ms a step in every process, {1e3 * row:.2f} ms a row, "
          f"{1e3 * short:.2f} ms to begin a sum, {1e-9 / byte:.2f} GB/s")  # fmt: skip
    for size, found in zip(SIZES, seconds, strict=True):
        print(f"    batch of {size:2}: {1e3 * found:6.1f} ms measured, {1e3 * (alike + row * size):6.1f} ms fitted")
    return Times(max(0.0, float(alike)), float(row), short, byte)


def report(name: str, examples: Examples, asked: argparse.Namespace) -> None:
    """Measures and predicts one kind of data."""
    run = run_of(examples)
    pairs, dense, sent, of_sums = measured(run, asked.steps, asked.turns)
    one, two = (median(pair[i].words for pair in pairs) for i in (0, 1))
    ratio = median(pair[1].words / pair[0].words for pair in pairs)
    print(f"{name}: {one:,.0f} {examples.unit} a second in one process with two threads, {two:,.0f} by two workers")
    print(f"  two workers ÷ two threads: {ratio:.2f} (from {min(b.words / a.words for a, b in pairs):.2f} "
          f"to {max(b.words / a.words for a, b in pairs):.2f})")  # fmt: skip
    print(f"  gradients of a step: {sent / 1e6:.2f} MB sent of {dense / 1e6:.2f} MB, {dense / sent:.1f} times less")
    times = fitted(run, asked.steps, of_sums)
    found = median(pair[1].seconds for pair in pairs)
    said = times.step(BATCH, 2, sent)
    print(f"  two workers: {1e3 * found:.1f} ms a step measured, {1e3 * said:.1f} ms predicted")
    per_byte = 8e-9 / asked.gigabits
    print(f"  machines of one core at {asked.gigabits:g} Gbit/s, batch of {BATCH} in all: workers, times as fast, "
          f"share of their cores in use, price of reading a million sequences once")  # fmt: skip
    alone = times.step(BATCH, 1, sent)
    for count in (1, 2, 4, 8, 16, 32):
        step = times.step(BATCH, count, sent, per_byte)
        price = 1e6 / BATCH * step * count / 3600 * asked.price
        print(f"    {count:3} {alone / step:6.2f} {alone / step / count:5.0%} {price:8.2f}")


def main() -> None:
    """Prints what was measured and predicted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=40, help="of each turn")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--gigabits", type=float, default=10, help="of the network, a second")
    parser.add_argument("--price", type=float, default=0.05, help="of an hour of a core, in any currency")
    parser.add_argument("--only", choices=["texts", "sensors"])
    asked = parser.parse_args()
    for name, make in (("texts", texts), ("sensors", sensors)):
        if asked.only in {None, name}:
            report(name, make(), asked)


if __name__ == "__main__":
    main()
