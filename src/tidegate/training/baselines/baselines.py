"""What a recurrent network must beat: the average, compounding, and a linear model on simple statistics.

Where steps are foreseen or labelled, they are simple `forecasts`.

All of them are networks too, trained by the same loop on the same sequences and judged by the same others.
"""

from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from typing import Any, NamedTuple

from tidegate.models.architecture import Architecture
from tidegate.sequences.features import Features, statistics
from tidegate.sequences.pooling import POOLINGS
from tidegate.text.vectors import WordVectors
from tidegate.training.baselines.forecasts import forecasts
from tidegate.training.data.corpus import Corpus
from tidegate.training.data.examples import Examples, SequenceExamples
from tidegate.training.data.labelled import Labelled
from tidegate.training.events import Epoch
from tidegate.training.settings import Settings

STATISTICS = "statistics"


class Baseline(NamedTuple):
    """One of the baselines of a network.

    Attributes:
        name: The name of the pooling, or "statistics" for a linear model on the mean, deviation, minimum, maximum and
            slopes of sequences of numbers, see `tidegate.sequences.features.statistics`.
        examples: What to train on and to judge by.
        config: What to train, of the network's own type.
        settings: How to train it.
    """

    name: str
    examples: Examples
    config: Any
    settings: Settings


def candidates(
    examples: Examples, config: Architecture, settings: Settings, rate: float | None = None
) -> Iterator[Baseline]:
    """Yields the baselines of a network, which differ from it in what stands in the place of the recurrent layer.

    Args:
        examples: What the network is trained on and judged by.
        config: The network, whose sizes they have.
        settings: How it is trained; a baseline has a learning rate of its own, and nothing that is about gates. The
            noise is for steps: the poolings have it too, statistics have not.
        rate: The growth factor of compounding; None to learn it.
    """
    if config.aim.each_step:
        return  # what they are compared with are `forecasts`
    plain = replace(settings, chrono=None, orthogonal=False, watch_gradients=False, learning_rate=None)
    for name, pooling in POOLINGS.items():
        if name != config.cell:
            alike = replace(config, cell=name, rate=rate if pooling.has_rate else None)
            yield Baseline(name, examples, alike, plain)
    if isinstance(examples, SequenceExamples):
        summed_up = _summed_up(examples)
        yield Baseline(STATISTICS, summed_up, summed_up.config(next(iter(POOLINGS))), replace(plain, noise=0.0))


def baselines(
    examples: Examples, config: Architecture, settings: Settings, vectors: WordVectors | None = None
) -> dict[str, Any]:
    """Trains the baselines of a network.

    Args:
        examples: What the network is trained on and judged by.
        config: The network.
        settings: How it is trained, see `candidates`.
        vectors: The word vectors that it starts from.

    Returns:
        The report of the best epoch of each by its name.
    """
    loop = import_module("tidegate.training.network.loop")
    reports: dict[str, Any] = {}
    if examples.aim.each_step:
        reports |= forecasts(examples)
    for name, *how in candidates(examples, config, settings):
        epochs = (event for event in loop.train(*how, vectors) if isinstance(event, Epoch))
        *_, best = (epoch.report for epoch in epochs if epoch.weights is not None)
        reports[name] = best
    return reports


def _summed_up(examples: SequenceExamples) -> SequenceExamples:
    """Replaces each sequence by one step, its statistics, whose average is a linear model's input."""
    rows = {
        part: [statistics(labelled.corpus.row(b))[None] for b in range(len(labelled))]
        for part, labelled in (("train", examples.train), ("validation", examples.validation))
    }
    features = Features.of(rows["train"])

    def scaled(part: str, labelled: Labelled) -> Labelled:
        return replace(labelled, corpus=Corpus.from_rows(features.read(part, row) for row in rows[part]))

    parts = scaled("train", examples.train), scaled("validation", examples.validation)
    return replace(examples, features=features, frontend=None, train=parts[0], validation=parts[1], spool=None)
