"""A run on the workers of a Ray cluster, by Ray Train: the same loop and the same losses as in one process.

Each worker gets the run from Ray's object store. The first one writes checkpoints, which Ray uploads to the storage
before they count. A worker that is lost ends the group, which Ray starts again from the last of them.
"""

import os
import signal
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copy2
from typing import Any

from tidegate.ray.cluster import LOCAL, connected, ray_module
from tidegate.training.checkpoints import EVERY, Checkpoint, Checkpoints
from tidegate.training.group import ALONE, Group
from tidegate.training.run import Run
from tidegate.training.workers import Processes, without_texts

_ASKED = 16  # steps after which the first worker says whether it is time for a checkpoint


@dataclass(frozen=True)
class Cluster:
    """Where and how a run is trained.

    Attributes:
        workers: Processes that train together.
        storage: Folder or address of what the run leaves, which all machines reach.
        name: Of the run there: a run of this name is continued.
        address: Of the cluster; "local" to start one on this machine.
        every: Seconds between two checkpoints.
        processors: Of each worker, which are its threads too.
        failures: How often the workers are started again.
    """

    workers: int
    storage: str
    name: str
    address: str = LOCAL
    every: float = EVERY
    processors: int = 1
    failures: int = 3


class _Reported(Checkpoints):
    """Checkpoints that Ray uploads; all workers report at the same steps, as Ray expects, and the first one writes."""

    group: Group = ALONE
    _steps = 0

    def read(self, training: str) -> Checkpoint | None:
        """Returns the checkpoint of a training, which the first worker has."""
        return None if self.group.rank else super().read(training)

    def due(self, *, at_end: bool = False) -> bool:
        """Tells whether it is time for a checkpoint, of which all workers say the same; the end always is."""
        self._steps += 1
        if at_end:
            return True
        return self._steps % _ASKED == 0 and bool(self.group.share(super().due(at_end=at_end)))

    def write(self, training: str, checkpoint: Checkpoint) -> None:
        """Writes a checkpoint, and returns when it is in the storage."""
        train = ray_module("ray.train")
        if self.group.rank:
            train.report({"training": training})
            return
        super().write(training, checkpoint)
        train.report({"training": training}, checkpoint=train.Checkpoint.from_directory(self.folder))


def train_on_cluster(run: Run, cluster: Cluster, checkpoints: Path, say: Callable[[str], object] = print) -> None:
    """Trains all networks of a run, and brings what they have come to, as checkpoints of trainings that have ended.

    Args:
        run: What is trained, whose data are in memory.
        cluster: Where.
        checkpoints: The folder for the last checkpoints of each network, from which `Run.train` goes on here.
        say: Called with what the user should know.

    Raises:
        ImportError: Ray is missing.
        RuntimeError: The workers have ended, and were started again too often; the message says why.
        ValueError: The data are on a disk of this machine.
    """
    trainer = _trainer(put(connected(cluster.address), run), cluster)
    where = f"{cluster.name!r} in {cluster.storage}"
    say(f"training on {cluster.workers} workers: a run {where} is continued if there is one")
    before = signal.getsignal(signal.SIGINT)
    try:
        result = trainer.fit()
    except ray_module("ray.train").TrainingFailedError as error:
        raise RuntimeError(_cause(error)) from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)  # Ray leaves its own (findings/)
    _fetch(result.checkpoint, checkpoints)


def put(ray: Any, run: Run) -> Any:
    """Puts a run into Ray's object store, without what its workers have no use for.

    Raises:
        ValueError: The data are on a disk of this machine.
    """
    if run.examples.spool:
        raise ValueError("data on a disk of this machine are not sent to the workers of a cluster: give more --memory")
    return ray.put(without_texts(run))


def _trainer(run: Any, cluster: Cluster) -> Any:
    """Makes Ray's trainer of a run in its object store."""
    train, by_torch = ray_module("ray.train"), ray_module("ray.train.torch")
    storage = cluster.storage if "://" in cluster.storage else os.path.abspath(cluster.storage)
    return by_torch.TorchTrainer(
        _work,
        train_loop_config={"run": run, "every": cluster.every},
        torch_config=by_torch.TorchConfig(backend="gloo"),
        scaling_config=train.ScalingConfig(
            num_workers=cluster.workers, resources_per_worker={"CPU": cluster.processors}
        ),
        run_config=train.RunConfig(
            name=cluster.name,
            storage_path=storage,
            failure_config=train.FailureConfig(max_failures=cluster.failures),
            checkpoint_config=train.CheckpointConfig(num_to_keep=2),
        ),
    )


def _work(given: dict[str, Any]) -> None:
    """Trains all networks of a run in one of the workers."""
    run, group = ray_module().get(given["run"]), Processes()
    found = ray_module("ray.train").get_checkpoint()
    with tempfile.TemporaryDirectory() as folder:
        if found and not group.rank:
            _fetch(found, Path(folder))
        checkpoints = _Reported(folder, run.fingerprint(), resume=bool(found), every=given["every"])
        checkpoints.group = group
        replace(run, group=group).train_all(checkpoints)


def _fetch(checkpoint: Any, folder: Path) -> None:
    """Copies the files of one of Ray's checkpoints into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with checkpoint.as_directory() as found:
        for path in Path(found).glob("*.safetensors"):
            copy2(path, folder / path.name)


def _cause(error: BaseException) -> str:
    """Says in a line what has ended the workers; of what a worker has raised Ray keeps the traceback as a text."""
    rank, first = min(getattr(error, "worker_failures", {0: error}).items())
    return f"worker {rank + 1} has ended: {str(first).strip().splitlines()[-1]}"
