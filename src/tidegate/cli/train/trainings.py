"""The trainings of `tidegate train`, one after the other on the screen: baselines, the network, its parts joined."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tidegate.cli.console import err, note, say
from tidegate.cli.train.comparison import Trained, compare
from tidegate.cli.train.gradients import report_gradients
from tidegate.cli.train.progress import Stop, follow
from tidegate.models.architecture import Architecture
from tidegate.training.baselines.baselines import STATISTICS, Baseline
from tidegate.training.baselines.forecasts import forecasts
from tidegate.training.checkpoints import Checkpoints
from tidegate.training.data.examples import Examples
from tidegate.training.events import DivergedError, Epoch, Gradients
from tidegate.training.ngrams.parts import NGRAMS, TOGETHER, Joined
from tidegate.training.run import Run


@dataclass
class Trainings:
    """The trainings of a run, and how far they have come.

    Attributes:
        run: What is trained.
        checkpoints: Where an interrupted run is continued from.
        compared: Whether predictions without a network are judged too, the mean or simple forecasts.
        results: What was trained so far, by the cell of the network, the name of a baseline, "ngrams" or "together".
        made: The model of the parts, where they have been joined.
        gradients: Gradient norms after each epoch, if they are watched.
        before: How well the words of texts were foreseen after pretraining.
        ended: Whether everything was trained.
        diverged: Whether a training has diverged, as a resumed one would again.
    """

    run: Run
    checkpoints: Checkpoints | None = None
    compared: bool = True
    results: dict[str, Trained] = field(default_factory=dict)
    made: tuple[Architecture, Trained] | None = None
    gradients: list[Gradients] = field(default_factory=list)
    before: dict[str, float] = field(default_factory=dict)
    ended: bool = False
    diverged: bool = False

    def complete(self, stop: Stop) -> None:
        """Trains everything, and compares.

        Raises:
            DivergedError: A training has diverged.
        """
        if self.run.parts:
            with self.run.joining() as join:
                self._train_all(stop)
                if self.ended:
                    self._join(join)
        else:
            if self.compared:
                self.results |= _beside(self.run.examples)
            self._train_all(stop)
        if self.results:
            compare(self.results, self.run.config.cell)

    @property
    def best(self) -> tuple[Architecture, Trained] | None:
        """What to write: the model of the parts, or the network, or, if that ended in its first epoch, a baseline."""
        configs = {each.name: each.config for each in self.run.networks if each.examples is self.run.examples}
        trained = {name: result for name, result in self.results.items() if name in configs}
        if self.made or not trained:
            return self.made
        wanted = self.run.config.cell
        name = wanted if wanted in trained else max(trained, key=lambda name: trained[name].best.report.quality)
        return configs[name], trained[name]

    def _train_all(self, stop: Stop) -> None:
        """Trains the networks, one after the other."""
        try:
            for network in self.run.networks:
                start = None
                if self.run.pretraining and network.name == self.run.config.cell:
                    start = self._pretrain(self.run.pretraining, stop)
                if not stop.wanted:
                    self._train(network, stop, start)
                if stop.wanted:
                    return
        except DivergedError:
            self.diverged = True
            raise
        self.ended = True

    def _pretrain(self, before: Baseline, stop: Stop) -> Mapping[str, Any] | None:
        """Trains what the network starts from, and says how well it foresees."""
        best = None
        for epoch in follow(before.name, self.run.train(before, self.checkpoints), stop, before.examples.unit):
            best = epoch if epoch.weights is not None else best
        if best is None:
            return None
        report = best.report
        say(f"pretraining: {report.nats:.3f} nats a word, perplexity {report.perplexity:.1f}, {best.seconds:.0f} s")
        self.before = {"nats": report.nats, "perplexity": report.perplexity, "seconds": best.seconds}
        return best.weights

    def _train(self, network: Baseline, stop: Stop, start: Mapping[str, Any] | None) -> None:
        """Trains a network, from its own start or a given one."""
        config, best = network.config, None
        title = network.name if network.name == STATISTICS else config.reader.title
        events = self.run.train(network, self.checkpoints, start)
        events = report_gradients(events, config, network.settings, self.gradients)
        for epoch in follow(title, events, stop, self.run.examples.unit):
            best = epoch if epoch.weights is not None else best
            if best:
                self.results[network.name] = Trained(title, config.recurrent, best, epoch.seconds)

    def _join(self, join: Callable[[Epoch | None], Joined]) -> None:
        """Joins the parts, and notes what each comes to."""
        network = self.results.get(self.run.config.cell)
        with err.status("n-grams"):
            joined = join(network.best if network else None)
        for name in joined.judged:
            self.results[name] = self._trained(joined, name, network.best.epoch if network else 0)
        self.made = joined.model.config, self.results[joined.name]
        if joined.remark:
            note(joined.remark)

    def _trained(self, joined: Joined, name: str, number: int) -> Trained:
        """Describes one of the models of the parts, given the best epoch of the network."""
        reader, model = self.run.config.reader, joined.judged[name]
        title = {NGRAMS: "n-grams", TOGETHER: f"{reader.title} + n-grams"}.get(name, reader.title)
        ordered = name == self.run.config.cell and self.run.config.recurrent
        return Trained(title, ordered, model.as_epoch(number), model.seconds, model.weights)


def _beside(examples: Examples) -> dict[str, Trained]:
    """Judges predictions that need no network: of numbers their mean, of the next steps simple forecasts."""
    reports: dict[str, Any] = {}
    if examples.aim.truth == "numbers":
        truth = examples.validation.targets
        name, constant = examples.aim.constant(examples.train.targets, examples.labels)
        predicted = np.broadcast_to(constant, (len(truth), len(examples.labels)))
        reports = {name: examples.aim.score(truth, predicted, examples.labels)}
    if examples.aim.each_step:
        reports = forecasts(examples)
    return {
        name: Trained(name, False, Epoch(0, float("nan"), report, 0.0, None), 0.0) for name, report in reports.items()
    }
