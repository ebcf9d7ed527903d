"""Compressed files of one stream or several, of which none is passed over."""

import bz2
import io
import lzma
from collections.abc import Callable
from functools import partial
from typing import Any

_CHUNK = 1 << 18  # bytes


def bzip2(file: Any) -> io.BufferedReader:
    """Reads a file packed by bzip2. Its errors are EOFError and OSError without a number."""
    return io.BufferedReader(_Streams(file, bz2.BZ2Decompressor))


def xz(file: Any) -> io.BufferedReader:
    """Reads a file packed by xz. Its errors are EOFError and `lzma.LZMAError`."""
    return io.BufferedReader(_Streams(file, partial(lzma.LZMADecompressor, lzma.FORMAT_XZ)))


class _Streams(io.RawIOBase):
    """The content of the streams in a file, one behind the other.

    What stands behind a stream is the next one, or zeros that fill a file up. `bz2.open` and `lzma.open` take anything
    else for the end, so that one wrong bit in a later stream would hide the rest of the file.
    """

    def __init__(self, file: Any, decompressor: Callable[[], Any]) -> None:
        self._file, self._new = file, decompressor
        self._stream = decompressor()

    def readable(self) -> bool:
        """Says that this is a stream to read from."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Takes what has come in, and waits only if that is nothing.

        Raises:
            EOFError: The file ends inside a stream.
        """
        found = b""
        while not found:
            packed = b""
            if self._stream.eof:
                packed = self._behind()
                if not packed:
                    return 0
                self._stream = self._new()
            elif self._stream.needs_input:
                packed = self._file.read(_CHUNK)
                if not packed:
                    raise EOFError("the file ended before the end of what is compressed in it")
            found = self._stream.decompress(packed, len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def _behind(self) -> bytes:
        """Returns the beginning of the next stream, nothing at the end of the file."""
        packed: bytes = self._stream.unused_data.lstrip(b"\0")
        while not packed:
            more = self._file.read(_CHUNK)
            if not more:
                break
            packed = more.lstrip(b"\0")
        return packed
