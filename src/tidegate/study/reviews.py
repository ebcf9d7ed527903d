"""Real reviews, and classifiers trained on a part of them."""

from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tidegate import tables
from tidegate.config import Config
from tidegate.data import Split, imdb
from tidegate.examples import Examples, prepare
from tidegate.metrics import Report
from tidegate.model import Model
from tidegate.settings import Epoch, Settings
from tidegate.study.findings import Row
from tidegate.study.frame import Setup
from tidegate.training import to_model, train


@dataclass(frozen=True)
class Fitted:
    """A classifier after its last epoch: nothing is chosen by the texts that judge it.

    Attributes:
        model: The classifier, without torch.
        report: Its scores on the reviews held out.
        curve: Accuracy on them after each epoch.
        seconds: That training took.
    """

    model: Model
    report: Report
    curve: list[float]
    seconds: float


@cache
def split(folder: Path | None) -> tuple[tables.Table, tables.Table]:
    """Reads the reviews to train on and those to test.

    Args:
        folder: A folder with train.parquet and test.parquet, or with imdb/train.parquet and imdb/test.parquet; None for
            where `tidegate data imdb` keeps them. They are fetched if they are nowhere.
    """
    own = Split(folder / "train.parquet", folder / "test.parquet") if folder else None
    files = own if own and all(path.is_file() for path in own) else imdb(folder)
    return tables.read(files.train), tables.read(files.test)


@lru_cache(maxsize=8)
def examples(
    folder: Path | None, train: int, test: int, max_length: int, seed: int, *, shuffled: bool = False
) -> Examples:
    """Draws reviews to train on and reviews to test, another choice for each seed.

    Args:
        folder: As in `split`.
        train: How many to train on; all if there are fewer.
        test: How many to judge by.
        max_length: Words of a review that are read.
        seed: Of the choice, and of the order of shuffled words.
        shuffled: Whether the words of each review are put in a random order, once.
    """
    (texts, labels), held = (
        _some(table, count, seed) for table, count in zip(split(folder), (train, test), strict=True)
    )
    prepared = prepare(texts, labels, validation=held, max_length=max_length)
    return _shuffled(prepared, np.random.default_rng(seed)) if shuffled else prepared


def held_out(setup: Setup, count: int, seed: int) -> list[str]:
    """Draws reviews of the test part, the first of those that `examples` draws with this seed."""
    return _some(split(setup.data)[1], count, seed)[0]


def _some(table: tables.Table, count: int, seed: int) -> tuple[list[str], list[str]]:
    rows = np.random.default_rng(seed).permutation(len(table))[:count]
    labels = table.labels or []
    return [table.texts[row] for row in rows], [labels[row] for row in rows]


def _shuffled(prepared: Examples, rng: np.random.Generator) -> Examples:
    """Puts the words of each text in a random order; the texts are cut off before, so that they keep their words."""
    for part in (prepared.train, prepared.validation):
        for start, end in zip(part.corpus.offsets[:-1], part.corpus.offsets[1:], strict=True):
            rng.shuffle(part.corpus.ids[start:end])
    return prepared


def ready(setup: Setup) -> None:
    """Sees to it that there are reviews.

    Raises:
        ConnectionError: They are nowhere and cannot be fetched.
    """
    split(setup.data)


def drawn(setup: Setup, seed: int, **options: Any) -> Examples:
    """Draws reviews with the sizes of a setup: `train`, `test` and `max_length`."""
    sizes = {name: options.pop(name, setup.sizes.get(name)) for name in ("train", "test", "max_length")}
    return examples(setup.data, **sizes, seed=seed, **options)


def classifier(reviews: Examples, config: Config, seed: int, **settings: Any) -> Fitted:
    """Trains a classifier on reviews.

    Args:
        reviews: As `examples` returns them.
        config: What to train.
        seed: Of its start, the order of batches and dropout.
        settings: Other fields of `Settings`.

    Raises:
        FloatingPointError: Training came apart.
    """
    wanted = Settings(seed=seed, **{"patience": 10**6, **settings})
    epochs = [event for event in train(reviews, config, wanted) if isinstance(event, Epoch)]
    last = epochs[-1]
    return Fitted(to_model(reviews, config, last), last.report, [e.report.accuracy for e in epochs], last.seconds)


def accuracy(fitted: Fitted, others: Examples) -> float:
    """Judges a classifier by the held-out part of other examples with the same vocabulary, such as shuffled ones."""
    held = others.validation
    ids = [held.corpus.ids[start:end] for start, end in zip(held.corpus.offsets, held.corpus.offsets[1:], strict=False)]
    embedding = fitted.model.arrays["embedding.weight"]
    logits = fitted.model.head(fitted.model.summaries(ids, embedding))
    return float((logits.argmax(axis=1) == held.classes).mean())


def facts(fitted: Fitted) -> Row:
    """What a row keeps of a classifier."""
    return {"accuracy": fitted.report.accuracy, "curve": fitted.curve, "training_seconds": round(fitted.seconds, 2)}
