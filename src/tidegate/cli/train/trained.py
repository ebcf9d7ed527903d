"""What `tidegate train` leaves behind: the model file, and checkpoints where there is something to continue."""

from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

import typer

from tidegate.cli import outputs
from tidegate.cli.console import note, say
from tidegate.cli.train.progress import Stop
from tidegate.cli.train.trainings import Trainings
from tidegate.files.writing import is_stream, remove_unfinished
from tidegate.training.checkpoints import Checkpoints
from tidegate.training.events import DivergedError
from tidegate.training.run import Run


def checkpoints_beside(output: Path, run: Run, every: float, *, resume: bool) -> Checkpoints | None:
    """Decides where checkpoints are, and looks at those that an interrupted run has left.

    Args:
        output: The model's file.
        run: What is trained.
        every: Seconds between two of them.
        resume: Whether to continue what was interrupted.

    Returns:
        None if the model is written to a device or a pipe, which has no place beside it.

    Raises:
        CheckpointError: They are damaged or of another run.
        ValueError: There is nothing to resume, as the model is written to a device or a pipe.
    """
    if is_stream(output):
        if resume:
            raise ValueError(f"--resume needs a model file with checkpoints beside it, but {output} is none")
        return None
    folder = output.with_name(f"{output.name}.checkpoint")
    if resume:
        remove_unfinished(output.parent, output.name)
    return Checkpoints(folder, run.fingerprint(), resume=resume, every=every, tell=note)


def train_and_write(trainings: Trainings, output: Path, began: float) -> None:
    """Trains and writes: whatever happens, the best so far is written.

    Args:
        trainings: What is trained.
        output: The model's file.
        began: When the command began, seconds as `perf_counter` counts them.

    Raises:
        DivergedError: A training has diverged.
        LostWorkerError: A process that trained together with this one has ended.
        OSError: The model cannot be written.
        typer.Exit: Training was stopped.
    """
    with Stop() as stop:
        try:
            trainings.complete(stop)
        except DivergedError as error:
            if error.best and trainings.run.config.cell in trainings.results:
                error.args = (f"{error}; the best epoch before, {error.best.epoch}, is in {output}",)
            raise
        finally:
            with stop.held():
                _write(trainings, output, began, early=stop.wanted)
                _tidy(trainings, stop)
            if stop.wanted:
                raise typer.Exit(stop.exit_code)


def _write(trainings: Trainings, output: Path, began: float, *, early: bool) -> None:
    """Writes the best model."""
    best, run = trainings.best, trainings.run
    if run.config.cell not in trainings.results and not trainings.made and (best or early):
        which = f"the best so far is the model of the {best[1].title}" if best else "there is no model to write"
        note(f"stopped before the first epoch of {run.config.cell} ended: {which}")
    if best is None:
        return
    config, wanted = best
    beside = {name: result.figures() for name, result in trainings.results.items() if result is not wanted}
    figures: dict[str, Any] = {"baselines": beside}
    if run.parts:
        figures["weights"] = dict(wanted.weights)
    if trainings.before:
        figures["pretraining"] = trainings.before
    if trainings.gradients:
        figures["gradients"] = [asdict(after_epoch)["walks"] for after_epoch in trainings.gradients]
    outputs.save_somewhere(run.model(config, wanted.best, figures).save, output)
    size = f" ({output.stat().st_size / 1e6:.1f} MB)" * output.is_file()
    say(f"wrote {output}{size} after {perf_counter() - began:.0f} s")


def _tidy(trainings: Trainings, stop: Stop) -> None:
    """Removes checkpoints that nobody needs, or says how to continue."""
    checkpoints = trainings.checkpoints
    if checkpoints and (trainings.ended or trainings.diverged):
        checkpoints.remove(previous=trainings.ended)
    elif checkpoints and stop.wanted:
        note_resumable(checkpoints)


def note_resumable(checkpoints: Checkpoints) -> None:
    """Says how to continue."""
    note(f"--resume continues this run: its checkpoint is in {checkpoints.folder}")
