"""Files as they are inside their packing, which their first bytes tell."""

import io
import lzma
import os
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from tidegate.data.tables.sources.kinds import kind_by_name
from tidegate.data.tables.sources.signatures import UNPACK, check_is_readable, document_of
from tidegate.files import packing
from tidegate.files.remote import is_url, local
from tidegate.files.signatures import ARROW, PARQUET, may_become_more, name_of

Source = str | os.PathLike[str] | BinaryIO

_CHUNK = 1 << 18  # bytes
_DEEPEST = 5  # packed files in one another
_COLUMNAR = {PARQUET: "parquet", ARROW: "arrow"}
_DAMAGED_ZIP = (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, OverflowError, struct.error)


class Damaged(Exception):  # noqa: N818 - what it says of the data
    """Packed data cannot be unpacked."""


class Peeked(io.RawIOBase):
    """A binary stream whose first bytes can be looked at; closing it leaves the stream behind it open.

    Attributes:
        name: What it is called in messages.
        head: The first bytes that came in, enough to tell the kinds of files apart. They are read like the others.
    """

    def __init__(self, stream: Any, name: str) -> None:
        self.name = name
        self._read = stream.read1 if hasattr(stream, "read1") else stream.read
        self._seen: list[bytes] = []
        self._looking = False
        self.head = self._taken(_CHUNK)
        while _may_become_more(self.head) and (more := self._taken(_CHUNK)):
            self.head += more
        self._left = self.head

    def readable(self) -> bool:
        """Says that this is a stream to read from."""
        return True

    def read1(self, size: int = -1, /) -> bytes:
        """Takes what has come in, and waits only if that is nothing.

        Raises:
            Damaged: It cannot be unpacked.
        """
        if self._left:
            size = len(self._left) if size < 0 else size
            found, self._left = self._left[:size], self._left[size:]
        else:
            found = self._taken(size if size >= 0 else _CHUNK)
        if self._looking:
            self._seen.append(found)
        return found

    @contextmanager
    def looked_at(self) -> Iterator[None]:
        """Lets what is read inside the block come once more."""
        self._looking = True
        yield
        self._left = b"".join(self._seen) + self._left
        self._looking, self._seen = False, []

    def readinto(self, buffer: Any) -> int:
        """Takes what has come in, for the readers of packed files."""
        found = self.read1(len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def _taken(self, size: int) -> bytes:
        try:
            return bytes(self._read(size))
        except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError) as error:
            raise Damaged(error) from None
        except OSError as error:
            if error.errno is None:  # the system's own errors have a number
                raise Damaged(error) from None
            raise


def _may_become_more(head: bytes) -> bool:
    """Whether the next bytes are needed to tell what these are."""
    short = 0 < len(head) < 4 and (b"\0" in head or head[:1] in {b"\xff", b"\xfe"})
    return short or may_become_more(head)


@dataclass(frozen=True)
class Unpacked:
    """A table as it is inside all packing.

    Attributes:
        stream: Its bytes.
        name: Its name, that of a file in an archive if it comes from there; empty for a stream.
        columnar: "parquet" or "arrow" if it is such a file, else None.
        path: The regular file that holds these bytes, if there is one.
    """

    stream: Peeked
    name: str
    columnar: str | None
    path: str | None


@contextmanager
def opened(source: Source) -> Iterator[Unpacked]:
    """Opens a file or a stream, and unpacks it: gzip, bzip2, xz, zstd, lz4, and zip with one table in it.

    Args:
        source: A file, here or at an address, which is opened once; or an open binary stream, which is not closed.

    Raises:
        ImportError: pyarrow is needed, and missing.
        OSError: The file cannot be read.
        ValueError: It is no table that can be read; the message says what it is and what to do.
    """
    try:
        with ExitStack() as stack:
            yield _unpacked(source, stack)
    except Damaged as error:
        raise ValueError(f"the compressed data is damaged or cut off: {error}") from None


def _unpacked(source: Source, stack: ExitStack) -> Unpacked:
    path = os.fspath(source) if isinstance(source, str | os.PathLike) else None
    copy = local(path) if path is not None and is_url(path) else None
    stack.callback(str, copy)  # holds it
    place = copy.name if copy else path
    raw = source if place is None else stack.enter_context(open(place, "rb"))  # noqa: SIM115 - the stack closes it
    regular = place if place is not None and os.path.isfile(place) else None
    called = source.name if isinstance(source, Peeked) else path or "standard input"
    stream, name = Peeked(raw, called), path or ""
    for _ in range(_DEEPEST):
        if packing.is_zip(stream.head):
            member, name = _member(regular or spooled(stream, stack), stack)
            stream = Peeked(member, stream.name)
        elif unpack := packing.unpacker(stream.head):
            stream = Peeked(stack.enter_context(unpack(stream)), stream.name)
        else:
            break
        regular = None
    else:
        raise ValueError(f"this is packed more than {_DEEPEST - 1} times: {UNPACK}")
    what = name_of(stream.head)
    check_is_readable(what)
    return Unpacked(stream, name, _COLUMNAR.get(what or ""), regular)


def spooled(stream: Peeked, stack: ExitStack) -> str:
    """Writes a stream to a temporary file, which is removed with the stack: some formats are read from their end.

    Raises:
        Damaged: It cannot be unpacked.
    """
    file = stack.enter_context(tempfile.NamedTemporaryFile(prefix="tidegate-"))  # noqa: SIM115 - the stack closes it
    shutil.copyfileobj(stream, file)
    file.flush()
    return file.name


def _member(path: str, stack: ExitStack) -> tuple[Any, str]:
    """Opens the one table in a zip archive.

    Raises:
        ValueError: There is none, or more than one, or it cannot be unpacked.
    """
    try:
        archive = stack.enter_context(zipfile.ZipFile(path))
    except _DAMAGED_ZIP as error:
        raise ValueError(f"this is a zip archive that is damaged or cut off: {error}") from None
    if what := document_of(archive.namelist()):
        raise ValueError(f"this is {what}")
    files = packing.contents(archive)
    tables = [info for info in files if kind_by_name(info.filename) not in {None, "lines"}] or files
    names = [info.filename for info in tables]
    if len(tables) != 1:
        found = f"{len(tables)} files ({', '.join(map(repr, names[:3]))}…)" if tables else "no file"
        raise ValueError(f"this is a zip archive with {found}, expected one table: {UNPACK}")
    if packing.has_password(tables[0]):
        raise ValueError(f"this is a zip archive with a password: {UNPACK}")
    try:
        return stack.enter_context(archive.open(tables[0])), names[0]
    except _DAMAGED_ZIP as error:
        raise ValueError(f"{names[0]!r} in this zip archive cannot be unpacked: {error}") from None
