"""What `tidegate train` was asked for, of texts and of numbers, and the run that this comes to."""

import gc
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from tidegate.cli.console import err, say
from tidegate.cli.reading.targets import Wanted
from tidegate.cli.train.trained import checkpoints_beside, note_resumable, train_and_write
from tidegate.cli.train.trainings import Trainings
from tidegate.cli.train.tuning import tuned_run
from tidegate.data.series import Asked
from tidegate.data.tables.folders import files_of
from tidegate.files.remote import exists
from tidegate.sequences.pooling import POOLINGS
from tidegate.training.baselines.baselines import candidates
from tidegate.training.checkpoints import Checkpoints
from tidegate.training.data.examples import Examples
from tidegate.training.group import LostWorkerError
from tidegate.training.run import Run
from tidegate.training.settings import Settings
from tidegate.training.tuning import Making, made_here


@dataclass(frozen=True)
class Request:
    """What `tidegate train` was asked for.

    Attributes:
        file: What to train on; a text if it is an address.
        kind: What kind of table it is; None to go by how it begins.
        asked: What is known of its columns.
        wanted: What is to be predicted.
        validation: The share to hold out, or a file, a folder, or a pattern of files.
        cell: The text of a cell, or a pooling.
        sizes: Sizes of the network, and the growth factor of compounding, by name.
        settings: Fields of `Settings`, None for a dropout that is not given.
        run: Whether there are baselines and whether to resume, the seconds between two checkpoints, the memory, how
            many processes train together, and on which cluster.
        output: The model's file.
        frontend: What makes frames of sound; None if the sequences are none.
    """

    file: Path | str
    kind: Any
    asked: Asked
    wanted: Wanted
    validation: str
    cell: str
    sizes: dict[str, Any]
    settings: Mapping[str, Any]
    run: Any
    output: Path
    frontend: str | None = None

    def __post_init__(self) -> None:
        """Checks that a cluster and its storage are given together, before anything is read.

        Raises:
            ValueError: One of them is missing.
        """
        if self.run.ray_address and not self.run.storage:
            raise ValueError("--ray-address needs --storage, a folder or an address that all machines reach")
        if self.run.storage and not self.run.ray_address:
            raise ValueError("--storage is where a run on a cluster keeps checkpoints: --ray-address names the cluster")

    def settings_with(self, dropout: float) -> Settings:
        """Returns how to train, with a dropout where none is given."""
        given = self.settings["dropout"]
        return Settings(**{**self.settings, "dropout": dropout if given is None else given})

    def share(self, *, nothing: bool) -> float | None:
        """Returns the share to hold out; None if it is a file.

        Args:
            nothing: Whether nothing may be held out.

        Raises:
            FileNotFoundError: It is a folder or a pattern without a table.
            ValueError: It is neither, or 0 where something must be held out.
        """
        try:
            share = float(self.validation)
        except ValueError:
            if files_of(self.validation) is None and not exists(self.validation):
                expected = "expected a share such as 0.1 or a file"
                raise ValueError(f"--validation is {self.validation!r}, {expected}") from None
            return None
        if share == 0 and not nothing:
            raise ValueError(
                "--validation is 0, but a model's parts are weighed on held-out texts: give a share or a file"
            )
        return share

    def run_of(self, examples: Examples, settings: Settings, sizes: Mapping[str, Any], **more: Any) -> Run:
        """Says what is trained on examples.

        Args:
            examples: What was read.
            settings: How to train.
            sizes: Further fields of the configuration, by name.
            more: Further fields of the run.

        Raises:
            ValueError: There is no recurrent layer to watch, or no compounding whose rate could be given, or a setting
                does not fit what is trained.
        """
        rate, pooling = self.sizes["rate"], POOLINGS.get(self.cell)
        fixed = {"rate": rate if pooling and pooling.has_rate else None}
        config = examples.config(self.cell, **self.sizes | fixed | self.wanted.sizes | dict(sizes))
        beside = [] if self.run.no_baselines else list(candidates(examples, config, settings, rate))
        run = Run(examples, config, settings, baselines=beside, **more)
        if settings.watch_gradients and not (run.network and config.recurrent):
            raise ValueError(f"--watch-gradients measures recurrent layers, but there is none: --cell {self.cell}")
        if rate is not None and all(each.rate is None for each in (config, *[each.config for each in beside])):
            raise ValueError(f"--rate is the growth factor of compounding, which is not trained: --cell {self.cell}")
        import_module("tidegate.training.network.loop").check_settings(settings, config)
        return run

    def complete(self, run: Run, began: float) -> None:
        """Trains a run and writes its model, see `train_and_write`.

        Args:
            run: What is trained.
            began: When the command began, seconds as `perf_counter` counts them.
        """
        if self.run.autotune_minutes:
            if self.share(nothing=True) == 0:
                raise ValueError("settings are chosen by held-out rows, but --validation is 0: give a share or a file")
            run = tuned_run(run, self.run.autotune_minutes, self.output, self._making(), resume=self.run.resume)
        checkpoints, workers = self._checkpoints(run, resume=self.run.resume), self.run.workers
        if self.run.ray_address:
            self._train_on_cluster(run, checkpoints)
            checkpoints, workers = self._checkpoints(run, resume=True), 1
        gc.freeze()  # or the collector would look through all of torch and the data, again and again
        try:
            with import_module("tidegate.training.workers").workers(run, workers) as shared:
                train_and_write(Trainings(shared, checkpoints, compared=not self.run.no_baselines), self.output, began)
        except LostWorkerError:
            if checkpoints and checkpoints.folder.exists():
                note_resumable(checkpoints)
            raise

    def _checkpoints(self, run: Run, *, resume: bool) -> Checkpoints | None:
        return checkpoints_beside(self.output, run, self.run.checkpoint_every, resume=resume)

    def _making(self) -> Making:
        """Says where settings are tried: on the workers of a cluster, each a trial of its own, or in this process."""
        if self.run.ray_address:
            on_cluster, working = import_module("tidegate.ray.tuning"), import_module("tidegate.ray.working")
            workers = working.Workers(self.run.ray_address, self.run.workers)
            return partial(on_cluster.made_on_cluster, workers=workers)
        if self.run.workers > 1:
            say("settings are tried in this process with all threads; the workers train with the best of them")
        return made_here

    def _train_on_cluster(self, run: Run, checkpoints: Checkpoints | None) -> None:
        """Trains the networks on a cluster, so that their checkpoints here are those of trainings that have ended."""
        if not checkpoints:
            raise ValueError(f"--ray-address needs a model file with checkpoints beside it, but {self.output} is none")
        cluster = import_module("tidegate.ray.training")
        where = (self.run.workers, self.run.storage, self.output.stem, self.run.ray_address)
        with err.status("training on the cluster"):
            cluster.train_on_cluster(run, cluster.Cluster(*where, self.run.checkpoint_every), checkpoints.folder, say)
