"""The trainings of `tidegate train`, one after the other on the screen: baselines, the network, its parts joined."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tidegate.cli.comparison import Trained, compare
from tidegate.cli.console import err, note
from tidegate.cli.gradients import report_gradients
from tidegate.cli.progress import Stop, follow
from tidegate.models.config import TextConfig
from tidegate.training.baselines import Baseline
from tidegate.training.checkpoints import Checkpoints
from tidegate.training.events import DivergedError, Epoch, Gradients
from tidegate.training.parts import NGRAMS, TOGETHER, Joined
from tidegate.training.run import Run


@dataclass
class Trainings:
    """The trainings of a run, and how far they have come.

    Attributes:
        run: What is trained.
        checkpoints: Where an interrupted run is continued from.
        results: What was trained so far, by cell, "ngrams" or "together".
        made: The model of the parts, where they have been joined.
        gradients: Gradient norms after each epoch, if they are watched.
        ended: Whether everything was trained.
        diverged: Whether a training has diverged, as a resumed one would again.
    """

    run: Run
    checkpoints: Checkpoints | None = None
    results: dict[str, Trained] = field(default_factory=dict)
    made: tuple[TextConfig, Trained] | None = None
    gradients: list[Gradients] = field(default_factory=list)
    ended: bool = False
    diverged: bool = False

    def complete(self, stop: Stop) -> None:
        """Trains everything, and compares.

        Raises:
            DivergedError: A training has diverged.
        """
        with self.run.joining() as join:
            for network in self.run.networks:
                self._train(network, stop)
                if stop.wanted:
                    break
            self.ended = not stop.wanted
            if self.ended:
                self._join(join)
        if self.results:
            compare(self.results)

    @property
    def best(self) -> tuple[TextConfig, Trained] | None:
        """What to write: the model of the parts, or the network, or, if that ended in its first epoch, a baseline."""
        wanted = self.results.get(self.run.config.cell)
        if self.made or not self.results:
            return self.made
        if wanted:
            return self.run.config, wanted
        cell = max(self.results, key=lambda cell: self.results[cell].best.report.quality)
        return next(each.config for each in self.run.baselines if each.name == cell), self.results[cell]

    def _train(self, network: Baseline, stop: Stop) -> None:
        """Trains a network."""
        config, best = network.config, None
        events = report_gradients(self.run.train(network, self.checkpoints), config, network.settings, self.gradients)
        try:
            for epoch in follow(config.reader.title, events, stop):
                best = epoch if epoch.weights is not None else best
                if best:
                    self.results[config.cell] = Trained(config.reader.title, config.recurrent, best, epoch.seconds)
        except DivergedError:
            self.diverged = True
            raise

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
