"""Settings tried on a Ray cluster of this machine, which is started for it: skipped without Ray."""

import itertools
import json
import re
from contextlib import closing
from functools import partial
from pathlib import Path
from time import perf_counter

import pytest

pytest.importorskip("torch")
pytest.importorskip("ray")

from tidegate.cli import main
from tidegate.data import tables
from tidegate.ray.tuning import made_on_cluster
from tidegate.ray.working import Workers
from tidegate.training.data.examples import prepare_texts
from tidegate.training.data.spooled.gathered import Plan
from tidegate.training.data.spooled.preparing import parts_of, spool_texts
from tidegate.training.run import Run
from tidegate.training.settings import Settings
from tidegate.training.tuning import Tuning, made

pytestmark = pytest.mark.filterwarnings("default")  # Ray's own

TEXTS, LABELS = ["so good", "so bad", "good", "bad film"] * 8, ["yes", "no"] * 16
SETTINGS = Settings(epochs=3, batch_size=8)


@pytest.fixture
def run() -> Run:
    """A small run of three epochs."""
    examples = prepare_texts(TEXTS, LABELS, validation=0.25)
    return Run(examples, examples.config("gru", embedding_size=4, hidden_size=4), SETTINGS)


def test_trials_are_those_of_one_process(run: Run, ray_address: str, tmp_path: Path) -> None:
    """None is made twice, each comes to what it comes to here, and the table has all."""
    table = tmp_path / "trials.jsonl"
    tuning = Tuning(run, table, making=partial(made_on_cluster, workers=Workers(ray_address, 2)))
    with closing(tuning.search(600)) as search:
        found = [next(search)]
        while max(trial.epochs for trial in found) == 1:
            found.append(next(search))
    asked = [(trial.number, trial.epochs) for trial in found]
    assert len(set(asked)) == len(asked)
    for trial in found:
        here = made(run, trial.number, trial.epochs, 600)
        assert here
        assert trial.choices == here.choices
        assert trial.quality == pytest.approx(here.quality, abs=1e-4)
    assert Tuning(run, table).trials == found  # where a search without a cluster goes on


def test_a_trial_that_is_not_done_in_time_does_not_count(run: Run, ray_address: str) -> None:
    """What is under way when the time is over has no result, and is not waited for."""
    assert not list(made_on_cluster(run, iter([(0, 1), (1, 1)]), perf_counter(), Workers(ray_address, 1)))


def test_data_on_a_disk_stay_here(tmp_path: Path, ray_address: str) -> None:
    """What does not fit into memory is refused before anything is tried."""
    examples = spool_texts(parts_of(TEXTS, LABELS), Plan(validation=0.25, folder=tmp_path))
    run = Run(examples, examples.config("gru", hidden_size=4), SETTINGS)
    with pytest.raises(ValueError, match="not sent to the workers of a cluster"):
        list(Tuning(run, making=partial(made_on_cluster, workers=Workers(ray_address, 1))).search(60))


def test_the_command_tries_and_trains_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], ray_address: str
) -> None:
    """`tune --ray-address` says the trials as it does without a cluster, keeps them, and trains with the best."""
    ticks = itertools.count()  # however long the cluster takes
    for module in ("tidegate.training.tuning", "tidegate.ray.tuning"):
        monkeypatch.setattr(f"{module}.perf_counter", lambda: float(next(ticks)))
    monkeypatch.chdir(tmp_path)
    tables.write("t.csv", {"text": TEXTS, "label": LABELS})
    command = "tune t.csv -o m.safetensors --minutes 4 --workers 2 --storage s --epochs 2 --hidden-size 4"
    assert main([*command.split(), "--parts", "network", "--no-baselines", "--ray-address", ray_address]) == 0
    said = capfd.readouterr()
    assert re.search(r"^trial 0, 1 epoch: macro F1", said.out, re.MULTILINE), said
    assert "the best of" in said.out
    lines = Path("m.safetensors.trials.jsonl").read_text("utf-8").splitlines()
    assert len(lines) > 1
    assert json.loads(lines[1])["epochs"] == 1
