"""Labelled reviews to train on: where they are kept, and how they get there."""

import os
import re
import sys
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

from tidegate.data import tables
from tidegate.data.download import Progress, download, verify
from tidegate.files.writing import is_writable

IMDB_URL = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
_IMDB_SHA256 = "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe"
_IMDB_MEMBER = re.compile(r"aclImdb/(train|test)/(neg|pos)/(\d+)_(\d+)\.txt")

_LARGEST_MEMBER = 1 << 25  # bytes; no file that is taken from an archive is larger

Row = dict[str, Any]


class Split(NamedTuple):
    """The two tables of a set of reviews, Parquet files with the columns `text` and `label` and some more."""

    train: Path
    test: Path


def imdb(
    folder: str | os.PathLike[str] | None = None,
    url: str = IMDB_URL,
    progress: Progress | None = None,
    *,
    sha256: str = _IMDB_SHA256,
) -> Split:
    """Prepares the Large Movie Review Dataset (Maas et al. 2011), 25,000 long reviews to train on and 25,000 to test.

    Args:
        folder: Where `imdb/train.parquet` and `test.parquet` are, or will be made; None for the folder that the
            environment variable TIDEGATE_DATA names, and else the user's cache folder. What is there is not changed.
        url: Address of `aclImdb_v1.tar.gz`, 84 MB.
        progress: Called with the number of bytes that have come.
        sha256: Checksum of the archive.

    Returns:
        The two tables, with the columns `text`, `label` (0 negative, 1 positive), `rating` (1..10) and `id`.

    Raises:
        ConnectionError: The archive cannot be downloaded.
        OSError: The folder cannot be written.
        ValueError: The archive is not the one expected.
    """
    place, ready = find_set("imdb", folder)
    if ready:
        return ready
    archive = place / "aclImdb_v1.tar.gz"
    if archive.exists():
        verify(archive, sha256, str(archive))
        return write_set(place, _reviews(archive))
    try:
        download(url, archive, sha256, progress)
    except ConnectionError as error:
        raise ConnectionError(f"{error}. {by_hand(archive)}") from None
    split = write_set(place, _reviews(archive))
    archive.unlink()
    return split


def cache_folder() -> Path:
    """Names the folder for what can be fetched again: ~/Library/Caches/tidegate on macOS, else ~/.cache/tidegate."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tidegate"
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # the XDG base directory specification has relative paths ignored
    return (base if base.is_absolute() else Path.home() / ".cache") / "tidegate"


def find_set(name: str, folder: str | os.PathLike[str] | None) -> tuple[Path, Split | None]:
    """Looks for a set of reviews.

    Returns:
        The folder of the set and its tables; without tables if the set has to be made there.

    Raises:
        PermissionError: It is nowhere, and no folder can be written.
    """
    named = os.environ.get("TIDEGATE_DATA")
    roots = [Path(folder)] if folder is not None else [*([Path(named)] if named else []), cache_folder()]
    for root in roots:
        split = Split(root / name / "train.parquet", root / name / "test.parquet")
        if all(path.is_file() for path in split):
            return root / name, split
    for root in roots:
        if _writable(root / name):
            _check_free(root / name)
            return root / name, None
    raise PermissionError(f"{name} is not in {' or '.join(map(str, roots))}, and cannot be written there")


def _check_free(folder: Path) -> None:
    """Checks that no table is there, where both are to be made: it may be somebody's own.

    Raises:
        FileExistsError: One is.
    """
    for name, other in (("train", "test"), ("test", "train")):
        path = folder / f"{name}.parquet"
        if os.path.lexists(path):
            raise FileExistsError(f"{path} is there without {other}.parquet: move it away, or it would be replaced")


def _writable(folder: Path) -> bool:
    """Whether files can be made in a folder or, if there is none, in the nearest above; root too heeds the mode."""
    nearest = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return nearest.is_dir() and is_writable(nearest)


def write_set(folder: Path, rows: dict[str, list[Row]]) -> Split:
    """Writes the two tables from the rows of "train" and "test"; the training table last, as both make a set."""
    folder.mkdir(parents=True, exist_ok=True)
    split = Split(folder / "train.parquet", folder / "test.parquet")
    for part, path in (("test", split.test), ("train", split.train)):
        tables.write(path, {name: [row[name] for row in rows[part]] for name in rows[part][0]})
    return split


def by_hand(archive: Path) -> str:
    """Says where a file goes that was brought from elsewhere."""
    return f"Without a network, bring the file from elsewhere to {archive} and try again"


def member_content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """Reads a member of a tar archive.

    Raises:
        ValueError: It is no plain file, or is too large.
    """
    file = tar.extractfile(member) if member.isfile() and member.size <= _LARGEST_MEMBER else None
    if file is None:
        kind = f"{member.size:,} bytes of type {member.type!r}"
        raise ValueError(f"{member.name} has {kind}, expected a plain file of at most {_LARGEST_MEMBER:,} bytes")
    return file.read()


def _reviews(archive: Path) -> dict[str, list[Row]]:
    """Reads the labelled reviews off the archive, without unpacking it to disk.

    Raises:
        ValueError: There are none of some kind, or one cannot be read.
    """
    found: dict[str, list[Row]] = {"train": [], "test": []}
    with tarfile.open(archive, "r|gz") as tar:
        for member in tar:
            if match := _IMDB_MEMBER.fullmatch(member.name):
                part, label, number, rating = match.groups()
                text = member_content(tar, member).decode()
                found[part].append(
                    {"text": text, "label": int(label == "pos"), "rating": int(rating), "id": int(number)}
                )
    for part, rows in found.items():
        rows.sort(key=lambda row: (row["label"], row["id"]))
        if {row["label"] for row in rows} != {0, 1}:
            raise ValueError(f"{archive} has {len(rows)} reviews to {part}, expected some of both classes")
    return found
