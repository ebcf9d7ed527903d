"""Compressed files and archives, told by their first bytes."""

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tidegate.files import signatures
from tidegate.files.decompression import bzip2, xz


def _by_arrow(name: str) -> Callable[[Any], io.BufferedReader]:
    def opened(file: Any) -> io.BufferedReader:
        try:
            import pyarrow as pa  # noqa: PLC0415 - only who has such files needs it
        except ImportError as error:
            raise ImportError(f"files packed by {name} need pyarrow: pip install 'tidegate[train]'") from error
        return io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(file, mode="r"), name))

    return opened


_OPENERS: dict[str, Callable[[Any], io.BufferedIOBase]] = {
    signatures.GZIP: lambda file: gzip.GzipFile(fileobj=file),
    signatures.BZIP2: bzip2,
    signatures.XZ: xz,
    signatures.ZSTD: _by_arrow("zstd"),
    signatures.LZ4: _by_arrow("lz4"),
}


def unpacker(head: bytes) -> Callable[[Any], io.BufferedIOBase] | None:
    """Returns what opens a compressed file that begins so; None if it is none.

    What it opens raises EOFError, OSError without a number, `zlib.error` or `lzma.LZMAError` where the data is damaged
    or cut off, and ImportError at once if pyarrow is needed and missing.
    """
    return _OPENERS.get(signatures.name_of(head) or "")


def is_zip(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a zip archive, as `.npz` files and office documents are."""
    return signatures.name_of(head) in {signatures.ZIP, signatures.EMPTY_ZIP}


def contents(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Lists the files in a zip archive without those that a Mac adds, and other hidden ones."""
    return [
        info
        for info in archive.infolist()
        if info.filename.strip("/")
        and not info.filename.endswith("/")
        and not info.filename.startswith("__MACOSX/")
        and not Path(info.filename).name.startswith(".")
    ]


def has_password(info: zipfile.ZipInfo) -> bool:
    """Whether a file in an archive is encrypted."""
    return bool(info.flag_bits & 1)
