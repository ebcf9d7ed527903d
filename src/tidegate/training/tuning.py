"""The settings that matter most, chosen on the validation part within a budget of time.

Asynchronous successive halving (Li et al. 2020, arXiv 1810.05934), one trial at a time or several on a cluster: many
settings are trained for a few epochs, the best third of them for three times as many, and so on. It can stop at any
time and be continued, here or on a cluster, as what comes next follows from the trials so far. Libraries that have it
bring a database (Optuna) or a store of their own that no search without them can go on from (Ray Tune), or know no
budget of time and fit anew by their own cross-validation (scikit-learn).
"""

import json
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from tidegate.files.writing import replacing
from tidegate.ops.cells import CELLS
from tidegate.training.events import DivergedError, Epoch
from tidegate.training.run import Run
from tidegate.training.settings import Settings

FACTOR = 3
"""How many times as many epochs the best trials get, and one in how many goes on."""

_GATED = tuple(name for name, cell in CELLS.items() if cell.gates)
_DROPOUTS = (0.0, 0.1, 0.2, 0.4, 0.6)
_SUMMARIES = ("last", "mean", "max", "mean+max")


class Trial(NamedTuple):
    """A training with some settings for some epochs.

    Attributes:
        number: Of the settings; those of 0 are the run's own.
        epochs: Most passes over the sequences.
        quality: The best score on the validation part, see `Report.quality`; −∞ if the training diverged.
        seconds: Time that it took.
        choices: What differs from the run, by name.
    """

    number: int
    epochs: int
    quality: float
    seconds: float
    choices: Mapping[str, Any]


Asked = tuple[int, int]
"""A trial to make: the number of its settings, and its epochs."""
Making = Callable[[Run, Iterator[Asked], float], Iterator[Trial]]
"""Makes the trials of a run that are asked for, until this time of `perf_counter`, and yields those that were done."""


def made_here(run: Run, asked: Iterator[Asked], end: float) -> Iterator[Trial]:
    """Makes trials in this process, one after the other."""
    for number, epochs in asked:
        trial = made(run, number, epochs, end - perf_counter())
        if trial:
            yield trial


def made(run: Run, number: int, epochs: int, seconds: float) -> Trial | None:
    """Makes a trial; None if it is not done in so many seconds.

    Args:
        run: The run, with its own settings.
        number: Of the settings to try.
        epochs: Most passes over the sequences.
        seconds: Time that is left.
    """
    began, quality = perf_counter(), float("-inf")
    choices = choices_of(run, number)
    network = changed(run, choices | {"epochs": epochs}).network
    assert network  # noqa: S101 - for mypy: looked at before
    try:
        with closing(run.train(network)) as events:
            for event in events:
                if perf_counter() - began > seconds:
                    return None
                if isinstance(event, Epoch):
                    quality = max(quality, float(event.report.quality))
    except DivergedError:
        quality = float("-inf")
    return Trial(number, epochs, quality, perf_counter() - began, choices)


@dataclass
class Tuning:
    """A search for better settings of a run.

    Attributes:
        run: The run; it must have a network.
        table: The file that keeps the trials, a line of JSON each; those of the same run are gone on from. None for
            none.
        trials: The trials so far.
        making: Makes trials, here or elsewhere.
    """

    run: Run
    table: Path | None = None
    trials: list[Trial] = field(default_factory=list)
    making: Making = made_here

    def __post_init__(self) -> None:
        """Reads the trials that a search for the same run has left.

        Raises:
            OSError: The file cannot be read.
            ValueError: There is no network.
        """
        if self.run.network is None:
            raise ValueError("the settings of a network are tuned, but the model is made of n-grams alone")
        self._identity = json.dumps(replace(self.run, baselines=()).fingerprint(), sort_keys=True)
        if self.table and self.table.exists():
            first, *lines = self.table.read_text(encoding="utf-8").splitlines() or [""]
            if first == self._identity:
                self.trials = [Trial(**json.loads(line)) for line in lines]

    @property
    def rungs(self) -> list[int]:
        """The epochs of the trials, from the fewest on."""
        most = self.run.examples.schedule(self.run.settings, self.run.config).epochs
        return sorted({max(1, most // FACTOR**k) for k in range(3)})

    def search(self, seconds: float) -> Generator[Trial, None, None]:
        """Makes trials until the time is over; one that is not done by then does not count.

        Yields:
            Each trial, once it is in the table.

        Raises:
            OSError: The table cannot be written.
        """
        if seconds <= 0:
            return  # or a cluster would be reached for nothing
        end = perf_counter() + seconds
        for trial in self.making(self.run, self._asked(end), end):
            self.trials.append(trial)
            self._keep()
            yield trial

    def _asked(self, end: float) -> Iterator[Asked]:
        """Yields what to try next as long as there is time."""
        under_way: list[Asked] = []
        while perf_counter() < end:
            done = {(trial.number, trial.epochs) for trial in self.trials}
            under_way = [asked for asked in under_way if asked not in done]
            under_way.append(following(self.trials, self.rungs, under_way))
            yield under_way[-1]

    @property
    def best(self) -> Trial | None:
        """The best of the trials with the most epochs, whose scores can be compared; None without any."""
        most = max((trial.epochs for trial in self.trials), default=0)
        return max((t for t in self.trials if t.epochs == most), key=lambda t: t.quality, default=None)

    def tuned(self) -> Run:
        """Returns the run with the best settings so far."""
        return changed(self.run, self.best.choices) if self.best else self.run

    def _keep(self) -> None:
        if self.table is None:
            return
        lines = [self._identity, *(json.dumps(trial._asdict()) for trial in self.trials)]
        with replacing(self.table) as file:  # as a whole: a line that was cut off could not be read again
            file.write("".join(f"{line}\n" for line in lines).encode())


def following(trials: Sequence[Trial], rungs: Sequence[int], under_way: Sequence[Asked] = ()) -> Asked:
    """Decides which trial comes next.

    Args:
        trials: Those that were made.
        rungs: The epochs that trials have, from the fewest on.
        under_way: Those that are being made.

    Example:
        >>> done = [Trial(n, 1, quality, 1.0, {}) for n, quality in enumerate([0.5, 0.8, 0.6])]
        >>> following(done, [1, 3]), following([*done, Trial(1, 3, 0.9, 1.0, {})], [1, 3])
        ((1, 3), (3, 1))
    """
    begun = [*((t.number, t.epochs) for t in trials), *under_way]
    for epochs, more in zip(rungs[-2::-1], rungs[:0:-1], strict=True):
        here = sorted((t for t in trials if t.epochs == epochs), key=lambda t: -t.quality)
        promoted = {number for number, its in begun if its == more}
        for trial in here[: len(here) // FACTOR]:
            if trial.number not in promoted:
                return trial.number, more
    return 1 + max((number for number, _ in begun), default=-1), rungs[0]


def choices_of(run: Run, number: int) -> dict[str, Any]:
    """Draws settings by their number: nothing for 0, and the same ones for the same seed and number.

    The learning rate is drawn within a factor of 4 of the cell's own, on a scale of logarithms. Where steps or words
    are foreseen, the summary is the last state.
    """
    if not number:
        return {}
    rng, config = np.random.default_rng([run.settings.seed, number]), run.config
    cell = str(rng.choice(_GATED)) if config.cell in _GATED else config.cell
    usual = run.examples.schedule(run.settings, config).learning_rate
    choices = {
        "cell": cell,
        "hidden_size": max(1, round(config.hidden_size * float(rng.choice([0.5, 1, 2])))),
        "summary": str(rng.choice(_SUMMARIES)),
        "learning_rate": float(f"{usual * 4 ** rng.uniform(-1, 1):.2g}"),
        "dropout": float(rng.choice(_DROPOUTS)),
    }
    if not config.recurrent:
        return {name: choices[name] for name in ("learning_rate", "dropout")}
    return {name: choice for name, choice in choices.items() if name != "summary" or not config.aim.each_step}


def changed(run: Run, choices: Mapping[str, Any]) -> Run:
    """Returns a run with other settings and sizes; what is trained before the network has its cell and units."""
    how = {each.name for each in fields(Settings)}
    settings = replace(run.settings, **{name: value for name, value in choices.items() if name in how})
    config = replace(run.config, **{name: value for name, value in choices.items() if name not in how})
    before = run.pretraining
    if before:
        alike = replace(before.config, cell=config.cell, hidden_size=config.hidden_size)
        before = before._replace(config=alike)
    return replace(run, settings=settings, config=config, pretraining=before)
