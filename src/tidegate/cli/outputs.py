"""What the commands write, and where a trained model goes when it cannot be written where it was wanted."""

import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from pathlib import Path

from tidegate.cli.console import leave_stdout
from tidegate.data.datasets import cache_folder
from tidegate.data.outputs import Format, Output, starts_with
from tidegate.files.writing import StrPath
from tidegate.models.files.model_file import is_model

MODEL = Format("model", "a model of tidegate", (".safetensors",), is_model)
PAGE = Format("page", "a web page", (".html", ".htm"), starts_with(b"<!doctype html", b"<html"))
PICTURE = Format("picture", "a PNG picture", (".png",), starts_with(b"\x89PNG"))

_LONGEST_STEM = 100  # bytes of a name that is made longer


def output(
    path: StrPath, formats: Sequence[Format], inputs: Iterable[StrPath | None] = (), *, overwrite: bool = False
) -> Output:
    """Checks an output as `Output.of` does; if it is standard output, what a command says goes to stderr."""
    checked = Output.of(path, formats, inputs, overwrite=overwrite)
    if checked.is_stdout:
        leave_stdout()
    return checked


def save_somewhere(save: Callable[[Path], None], wanted: Path) -> None:
    """Saves what took long to make, where it was wanted or else in the current folder, the cache, or the temporary one.

    Args:
        save: Writes a file.
        wanted: Where it should be.

    Raises:
        OSError: It is not there; the message says why, and where it is instead.
    """
    try:
        save(wanted)
    except OSError as error:
        why = f"{wanted}: {error.strerror}" if error.strerror else str(error)
    else:
        return
    for folder in (Path(), cache_folder(), Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path = _free_name(folder.resolve(strict=True), wanted)
            save(path)
        except OSError:
            continue
        raise OSError(f"{why}. The model is not lost: it is in {path}")
    raise OSError(f"{why}. Nor can it be written to the current folder, the cache or {tempfile.gettempdir()}")


def _free_name(folder: Path, wanted: Path) -> Path:
    """Finds a name in a folder that no file has."""
    stem = wanted.stem if wanted.suffix == MODEL.suffixes[0] else "model"
    stem = stem if len(os.fsencode(stem)) <= _LONGEST_STEM else "model"
    names = (f"{stem}-saved{'' if i == 1 else f'-{i}'}{MODEL.suffixes[0]}" for i in count(1))
    return next(folder / name for name in names if not (folder / name).exists())
