"""Does training on more data than memory stay within its memory, and is it as fast as on data in memory?

python benchmarks/bench_large_training.py [--gigabytes 0.5 1 2] [--rows 10 20] [--memory 2GB] [--steps 300]
    [--workers N] [--folder FOLDER] [--epoch]

For each size, texts of so many gigabytes are generated as Parquet files, and a long table of so many million rows, ten
numbers wide. A process of its own reads each as `tidegate train --memory` does. It reads all batches of an epoch from
the disk, takes some steps of training, alone or as one of several workers, and says the most memory that it or another
worker ever had. Then steps on a disk and steps in memory take turns, for the words per second of both. An epoch of
training itself takes hours on texts; what it reads is what the pass over all batches reads. With --epoch it is trained
nonetheless, and judged by what is held out, instead of some steps. The disk needs about twice the size of the texts.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from tidegate.data import series
from tidegate.data.series import Asked
from tidegate.data.series.apart import Apart
from tidegate.data.tables.folders import stream
from tidegate.training.data.examples import Examples
from tidegate.training.data.memory import memory_of
from tidegate.training.data.spooled.gathered import Plan
from tidegate.training.data.spooled.preparing import spool_sequences, spool_texts
from tidegate.training.events import Epoch, Step
from tidegate.training.settings import Settings

WORDS, SENTENCES, FILE_ROWS = 200_000, 50_000, 50_000
KEY_ROWS, FEATURES = 100, 3
TURNS = 5


def write_texts(folder: Path, gigabytes: float) -> None:
    """Writes reviews of 4 to 20 sentences, whose words have the frequencies of a language, and which one word tells."""
    rng = np.random.default_rng(0)
    words = np.array([f"w{i:x}" for i in range(WORDS)])
    drawn = np.minimum(rng.zipf(1.2, (SENTENCES, 12)), WORDS) - 1
    sentences = [" ".join(row) + "." for row in words[drawn]]
    written = number = 0
    while written < gigabytes * 1e9:
        labels = rng.choice(["good", "bad"], FILE_ROWS).tolist()
        counts, picked = rng.integers(4, 20, FILE_ROWS), iter(rng.integers(0, SENTENCES, FILE_ROWS * 20).tolist())
        texts = [
            " ".join([*(sentences[next(picked)] for _ in range(count)), label, f"u{rng.integers(1 << 40):x}"])
            for label, count in zip(labels, counts.tolist(), strict=True)
        ]
        parquet.write_table(pa.table({"text": texts, "label": labels}), folder / f"{number:05}.parquet")
        written, number = written + sum(map(len, texts)), number + 1


def write_rows(folder: Path, millions: float) -> None:
    """Writes the rows of sequences of 100 steps, mixed as those of many sensors that report in turn."""
    rng = np.random.default_rng(0)
    keys = int(millions * 1e6) // KEY_ROWS
    labels = np.array(["up", "down"])[np.arange(keys) % 2]
    for number in range(KEY_ROWS):
        who = rng.permutation(keys)
        columns = {f"x{k}": rng.normal(np.where(who % 2, 0.2, -0.2)) for k in range(FEATURES)}
        table = pa.table({"who": who, "when": np.full(keys, number), **columns, "label": labels[who]})
        parquet.write_table(table, folder / f"{number:05}.parquet")


def examples_of(kind: str, folder: Path, memory: int) -> Examples:
    """Reads a folder part by part."""
    plan = Plan(memory=memory, folder=folder.parent)
    if kind == "texts":
        tables = stream(str(folder), text="text", label="label", need_label=True, size=4096, others=False)
        return spool_texts(((table.texts, table.labels) for table in tables), plan)
    asked = Asked(key="who", time="when", labels=("label",))
    parts = series.stream(str(folder), asked, need_label=True, apart=Apart(64, folder.parent))
    return spool_sequences(((part.sequences, part.labels["label"]) for part in parts), plan)


def stepping(examples: Examples) -> Iterator[Step]:
    """The steps of a training of a GRU."""
    from tidegate.training.network.loop import train  # noqa: PLC0415 - in the child alone

    config = examples.config("gru")
    return (event for event in train(examples, config, Settings(epochs=100)) if isinstance(event, Step))


def speed(steps: Iterator[Step], count: int) -> float:
    """Words per second of some steps."""
    first, start = next(steps), time.perf_counter()
    *_, last = islice(steps, count)
    return (last.words - first.words) / (time.perf_counter() - start)


def read_all(examples: Examples) -> float:
    """Reads the batches of an epoch from the disk, all rows once, and returns the words per second."""
    rows = words = 0
    start = time.perf_counter()
    for pool, chosen in examples.source.batches(64, np.random.default_rng(0)):
        rows, words = rows + len(chosen), words + pool.corpus.count(chosen)
    if (rows, words) != (len(examples.source), examples.source.steps):
        raise RuntimeError(f"{rows} rows of {words} words were read, but there are {len(examples.source)} rows")
    return words / (time.perf_counter() - start)


def train_together(examples: Examples, steps: int | None, count: int) -> None:
    """Takes some steps of training with so many processes, or trains an epoch and says what came of it."""
    from tidegate.training.run import Run  # noqa: PLC0415 - in the child alone
    from tidegate.training.workers import workers  # noqa: PLC0415

    run = Run(examples, examples.config("gru"), Settings(epochs=100 if steps else 1))
    start, taken = time.perf_counter(), 0
    with workers(run, count) as shared:
        [network] = shared.networks
        for event in islice(shared.train(network), steps):
            taken += isinstance(event, Step)
            if isinstance(event, Epoch):
                seconds = time.perf_counter() - start
                scores = f"accuracy {event.report.accuracy:.2%} of {len(examples.validation):,} that were held out"
                print(f"an epoch of {taken:,} steps in {seconds:,.0f} s; {scores}", file=sys.stderr, flush=True)


def child(kind: str, folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Reads, trains, and says what that took."""
    steps, start = asked.steps, time.perf_counter()
    examples = examples_of(kind, folder, memory_of(asked.memory, asked.workers))
    seconds = time.perf_counter() - start
    all_read = read_all(examples)
    train_together(examples, None if asked.epoch else steps, asked.workers)
    peaks = [resource.getrusage(who).ru_maxrss * 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    on_disk, here = stepping(examples), stepping(replace(examples, spool=None))
    both = [(speed(on_disk, steps // TURNS), speed(here, steps // TURNS)) for _ in range(TURNS)]
    return {
        "rows": len(examples.source),
        "steps": examples.source.steps,
        "seconds": seconds,
        "all_read": all_read,
        "peak": max(peaks),
        "speed": median(one for one, _ in both),
        "ratio": median(one / other for one, other in both),
    }


def main() -> None:
    """Prints a row for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, nargs="*", default=[0.5, 1, 2])
    parser.add_argument("--rows", type=float, nargs="*", default=[10, 20], help="millions")
    parser.add_argument("--memory", default="2GB")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--epoch", action="store_true", help="train a whole epoch")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        kind, folder = asked.child
        print(json.dumps(child(kind, Path(folder), asked)))
        return
    print("data               rows trained on          steps  made in  read in  again, steps/s   most memory   steps/s"
          "  on disk ÷ in memory")  # fmt: skip
    sizes = [("texts", size) for size in asked.gigabytes] + [("rows", size) for size in asked.rows]
    for kind, size in sizes:
        with tempfile.TemporaryDirectory(dir=asked.folder) as place:
            folder = Path(place) / "data"
            folder.mkdir()
            if kind == "texts" and shutil.disk_usage(place).free < 2e9 * size:
                raise OSError(f"{place} has no room for twice {size:g} GB")
            start = time.perf_counter()
            (write_texts if kind == "texts" else write_rows)(folder, size)
            made = time.perf_counter() - start
            command = [sys.executable, __file__, "--memory", asked.memory, "--steps", str(asked.steps)]
            command += ["--workers", str(asked.workers), *(["--epoch"] if asked.epoch else [])]
            done = subprocess.run([*command, "--child", kind, folder], check=True, stdout=subprocess.PIPE, text=True)
        found = json.loads(done.stdout)
        name = f"texts, {size:g} GB" if kind == "texts" else f"{size:g} million rows"
        counts = f"{found['rows']:15,} {found['steps']:14,} {made:6.0f} s {found['seconds']:6.0f} s"
        speeds = f"{found['peak'] / 1e9:10.2f} GB {found['speed']:9,.0f} {found['ratio']:20.2f}"
        print(f"{name:18} {counts} {found['all_read']:15,.0f} {speeds}", flush=True)


if __name__ == "__main__":
    main()
