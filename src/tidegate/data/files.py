"""Files that are written whole or not at all."""

import glob
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Opens a file that takes the place of `path` when the block ends well.

    The bytes go to a temporary name in the same folder, are flushed to the disk, and are renamed, so that at any
    moment, a power failure included, `path` holds the old content or the new one. An exception inside the block
    leaves `path` as it was and no temporary file behind.

    Args:
        path: Where to write the file; a symbolic link keeps pointing where it points.

    Yields:
        The temporary file, open for binary writing, with the permissions that the umask grants to new files.

    Raises:
        OSError: The folder is missing, or cannot be written.
    """
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        folder = target.parent if Path(path).is_symlink() else Path(path).parent
        raise FileNotFoundError(f"there is no folder {folder} to write {target.name} to")
    if target.is_dir():
        raise IsADirectoryError(f"{path} is a folder, expected the name of a file")
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def remove_unfinished(folder: Path, name: str = "") -> None:
    """Removes the temporary files of processes that were killed inside `replacing`; none may be writing there now.

    Args:
        folder: Where they are.
        name: What was to be written; "" for anything.
    """
    pattern = f".{glob.escape(name[:100]) or '*'}.{'[0-9a-f]' * 16}.tmp"
    for path in list(folder.glob(pattern)):
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Flushes a folder's entries: without it a rename may be lost in a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
