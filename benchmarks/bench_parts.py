"""Text classifiers made of several parts beside TF-IDF with logistic regression, on the sets in TIDEGATE_DATA.

Prints a table: accuracy and calibration error on the test part, seconds of the whole command, and the largest error of
the explanations of 1,000 texts. MR has no official split: its fold 0 is the test part. Both read the same files; C of
the logistic regression is 1 or 10, whichever is better on a tenth of the texts to train on.

    TIDEGATE_DATA=… python benchmarks/bench_parts.py --sets mr sst2 --parts ngrams gru,ngrams
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from tidegate import load
from tidegate.models.metrics import Report, score

SETS = ("mr", "sst2", "sst5", "imdb")
EXPLAINED = 1000  # texts of the test part whose explanation is added up
HELD = 10  # one text in so many chooses C


def split(folder: Path, name: str) -> tuple[pa.Table, pa.Table]:
    """Reads the training and the test part of a set."""
    columns = ["text", "label"]
    if name == "mr":
        table = pq.read_table(folder / "mr" / "rt_polarity.parquet")
        test = np.array(table["fold"]) == 0
        return table.filter(pa.array(~test)).select(columns), table.filter(pa.array(test)).select(columns)
    where = folder / "imdb" if name == "imdb" else folder / "sst"
    stem = "" if name == "imdb" else f"{name}_"
    train, test = (pq.read_table(where / f"{stem}{part}.parquet", columns=columns) for part in ("train", "test"))
    return train, test


def bags_of_words(train: pa.Table, test: pa.Table) -> tuple[Report, float]:
    """Fits TF-IDF of 1-2-grams with logistic regression, and judges it; the time is that of the last fit."""

    def fit(texts: list[str], labels: Any, cost: float) -> Any:
        regression = LogisticRegression(C=cost, max_iter=1000)
        return make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), regression).fit(texts, labels)

    texts, labels = train["text"].to_pylist(), np.array(train["label"])
    held = np.random.default_rng(0).permutation(len(texts)) < len(texts) // HELD
    parts = [[text for text, out in zip(texts, held, strict=True) if out == part] for part in (False, True)]
    costs = {cost: fit(parts[0], labels[~held], cost).score(parts[1], labels[held]) for cost in (1.0, 10.0)}
    began = perf_counter()
    model = fit(texts, labels, max(costs, key=lambda cost: costs[cost]))
    seconds = perf_counter() - began
    names = [str(label) for label in model.classes_]
    return score(np.array(test["label"]), model.predict_proba(test["text"].to_pylist()), names), seconds


def tidegate(arguments: list[str]) -> str:
    """Runs a command."""
    command = [sys.executable, "-m", "tidegate", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def ledger_error(path: str, texts: list[str]) -> float:
    """Explains texts; returns the largest difference between the sum of an explanation and a logit."""
    model = load(path)
    return max(model.explain(text).error for text in texts)


def main() -> None:
    """Prints a row for each set and kind of model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS)
    parser.add_argument("--parts", nargs="+", default=["ngrams", "gru,ngrams"])
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    folder = Path(os.environ["TIDEGATE_DATA"])
    print(f"{'set':6} {'model':16} {'accuracy':>9} {'ECE':>7} {'log-loss':>9} {'seconds':>8} {'ledger':>8}")
    with tempfile.TemporaryDirectory() as place:
        files = {part: str(Path(place) / f"{part}.parquet") for part in ("train", "test")}
        model = str(Path(place) / "model.safetensors")
        for name in arguments.sets:
            parts = dict(zip(files, split(folder, name), strict=True))
            for part, table in parts.items():
                pq.write_table(table, files[part])
            report, seconds = bags_of_words(parts["train"], parts["test"])
            row = report.accuracy, report.ece, report.log_loss, seconds
            print("{:6} {:16} {:9.4f} {:7.4f} {:9.4f} {:8.1f}".format(name, "TF-IDF + LR", *row), flush=True)
            for wanted in arguments.parts:
                rows = []
                for seed in range(arguments.seeds):
                    began = perf_counter()
                    options = ["--parts", wanted, "--no-baselines", "--seed", str(seed), "--overwrite"]
                    tidegate(["train", files["train"], "-o", model, *options])
                    seconds = perf_counter() - began
                    figures = json.loads(tidegate(["evaluate", model, files["test"], "--json"]))
                    rows.append((figures["accuracy"], figures["ece"], figures["log_loss"], seconds))
                error = ledger_error(model, parts["test"]["text"].to_pylist()[:EXPLAINED])
                means = (*np.mean(rows, axis=0), error)
                print("{:6} {:16} {:9.4f} {:7.4f} {:9.4f} {:8.1f} {:8.1e}".format(name, wanted, *means), flush=True)


if __name__ == "__main__":
    main()
