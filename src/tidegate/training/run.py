"""A run: everything that decides what is trained, and the steps from there to a model, which need PyTorch."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

from tidegate.models.architecture import Architecture
from tidegate.models.network import Network
from tidegate.text.vectors import WordVectors
from tidegate.training.baselines.baselines import STATISTICS, Baseline
from tidegate.training.beside import beside
from tidegate.training.checkpoints import Checkpoints
from tidegate.training.data.examples import Examples, TextExamples
from tidegate.training.events import Epoch, Events
from tidegate.training.fingerprint import fingerprint
from tidegate.training.group import ALONE, Group
from tidegate.training.ngrams.parts import Joined, Joiner, Parts, join
from tidegate.training.settings import Settings


@dataclass(frozen=True)
class Run:
    """What is trained: networks, one after the other, and then the parts of a model.

    Attributes:
        examples: What to train on and to judge by.
        config: The network, or the one that n-grams stand in the place of.
        settings: How to train it.
        vectors: Word vectors to start from.
        parts: What the model is made of; None for the network as it was trained, which is not calibrated.
        baselines: Networks to train before it, to be compared with.
        group: The processes that train together.
        pretraining: What is trained before the network, which starts from it, see `tidegate.training.pretraining`.
    """

    examples: Examples
    config: Any
    settings: Settings
    vectors: WordVectors | None = None
    parts: Parts | None = None
    baselines: Sequence[Baseline] = ()
    group: Group = ALONE
    pretraining: Baseline | None = None

    @property
    def network(self) -> Baseline | None:
        """The network with what it is trained on; None if there is none."""
        trained = self.parts is None or self.parts.network
        return Baseline(self.config.cell, self.examples, self.config, self.settings) if trained else None

    @property
    def networks(self) -> list[Baseline]:
        """All networks, in the order of their training."""
        return [*self.baselines, *([self.network] if self.network else [])]

    def fingerprint(self) -> dict[str, Any]:
        """Describes what decides the weights, see `fingerprint`."""
        beside = [each.config for each in self.baselines if each.name != STATISTICS]
        described = fingerprint(self.examples, self.config, self.settings, self.vectors, beside)
        if self.pretraining:
            before = fingerprint(self.pretraining.examples, self.pretraining.config, self.pretraining.settings)
            described |= {f"{name} of pretraining": value for name, value in before.items()}
        return described

    def train(
        self, network: Baseline, checkpoints: Checkpoints | None = None, start: Mapping[str, Any] | None = None
    ) -> Events:
        """Trains one of the networks, or what is trained before, see `tidegate.training.network.loop.train`."""
        loop = import_module("tidegate.training.network.loop")
        if network.name == STATISTICS:  # trained in a moment, and to a checkpoint it would look like the average
            checkpoints = None
        how = network.examples, network.config, network.settings, self.vectors, checkpoints
        events: Events = loop.train(*how, start=start, group=self.group)
        return events

    def train_all(self, checkpoints: Checkpoints | None = None) -> None:
        """Trains all networks, as every process of a group does; what becomes of them the first one may report."""
        start: Mapping[str, Any] | None = None
        for network in (*self.baselines, self.pretraining, self.network):
            for event in self.train(network, checkpoints, start) if network else ():
                if network is self.pretraining and isinstance(event, Epoch) and event.weights is not None:
                    start = event.weights

    @contextmanager
    def joining(self) -> Iterator[Callable[[Epoch | None], Joined]]:
        """Fits the n-grams beside the trainings that the context holds.

        Yields:
            What makes models of the parts, given the best epoch of the network, see `ngrams.parts.join`.
        """
        assert isinstance(self.examples, TextExamples)  # noqa: S101 - for mypy: only texts have parts
        assert self.parts  # noqa: S101
        joiner = Joiner(self.examples, self.settings)
        joined = partial(join, joiner, self.config, self.parts)
        if not self.parts.ngrams:
            yield partial(joined, ngrams=None)
            return
        with beside(partial(joiner.ngrams, self.config)) as ngrams:
            yield lambda best: joined(best, ngrams())

    def model(self, config: Architecture, epoch: Epoch, figures: Mapping[str, Any] | None = None) -> Network:
        """Makes the model of an epoch with weights, see `tidegate.training.network.loop.to_model`."""
        model: Network = import_module("tidegate.training.network.loop").to_model(self.examples, config, epoch, figures)
        return model
