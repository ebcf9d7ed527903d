"""A training at one moment: network, optimizer, random generators and progress, and all of it as a checkpoint."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tidegate.training.checkpoints import Checkpoint, CheckpointError
from tidegate.training.data.labelled import Batches, Source
from tidegate.training.events import Epoch, Gradients, LayerGradients
from tidegate.training.network.modules import NetworkModule, TextModule
from tidegate.training.network.optimizer import Optimizer
from tidegate.training.settings import Schedule

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass
class Progress:
    """How far a training has come.

    Attributes:
        epoch: The present epoch, from 1.
        batches: Those done of it.
        rows: Sequences in them.
        loss: Sum of the losses of these sequences, nats.
        words: Words, or other steps of sequences, read in all epochs.
        quality: Best validation score.
        since_best: Epochs since then.
        ended: Whether there is nothing left to do.
        seconds: Time that earlier processes have trained.
        order: State of the random generator that gave the present epoch its batches.
        gradients: Gradient norms of the epochs that are done, where they are watched.
    """

    epoch: int = 1
    batches: int = 0
    rows: int = 0
    loss: float = 0.0
    words: int = 0
    quality: float = -np.inf
    since_best: int = 0
    ended: bool = False
    seconds: float = 0.0
    order: dict[str, Any] = field(default_factory=dict)
    gradients: list[Gradients] = field(default_factory=list)


class State:
    """A training at the present moment.

    Attributes:
        module: The network.
        optimizer: What changes it.
        schedule: Batches and epochs.
        rng: Source of the order of batches and of dropped words; torch's global generator is that of everything else.
        progress: How far it has come.
        best: The best epoch.
    """

    def __init__(self, module: NetworkModule, optimizer: Optimizer, schedule: Schedule, seed: int) -> None:
        self.module, self.optimizer, self.schedule = module, optimizer, schedule
        self.rng = np.random.default_rng(seed)
        self.progress, self.best, self._began = Progress(), None, perf_counter()

    best: Epoch | None

    @property
    def seconds(self) -> float:
        """Time since training began, that of earlier processes included."""
        return self.progress.seconds + perf_counter() - self._began

    def batches(self, source: Source) -> Batches:
        """Draws the batches of the present epoch, and returns those that are left of them."""
        now, size, done = self.rng.bit_generator.state, self.schedule.batch_size, self.progress.batches
        if not done:
            self.progress.order = dict(now)
            return source.batches(size, self.rng)
        self.rng.bit_generator.state = self.progress.order
        drawn = source.batches(size, self.rng, done)
        self.rng.bit_generator.state = now
        return drawn

    def end_epoch(self, epoch: Epoch, *, last: bool) -> None:
        """Notes that an epoch is done."""
        progress = self.progress
        if epoch.weights is not None:
            self.best = replace(epoch, gradients=None)
        if epoch.gradients:
            progress.gradients.append(epoch.gradients)
        progress.epoch, progress.batches, progress.rows, progress.loss = progress.epoch + (not last), 0, 0, 0.0
        progress.ended = last

    def checkpoint(self) -> Checkpoint:
        """Returns everything that `restore` needs; of a training that has ended, only the best epoch."""
        facts: dict[str, Any] = {"progress": asdict(self.progress) | {"seconds": self.seconds}}
        arrays: dict[str, npt.NDArray[Any]] = {}
        if self.best:
            found, facts["best"] = _take_apart(self.best)
            arrays |= _prefixed("best", found)
        if not self.progress.ended:
            found, facts["schedule"] = self.optimizer.state()
            weights = {name: tensor.numpy(force=True) for name, tensor in self.module.state_dict().items()}
            arrays |= _prefixed("optimizer", found) | _prefixed("module", weights)
            arrays |= {f"carried.{i}": state.numpy() for i, state in enumerate(self._carried())}
            arrays["torch"], facts["numpy"] = torch.get_rng_state().numpy(), self.rng.bit_generator.state
        return Checkpoint(arrays, facts)

    def _carried(self) -> tuple[torch.Tensor, ...]:
        """Returns the states that the last batch has left for the next one; a group, of which each has its own, none.

        A group that goes on within an epoch begins with states of 0, as an epoch does.
        """
        alone = self.optimizer.group.size == 1
        return self.module.carried if alone and isinstance(self.module, TextModule) else ()

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continues where a checkpoint was taken.

        Raises:
            CheckpointError: It has other contents.
        """
        arrays, facts = checkpoint.arrays, checkpoint.facts
        try:
            gradients = [_gradients(walks["walks"]) for walks in facts["progress"]["gradients"]]
            self.progress = Progress(**facts["progress"] | {"gradients": gradients})
            if "best" in facts:
                self.best = _put_together(_under("best", arrays), facts["best"], self.module)
            if not self.progress.ended:
                weights = {name: torch.from_numpy(array) for name, array in _under("module", arrays).items()}
                self.module.load_state_dict(weights)
                if isinstance(self.module, TextModule):
                    found = _under("carried", arrays) if self.optimizer.group.size == 1 else {}
                    self.module.carried = tuple(torch.from_numpy(found[name]).clone() for name in sorted(found))
                self.optimizer.restore(_under("optimizer", arrays), facts["schedule"])
                torch.set_rng_state(torch.from_numpy(arrays["torch"]))
                self.rng.bit_generator.state = facts["numpy"]
        except (LookupError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"a checkpoint has other contents than this version writes: {error}") from error


def _take_apart(epoch: Epoch) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """Turns an epoch into arrays and facts."""
    report = {field.name: getattr(epoch.report, field.name) for field in fields(epoch.report) if field.name != "labels"}
    arrays = {name: value for name, value in report.items() if isinstance(value, np.ndarray)}
    facts = {name: value for name, value in report.items() if name not in arrays}
    when = {"epoch": epoch.epoch, "loss": epoch.loss, "seconds": epoch.seconds}
    return _prefixed("report", arrays) | _prefixed("weights", epoch.weights or {}), when | {"report": facts}


def _put_together(arrays: Arrays, facts: Mapping[str, Any], module: NetworkModule) -> Epoch:
    """Makes an epoch of what `_take_apart` has made of it."""
    report = module.config.aim.report(labels=module.config.labels, **facts["report"], **_under("report", arrays))
    return Epoch(facts["epoch"], facts["loss"], report, facts["seconds"], dict(_under("weights", arrays)))


def _gradients(walks: list[dict[str, Any]]) -> Gradients:
    """Makes gradient norms of what JSON has made of them."""
    plain: Iterator[dict[str, Any]] = (
        {name: tuple(value) if isinstance(value, list) else value for name, value in walk.items()} for walk in walks
    )
    return Gradients(tuple(LayerGradients(**walk) for walk in plain))


def _prefixed(prefix: str, arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
    return {f"{prefix}.{name}": array for name, array in arrays.items()}


def _under(prefix: str, arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
    start = f"{prefix}."
    return {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
