"""Settings tried within a budget of time: which trial comes next, what it changes, and the table that is kept."""

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from tidegate.training.data.examples import prepare_texts
from tidegate.training.data.next_steps import prepare_steps
from tidegate.training.data.next_tokens import prepare_tokens
from tidegate.training.events import DivergedError
from tidegate.training.pretraining import pretrained
from tidegate.training.run import Run
from tidegate.training.settings import Settings
from tidegate.training.tuning import Trial, Tuning, changed, choices_of, following, made


@pytest.fixture(scope="module")
def run() -> Run:
    """A small run of six epochs."""
    examples = prepare_texts(["so good", "so bad"] * 16, ["yes", "no"] * 16, validation=0.25)
    settings = Settings(epochs=6, batch_size=8, learning_rate=0.05)
    return Run(examples, examples.config("gru", embedding_size=4, hidden_size=4), settings)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on by a second whenever it is looked at."""
    ticks = count()
    monkeypatch.setattr("tidegate.training.tuning.perf_counter", lambda: float(next(ticks)))


def trials(*given: tuple[int, int, float]) -> list[Trial]:
    """Trials with a number, epochs and a quality."""
    return [Trial(number, epochs, quality, 1.0, {}) for number, epochs, quality in given]


FEW = [(0, 1, 0.5), (1, 1, 0.8), (2, 1, 0.6)]
NINE = [(number, 1, number / 9) for number in range(9)]
NEXT: dict[str, tuple[list[tuple[int, int, float]], tuple[int, int]]] = {
    "the run's own settings first": ([], (0, 1)),
    "new settings until there are three": (FEW[:2], (2, 1)),
    "the best of three": (FEW, (1, 3)),
    "nothing twice": ([*FEW, (1, 3, 0.9)], (3, 1)),
    "the second of six": ([*NINE[:6], (5, 3, 0.1)], (4, 3)),
    "the best of three that were the best": ([*NINE, (8, 3, 0.2), (7, 3, 0.9), (6, 3, 0.1)], (7, 9)),
    "what has diverged is the worst": ([(0, 1, float("-inf")), (1, 1, 0.0), (2, 1, float("-inf"))], (1, 3)),
}


@pytest.mark.parametrize("case", NEXT)
def test_the_best_third_goes_on(case: str) -> None:
    """Which trial comes next follows from those so far: the highest rung that has a best third goes first."""
    done, expected = NEXT[case]
    assert following(trials(*done), [1, 3, 9]) == expected


def test_trials_under_way_are_not_asked_for_again() -> None:
    """Several at a time are new settings, and one that goes on is not begun twice."""
    assert following([], [1, 3], [(0, 1), (1, 1)]) == (2, 1)
    assert following(trials(*FEW), [1, 3], [(1, 3)]) == (3, 1)
    assert following(trials(*NINE[:6]), [1, 3], [(5, 3), (6, 1)]) == (4, 3)


def test_settings_come_from_their_number(run: Run) -> None:
    """Number 0 changes nothing, others draw the same each time, and a pooling has neither cell nor units to choose."""
    assert choices_of(run, 0) == {}
    assert choices_of(run, 5) == choices_of(run, 5) != choices_of(run, 6)
    other = changed(run, choices_of(run, 5) | {"epochs": 2})
    assert (other.settings.epochs, other.examples) == (2, run.examples)
    rates = [choices_of(run, number)["learning_rate"] for number in range(1, 50)]
    assert 0.05 / 4 <= min(rates) < 0.05 < max(rates) <= 0.05 * 4
    texts = prepare_tokens(["so good", "so bad"] * 8, validation=0.25)
    steps = prepare_steps(np.arange(90.0).reshape(9, 10, 1), validation=0.25)
    for examples in (texts, steps):  # whose summary is the last state
        ahead = Run(examples, examples.config("gru", hidden_size=4), run.settings)
        for number in range(1, 9):
            assert changed(ahead, choices_of(ahead, number)).config.summary == "last"
    average = Run(run.examples, run.examples.config("average", embedding_size=4), run.settings)
    assert choices_of(average, 5).keys() == {"learning_rate", "dropout"}


def test_what_is_trained_before_fits_what_is_chosen(run: Run) -> None:
    """A network with another cell and other units starts from a pretraining with the same ones."""
    other = changed(pretrained(run), {"cell": "lstm", "hidden_size": 6, "summary": "mean"})
    assert other.pretraining
    before = other.pretraining.config
    assert (before.cell, before.hidden_size, before.summary) == ("lstm", 6, "last")
    other.train_all()
    assert changed(run, {"hidden_size": 6}).pretraining is None


@pytest.mark.usefixtures("clock")
def test_a_search_is_continued(run: Run, tmp_path: Path) -> None:
    """Trials are kept, line by line; a second search goes on from them, and one of another run begins anew."""
    table = tmp_path / "m.trials.jsonl"
    first = Tuning(run, table)
    assert first.rungs == [1, 2, 6]
    made = [*first.search(40)]
    assert [trial.number for trial in made[:3]] == [0, 1, 2]
    assert first.trials == made
    again = Tuning(run, table)
    assert again.trials == made
    assert len([*again.search(20)]) > 0
    assert [Trial(**json.loads(line)) for line in table.read_text().splitlines()[1:]] == again.trials
    best = again.best
    assert best is not None
    assert best.quality == max(trial.quality for trial in again.trials if trial.epochs == best.epochs)
    assert again.tuned().settings == changed(run, best.choices).settings
    assert Tuning(changed(run, {"hidden_size": 5}), table).trials == []


@pytest.mark.usefixtures("clock")
def test_a_trial_that_is_not_done_does_not_count(run: Run) -> None:
    """If the time is over before, nothing is changed; without a network there is nothing to tune."""
    tuning = Tuning(run)
    assert [*tuning.search(3)] == []
    assert tuning.tuned() is run
    with pytest.raises(ValueError, match="made of n-grams alone"):
        Tuning(Run(run.examples, run.config, run.settings, parts=_NgramsAlone()))  # type: ignore[arg-type]


def test_a_trial_has_its_seconds(run: Run) -> None:
    """One that takes longer than it may has no result."""
    assert made(run, 0, 1, 0.0) is None
    trial = made(run, 0, 1, 600.0)
    assert trial
    assert (trial.number, trial.epochs) == (0, 1)


class _NgramsAlone:
    network = False


@pytest.mark.usefixtures("clock")
def test_a_training_that_diverges_is_the_worst(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a trial like any other, of a quality that no other has."""

    def diverging(*_: Any) -> Iterator[Any]:
        raise DivergedError("the loss is nan")
        yield

    monkeypatch.setattr(Run, "train", diverging)
    (trial, *_) = Tuning(run).search(10)
    assert trial.quality == float("-inf")
