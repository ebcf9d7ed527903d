"""Files without a name, for what does not fit into memory and is of no use afterwards."""

import os
import weakref
from multiprocessing import reduction
from tempfile import TemporaryFile
from typing import Any


class Nameless:
    """A file without a name, which the system removes when nobody uses it any more, however the process ends.

    It can be handed to a process that multiprocessing starts, which reads the same file.

    Attributes:
        file: It, open for reading and writing bytes.
    """

    def __init__(self, folder: str | os.PathLike[str] | None) -> None:
        """Opens it.

        Args:
            folder: Where it takes its space; None for the system's folder of temporary files.

        Raises:
            OSError: There is no such folder, or nothing may be written there.
        """
        self.file = TemporaryFile(dir=folder, prefix="tidegate-")  # noqa: SIM115 - closed when nobody uses it
        weakref.finalize(self, self.file.close)

    def __reduce__(self) -> tuple[Any, ...]:
        """Names the file for a process that is being started, which gets it open."""
        return _handed_on, (reduction.DupFd(self.file.fileno()),)


def _handed_on(given: Any) -> Nameless:
    """Opens, in another process, what it was given."""
    nameless = Nameless.__new__(Nameless)
    nameless.file = os.fdopen(given.detach(), "r+b")
    weakref.finalize(nameless, nameless.file.close)
    return nameless
