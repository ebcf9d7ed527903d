"""Training on a Ray cluster of this machine, which is started for it: skipped without Ray."""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("ray")

from tidegate.ray.training import Cluster, train_on_cluster
from tidegate.training.baselines.baselines import candidates
from tidegate.training.checkpoints import Checkpoints
from tidegate.training.data.examples import prepare_texts
from tidegate.training.data.spooled.gathered import Plan
from tidegate.training.data.spooled.preparing import parts_of, spool_texts
from tidegate.training.events import Epoch, Resumed
from tidegate.training.run import Run
from tidegate.training.settings import Settings

pytestmark = pytest.mark.filterwarnings("default")  # Ray's own


def texts() -> tuple[list[str], list[str]]:
    """Texts with a good or a bad word among others, and their labels."""
    rng = np.random.default_rng(0)
    labels = rng.choice(["no", "yes"], 65).tolist()
    return [f"{' '.join(rng.choice(['a', 'the'], rng.integers(0, 8)))} {label}" for label in labels], labels


def run_of(epochs: int) -> Run:
    """A small run with a baseline."""
    examples = prepare_texts(*texts(), validation=0.25)
    config = examples.config("gru", hidden_size=5, embedding_size=4)
    settings = Settings(epochs=epochs, patience=epochs, batch_size=12)
    return Run(examples, config, settings, baselines=list(candidates(examples, config, settings))[:1])


def worker_processes() -> list[int]:
    """The processes of Ray Train's workers."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"RayTrainWorker" in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:  # it has ended
            continue
    return found


def kill_one(storage: Path) -> None:
    """Kills a worker when the first checkpoint is in the storage."""
    while not list(storage.rglob("*.checkpoint.safetensors")):
        time.sleep(0.05)
    os.kill(worker_processes()[-1], signal.SIGKILL)


def test_a_run_goes_on_when_a_worker_is_killed(tmp_path: Path, ray_address: str) -> None:
    """A group that has lost a worker starts again, and ends with what one process comes to; so does a run once more."""
    run, here = run_of(epochs=12), tmp_path / "here"
    said: list[str] = []
    cluster = Cluster(2, str(tmp_path / "storage"), "killed", ray_address, every=0.0)
    killing = threading.Thread(target=kill_one, args=(tmp_path / "storage",))
    killing.start()
    train_on_cluster(run, cluster, here, said.append)
    killing.join()
    checkpoints = Checkpoints(here, run.fingerprint(), resume=True)
    for network in run.networks:
        resumed, best = run.train(network, checkpoints)  # nothing is left to do
        assert isinstance(resumed, Resumed)
        assert resumed.ended
        *_, expected = (event for event in run.train(network) if isinstance(event, Epoch) and event.weights)
        assert isinstance(best, Epoch)
        assert best.epoch == expected.epoch
        assert best.loss == pytest.approx(expected.loss, rel=1e-4)
        assert best.weights
        assert expected.weights
        for name, weights in expected.weights.items():
            np.testing.assert_allclose(best.weights[name], weights, atol=1e-3)
    assert said == [f"training on 2 workers: a run 'killed' in {tmp_path / 'storage'} is continued if there is one"]


def test_data_on_a_disk_stay_here(tmp_path: Path) -> None:
    """Rows in a file of this machine are refused before anything is started."""
    examples = spool_texts(parts_of(*texts()), Plan(validation=0.25))
    run: Any = Run(examples, examples.config("gru"), Settings())
    with pytest.raises(ValueError, match="data on a disk of this machine are not sent to the workers of a cluster"):
        train_on_cluster(run, Cluster(2, str(tmp_path), "spooled"), tmp_path)


def test_what_has_ended_the_workers_is_said(tmp_path: Path, ray_address: str) -> None:
    """Data that are not those of the run of this name end it with one line that says so."""
    cluster = Cluster(1, str(tmp_path), "other", ray_address, failures=0)
    train_on_cluster(run_of(epochs=1), cluster, tmp_path / "here")
    with pytest.raises(
        RuntimeError, match=r"^worker 1 has ended: .*the checkpoint in .* is of another run: epochs is 1"
    ):
        train_on_cluster(run_of(epochs=2), cluster, tmp_path / "here")
