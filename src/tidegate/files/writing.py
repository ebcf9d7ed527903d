"""Files that are written whole or not at all; devices and pipes are written to, never replaced."""

import errno
import fcntl
import glob
import io
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

StrPath = str | os.PathLike[str]

_DESCRIPTOR = re.compile(r"(?:/dev|/proc/(\d+)(?:/task/\d+)?)/fd/(\d+)")
_MOST_LINKS = 40  # as Linux follows


@contextmanager
def replacing(path: StrPath) -> Iterator[BinaryIO]:
    """Opens a file that takes the place of `path` when the block ends well.

    The bytes go to a temporary name in the same folder, are flushed to the disk, and are renamed, so that at any
    moment, a power failure included, `path` holds the old content or the new one. An exception inside the block
    leaves `path` as it was and no temporary file behind. A device, a pipe, or an open file by a name such as
    /dev/stdout is written to instead, as the bytes come.

    Args:
        path: Where to write the file; a symbolic link keeps pointing where it points.

    Yields:
        The file, open for binary writing, with the permissions of the file that it replaces, or those that the umask
        grants to new ones. An error of the system while it is written names `path`.

    Raises:
        OSError: The folder is missing, or cannot be written, or `path` is a folder, a disk or write-protected.
    """
    if is_stream(path):
        with naming(path):
            raw = _open_stream(path)
        with closing(raw):
            yield cast("BinaryIO", Sink(raw, path))
        return
    check_place(path)
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{_short(target.name)}.{secrets.token_hex(8)}.tmp")
    with naming(path):
        raw = io.FileIO(temporary, "x")
    try:
        with closing(raw):
            _keep_permissions(raw, target)
            yield cast("BinaryIO", Sink(raw, path, seekable=True))
            with naming(path):
                os.fsync(raw.fileno())
        with naming(path):
            temporary.replace(target)
    except BaseException:
        with suppress(OSError):  # the folder may be gone
            temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


class Sink(io.BufferedIOBase):
    """What bytes are written to: all of them at once, or an error that names the file.

    Attributes:
        path: The name that the user knows.
    """

    def __init__(self, raw: Any, path: StrPath, *, seekable: bool = False) -> None:
        """Wraps a file.

        Args:
            raw: Has `write`, which may take a part of the bytes only, `flush` and `fileno`.
            path: As the attribute.
            seekable: Whether bytes that were written can be written over.
        """
        self.path = path
        self._raw = raw
        self._seekable = seekable
        self._place = 0

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """The number of the open file."""
        return int(self._raw.fileno())

    def tell(self) -> int:
        """Where the next bytes go, from the first that was written here: a pipe cannot say."""
        return self._place

    def seekable(self) -> bool:
        """Whether it is a file of its own, and no device or pipe."""
        return self._seekable

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Has the next bytes written elsewhere.

        Raises:
            OSError: It is a device or a pipe.
        """
        if not self._seekable:
            raise io.UnsupportedOperation("a device or a pipe takes bytes in their order only")
        self._place = int(self._raw.seek(offset, whence))
        return self._place

    def write(self, data: Any, /) -> int:
        """Writes all bytes.

        Raises:
            OSError: They cannot be written.
        """
        with memoryview(data) as view, view.cast("B") as rest, naming(self.path):
            done = 0
            while done < len(rest):
                taken = self._raw.write(rest[done:])
                if taken is None:
                    raise BlockingIOError(errno.EAGAIN, "it takes no more bytes now, and was opened without waiting")
                done += taken
        self._place += done
        return done

    def flush(self) -> None:
        """Passes on what waits.

        Raises:
            OSError: It cannot be written.
        """
        with naming(self.path):
            self._raw.flush()


@contextmanager
def naming(path: StrPath) -> Iterator[None]:
    """Has errors of the system inside the block name this file, and not a temporary one, or none.

    Raises:
        OSError: Of the same kind as the one inside.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename == os.fspath(path):
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def is_stream(path: StrPath) -> bool:
    """Whether a file is written to as it is, not replaced: a device, a pipe, or a name for an open file."""
    if descriptor(path) is not None:
        return True
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def descriptor(path: StrPath) -> int | None:
    """Returns the number of the open file of this process that a name such as /dev/stdout or /dev/fd/3 stands for."""
    with naming(path):  # the current folder may be gone
        step = os.path.abspath(path)
    for _ in range(_MOST_LINKS):
        folder, name = os.path.split(step)
        match = _DESCRIPTOR.fullmatch(os.path.join(os.path.realpath(folder), name))
        if match and match[1] in {None, str(os.getpid())}:
            return int(match[2])
        if not os.path.islink(step):
            break
        step = os.path.join(folder, os.readlink(step))
    return None


def check_place(path: StrPath) -> None:
    """Checks that a file can be made or replaced, or a device or pipe be written to, as far as that is known before.

    Raises:
        OSError: The folder is missing, or cannot be written, or `path` is a folder, a disk or write-protected.
    """
    if is_stream(path):
        _check_stream(path)
        return
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        folder = target.parent if Path(path).is_symlink() else Path(path).parent
        raise FileNotFoundError(f"there is no folder {folder} to write {target.name} to")
    with naming(path):
        mode = target.stat().st_mode if target.exists() else None
    if mode is not None and stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{os.fspath(path)} is a folder, expected the name of a file")
    if mode is not None and stat.S_ISBLK(mode):
        raise PermissionError(f"{os.fspath(path)} is a disk, whose content would be lost, expected the name of a file")
    if mode is not None and not is_writable(target):
        raise PermissionError(f"{os.fspath(path)} is write-protected: choose another name, or change its permissions")
    if not is_writable(target.parent):
        raise PermissionError(f"the folder {Path(path).parent} cannot be written to, expected one for {target.name}")


def _check_stream(path: StrPath) -> None:
    """Checks that a device, a pipe or an open file can be written to.

    Raises:
        OSError: It cannot, or there is no such open file.
    """
    number = descriptor(path)
    with naming(path):
        if number is None:
            allowed = os.access(path, os.W_OK)
        else:
            allowed = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
    if not allowed:
        raise PermissionError(f"{os.fspath(path)} cannot be written to")


def is_writable(path: Path) -> bool:
    """Whether a file or a folder may be changed; root, who may change all, heeds the mode too."""
    return os.access(path, os.W_OK) and bool(path.stat().st_mode & 0o222)


def _open_stream(path: StrPath) -> io.FileIO:
    """Opens what is written to as it is.

    A name for an open file is opened by its number: to open the name anew would begin at the file's start, and write
    over what other programs have written there.
    """
    number = descriptor(path)
    return io.FileIO(os.open(path, os.O_WRONLY | os.O_NOCTTY) if number is None else os.dup(number), "w")


def _keep_permissions(file: io.FileIO, old: Path) -> None:
    with suppress(OSError):  # there is no old file, or the file system has no permissions
        os.fchmod(file.fileno(), stat.S_IMODE(old.stat().st_mode))


def _short(name: str) -> str:
    """Returns the first 100 bytes of a file's name, in whole characters: a name has 255 bytes at most."""
    while len(os.fsencode(name)) > 100:
        name = name[:-1]
    return name


def remove_unfinished(folder: Path, name: str = "") -> None:
    """Removes the temporary files of processes that were killed inside `replacing`; none may be writing there now.

    Args:
        folder: Where they are.
        name: What was to be written; "" for anything.
    """
    pattern = f".{glob.escape(_short(name)) or '*'}.{'[0-9a-f]' * 16}.tmp"
    for path in list(folder.glob(pattern)):
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Flushes a folder's entries: without it a rename may be lost in a power failure."""
    with suppress(OSError):  # it may not be read, or is of a file system that cannot: the file is there all the same
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
