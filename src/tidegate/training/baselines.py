"""What a recurrent network must beat: the average, compounding, and a linear model on simple statistics.

All of them are networks too, trained by the same loop on the same sequences and judged by the same others.
"""

from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from typing import Any

from tidegate.models.architecture import Architecture
from tidegate.sequences.features import Features, statistics
from tidegate.sequences.pooling import POOLINGS
from tidegate.training.corpus import Corpus
from tidegate.training.events import Epoch
from tidegate.training.examples import Examples, Labelled, SequenceExamples
from tidegate.training.settings import Settings

STATISTICS = "statistics"


def baselines(examples: Examples, config: Architecture, settings: Settings) -> dict[str, Any]:
    """Trains the baselines of a network.

    Args:
        examples: What the network is trained on and judged by.
        config: The network.
        settings: How it is trained; the baselines have learning rates of their own.

    Returns:
        The report of the best epoch by the name of the pooling, or "statistics" for a linear model on the mean,
        deviation, minimum, maximum and slopes of sequences of numbers, see `tidegate.sequences.features.statistics`.
    """
    loop, reports = import_module("tidegate.training.loop"), {}
    plain = replace(settings, chrono=None, orthogonal=False, watch_gradients=False, learning_rate=None)
    for name, data, pooling in _candidates(examples, config.cell):
        epochs = (event for event in loop.train(data, data.config(pooling), plain) if isinstance(event, Epoch))
        *_, best = (epoch.report for epoch in epochs if epoch.weights is not None)
        reports[name] = best
    return reports


def _candidates(examples: Examples, cell: str) -> Iterator[tuple[str, Examples, str]]:
    """Yields the baselines of a cell: name, what to train on, and the pooling to train."""
    for name in POOLINGS:
        if name != cell:
            yield name, examples, name
    if isinstance(examples, SequenceExamples):
        yield STATISTICS, _summed_up(examples), next(iter(POOLINGS))


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
    return replace(examples, features=features, train=parts[0], validation=parts[1])
