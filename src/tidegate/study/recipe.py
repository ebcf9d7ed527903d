"""The recipe of `tidegate train`: what each part of it is worth on short opinions, or on texts of the user."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.data import tables
from tidegate.data.opinions import opinions
from tidegate.inspection.statistics import Interval
from tidegate.models.metrics import Report
from tidegate.study import figures, reviews
from tidegate.study.findings import Figure, Findings, Row, Table, against, over_seeds, pick, scored, written
from tidegate.study.frame import Setup, Study
from tidegate.training.events import Epoch
from tidegate.training.examples import prepare_texts
from tidegate.training.loop import train
from tidegate.training.settings import Settings

STANDARD = "defaults"
RECIPES: Mapping[str, Mapping[str, Any]] = {
    STANDARD: {},
    "embedding from the texts": {"embedding_start": "texts"},
    "word dropout 0.05": {"word_dropout": 0.05},
    "no word dropout": {"word_dropout": 0.0},
    "no dropout of features": {"dropout": 0.0},
}
"""What differs from the defaults of `Settings`, by the name of the recipe."""


def conditions(setup: Setup) -> list[Row]:
    """Every recipe."""
    return [{"recipe": name} for name in RECIPES]


@cache
def texts(folder: Path | None) -> tables.Table:
    """Reads the texts to train on: of a folder, see `reviews.split`, or if None of `tidegate data opinions`.

    Raises:
        ConnectionError: They are nowhere and cannot be fetched.
    """
    return reviews.split(folder)[0] if folder else tables.read(opinions().train)


def ready(setup: Setup) -> None:
    """Sees to it that there are texts."""
    texts(setup.data)


def measure(condition: Row, seed: int, setup: Setup) -> Iterator[Row]:
    """Trains with one recipe on four fifths of the training texts, others for each seed, and judges by the fifth."""
    table, sizes = texts(setup.data), setup.sizes
    rows = np.random.default_rng(seed).permutation(len(table))[: sizes["texts"]]
    drawn = ([column[row] for row in rows] for column in (table.texts, table.labels or []))
    examples = prepare_texts(*drawn, validation=sizes["held_out"], seed=seed)
    settings = Settings(seed=seed, epochs=sizes["epochs"], **RECIPES[condition["recipe"]])
    config = examples.config("gru", hidden_size=sizes["hidden"], embedding_size=sizes["embedding"])
    events = train(examples, config, settings)
    *_, last = (event for event in events if isinstance(event, Epoch))
    assert isinstance(last.report, Report)  # noqa: S101 - for mypy: it was trained on classes
    yield {"score": last.report.accuracy, "ece": last.report.ece, "seconds": round(last.seconds, 2)}


def conclude(rows: Sequence[Row], setup: Setup) -> Findings:
    """Compares every recipe with the defaults, seed by seed."""
    groups = {name: some for name in RECIPES if (some := pick(rows, recipe=name))}
    accuracy, calibration = scored(groups), scored(groups, "ece")
    lines = [
        [
            name,
            written(accuracy[name], 1, 100),
            written(calibration[name]),
            f"{over_seeds(row['seconds'] for row in some).mean:.1f}",
        ]
        for name, some in groups.items()
    ]
    measures = {"accuracy": "score", "calibration error": "ece"}
    verdict = [against(STANDARD, name, groups, key) for name, key in measures.items() if STANDARD in groups]
    table = Table("Recipes", ["", "accuracy, %", "calibration error", "seconds"], lines)
    return Findings(verdict, [table], [_figure("accuracy", accuracy), _figure("calibration error", calibration)])


def _figure(what: str, intervals: Mapping[str, Interval]) -> Figure:
    caption = f"The {what} on held-out training texts after the last epoch; 95 % intervals over seeds."
    return figures.points(f"Recipes: {what}", caption, {"": {"": intervals}}, what)


STUDY = Study(
    name="recipe",
    title="The recipe of training",
    method=(
        "A GRU classifier is trained with the defaults of `tidegate train`, and with one part of them changed, on four "
        "fifths of the training texts of `tidegate data opinions`, or of the folder that --data names; the fifth "
        "judges it after the last epoch. Test texts are not read. Each seed has another fifth, start and order."
    ),
    sizes={"texts": None, "held_out": 0.2, "epochs": None, "hidden": 128, "embedding": 100},
    quick={"texts": 600, "epochs": 2, "hidden": 8, "embedding": 8},
    conditions=conditions,
    measure=measure,
    conclude=conclude,
    prepare=ready,
    seeds=3,
)
