"""Files without a name, for what does not fit into memory and is of no use afterwards."""

import os
import weakref
from tempfile import TemporaryFile


class Nameless:
    """A file without a name, which the system removes when nobody uses it any more, however the process ends.

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
