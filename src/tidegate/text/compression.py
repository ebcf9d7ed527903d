"""Files as they are distributed: plain, compressed, or alone in a zip archive; the first bytes say which."""

import gzip
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tidegate.decompression import bzip2, xz

_OPENERS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bzip2, b"\xfd7zXZ\0": xz}
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")

_PICKLE = "a Python pickle, which is not read: gensim's save_word2vec_format writes vectors that are"

# Files that hold no text, however they are called, and what to do about it.
_OTHERS = {
    b"\x93NUMPY": "an array of numbers without words: save both with numpy.savez(…, vectors=…, words_utf8=…)",
    b"\xba\x16O/": "a model of fastText with all of its parts: take the .vec file that belongs to it",
    **dict.fromkeys((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"), _PICKLE),
    b"FiFu": "a finalfusion file: convert it to text with `finalfusion convert -t text`",
    b"\x89HDF": "an HDF5 file: save the words and their vectors as text",
    b"PAR1": "a Parquet file: save the words and their vectors as text",
    b"\x28\xb5\x2f\xfd": "compressed by Zstandard: unpack it first",
    b"7z\xbc\xaf": "a 7z archive: unpack it first",
    b"Rar!": "a RAR archive: unpack it first",
    b"\xff\xfe": "text in UTF-16: save it as UTF-8",
    b"\xfe\xff": "text in UTF-16: save it as UTF-8",
    b"%PDF": "a PDF document",
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself: `git lfs pull` fetches it",
    **dict.fromkeys((b"<!DOCTYPE", b"<!doctype", b"<html", b"<HTML"), "a web page: the download went wrong"),
}


def is_zip(start: bytes) -> bool:
    """Whether the first bytes of a file are those of a zip archive, which `.npz` files are as well."""
    return start.startswith(_ZIP)


@contextmanager
def unpacked(file: IO[bytes]) -> Iterator[IO[bytes]]:
    """Opens what is in a file: itself, what it was before compression, or the one file in a zip archive.

    Raises:
        ValueError: A zip archive holds several files, none, or one with a password.
    """
    start = file.peek(8)[:8]  # type: ignore[attr-defined]
    opener = next((opener for magic, opener in _OPENERS.items() if start.startswith(magic)), None)
    if opener:
        with opener(file) as inner:
            yield inner
    elif is_zip(start):
        with zipfile.ZipFile(file) as archive, archive.open(_only_member(archive)) as inner:
            yield inner
    else:
        yield file


def check_start(start: bytes) -> None:
    """Checks that a file may be text or word2vec's binary format, by its first bytes, 512 or more if it has them.

    Raises:
        ValueError: It is known to be something else.
    """
    kinds = (kind for magic, kind in _OTHERS.items() if start.startswith(magic))
    kind = "a tar archive: unpack it first" if start[257:262] == b"ustar" else next(kinds, None)
    if kind:
        raise ValueError(f"this is {kind}")


def check_suffix(path: Path, start: bytes) -> None:
    """Checks that a file that is called `.gz` is compressed: else it was damaged, or is another one.

    Raises:
        ValueError: It is not.
    """
    if path.suffix.lower() == ".gz" and not start.startswith(b"\x1f\x8b"):
        raise ValueError("this is not a gzip file")


def _only_member(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [info for info in archive.infolist() if info.filename.strip("/") and not info.filename.endswith("/")]
    members = [info for info in members if not info.filename.startswith("__MACOSX/")]  # what a Mac adds
    members = [info for info in members if not Path(info.filename).name.startswith(".")]
    if len(members) != 1:
        names = ", ".join(info.filename for info in members[:5]) + ", …" * (len(members) > 5)
        raise ValueError(f"the zip archive has {len(members)} files, expected one: {names or 'it is empty'}")
    if members[0].flag_bits & 1:
        raise ValueError("the zip archive is encrypted: unpack it first")
    return members[0]
