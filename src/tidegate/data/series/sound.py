"""Sound: columns of samples, and files of sound, which a column names or a folder holds."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.data.series.columns import samples_of
from tidegate.data.series.roles import Asked, Roles, is_sound_file
from tidegate.data.series.table import Series

_LONGEST = 1 << 27  # samples of a file: 512 MiB as they are kept
_BLOCK = 1 << 20  # samples that are read at once, of all channels


def read_sound(path: Path) -> tuple[npt.NDArray[np.float32], int]:
    """Reads a file of sound; several channels become their mean.

    Any form that libsndfile reads: WAV of 8 to 32 bits and of floats, FLAC and others. A file that ends too soon is
    read up to there. Memory does not depend on what its header says.

    Returns:
        Samples of full scale 1, float32 [N], and samples a second.

    Raises:
        ImportError: soundfile is missing.
        OSError: There is no such file, or it may not be read.
        ValueError: It is no sound that can be read, or too long.
    """
    try:
        import soundfile  # noqa: PLC0415 - only who has files of sound needs it
    except ImportError as error:
        raise ImportError("files of sound need soundfile: pip install 'tidegate[sound]'") from error
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}")
    blocks: list[npt.NDArray[np.float32]] = []
    try:
        with path.open("rb") as raw, soundfile.SoundFile(raw) as file:
            size = max(1, _BLOCK // file.channels)
            while len(block := file.read(size, dtype="float32", always_2d=True)):
                blocks.append(block[:, 0] if file.channels == 1 else block.mean(axis=1))
                if sum(map(len, blocks)) > _LONGEST:
                    raise ValueError(f"{path} has more than {_LONGEST:,} samples, expected shorter clips")
            rate = int(file.samplerate)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"{path} is no sound that can be read: {error.error_string}") from None
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32), rate


class Clips:
    """Reads clips, all of which must have one sample rate.

    Attributes:
        rate: Samples a second; 0 until a file says it.
        folder: Where files that a table names are looked for.
    """

    def __init__(self, rate: int, folder: Path) -> None:
        """Takes what is known."""
        self.rate, self.folder = rate, folder

    def of_column(self, column: Any, name: str, first_row: int) -> list[npt.NDArray[Any]]:
        """Reads the clip in each cell of a column: samples, [N], in their type, or the name of a file.

        Raises:
            ImportError: As in `read_sound`.
            OSError: As in `read_sound`.
            ValueError: As in `read_sound`, or a cell holds neither, or a file has another sample rate.
        """
        cells = enumerate(samples_of(column, name, first_row), first_row)
        return [
            self._named(cell, f"row {row} of column {name!r}") if isinstance(cell, str) else cell for row, cell in cells
        ]

    def _named(self, name: str, place: str) -> npt.NDArray[np.float32]:
        """Reads the file that a table names."""
        try:
            return self.of_file(self.folder / name)
        except (OSError, ValueError) as error:
            raise type(error)(f"{place}: {error}") from None

    def of_file(self, path: Path) -> npt.NDArray[np.float32]:
        """Reads a file.

        Raises:
            ImportError: As in `read_sound`.
            OSError: As in `read_sound`.
            ValueError: As in `read_sound`, or it has another sample rate.
        """
        sound, rate = read_sound(path)
        self.rate = self.rate or rate
        if rate != self.rate:
            raise ValueError(
                f"{path} has {rate:,} samples a second, expected {self.rate:,}: resample it, as with "
                f"`ffmpeg -i {path.name} -ar {self.rate} …`"
            )
        return sound


def sound_files(source: Any) -> list[Path]:
    """Lists a file of sound, or those of a folder and the folders in it, by name; none if it is something else."""
    if not isinstance(source, str | os.PathLike):
        return []
    path = Path(source)
    if not path.is_dir():
        return [path] if is_sound_file(path.name) else []
    found = (each for each in sorted(path.rglob("*")) if is_sound_file(each.name))
    return [each for each in found if not any(part.startswith(".") for part in each.relative_to(path).parts)]


def read_files(
    files: list[Path], source: Path, asked: Asked, *, need_label: bool, size: int | None
) -> Iterator[Series]:
    """Reads files of sound as the table that they would be: columns `file` and `label`, the folder that a file is in.

    Args:
        files: The files.
        source: The folder that they are in, or the only one.
        asked: Of which the samples a second count.
        need_label: Whether there must be labels.
        size: The most files of a part; None for all in one.

    Raises:
        ImportError: As in `read_sound`.
        OSError: As in `read_sound`.
        ValueError: As in `Clips.of_file`, or a file that must have a label is in no folder of its own.
    """
    clips = Clips(asked.sound or 0, source)
    names = [str(each.relative_to(source)) if source.is_dir() else str(each) for each in files]
    labels = [each.parent.name for each in files]
    if need_label and (alone := next((each for each in files if source in {each, each.parent}), None)):
        raise ValueError(
            f"{alone} is in no folder that names its class, expected such as {source / 'yes' / alone.name}"
        )
    step = size or len(files)
    for first in range(0, len(files), step):
        some = slice(first, first + step)
        sequences: list[Any] = [clips.of_file(each) for each in files[some]]
        known = {"label": labels[some]} if need_label else {}
        roles = Roles(features=("file",), labels=tuple(known), sound=clips.rate)
        yield Series(sequences, known, roles, {"file": names[some], **known})
