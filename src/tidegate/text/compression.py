"""Files of vectors as they are distributed: plain, compressed, or alone in a zip archive; the first bytes say which."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from tidegate.files import packing
from tidegate.files import signatures as s

_REMEDIES = {
    s.NUMPY: "it has no words: save both with numpy.savez(…, vectors=…, words_utf8=…)",
    s.FASTTEXT_MODEL: "take the .vec file that belongs to it",
    s.PICKLE: "it may run any code and is not read, gensim's save_word2vec_format writes vectors that are",
    s.FINALFUSION: "convert it to text with `finalfusion convert -t text`",
    s.WEB_PAGE: "download the file itself",
    s.GIT_LFS: "`git lfs pull` fetches that",
}
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@contextmanager
def unpacked(file: IO[bytes]) -> Iterator[IO[bytes]]:
    """Opens what is in a file: itself, what it was before compression, or the one file in a zip archive.

    Raises:
        ImportError: pyarrow is needed, and missing.
        ValueError: A zip archive holds several files, none, or one with a password.
    """
    start = file.peek(8)[:8]  # type: ignore[attr-defined]
    unpack = packing.unpacker(start)
    if unpack:
        with unpack(file) as inner:
            yield cast("IO[bytes]", inner)
    elif packing.is_zip(start):
        with zipfile.ZipFile(file) as archive, archive.open(_only_member(archive)) as member:
            yield member
    else:
        yield file


def check_start(start: bytes) -> None:
    """Checks that a file may be text or word2vec's binary format, by its first bytes, 512 or more if it has them.

    Raises:
        ValueError: It is known to be something else.
    """
    name = s.name_of(start) or s.name_of_text(start)
    if start.startswith(_UTF16):
        raise ValueError("this is text in UTF-16: save it as UTF-8")
    if name and name != s.ZEROS:
        default = "unpack it first" if s.is_packed(name) else "save the words and their vectors as text"
        raise ValueError(f"this is {name}: {_REMEDIES.get(name, default)}")


def check_suffix(path: Path, start: bytes) -> None:
    """Checks that a file that is called `.gz` is compressed: else it was damaged, or is another one.

    Raises:
        ValueError: It is not.
    """
    if path.suffix.lower() == ".gz" and not start.startswith(b"\x1f\x8b"):
        raise ValueError("this is not a gzip file")


def _only_member(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = packing.contents(archive)
    if len(members) != 1:
        names = ", ".join(info.filename for info in members[:5]) + ", …" * (len(members) > 5)
        raise ValueError(f"the zip archive has {len(members)} files, expected one: {names or 'it is empty'}")
    if packing.has_password(members[0]):
        raise ValueError("the zip archive is encrypted: unpack it first")
    return members[0]
