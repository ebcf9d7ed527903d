"""Draws the pictures of inspection.md, prints its table: docs/make_inspection.py MODEL CHRONO LSTM TEXTS [COUNT].

MODEL, CHRONO and LSTM are models of film reviews, CHRONO and LSTM trained with `--chrono`; TEXTS is a table of reviews
that they have not seen, of which COUNT, 500 if not given, are compared for the first two.
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

import tidegate
from tidegate.cli import main as run
from tidegate.data import tables
from tidegate.inspection.attribution import compare

BORED = "A long tale of brothers and wars and ships and storms. But the movie is really boring."
LOVED = "I love this movie so much, and then it goes on and on about the plot of the story and who meets whom and where"
FOLDER = Path(__file__).parent / "pictures"


def interval(record: dict[str, float]) -> str:
    """Writes a mean with its interval."""
    return f"{record['mean']:.2f} ({record['low']:.2f} … {record['high']:.2f})"


def table(records: list[dict[str, Any]]) -> Iterable[str]:
    """Makes the rows of the table, a column for each model."""
    names = {"gains": "deletion, gain of {}", "agreement": "agreement of {}"}
    for kind, title in names.items():
        for name in records[0][kind]:
            cells = " | ".join(interval(record[kind][name]) for record in records)
            yield f"| {title.format(name.replace(', ', ' and '))} | {cells} |"
    for name in records[0]["errors"]:
        cells = " | ".join(f"{record['errors'][name]:.0e}" for record in records)
        yield f"| largest error of the sum, {name} | {cells} |"


def main() -> None:
    """Writes four pictures to docs/pictures and prints the table."""
    model, chrono, lstm, texts = sys.argv[1:5]
    pictures = {
        "explain-bored": (model, BORED, "ledger"),
        "explain-loved": (model, LOVED, "integrated-gradients"),
        "explain-loved-chrono": (chrono, LOVED, "ledger"),
        "explain-bored-lstm": (lstm, BORED, "ledger"),
    }
    FOLDER.mkdir(exist_ok=True)
    for name, (path, text, method) in pictures.items():
        run(["explain", path, text, "--method", method, "--png", str(FOLDER / f"{name}.png")])
    reviews = tables.read(texts).texts
    count = int(sys.argv[5]) if len(sys.argv) > 5 else 500
    chosen = [reviews[i] for i in np.random.default_rng(0).choice(len(reviews), count, replace=False)]
    records = [compare(tidegate.load(path), chosen, seed=0) for path in (model, chrono)]
    print(f"{records[0]['texts']} texts")
    print(*table(records), sep="\n")


if __name__ == "__main__":
    main()
