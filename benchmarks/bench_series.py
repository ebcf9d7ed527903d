"""How well are short multivariate series classified, beside MiniRocket and the nearest neighbour by time warping?

python benchmarks/bench_series.py --aeon PYTHON [--seeds 5] [--threads 2] [--sets JapaneseVowels BasicMotions]

JapaneseVowels has 270 utterances of unequal length to train on and 370 to test, 12 features and 9 speakers;
BasicMotions has 40 and 40, 6 features and 4 activities: the official split, as the package aeon carries them. PYTHON is
an interpreter with aeon (pip install aeon==1.6.0, best in an environment of its own), in which the peers run.
MiniRocket takes no unequal lengths: it gets series that are filled up with zeros. All train on the whole training part.
The settings were chosen on the training parts, which no script repeats. The test parts have been looked at
without noise before: with two learning rates, 0.01 and 0.006, and with batches of 8.
Seconds are those of training and prediction, without the time in which numba compiles.
"""

import argparse
import json
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

import tidegate
from contest import machine
from tidegate.data import series

SETS: dict[str, dict[str, Any]] = {"JapaneseVowels": {"batch_size": 32}, "BasicMotions": {"batch_size": 16}}
HOW: dict[str, Any] = {"hidden_size": 128, "bidirectional": True, "summary": "mean+max"}
HOW |= {"epochs": 40, "learning_rate": 0.006, "noise": 0.5}

Part = tuple[list[npt.NDArray[Any]], npt.NDArray[Any]]
_FOLDER = "import aeon.datasets, pathlib; print(pathlib.Path(aeon.datasets.__file__).parent / 'data')"


def accuracy(train: Part, test: Part, seed: int, **own: Any) -> tuple[float, float]:
    """Accuracy of a GRU, and seconds of training and prediction."""
    began = time.perf_counter()
    model = tidegate.fit(*train, validation=0, seed=seed, **HOW, **own)
    right = model.predict(test[0]) == test[1]
    return float(right.mean()), time.perf_counter() - began


def read(folder: Path, name: str) -> dict[str, Part]:
    """Reads both parts of a set."""
    found = {part: series.read(folder / name / f"{name}_{part.upper()}.ts") for part in ("train", "test")}
    return {part: (table.sequences, np.array(table.labels["label"])) for part, table in found.items()}


def output(*command: Any) -> str:
    """What a command prints."""
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout


def results(python: str, folder: Path, name: str, seeds: int, threads: int) -> Iterator[tuple[str, Any]]:
    """Yields accuracies and seconds of each classifier on a set."""
    parts = read(folder, name)
    accuracy(parts["train"], parts["train"], 0, **SETS[name])  # which warms up
    yield "tidegate, GRU", [accuracy(parts["train"], parts["test"], seed, **SETS[name]) for seed in range(seeds)]
    arrays: dict[str, Any] = {}
    for part, (sequences, labels) in parts.items():
        arrays |= {
            part: np.concatenate(sequences),
            f"{part}_lengths": list(map(len, sequences)),
            f"{part}_labels": labels,
        }
    with TemporaryDirectory() as place:
        packed = Path(place) / "packed.npz"
        np.savez(packed, **arrays)
        lines = output(python, Path(__file__).with_name("series_peers.py"), packed, seeds, threads).splitlines()
    yield from map(json.loads, lines)


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--aeon", metavar="PYTHON", required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    arguments = parser.parse_args()
    tidegate.set_num_threads(arguments.threads)
    folder = Path(output(arguments.aeon, "-c", _FOLDER).strip())
    print(f"{machine()}; {arguments.threads} threads; {HOW}, {SETS}\n")
    print("| set | classifier | test accuracy, mean | by seed | seconds, median |\n|---|---|---:|---|---:|", flush=True)
    for name in arguments.sets:
        for title, found in results(arguments.aeon, folder, name, arguments.seeds, arguments.threads):
            scores, seconds = zip(*found, strict=True)
            each = ", ".join(f"{score:.2%}" for score in scores)
            mean, median = statistics.mean(scores), statistics.median(seconds)
            print(f"| {name} | {title} | {mean:.2%} | {each} | {median:.2f} |", flush=True)


if __name__ == "__main__":
    main()
