"""What a trained network consists of and what its file holds: a configuration, arrays, and facts about training."""

import os
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tidegate.models.architecture import Architecture
from tidegate.models.files.metadata import format_object
from tidegate.models.files.model_file import write
from tidegate.ops.compressed import Compressed, compress

Array = npt.NDArray[np.float32]


class Stored:
    """A configuration and the arrays that fit it, which can be saved, compressed, copied and sent.

    Attributes:
        config: Cell, sizes, summary, task and labels.
        arrays: float32 arrays by name, read-only; those that are kept in fewer bits are expanded.
        small: Those that are kept in fewer bits, by name, as they are kept.
        metrics: What training measured, by name.
        versions: The versions of the packages that trained it, by name.
        sha256: The digest in the file that it was loaded from, which tells its content from any other; None for a model
            that was made in memory.
    """

    config: Architecture
    sha256: str | None = None

    def __init__(
        self,
        config: Architecture,
        arrays: Mapping[str, npt.NDArray[Any] | Compressed],
        metrics: Mapping[str, Any] | None = None,
        versions: Mapping[str, str] | None = None,
    ) -> None:
        """Checks the arrays and copies them, see `Encoder`."""
        checked = config.checked(arrays)
        self.config = config
        self.metrics = dict(metrics or {})
        self.versions = dict(versions or {"tidegate": _own_version()})
        self.small = {name: array for name, array in checked.items() if isinstance(array, Compressed)}
        self.arrays = {name: _frozen(name, checked[name]) for name in config.letters()}

    @cached_property
    def _stored(self) -> dict[str, Array | Compressed]:
        """The arrays by name, as they are kept."""
        return self.arrays | self.small

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the model to one safetensors file, whole or not at all.

        Args:
            path: Where to write the file; an old one is replaced, a device or a pipe is written to.

        Raises:
            OSError: The file cannot be written, or is write-protected; what was there is as it was.
            TypeError: The metrics or the classes hold something that JSON does not.
        """
        write(path, self._stored, self.metadata())

    def compress(self, dtype: str) -> Self:
        """Makes a network with the same weights in fewer bits: a smaller file, and faster steps of wide layers.

        The recurrent weights and, of texts, the word vectors are compressed; biases, rates, head and n-grams are not.

        Args:
            dtype: "int8" or "bfloat16", as in `ops.compress`.

        Raises:
            ValueError: The dtype is another, or there is nothing to compress.
        """
        weights = {
            name: compress(array, dtype)
            for name, array in self.arrays.items()
            if name.startswith(("rnn.weight_", "embedding.")) and array.size
        }
        if not weights:
            raise ValueError("it has neither recurrent weights nor word vectors that could be kept in fewer bits")
        make, parts = self.__reduce__()
        small: Self = make(*(self.arrays | weights if part is self._stored else part for part in parts))
        return small

    def metadata(self) -> dict[str, str]:
        """Returns the metadata of the model file."""
        return {
            "config": self.config.to_json(),
            "metrics": format_object(self.metrics),
            "versions": format_object(self.versions),
        }

    def __reduce__(self) -> tuple[Any, ...]:
        # Packed weights belong to a process: a copy, or a worker that is sent a model, packs its own.
        return type(self), (self.config, self._stored, self.metrics, self.versions)

    def __repr__(self) -> str:
        parameters = sum(array.size for array in self.arrays.values())
        labels = f"labels={list(self.config.labels)!r:.200}" if self.config.has_head else self.config.task
        return f"{type(self).__name__}({self.config.cell!r}, {labels}, {parameters:,} parameters)"


def _own_version() -> str:
    # Rarely needed, and a fifth of the time that importing tidegate takes.
    from importlib.metadata import version  # noqa: PLC0415

    return version("tidegate")


def finite(name: str, array: Array) -> Array:
    """Returns an array whose numbers are all finite.

    Raises:
        ValueError: It holds a number that is not.
    """
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds {np.count_nonzero(~np.isfinite(array))} numbers that are not finite")
    return array


def _frozen(name: str, array: npt.NDArray[Any] | Compressed) -> Array:
    """Expands or copies an array, so that later changes of the original do not reach the model.

    One that nobody can change, and that is no view of another, is taken as it is: arrays that were read from a file.

    Raises:
        ValueError: It holds a number that is not finite.
    """
    numbers = array.expand() if isinstance(array, Compressed) else array
    flags = numbers.flags
    if numbers.dtype == np.float32 and flags.owndata and flags.c_contiguous and not flags.writeable:
        return finite(name, numbers)
    copy: Array = finite(name, np.array(numbers, np.float32, order="C"))
    copy.flags.writeable = False
    return copy
