"""Prints the table of docs/demo.md: does `make demo` tell the same story with every seed?

python docs/make_demo.py [--seeds 5] [options of tidegate train]

Runs the real commands on `tidegate data opinions`: trains with each seed, evaluates each kind of opinion apart, and
reads the texts of the Makefile: two sentences, and a pair with the same words in another order, which no bag of words
tells apart. The seeds are the first ones; none is left out.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from make_pictures import texts_of_demo

import tidegate
from tidegate.data import opinions

HEADS = ("seed", *opinions.SOURCES, "all", "I love … so much", "… where", "An epic … storms.", "… boring.", "pair")


def command(*arguments: str) -> str:
    """Runs the command line and returns what it prints."""
    words = [sys.executable, "-m", "tidegate", *arguments]
    done = subprocess.run(words, check=True, capture_output=True, text=True)  # noqa: S603 - the command above
    return done.stdout


def after(model: tidegate.TextModel, text: str, *words: str) -> list[float]:
    """Returns the probability of the second class after the first occurrence of each word, and at the end."""
    read, probabilities = model.probability_after(text)
    return [float(probabilities[step, 1]) for step in (*map(read.index, words), -1)]


def measure(seed: int, options: list[str], split: tuple[Path, Path], folder: Path) -> list[str]:
    """Trains and reads with one seed; returns the cells of its row."""
    path = str(folder / f"{seed}.safetensors")
    command("train", str(split[0]), "--no-baselines", "--seed", str(seed), "-o", path, *options)
    scores = json.loads(command("evaluate", path, str(split[1]), "--by", "source", "--json"))
    model = tidegate.load(path, tidegate.TextModel)
    loved, bored, *pair = texts_of_demo()
    figures = [scores["by"]["source"][source]["accuracy"] for source in opinions.SOURCES] + [scores["accuracy"]]
    figures += after(model, loved, "much") + after(model, bored, ".")
    first, second = model.predict_proba(pair)[:, 1]
    return [str(seed), *(f"{figure:.3f}" for figure in figures), f"{first:.2f} > {second:.2f}"]


def main() -> None:
    """Prints a row for each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the opinions are, or will be")
    arguments, options = parser.parse_known_args()
    split = opinions.opinions(arguments.folder)
    print("| " + " | ".join(HEADS) + " |")
    print("|---" * len(HEADS) + "|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(arguments.seeds):
            print("| " + " | ".join(measure(seed, options, split, Path(folder))) + " |", flush=True)


if __name__ == "__main__":
    main()
