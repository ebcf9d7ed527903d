"""Does `make demo` tell the same story with every seed?

python benchmarks/bench_demo.py [--seeds 5] [options of tidegate train]

Runs the real commands on `tidegate data opinions`: trains with each seed, evaluates each kind of opinion apart, and
reads the two sentences of the Makefile and a pair of texts with the same words in another order, which no bag of words
tells apart. Shown are the probabilities of a positive opinion; nothing is chosen by them.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import tidegate
from contest import machine
from tidegate.data import opinions

PAIR = ("The story is dull, but the cast is wonderful.", "The cast is wonderful, but the story is dull.")
HEADS = ("seed", *opinions.SOURCES, "all", '"so much"', "its end", 'before "but"', "its end", "pair")


def command(*arguments: str) -> str:
    """Runs the command line and returns what it prints."""
    words = [sys.executable, "-m", "tidegate", *arguments]
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def sentences() -> tuple[str, str]:
    """Takes the two sentences of `make demo` from the Makefile."""
    makefile = (Path(__file__).parents[1] / "Makefile").read_text("utf-8")
    loved, bored = (re.search(rf"^{name} := '(.*)'$", makefile, re.MULTILINE) for name in ("LOVED", "BORED"))
    assert loved and bored
    return loved[1], bored[1]


def after(model: tidegate.TextModel, text: str, *words: str) -> list[float]:
    """Returns the probability of the second class after the first occurrence of each word, and at the end."""
    read, probabilities = model.probability_after(text)
    return [float(probabilities[step, 1]) for step in (*map(read.index, words), -1)]


def measure(seed: int, options: list[str], split: tuple[Path, Path], folder: Path) -> list[str]:
    """Trains and reads with one seed; returns the cells of its row."""
    path = str(folder / f"{seed}.safetensors")
    command("train", str(split[0]), "--no-baselines", "--seed", str(seed), "-o", path, *options)
    scores = json.loads(command("evaluate", path, str(split[1]), "--by", "source", "--json"))
    model = tidegate.load(path)
    loved, bored = sentences()
    figures = [scores["by"]["source"][source]["accuracy"] for source in opinions.SOURCES] + [scores["accuracy"]]
    figures += after(model, loved, "much") + after(model, bored, ".")
    first, second = model.predict_proba(PAIR)[:, 1]
    return [str(seed), *(f"{figure:.3f}" for figure in figures), f"{first:.2f} > {second:.2f}"]


def main() -> None:
    """Prints a row for each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the opinions are, or will be")
    arguments, options = parser.parse_known_args()
    split = opinions.opinions(arguments.folder)
    print(f"{machine()}; tidegate train {' '.join(options)}\n")
    print("| " + " | ".join(HEADS) + " |")
    print("|---" * len(HEADS) + "|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(arguments.seeds):
            print("| " + " | ".join(measure(seed, options, split, Path(folder))) + " |", flush=True)


if __name__ == "__main__":
    main()
