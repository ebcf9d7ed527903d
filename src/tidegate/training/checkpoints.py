"""Checkpoints of a training on disk: whole or not at all, with a digest over everything, the last two of each kept."""

import json
import os
import re
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.files.writing import remove_unfinished, replacing
from tidegate.models.files.model_file import content_digest
from tidegate.training.fingerprint import differences

EVERY = 30.0
"""Seconds of training between two checkpoints, unless something else is asked for."""

_FORMAT = "1"
_KEPT = 2
_REST = 100  # times as long as the last checkpoint took to write, none is written: writing takes 1 % at most
_END = 0.1  # of the usual time between two checkpoints; after it, the end of a training is worth one
_ASIDE = "previous"
_DAMAGED = ".damaged"
_NAME = re.compile(r"(?P<training>.+)-(?P<number>\d{6,})\.checkpoint\.safetensors")


class CheckpointError(ValueError):
    """A training cannot be resumed: its checkpoints are damaged, or of other data, settings or versions."""


class _DamagedError(CheckpointError):
    """A checkpoint is not as it was written."""


@dataclass(frozen=True)
class Checkpoint:
    """What a training is at one moment.

    Attributes:
        arrays: Arrays of any type by name.
        facts: Everything else, ready for JSON.
    """

    arrays: Mapping[str, npt.NDArray[Any]]
    facts: Mapping[str, Any]


class Checkpoints:
    """The checkpoints of a run, which is one training or several, in one folder.

    The folder is made when the first checkpoint is written. Other files in it are left alone.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     Checkpoints(folder, {"epochs": 3}).write("gru", Checkpoint({"w": np.ones(2)}, {"epoch": 1}))
        ...     found = Checkpoints(folder, {"epochs": 3}, resume=True).read("gru")
        >>> found.arrays["w"].tolist(), found.facts
        ([1.0, 1.0], {'epoch': 1})

    Attributes:
        folder: Where they are.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        fingerprint: Mapping[str, Any],
        *,
        resume: bool = False,
        every: float = EVERY,
        tell: Callable[[str], object] = warnings.warn,
    ) -> None:
        """Looks at what a run that was interrupted has left.

        Args:
            folder: Where the checkpoints are.
            fingerprint: What of data, settings and versions decides the result.
            resume: Whether they are continued; otherwise they are put aside, into a folder `previous`.
            every: Seconds between two checkpoints; more where writing one takes more than 1 % of this. 0 for one after
                each step.
            tell: Called with what the user should know, such as that a checkpoint is damaged.

        Raises:
            CheckpointError: All that there are of a training are damaged, or one is of another run or another format.
            OSError: The folder or a checkpoint cannot be read, or the folder is a file.
        """
        self.folder, self._every, self._tell = Path(folder), every, tell
        self._fingerprint = json.dumps(dict(fingerprint))
        self._written, self._cost, self._failed = perf_counter(), 0.0, False
        self._newest: dict[str, Path] = {}
        if self.folder.exists() and not self.folder.is_dir():
            raise NotADirectoryError(f"{folder} is a file, expected a folder for checkpoints")
        remove_unfinished(self.folder)
        if not resume:
            self._put_aside()
            return
        for training in sorted(self._files()):
            self._newest[training] = self._find(training)
        if not self._newest:
            tell(f"there is no checkpoint in {self.folder} yet: training starts at the beginning")

    def read(self, training: str) -> Checkpoint | None:
        """Reads the newest checkpoint of a training that is whole; None if there is none to continue.

        Raises:
            CheckpointError: It has been damaged meanwhile.
            OSError: It cannot be read.
        """
        path = self._newest.get(training)
        return _read(path)[0] if path else None

    def due(self, *, at_end: bool = False) -> bool:
        """Tells whether it is time for a checkpoint; at the end of a training it is earlier, for less is written."""
        if not self._every:
            return True
        between = _END * self._every if at_end else self._every
        return perf_counter() - self._written >= max(between, _REST * self._cost)

    def write(self, training: str, checkpoint: Checkpoint) -> None:
        """Writes a checkpoint, and removes all but the last two; training goes on if it cannot be written."""
        began = perf_counter()
        try:
            self._write(training, checkpoint)
        except OSError as error:
            if not self._failed:
                self._tell(f"no checkpoint could be written to {self.folder}: {error.strerror or error}")
            self._failed = True
        self._written = perf_counter()
        self._cost = self._written - began

    def remove(self, *, previous: bool = True) -> None:
        """Removes the checkpoints of a run that has ended, and empty folders.

        Args:
            previous: Whether those that were put aside are removed too: only where a run has ended well.
        """
        for folder in [self.folder / _ASIDE] * previous + [self.folder]:
            _remove(_all(folder))
            with suppress(OSError):  # there is none, or there are files of others in it
                folder.rmdir()

    def _write(self, training: str, checkpoint: Checkpoint) -> None:
        files = self._files().get(training, [])
        number = 1 + max((int(_NAME.fullmatch(path.name)["number"]) for path in files), default=0)  # type: ignore[index]
        from safetensors.numpy import save  # noqa: PLC0415 - `import tidegate` comes by here

        texts = {"checkpoint": _FORMAT, "run": self._fingerprint, "facts": json.dumps(checkpoint.facts)}
        texts["sha256"] = _typed_digest(checkpoint.arrays, texts)
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{training}-{number:06}.checkpoint.safetensors"
        with replacing(path) as file:
            file.write(save({name: np.asarray(array, order="C") for name, array in checkpoint.arrays.items()}, texts))
        self._newest[training] = path
        _remove(files[: len(files) + 1 - _KEPT])

    def _files(self) -> dict[str, list[Path]]:
        """Lists the checkpoints of each training, oldest first."""
        found: dict[str, list[tuple[int, Path]]] = {}
        for path in self.folder.glob("*.safetensors"):
            if name := _NAME.fullmatch(path.name):
                found.setdefault(name["training"], []).append((int(name["number"]), path))
        return {training: [path for _, path in sorted(listed)] for training, listed in found.items()}

    def _find(self, training: str) -> Path:
        """Finds the newest checkpoint of a training that is whole, which must be of this run."""
        damages = []
        for path in reversed(self._files()[training]):
            try:
                _, run = _read(path)
            except _DamagedError as error:
                damages.append(str(error))
                continue
            if found := differences(json.loads(run), json.loads(self._fingerprint)):
                raise CheckpointError(
                    f"the checkpoint in {self.folder} is of another run: {'; '.join(found)}. Resume with the same "
                    "data, settings and versions, or start anew without resuming"
                )
            if damages:
                self._tell(f"{damages[0]}; the checkpoint before it is used")
                for damaged in self._files()[training][-len(damages) :]:
                    damaged.replace(damaged.with_name(damaged.name + _DAMAGED))
            return path
        raise CheckpointError(f"{'; '.join(damages)}: start anew without resuming")

    def _put_aside(self) -> None:
        files = _all(self.folder)
        if not files:
            return
        aside = self.folder / _ASIDE
        aside.mkdir(exist_ok=True)
        _remove(_all(aside))
        for path in files:
            path.replace(aside / path.name)
        self._tell(f"a run was interrupted, and this one does not resume it: its checkpoints are now in {aside}")


def _read(path: Path) -> tuple[Checkpoint, str]:
    """Reads a checkpoint, and the fingerprint of its run as JSON.

    Raises:
        CheckpointError: It is damaged, or of another format.
        OSError: It cannot be read, which does not say that it is damaged.
    """
    from safetensors import SafetensorError  # noqa: PLC0415 - see `_write`
    from safetensors.numpy import load  # noqa: PLC0415

    data = path.read_bytes()  # not mapped into memory: the system ends a process whose mapped file is cut
    try:
        arrays = load(data)
        texts = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]).get("__metadata__", {})
    except (SafetensorError, LookupError, ValueError) as error:
        raise _DamagedError(f"{path} is damaged: {error}") from error
    found = texts.get("checkpoint", _FORMAT)
    if found != _FORMAT:
        raise CheckpointError(
            f"{path} has format {found!r:.60}, expected {_FORMAT!r}: another version of tidegate wrote it. Resume with "
            "that version, or start anew without resuming"
        )
    if texts.get("sha256") != _typed_digest(arrays, texts):
        raise _DamagedError(f"{path} is damaged: its SHA-256 digest does not match")
    return Checkpoint(arrays, json.loads(texts["facts"])), texts["run"]


def _typed_digest(arrays: Mapping[str, npt.NDArray[Any]], texts: Mapping[str, str]) -> str:
    """Computes the SHA-256 of everything, the types of the arrays included."""
    types = {name: arrays[name].dtype.str for name in sorted(arrays)}
    return content_digest(arrays, {**texts, "types": json.dumps(types)})


def _all(folder: Path) -> list[Path]:
    """Lists the checkpoints in a folder, those that were found damaged too."""
    return [path for path in folder.glob("*.safetensors*") if _NAME.fullmatch(path.name.removesuffix(_DAMAGED))]


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
