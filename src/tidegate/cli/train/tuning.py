"""Settings tried on held-out rows before a training, on the screen and in a table beside the model."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from tidegate.cli.console import err, note, plural, say
from tidegate.cli.train.progress import duration
from tidegate.files.writing import is_stream
from tidegate.training.run import Run
from tidegate.training.tuning import Making, Tuning, made_here


def tuned_run(run: Run, minutes: float, output: Path, making: Making = made_here, *, resume: bool) -> Run:
    """Looks for better settings of a run, and says what was found.

    Args:
        run: What is trained.
        minutes: How long to look.
        output: The model's file; the trials are kept beside it.
        making: Makes the trials, here or on a cluster.
        resume: Whether an interrupted training is continued, whose settings were the best ones then: nothing is tried.

    Raises:
        OSError: The table of trials cannot be read or written.
        ValueError: There is no network.
    """
    table = None if is_stream(output) else output.with_name(f"{output.name}.trials.jsonl")
    tuning = Tuning(run, table, making=making)
    if tuning.trials:
        note(f"going on from {plural(len(tuning.trials), 'trial')} in {table}")
    score = run.examples.aim.report.title()
    left = _Left(perf_counter() + 60 * minutes)
    if not resume:
        say(f"trying settings: the higher the {score} of what is held out, the better")
    with err.status(left):
        try:
            for trial in tuning.search(0.0 if resume else 60 * minutes):
                epochs, took = plural(trial.epochs, "epoch"), f"{trial.seconds:.1f} s"
                found = f"{score} {trial.quality:.4f} in {took}, {left} left"
                say(f"trial {trial.number}, {epochs}: {found}: {_said(trial.choices)}")
        except KeyboardInterrupt:
            kept = f"; the same command goes on from those in {table}" if table else ""
            note(f"stopped after {plural(len(tuning.trials), 'trial')}, before training{kept}")
            raise
    best = tuning.best
    if best is None:
        note(f"no trial was done within {minutes:g} minutes: nothing is changed")
        return run
    where = f"; they are in {table}" if table else ""
    say(f"the best of {plural(len(tuning.trials), 'trial')}: {_said(best.choices)}{where}")
    return tuning.tuned()


@dataclass(frozen=True)
class _Left:
    """The time that is left to try settings; what a terminal shows goes down.

    Attributes:
        end: When it is over, on the clock of `perf_counter`.
    """

    end: float

    def __str__(self) -> str:
        return duration(max(0.0, self.end - perf_counter()))

    def __rich__(self) -> str:
        """Returns the line below the trials."""
        return f"trying settings, {self} left"


def _said(choices: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in choices.items()) or "the settings as they were"
