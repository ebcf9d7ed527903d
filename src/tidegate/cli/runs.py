"""A network and its baselines, trained one after the other, compared, and written: of numbers, or of texts by numbers.

`trainings` does the same for classifiers of texts, whose answers are a sum over a network and n-grams.
"""

import gc
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import typer

from tidegate.cli import outputs
from tidegate.cli.comparison import Trained, show_scores, verdict_on
from tidegate.cli.console import note, say
from tidegate.cli.gradients import report_gradients
from tidegate.cli.progress import Stop, follow
from tidegate.data.series import Asked
from tidegate.files.writing import is_stream, remove_unfinished
from tidegate.models.metrics import score_numbers
from tidegate.sequences.pooling import POOLINGS
from tidegate.text.vectors import WordVectors
from tidegate.training.baselines import STATISTICS, Baseline, candidates
from tidegate.training.checkpoints import Checkpoints
from tidegate.training.events import DivergedError, Epoch, Gradients
from tidegate.training.examples import Examples
from tidegate.training.fingerprint import fingerprint
from tidegate.training.settings import Settings

MEAN = "mean"


@dataclass(frozen=True)
class Request:
    """What `tidegate train` was asked for.

    Attributes:
        file: What to train on.
        kind: What kind of table it is; None to go by how it begins.
        asked: What is known of its columns.
        task: "classification", "regression", or "auto" to go by the labels.
        validation: The share to hold out, or a file.
        cell: The text of a cell, or a pooling.
        sizes: Sizes of the network, and the growth factor of compounding, by name.
        settings: Fields of `Settings`, None for a dropout that is not given.
        run: Whether there are baselines and whether to resume, and the seconds between two checkpoints.
        output: The model's file.
    """

    file: Path
    kind: Any
    asked: Asked
    task: str
    validation: str
    cell: str
    sizes: dict[str, Any]
    settings: Mapping[str, Any]
    run: Any
    output: Path

    def settings_with(self, dropout: float) -> Settings:
        """Returns how to train, with a dropout where none is given."""
        given = self.settings["dropout"]
        return Settings(**{**self.settings, "dropout": dropout if given is None else given})

    def share(self, *, nothing: bool) -> float | None:
        """Returns the share to hold out; None if it is a file.

        Args:
            nothing: Whether nothing may be held out.

        Raises:
            ValueError: It is neither, or 0 where something must be held out.
        """
        try:
            share = float(self.validation)
        except ValueError:
            if not Path(self.validation).exists():
                expected = "expected a share such as 0.1 or a file"
                raise ValueError(f"--validation is {self.validation!r}, {expected}") from None
            return None
        if share == 0 and not nothing:
            raise ValueError(
                "--validation is 0, but a model's parts are weighed on held-out texts: give a share or a file"
            )
        return share

    def config(self, examples: Examples, **more: Any) -> Any:
        """Describes the network; a growth factor is that of a pooling that has one."""
        pooling = POOLINGS.get(self.cell)
        rate = self.sizes["rate"] if pooling and pooling.has_rate else None
        return examples.config(self.cell, **self.sizes | {"rate": rate} | more)

    def job(self, examples: Examples, config: Any, settings: Settings, **more: Any) -> "Job":
        """Says what is trained."""
        rate = self.sizes["rate"]
        beside = [] if self.run.no_baselines else list(candidates(examples, config, settings, rate))
        return Job(examples, config, settings, beside, self.output, **more)


@dataclass(frozen=True)
class Job:
    """What is trained.

    Attributes:
        examples: What to train on and to judge by.
        config: What was asked for.
        settings: How to train it.
        baselines: What is trained before it, to be compared with.
        output: The model's file.
        unit: What the steps of a sequence are called.
        vectors: Word vectors to start from.
    """

    examples: Examples
    config: Any
    settings: Settings
    baselines: Sequence[Baseline]
    output: Path
    unit: str = "steps"
    vectors: WordVectors | None = None

    @property
    def loop(self) -> Any:
        """The module of the training loop, which needs torch."""
        return import_module("tidegate.training.loop")

    def check(self, rate: float | None, asked: str, *, network: bool = True) -> None:
        """Checks that what the options are about is trained.

        Args:
            rate: The growth factor that was given.
            asked: The options that say what is trained.
            network: Whether the network is.

        Raises:
            ValueError: There is no recurrent layer to watch, or no compounding whose rate could be given, or a setting
                does not fit what is trained.
        """
        if self.settings.watch_gradients and not (network and self.config.recurrent):
            raise ValueError(f"--watch-gradients measures recurrent layers, but there is none: {asked}")
        if rate is not None and all(each.rate is None for each in (self.config, *[b.config for b in self.baselines])):
            raise ValueError(f"--rate is the growth factor of compounding, which is not trained: {asked}")
        self.loop.check_settings(self.settings, self.config)


@dataclass
class Run:
    """A job while it is done.

    Attributes:
        job: What is trained.
        checkpoints: Where an interrupted run is continued from; None without.
        results: What was trained, by name; what was asked for has the name of its cell.
        gradients: Gradient norms after each epoch, if they are watched.
        ended: Whether everything was trained, or a training has diverged, as a resumed one would again.
    """

    job: Job
    checkpoints: Checkpoints | None = None
    results: dict[str, Trained] = field(default_factory=dict)
    gradients: list[Gradients] = field(default_factory=list)
    ended: bool = False

    def prepare_checkpoints(self, every: float, *, resume: bool) -> None:
        """Decides where checkpoints are, and looks at those that an interrupted run has left.

        Raises:
            CheckpointError: They are damaged or of another run.
            ValueError: There is nothing to resume, as the model is written to a device or a pipe.
        """
        job, output = self.job, self.job.output
        if is_stream(output):
            if resume:
                raise ValueError(f"--resume needs a model file with checkpoints beside it, but {output} is none")
            return
        if resume:
            remove_unfinished(output.parent, output.name)
        beside = [each.config for each in job.baselines if each.name != STATISTICS]
        run = fingerprint(job.examples, job.config, job.settings, job.vectors, beside)
        folder = output.with_name(f"{output.name}.checkpoint")
        self.checkpoints = Checkpoints(folder, run, resume=resume, every=every, tell=note)

    def complete(self, began: float) -> None:
        """Trains, compares and writes: whatever happens, the best so far is written.

        Args:
            began: When the command began, seconds as `perf_counter` counts them.

        Raises:
            DivergedError: A loss is no longer finite.
            OSError: The model cannot be written.
            typer.Exit: Training was stopped.
        """
        with Stop() as stop:
            try:
                self._train_all(stop)
            finally:
                with stop.held():
                    self._write(began, stop)

    def _train_all(self, stop: Stop) -> None:
        job = self.job
        gc.freeze()  # or the collector would look through all of torch and the data, again and again
        if job.config.task == "regression" and job.baselines:
            self.results[MEAN] = _mean(job.examples)
        asked = Baseline(job.config.cell, job.examples, job.config, job.settings)
        for each in (*job.baselines, asked):
            self._train(each, stop)
            if stop.wanted:
                break
        self.ended = not stop.wanted
        if self.results:
            show_scores(self.results)
        if self.ended and job.baselines:
            say(verdict_on(self.results, job.config.cell))

    def _train(self, each: Baseline, stop: Stop) -> None:
        kept = None if each.name == STATISTICS else self.checkpoints  # trained in a moment, and named as the average
        title, best = STATISTICS if each.name == STATISTICS else each.config.reader.title, None
        events = self.job.loop.train(each.examples, each.config, each.settings, self.job.vectors, kept)
        watched = report_gradients(events, each.config, each.settings, self.gradients)
        try:
            for epoch in follow(title, watched, stop, self.job.unit):
                best = epoch if epoch.weights is not None else best
                if best:
                    self.results[each.name] = Trained(title, each.config.recurrent, best, epoch.seconds)
        except DivergedError as error:
            self.ended = True
            if error.best and each.config is self.job.config:
                error.args = (f"{error}; the best epoch before, {error.best.epoch}, is in {self.job.output}",)
            raise

    def _write(self, began: float, stop: Stop) -> None:
        """Writes the model of what was asked for, if an epoch of it has ended."""
        job, wanted = self.job, self.results.get(self.job.config.cell)
        if wanted:
            beside = {name: result.figures() for name, result in self.results.items() if result is not wanted}
            figures: dict[str, Any] = {"baselines": beside}
            if self.gradients:
                figures["gradients"] = [asdict(after_epoch)["walks"] for after_epoch in self.gradients]
            model = self.job.loop.to_model(job.examples, job.config, wanted.best, figures)
            outputs.save_somewhere(model.save, job.output)
            size = f" ({job.output.stat().st_size / 1e6:.1f} MB)" * job.output.is_file()
            say(f"wrote {job.output}{size} after {perf_counter() - began:.0f} s")
        elif stop.wanted:
            note(f"stopped before the first epoch of {job.config.cell} ended: there is no model to write")
        if self.checkpoints and self.ended:
            self.checkpoints.remove(previous=wanted is not None)
        elif self.checkpoints and stop.wanted:
            note(f"--resume continues this run: its checkpoint is in {self.checkpoints.folder}")
        if stop.wanted:
            raise typer.Exit(stop.exit_code)


def _mean(examples: Examples) -> Trained:
    """Judges the mean of what is trained on as a prediction for everything."""
    truth = examples.validation.targets
    predicted = np.broadcast_to(examples.train.targets.mean(axis=0), truth.shape)
    report = score_numbers(truth, predicted, examples.labels)
    return Trained(MEAN, False, Epoch(0, float("nan"), report, 0.0, None), 0.0)
