"""Text classifiers made of several parts beside TF-IDF with logistic regression and fastText.

Prints a table: accuracy and calibration error on the test part, log-loss, seconds and CPU seconds of training, and the
largest error of the explanations of 1,000 texts, means over seeds. Everybody reads the same texts. C of the logistic
regression is 1 or 10, whichever is better on a tenth of the texts to train on, and its time that of the last fit.
fastText has bigrams, 25 epochs and a learning rate of 0.1, 0.5 or 1, chosen likewise with the first seed, and 12
threads, as releases 0.9.2 and 0.9.3 start a tenth of the vectors a thread and leave the others 0; it is left out if it
is not installed (`pip install fasttext-wheel`). What tidegate takes is the whole command, with its baselines; options
that are none of these are passed on to it.

MR has no official split: each of its ten folds is a test part, and the first --folds of them are taken. Sets come from
TIDEGATE_DATA; IMDB, opinions and movie snippets also from `tidegate data`. Each run is a line on standard error.

    TIDEGATE_DATA=… python benchmarks/bench_parts.py --sets mr sst2 --parts ngrams auto --seeds 3
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from tidegate import load
from tidegate.data import datasets
from tidegate.data.opinions import movie_snippets, opinions
from tidegate.models.metrics.reports import score
from tidegate.text.tokenizer import Tokenizer

SETS = ("mr", "sst2", "sst5", "movie-snippets", "opinions", "imdb")
FETCHED: dict[str, Callable[[], datasets.Split]] = {
    "movie-snippets": movie_snippets,
    "opinions": opinions,
    "imdb": datasets.imdb,
}
COLUMNS = ["text", "label"]
EXPLAINED = 1000  # texts of the test part whose explanation is added up
HELD = 10  # one text in so many chooses C
WARMING = 500  # texts of a training before those that count: Python compiles what it imports for the first time
Row = tuple[float, ...]
Contestant = Callable[[pa.Table, pa.Table, range], Iterator[Row]]


def splits(name: str, folds: int) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Reads the training and the test part of a set, or of several folds."""
    folder = Path(os.environ["TIDEGATE_DATA"])
    if name != "mr":
        train, test = (folder / "sst" / f"{name}_{part}.parquet" for part in ("train", "test"))
        if name in FETCHED:
            train, test = FETCHED[name]()
        yield pq.read_table(train, columns=COLUMNS), pq.read_table(test, columns=COLUMNS)
        return
    table = pq.read_table(folder / "mr" / "rt_polarity.parquet")
    for fold in range(folds):
        test_rows = np.array(table["fold"]) == fold
        yield table.filter(pa.array(~test_rows)).select(COLUMNS), table.filter(pa.array(test_rows)).select(COLUMNS)


def measured(measure: Contestant, name: str, title: str, folds: int, seeds: range) -> Iterator[Row]:
    """Yields a row for each fold of a set and each seed."""
    for fold, (train, test) in enumerate(splits(name, folds)):
        for seed, row in enumerate(measure(train, test, seeds)):
            print(name, title, f"fold {fold}, seed {seed}:", *(f"{x:.4g}" for x in row), file=sys.stderr, flush=True)
            yield row


def since(wall: float, cpu: float) -> Row:
    """Returns the seconds and the CPU seconds since something began."""
    return perf_counter() - wall, process_time() - cpu


def scores(test: pa.Table, classes: list[Any], probabilities: Any) -> Row:
    """Returns accuracy, calibration error and log-loss of probabilities [B, C] of the test part."""
    targets = np.searchsorted(classes, np.array(test["label"]))
    report = score(targets, probabilities, [str(label) for label in classes])
    return report.accuracy, report.ece, report.log_loss


def bags_of_words(train: pa.Table, test: pa.Table, _: range) -> Iterator[Row]:
    """Fits TF-IDF of 1-2-grams with logistic regression, which has no seed, and judges it."""

    def fit(texts: list[str], labels: Any, cost: float) -> Any:
        regression = LogisticRegression(C=cost, max_iter=1000)
        return make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), regression).fit(texts, labels)

    texts, labels = train["text"].to_pylist(), np.array(train["label"])
    held = np.random.default_rng(0).permutation(len(texts)) < len(texts) // HELD
    parts = [[text for text, out in zip(texts, held, strict=True) if out == part] for part in (False, True)]
    costs = {cost: fit(parts[0], labels[~held], cost).score(parts[1], labels[held]) for cost in (1.0, 10.0)}
    began = perf_counter(), process_time()
    model = fit(texts, labels, max(costs, key=lambda cost: costs[cost]))
    taken = since(*began)
    yield *scores(test, model.classes_.tolist(), model.predict_proba(test["text"].to_pylist())), *taken


def fast_text(train: pa.Table, test: pa.Table, seeds: range) -> Iterator[Row]:
    """Trains fastText with bigrams on the words that tidegate reads, and judges it."""
    cut, texts, labels = Tokenizer.train(train["text"].to_pylist()).words, train["text"].to_pylist(), train["label"]
    lines = [" ".join(cut(text)).lower() for text in texts]
    marked = [f"__label__{label} {line}\n" for label, line in zip(labels.to_pylist(), lines, strict=True)]
    held = np.random.default_rng(0).permutation(len(texts)) < len(texts) // HELD

    def fit(some: list[str], rate: float, seed: int) -> Any:
        with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
            file.writelines(some)
            file.flush()
            options = {"wordNgrams": 2, "epoch": 25, "thread": 12, "seed": seed, "verbose": 0}
            return import_module("fasttext").train_supervised(file.name, lr=rate, **options)

    def right(model: Any) -> int:
        found = model.predict([line for line, out in zip(lines, held, strict=True) if out])[0]
        truth = [f"__label__{label}" for label, out in zip(labels.to_pylist(), held, strict=True) if out]
        return sum(names[0] == name for names, name in zip(found, truth, strict=True))

    kept = [line for line, out in zip(marked, held, strict=True) if not out]
    best = max((0.1, 0.5, 1.0), key=lambda rate: right(fit(kept, rate, seeds[0])))
    classes = sorted(set(labels.to_pylist()))
    places = {f"__label__{label}": c for c, label in enumerate(classes)}
    tested = [" ".join(cut(text)).lower() for text in test["text"].to_pylist()]
    for seed in seeds:
        began = perf_counter(), process_time()
        model = fit(marked, best, seed)
        taken = since(*began)
        probabilities = np.full((len(tested), len(classes)), 1e-7)
        for b, line in enumerate(tested):
            # `predict` gives all classes of texts in a list the largest probability, and fails on one text with numpy 2
            for share, name in model.f.predict(f"{line}\n", len(classes), 0.0, "strict"):
                probabilities[b, places[name]] += share
        yield *scores(test, classes, probabilities / probabilities.sum(axis=1, keepdims=True)), *taken


def tidegate(arguments: list[str]) -> str:
    """Runs a command, which finds Python files compiled as soon as they have been imported once."""
    command = [sys.executable, "-m", "tidegate", *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def own(parts: str, options: list[str]) -> Contestant:
    """Returns what trains a model of these parts, with more options, and judges it and its explanations."""

    def measure(train: pa.Table, test: pa.Table, seeds: range) -> Iterator[Row]:
        with tempfile.TemporaryDirectory() as place:
            files = [str(Path(place) / name) for name in ("train.parquet", "test.parquet")]
            for table, file in zip((train, test), files, strict=True):
                pq.write_table(table, file)
            path = str(Path(place) / "model.safetensors")
            few = str(Path(place) / "few.parquet")
            pq.write_table(train.take(np.arange(0, len(train), max(1, len(train) // WARMING))), few)
            tidegate(["train", few, "-o", path, "--parts", parts, "--epochs", "1"])
            for seed in seeds:
                before, began = _cpu_of_children(), perf_counter()
                how = ["--parts", parts, "--seed", str(seed), "--overwrite", *options]
                tidegate(["train", files[0], "-o", path, *how])
                taken = perf_counter() - began, _cpu_of_children() - before
                found = json.loads(tidegate(["evaluate", path, files[1], "--json"]))
                model = load(path)
                error = max(model.explain(text).error for text in test["text"].to_pylist()[:EXPLAINED])
                yield found["accuracy"], found["ece"], found["log_loss"], *taken, error

    return measure


def _cpu_of_children() -> float:
    """Returns the CPU seconds of all commands that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Prints a row for each set and kind of model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS)
    parser.add_argument("--parts", nargs="+", default=["ngrams", "auto"])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--folds", type=int, default=1, help="of MR, 1 to 10")
    parser.add_argument("--vectors", help="a file of word vectors that tidegate starts from too, in a row of its own")
    arguments, options = parser.parse_known_args()
    contestants: dict[str, Contestant] = {"TF-IDF + LR": bags_of_words}
    if find_spec("fasttext"):
        contestants["fastText"] = fast_text
    contestants |= {f"tidegate {parts}": own(parts, options) for parts in arguments.parts}
    if arguments.vectors:
        contestants["tidegate --vectors"] = own("auto", ["--vectors", arguments.vectors, *options])
    print("set            model                 accuracy     ECE  log-loss  seconds   CPU s    error", flush=True)
    for name in arguments.sets:
        for title, measure in contestants.items():
            rows = list(measured(measure, name, title, arguments.folds, range(arguments.seeds)))
            means = np.mean(rows, axis=0)
            print("{:14} {:20} {:9.4f} {:7.4f} {:9.4f} {:8.1f} {:7.1f}".format(name, title, *means[:5]), end="")
            print("".join(f" {error:8.1e}" for error in np.max(rows, axis=0)[5:]), flush=True)


if __name__ == "__main__":
    main()
