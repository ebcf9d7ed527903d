"""Real reviews, and classifiers trained on a part of them."""

from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tidegate.data import tables
from tidegate.data.datasets import Split, imdb
from tidegate.models.config import TextConfig
from tidegate.models.text_model import TextModel
from tidegate.ops.cells import CELLS, Cell
from tidegate.study.findings import Row
from tidegate.study.frame import Setup
from tidegate.training.data.corpus import Corpus
from tidegate.training.data.examples import TextExamples, prepare_texts
from tidegate.training.data.labelled import Labelled
from tidegate.training.data.labels import class_indices
from tidegate.training.events import Epoch
from tidegate.training.network.loop import to_model, train
from tidegate.training.settings import Settings


class Drawn(NamedTuple):
    """Reviews to train on, of which a tenth chooses the epoch, and others to judge by.

    Attributes:
        examples: What to train on, and to choose by.
        test: What to judge by, from the test part of the data.
    """

    examples: TextExamples
    test: Labelled

    def config(self, setup: Setup, cell: str = "gru", **fields: Any) -> TextConfig:
        """Describes a classifier of the setup's sizes, `review_hidden` and `embedding`, with choices of the cell."""
        chosen = {name: fields.pop(name) for name in CELLS[cell].choices if name in fields} if cell in CELLS else {}
        sizes = {"hidden_size": setup.sizes["review_hidden"], "embedding_size": setup.sizes["embedding"]}
        return self.examples.config(str(Cell.of(cell, **chosen)) if chosen else cell, **sizes, **fields)


GUESSING: Row = {"score": 0.5, "held_out": 0.5}
"""What a row keeps of a training that has come apart: its network can only guess."""


@dataclass(frozen=True)
class Fitted:
    """A trained classifier.

    Attributes:
        model: That of the best epoch, without torch.
        accuracy: On the reviews to judge by.
        held_out: On those that have chosen the epoch.
        curve: Accuracy on those that choose the epoch, after each epoch.
        seconds: That training took.
    """

    model: TextModel
    accuracy: float
    held_out: float
    curve: list[float]
    seconds: float

    def facts(self) -> Row:
        """What a row keeps of it."""
        kept = {"score": self.accuracy, "held_out": self.held_out, "curve": self.curve}
        return kept | {"seconds": round(self.seconds, 2)}


@cache
def split(folder: Path | None) -> tuple[tables.Table, tables.Table]:
    """Reads the reviews to train on and those to test.

    Args:
        folder: A folder with train.parquet and test.parquet, or with imdb/train.parquet and imdb/test.parquet; None for
            where `tidegate data imdb` keeps them. They are fetched if they are nowhere.

    Raises:
        FileNotFoundError: There is no such folder.
    """
    if folder and not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder} with reviews")
    own = Split(folder / "train.parquet", folder / "test.parquet") if folder else None
    files = own if own and all(path.is_file() for path in own) else imdb(folder)
    return tables.read(files.train), tables.read(files.test)


def ready(setup: Setup) -> None:
    """Sees to it that there are reviews.

    Raises:
        ConnectionError: They are nowhere and cannot be fetched.
    """
    split(setup.data)


def draw(setup: Setup, seed: int, *, train: int | None = None, shuffled: bool = False) -> Drawn:
    """Draws reviews, others for each seed: `train`, `test` and `max_length` of the setup's sizes.

    Args:
        setup: The setup.
        seed: Of the choice, and of the order of shuffled words.
        train: How many to train on; None for that of the setup.
        shuffled: Whether the words of each review are put in a random order, once.
    """
    sizes = setup.sizes
    return _draw(setup.data, train or sizes["train"], sizes["test"], sizes["max_length"], seed, shuffled)


@lru_cache(maxsize=8)
def _draw(folder: Path | None, train: int, test: int, max_length: int, seed: int, shuffled: bool) -> Drawn:
    learn, judge = split(folder)
    texts, labels = _some(learn, train, seed)
    examples = prepare_texts(texts, labels, max_length=max_length, seed=seed)
    texts, labels = _some(judge, test, seed)
    classes = class_indices(labels, examples.labels, "the test part", len(texts))
    held = Labelled(Corpus.from_texts(texts, examples.tokenizer, max_length), classes)
    if shuffled:
        rng = np.random.default_rng(seed)
        for corpus in (examples.train.corpus, examples.validation.corpus, held.corpus):
            for start, end in pairwise(corpus.offsets):
                rng.shuffle(corpus.steps[start:end])  # cut off before, so that each keeps the words that are read
    return Drawn(examples, held)


def held_out(setup: Setup, count: int, seed: int) -> list[str]:
    """Draws reviews of the test part, the first of those that `draw` draws with this seed."""
    return _some(split(setup.data)[1], count, seed)[0]


def _some(table: tables.Table, count: int, seed: int) -> tuple[list[str], list[str]]:
    rows = np.random.default_rng(seed).permutation(len(table))[:count]
    labels = table.labels or []
    return [table.texts[row] for row in rows], [labels[row] for row in rows]


def classifier(drawn: Drawn, config: TextConfig, seed: int, **settings: Any) -> Fitted:
    """Trains a classifier and judges it.

    Args:
        drawn: The reviews.
        config: What to train.
        seed: Of its start, the order of batches and dropout.
        settings: Other fields of `Settings`.

    Raises:
        FloatingPointError: Training came apart.
    """
    events = train(drawn.examples, config, Settings(seed=seed, **settings))
    epochs = [event for event in events if isinstance(event, Epoch)]
    *_, kept = (epoch for epoch in epochs if epoch.weights)
    model = to_model(drawn.examples, config, kept)
    assert isinstance(model, TextModel)  # noqa: S101 - for mypy: it was trained on texts
    curve = [epoch.report.accuracy for epoch in epochs]
    return Fitted(model, accuracy(model, drawn.test), kept.report.accuracy, curve, epochs[-1].seconds)


def accuracy(model: TextModel, labelled: Labelled) -> float:
    """Judges a model by texts that are word ids already, such as shuffled ones."""
    rows = [labelled.corpus.row(b) for b in range(len(labelled))]
    logits = model.head(model.summaries(rows, model.arrays["embedding.weight"]))
    return float((logits.argmax(axis=1) == labelled.targets).mean())
