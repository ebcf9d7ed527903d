"""What `tidegate train` trains, one after the other: baselines, then what was asked for; and the model it writes."""

import gc
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

import typer

from tidegate.cli import outputs
from tidegate.cli.comparison import Trained, compare
from tidegate.cli.console import err, note, say
from tidegate.cli.gradients import report_gradients
from tidegate.cli.progress import Stop, follow
from tidegate.files.writing import is_stream, remove_unfinished
from tidegate.models.config import TextConfig
from tidegate.text.vectors import WordVectors
from tidegate.training.baselines import Baseline
from tidegate.training.checkpoints import Checkpoints
from tidegate.training.events import DivergedError, Gradients
from tidegate.training.examples import TextExamples
from tidegate.training.fingerprint import fingerprint
from tidegate.training.parts import PARTS, Joiner, Judged, Part
from tidegate.training.settings import Settings

AUTO, NGRAMS, TOGETHER = "auto", "ngrams", "together"
_NEEDED = 0.005  # share by which the log-loss must rise without a part for the part to be kept


@dataclass
class Trainings:
    """What is trained, one after the other, and what comes of it.

    Attributes:
        loop: The module of the training loop, which needs torch.
        examples: The texts.
        settings: How to train what was asked for.
        vectors: Word vectors to start from.
        config: What was asked for.
        baselines: What is trained before it, to be compared with.
        output: The model's file.
        parts: What the model is made of.
        choose: Whether a part may be left out if the texts to judge by do not need it.
        made: The model of these parts.
        checkpoints: Where an interrupted run is continued from.
        results: What was trained, by cell.
        gradients: Gradient norms after each epoch, if they are watched.
        ended: Whether everything was trained.
        diverged: Whether a training has diverged, as a resumed one would again.
    """

    loop: Any
    examples: TextExamples
    settings: Settings
    vectors: WordVectors | None
    config: TextConfig
    baselines: list[Baseline]
    output: Path
    parts: Sequence[Part] = PARTS
    choose: bool = False
    made: tuple[TextConfig, Trained] | None = None
    checkpoints: Checkpoints | None = None
    results: dict[str, Trained] = field(default_factory=dict)
    gradients: list[Gradients] = field(default_factory=list)
    ended: bool = False
    diverged: bool = False

    def prepare_checkpoints(self, every: float, *, resume: bool) -> None:
        """Decides where checkpoints are, and looks at those that an interrupted run has left.

        Raises:
            CheckpointError: They are damaged or of another run.
            ValueError: There is nothing to resume, as the model is written to a device or a pipe.
        """
        if is_stream(self.output):
            if resume:
                raise ValueError(f"--resume needs a model file with checkpoints beside it, but {self.output} is none")
            return
        folder = self.output.with_name(f"{self.output.name}.checkpoint")
        if resume:
            remove_unfinished(self.output.parent, self.output.name)
        beside = [each.config for each in self.baselines]
        run = fingerprint(self.examples, self.config, self.settings, self.vectors, beside)
        self.checkpoints = Checkpoints(folder, run, resume=resume, every=every, tell=note)

    def complete(self, began: float) -> None:
        """Trains and writes: whatever happens, the best so far is written."""
        with Stop() as stop:
            try:
                self.run(stop)
            finally:
                with stop.held():
                    self.write(began, stop)

    def run(self, stop: Stop) -> None:
        """Trains everything, and compares."""
        gc.freeze()  # or the collector would look through all of torch and the texts, again and again
        asked = [(self.config, self.settings)] * ("network" in self.parts)
        for config, settings in [*[(each.config, each.settings) for each in self.baselines], *asked]:
            self._train(config, settings, stop)
            if stop.wanted:
                break
        self.ended = not stop.wanted
        if self.ended:
            self._join()
        if self.results:
            compare(self.results)

    def _join(self) -> None:
        """Fits the n-grams, weighs the parts on the texts to judge by, and chooses among them."""
        joiner, network = Joiner(self.examples, self.settings), self.results.get(self.config.cell)
        judged: dict[str, Judged] = {}
        if "ngrams" in self.parts:
            with err.status("n-grams"):
                judged[NGRAMS] = joiner.ngrams(self.config)
        if network:
            judged[self.config.cell] = joiner.network(self.config, network.best)
        if len(judged) == len(PARTS) and network:
            judged[TOGETHER] = joiner.together(self.config, network.best, judged[NGRAMS])
        titles = {NGRAMS: "n-grams", TOGETHER: f"{self.config.reader.title} + n-grams"}
        for name, model in judged.items():
            ordered = name == self.config.cell and self.config.recurrent
            epoch = model.as_epoch(network.best.epoch if network else 0)
            title = titles.get(name, self.config.reader.title)
            self.results[name] = Trained(title, ordered, epoch, model.seconds, model.weights)
        name = (needed(judged) if self.choose else list(judged)[-1]) if judged else ""
        if judged:
            self.made = judged[name].config, self.results[name]

    def _train(self, config: TextConfig, settings: Settings, stop: Stop) -> None:
        events, best = self.loop.train(self.examples, config, settings, self.vectors, self.checkpoints), None
        try:
            for epoch in follow(config.reader.title, report_gradients(events, config, settings, self.gradients), stop):
                best = epoch if epoch.weights is not None else best
                if best:
                    self.results[config.cell] = Trained(config.reader.title, config.recurrent, best, epoch.seconds)
        except DivergedError as error:
            self.diverged = True
            if error.best and config is self.config:
                error.args = (f"{error}; the best epoch before, {error.best.epoch}, is in {self.output}",)
            raise

    def write(self, began: float, stop: Stop) -> None:
        """Writes the model: of what was asked for, or, if that ended in its first epoch, of the best baseline.

        Args:
            began: When the command began, seconds as `perf_counter` counts them.
            stop: What may have stopped it.

        Raises:
            OSError: It cannot be written.
            typer.Exit: Training was stopped.
        """
        config, wanted = self.made or self._best(stop)
        if wanted:
            beside = {name: result.figures() for name, result in self.results.items() if result is not wanted}
            figures: dict[str, Any] = {"baselines": beside, "weights": dict(wanted.weights)}
            if self.gradients:
                figures["gradients"] = [asdict(after_epoch)["walks"] for after_epoch in self.gradients]
            outputs.save_somewhere(self.loop.to_model(self.examples, config, wanted.best, figures).save, self.output)
            size = f" ({self.output.stat().st_size / 1e6:.1f} MB)" * self.output.is_file()
            say(f"wrote {self.output}{size} after {perf_counter() - began:.0f} s")
        if self.checkpoints and (self.ended or self.diverged):
            self.checkpoints.remove(previous=self.ended)
        elif self.checkpoints and stop.wanted:
            note(f"--resume continues this run: its checkpoint is in {self.checkpoints.folder}")
        if stop.wanted:
            raise typer.Exit(stop.exit_code)

    def _best(self, stop: Stop) -> tuple[TextConfig, Trained | None]:
        """Chooses what to write."""
        wanted = self.results.get(self.config.cell)
        if wanted:
            return self.config, wanted
        early = f"stopped before the first epoch of {self.config.cell} ended"
        if not self.results:
            if stop.wanted:  # otherwise an error says why
                note(f"{early}: there is no model to write")
            return self.config, None
        best = max(self.results, key=lambda cell: self.results[cell].best.report.quality)
        note(f"{early}: the best so far is the model of the {self.results[best].title}")
        return next(each.config for each in self.baselines if each.name == best), self.results[best]


def wanted_parts(wanted: str, cell: str) -> list[Part]:
    """Reads `--parts`: names of parts with commas between them; the network may be called by its cell.

    Raises:
        ImportError: n-grams are wanted, and scikit-learn is missing.
        ValueError: A name is unknown, or there is none.
    """
    names = {"network", NGRAMS} if wanted == AUTO else {name.strip() for name in wanted.split(",")}
    named = {"network": "network" in names or cell in names, "ngrams": NGRAMS in names}
    if unknown := sorted(names - {"network", NGRAMS, cell}):
        raise ValueError(f"--parts has {unknown[0]!r}, expected {cell}, ngrams, or {cell},ngrams")
    if named["ngrams"]:
        import_module("tidegate.training.ngrams")  # without scikit-learn there is no need to read anything
    return [part for part in PARTS if named[part]]


def needed(judged: Mapping[str, Judged]) -> str:
    """Chooses the smallest model that is about as good as all parts together on the texts to judge by.

    If a part is left out, this is said.

    Args:
        judged: Models by name, all parts together last.
    """
    *alone, last = judged
    best = min(alone, key=lambda name: judged[name].report.log_loss, default=last)
    if best == last or judged[best].report.log_loss > (1 + _NEEDED) * judged[last].report.log_loss:
        return last
    left_out = "the n-grams are" if best != NGRAMS else "the network is"
    note(
        f"{left_out} left out: the log-loss is {judged[best].report.log_loss:.4f} without, "
        f"{judged[last].report.log_loss:.4f} with"
    )
    return best
