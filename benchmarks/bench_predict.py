"""How long does it take to label the 25,000 test reviews of IMDB, as a whole command?

TIDEGATE_DATA=… python benchmarks/bench_predict.py [--models FOLDER] [--rounds 5] [--only PATTERN]

Each contender is a process that starts, loads a model, reads the reviews from Parquet, cuts them into words, labels
them, and writes all columns with the label and the probabilities of both classes as CSV. They take turns, each round in
a new order; figures are medians. The seconds of the processor, of all threads together, are printed beside: on a busy
machine they tell more. Models that FOLDER does not have yet are trained first. fastText: `pip install fasttext-wheel`.
"""

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter
from typing import Any

import contest

DATA = Path(os.environ.get("TIDEGATE_DATA", "")) / "imdb"
PARTS = {"tidegate, network": "network", "tidegate, n-grams": "ngrams", "tidegate, both": "network,ngrams"}
TFIDF = {"TF-IDF of words": 1, "TF-IDF of 1-2-grams": 2}
FASTTEXT = "fastText, 1-2-grams"
NAMES = (*PARTS, *TFIDF, FASTTEXT)


def model_of(name: str, folder: Path) -> Path:
    """Returns where the model of a contender is."""
    stem = re.sub(r"\W+", "-", name)
    return folder / f"{stem}.{'safetensors' if name in PARTS else 'joblib' if name in TFIDF else 'bin'}"


def train(name: str, model: Path) -> None:
    """Trains the model of a contender."""
    if name in PARTS:
        command = [sys.executable, "-m", "tidegate", "train", str(DATA / "train.parquet"), "-o", str(model)]
        subprocess.run([*command, "--parts", PARTS[name], "--no-baselines", "--epochs", "1"], check=True)
        return
    import pyarrow.parquet as pq  # noqa: PLC0415 - what a contender does not need is no part of its time

    table = pq.read_table(DATA / "train.parquet", columns=["text", "label"])
    texts, labels = table["text"].to_pylist(), table["label"].to_pylist()
    if name == FASTTEXT:
        import fasttext  # noqa: PLC0415 - likewise

        with tempfile.NamedTemporaryFile("w", suffix=".txt") as lines:
            lines.writelines(f"__label__{label} {line(text)}\n" for text, label in zip(texts, labels, strict=True))
            lines.flush()
            fasttext.train_supervised(lines.name, wordNgrams=2, epoch=5, lr=0.5, verbose=0).save_model(str(model))
        return
    import joblib  # noqa: PLC0415 - likewise
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415 - likewise
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - likewise
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415 - likewise

    vectorizer = TfidfVectorizer(ngram_range=(1, TFIDF[name]))
    joblib.dump(make_pipeline(vectorizer, LogisticRegression(C=10, max_iter=1000)).fit(texts, labels), model)


def line(text: str) -> str:
    """Makes one line of a text: fastText takes no other."""
    return text.replace("\n", " ").replace("\r", " ")


def predict(name: str, model: Path, output: Path) -> None:
    """Labels the reviews in this process, by a peer."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - as above
    from pyarrow import csv  # noqa: PLC0415 - likewise

    columns: dict[str, Any]
    if name == FASTTEXT:
        import fasttext  # noqa: PLC0415 - likewise

        network = fasttext.load_model(str(model))
        table = pq.read_table(DATA / "test.parquet")
        labels, scores = network.predict([line(text) for text in table["text"].to_pylist()], k=2)
        found = [dict(zip(pair, map(float, values), strict=True)) for pair, values in zip(labels, scores, strict=True)]
        columns = {"prediction": [pair[0].removeprefix("__label__") for pair in labels]}
        columns |= {f"p_{i}": [row[f"__label__{i}"] for row in found] for i in range(2)}
    else:
        import joblib  # noqa: PLC0415 - likewise

        pipeline = joblib.load(model)
        table = pq.read_table(DATA / "test.parquet")
        probabilities = pipeline.predict_proba(table["text"].to_pylist())
        columns = {"prediction": pipeline.classes_[probabilities.argmax(1)]}
        columns |= {f"p_{i}": probabilities[:, i].round(6) for i in range(2)}
    for column, values in columns.items():
        table = table.append_column(column, [values])
    csv.write_csv(table, output)


def taker(name: str, model: Path, output: Path) -> Callable[[], tuple[float, float]]:
    """Returns what runs a contender once: the seconds that pass, and those of the processor."""
    if name in PARTS:
        command = [sys.executable, "-m", "tidegate", "predict", str(model), str(DATA / "test.parquet")]
        command += ["-o", str(output), "--overwrite"]
    else:
        command = [sys.executable, __file__, "--child", name, str(model), str(output)]

    def run() -> tuple[float, float]:
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        passed, after = perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        return passed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return run


def main() -> None:
    """Prints a line for each contender."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=Path("bench-models"), help="where models are, or go")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="a regular expression that finds contenders")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        name, model, output = options.child
        predict(name, Path(model), Path(output))
        return
    options.models.mkdir(parents=True, exist_ok=True)
    names = [name for name in NAMES if re.search(options.only, name)]
    for name in names:
        if not model_of(name, options.models).exists():
            train(name, model_of(name, options.models))
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "predictions.csv"
        takers = {name: taker(name, model_of(name, options.models), output) for name in names}
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        order = Random(0)  # noqa: S311 - an order, no secret
        for _ in range(options.rounds):
            for name in order.sample(names, len(names)):
                times[name].append(takers[name]())
    print(f"{contest.machine()}; 25,000 reviews, the whole command, seconds")
    print(f"{'':22} {'passed':>8} {'processor':>10}")
    for name in names:
        passed, used = (median(column) for column in zip(*times[name], strict=True))
        print(f"{name:22} {passed:8.2f} {used:10.2f}", flush=True)


if __name__ == "__main__":
    main()
