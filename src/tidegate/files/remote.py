"""Files elsewhere, at addresses such as `s3://bucket/reviews/*.parquet`, by whatever fsspec can reach.

A file is copied to the disk before it is read, one after the other, so that what reads files needs to know nothing of
addresses. fsspec, and a package for the kind of address, are needed only where there are some.
"""

import os
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import NamedTemporaryFile
from typing import Any, Protocol, TypeGuard

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+(?:::[A-Za-z][A-Za-z0-9+.-]+)*://")
_MAGIC = re.compile(r"[*?[]")
_KEPT = 2  # copies: of what is trained on, and of what is judged by


class Copy(Protocol):
    """A file on this disk; a copy is gone when nobody holds it any more."""

    @property
    def name(self) -> str:
        """Its name on this disk."""
        ...


class _Here:
    """A file that is on this disk anyway."""

    def __init__(self, name: str) -> None:
        self.name = name


_copies: "OrderedDict[tuple[str, str], Copy]" = OrderedDict()


def is_url(name: object) -> TypeGuard[str]:
    """Whether a name is an address, such as `s3://bucket/file` or `file:///folder/file`."""
    return isinstance(name, str) and _ADDRESS.match(name) is not None


def is_file(name: str | os.PathLike[str]) -> bool:
    """Whether a name is that of what can be opened again and again: a regular file, or an address."""
    return is_url(name) or os.path.isfile(name)


def exists(name: str | os.PathLike[str]) -> bool:
    """Whether there is such a file or folder, here or at an address.

    Raises:
        ImportError: The package for the address is missing.
        OSError: Nobody answers there, or denies it.
        ValueError: There is no such kind of address.
    """
    if not is_url(name):
        return os.path.exists(name)
    with _at(name) as (files, path):
        return bool(files.exists(path))


def size_of(name: str | os.PathLike[str]) -> int:
    """Returns the bytes of a file, here or at an address; 0 if nobody knows.

    Raises:
        ImportError: As in `exists`, and so are the others.
        OSError: See there.
        ValueError: See there.
    """
    if not is_url(name):
        return os.path.getsize(name)
    with _at(name) as (files, path):
        return int(files.size(path) or 0)


def local(name: str) -> Copy:
    """Copies a file at an address to the disk, unless it was the last one and is still the same.

    Raises:
        ImportError: As in `exists`, and so are the others.
        OSError: See there; or the file is not there, or does not fit onto the disk.
        ValueError: See there.
    """
    with _at(name) as (files, path):
        if getattr(files, "local_file", False):
            return _Here(path)
        key = name, str(files.ukey(path))
        if key not in _copies:
            copy: Any = NamedTemporaryFile(prefix="tidegate-", suffix=os.path.basename(path)[-40:])  # noqa: SIM115
            files.get_file(path, copy.name)
            _copies[key] = copy
            while len(_copies) > _KEPT:
                _copies.popitem(last=False)
        return _copies[key]


def files_in(url: str, counts: Callable[[str], bool]) -> list[str] | None:
    """Lists the files of a folder or of a pattern at an address.

    Args:
        url: The address.
        counts: Whether a file in a folder is one of those that are meant, by its name from there on.

    Returns:
        Their addresses, in order; None for what is a single file.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: As in `exists`, and so are the others.
        OSError: See there.
        ValueError: See there.
    """
    with _at(url) as (files, path):
        if _MAGIC.search(path) and not files.exists(path):
            found = [name for name in files.glob(path) if files.isfile(name)]
        elif files.isdir(path):
            inside = files.find(path)
            found = [name for name in inside if counts(name.removeprefix(path).lstrip("/"))]
        elif files.exists(path):
            return None
        else:
            raise FileNotFoundError(f"there is no file {url!r}")
        return sorted(str(files.unstrip_protocol(name)) for name in found)


@contextmanager
def _at(url: Any) -> Iterator[tuple[Any, str]]:
    """Finds what reaches an address, and the name there; its errors are those of files.

    Raises:
        ImportError: As in `exists`, and so are the others.
        OSError: See there.
        ValueError: See there.
    """
    kind = str(url).partition("://")[0]
    try:
        from fsspec.core import url_to_fs  # noqa: PLC0415 - only who has addresses needs it
    except ImportError as error:
        raise ImportError(f"addresses such as {url} need fsspec: pip install 'tidegate[remote]'") from error
    try:
        yield url_to_fs(url)
    except ImportError as error:
        raise ImportError(f"addresses that begin with {kind}:// need another package, too: {error}") from error
    except (OSError, ValueError, MemoryError):
        raise
    except Exception as error:  # of as many kinds as there are packages
        raise OSError(f"{url}: {error}") from error
