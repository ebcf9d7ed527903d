"""What the Python targets share: a place for the file under test, limits, and the loop of atheris.

A target is a function of bytes that returns, whatever they are. It raises for what may not happen: any exception but
those that it expects. Time is that of the processor, so that a busy machine makes no difference.
"""

import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path

import atheris

LONGEST = 1.0  # seconds of the processor for one input
SOURCES = Path(__file__).parents[2] / "src"


class Sources:
    """Finds the modules of tidegate in this checkout; atheris sees no branch of what an editable installation loads."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        """Finds one module; the native one is where it was installed."""
        place = SOURCES.joinpath(*name.split("."))
        if place.is_dir() and (place / "__init__.py").is_file():
            return spec_from_file_location(name, place / "__init__.py", submodule_search_locations=[str(place)])
        return spec_from_file_location(name, f"{place}.py") if Path(f"{place}.py").is_file() else None


sys.meta_path.insert(0, Sources)  # type: ignore[arg-type]


def place_of(name: str) -> Path:
    """Makes a path for a file under test, in memory where the system has such a folder.

    It is the same one every time, for its name is in messages, whose comparisons guide the search.
    """
    memory = Path("/dev/shm")  # noqa: S108 - the folder inside is our own
    parent = memory if memory.is_dir() else Path(tempfile.gettempdir())
    folder = parent / f"tidegate-fuzz-{os.getuid()}-{Path(sys.argv[0]).stem}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / name


def fuzz(target: Callable[[bytes], None]) -> None:
    """Runs a target on inputs that atheris makes from the seeds in the folders that the command line names.

    Every folder is read once before, without limits, so that what is loaded late is there when times are taken.
    """
    warnings.simplefilter("ignore")  # to print one takes longer than to read a small file
    for folder in filter(Path.is_dir, map(Path, sys.argv[1:])):
        for seed in sorted(folder.iterdir()):
            target(seed.read_bytes())

    def timed(data: bytes) -> None:
        start = time.process_time()
        target(data)
        seconds = time.process_time() - start
        if seconds > LONGEST:
            raise RuntimeError(f"an input took {seconds:.1f} s, expected less than {LONGEST:.0f} s")

    atheris.Setup(sys.argv, timed)
    atheris.Fuzz()
