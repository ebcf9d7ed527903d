"""Labelled reviews to train on: where they are kept, and how they get there."""

import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tidegate.data import tables
from tidegate.data.download import Progress, download, verify
from tidegate.files.writing import is_writable

IMDB_URL = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
_IMDB_SHA256 = "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe"
_IMDB_MEMBER = re.compile(r"aclImdb/(train|test)/(neg|pos)/(\d+)_(\d+)\.txt")

_VADER = "vaderSentiment-3.3.2"
_VADER_SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
_SNIPPETS = (f"{_VADER}/additional_resources/hutto_ICWSM_2014.tar.gz", "movieReviewSnippets_GroundTruth.txt")
_TEST_SHARE = 0.2
_NEUTRAL = 0.5  # scores nearer to 0 are neither negative nor positive

_LARGEST_MEMBER = 1 << 25  # bytes; no file that is taken from an archive is larger

Row = dict[str, Any]


class Split(NamedTuple):
    """The two tables of a set of reviews, Parquet files with the columns `text` and `label` and some more."""

    train: Path
    test: Path


def movie_snippets(folder: str | os.PathLike[str] | None = None, progress: Progress | None = None) -> Split:
    """Prepares short movie reviews with the mean of 20 people's scores from −4 to 4.

    The 10,605 snippets (Hutto & Gilbert, VADER, ICWSM 2014) are part of the source distribution of the PyPI package
    vaderSentiment 3.3.2 (MIT licence), which pip fetches. The label is the sign of the score, `negative` or `positive`;
    left out are 533 snippets whose score is between −0.5 and 0.5, and two that repeat another. Of the 10,070 that stay
    (5,075 negative, 4,995 positive), a fifth of each class is for testing: 8,056 and 2,014. The choice is that of a
    checksum of the snippet's number, the same on every machine.

    Args:
        folder: Where `movie-snippets/train.parquet` and `test.parquet` are, or will be made; None for the folder that
            the environment variable TIDEGATE_DATA names, and else the user's cache folder.
        progress: Called when the package is there.

    Returns:
        The two tables, with the columns `text`, `label`, `score` and `id`, the snippet's number.

    Raises:
        ConnectionError: pip cannot fetch the package.
        OSError: The folder cannot be written.
        ValueError: The package is not the one expected.
    """
    place, ready = _find("movie-snippets", folder)
    if ready:
        return ready
    archive = place / f"{_VADER}.tar.gz"
    if archive.exists():
        verify(archive, _VADER_SHA256, str(archive))
        content = archive.read_bytes()
    else:
        content = _fetch_with_pip(place)
    if progress:
        progress(len(content), len(content))
    return _write(place, _split(_labelled(_snippets(content))))


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
    place, ready = _find("imdb", folder)
    if ready:
        return ready
    archive = place / "aclImdb_v1.tar.gz"
    if archive.exists():
        verify(archive, sha256, str(archive))
        return _write(place, _reviews(archive))
    try:
        download(url, archive, sha256, progress)
    except ConnectionError as error:
        raise ConnectionError(f"{error}. {_by_hand(archive)}") from None
    split = _write(place, _reviews(archive))
    archive.unlink()
    return split


def cache_folder() -> Path:
    """Names the folder for what can be fetched again: ~/Library/Caches/tidegate on macOS, else ~/.cache/tidegate."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tidegate"
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # the XDG base directory specification has relative paths ignored
    return (base if base.is_absolute() else Path.home() / ".cache") / "tidegate"


def _find(name: str, folder: str | os.PathLike[str] | None) -> tuple[Path, Split | None]:
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


def _write(folder: Path, rows: dict[str, list[Row]]) -> Split:
    """Writes the two tables from the rows of "train" and "test"; the training table last, as both make a set."""
    folder.mkdir(parents=True, exist_ok=True)
    split = Split(folder / "train.parquet", folder / "test.parquet")
    for part, path in (("test", split.test), ("train", split.train)):
        tables.write(path, {name: [row[name] for row in rows[part]] for name in rows[part][0]})
    return split


def _by_hand(archive: Path) -> str:
    return f"Without a network, bring the file from elsewhere to {archive} and try again"


def _fetch_with_pip(place: Path) -> bytes:
    """Has pip fetch the source distribution of vaderSentiment, from the index that the user has set.

    pip compares the checksum before it runs the package's setup.py, which it does to learn about dependencies.

    Raises:
        ConnectionError: pip is not here or does not succeed.
        ValueError: The file is not the one expected.
    """
    name, _, version = _VADER.partition("-")
    with tempfile.TemporaryDirectory() as temporary:
        requirement = Path(temporary, "requirement.txt")
        requirement.write_text(f"{name}=={version} --hash=sha256:{_VADER_SHA256}\n", "utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
        command += ["--no-deps", "--no-binary", name, "--dest", temporary, "--requirement", str(requirement)]
        # in a folder of its own, because -m would also find a pip.py in the current one
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=temporary)  # noqa: S603
        fetched = Path(temporary, f"{_VADER}.tar.gz")
        if done.returncode or not fetched.exists():
            said = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("WARNING")]
            why = "; ".join(said[-2:]) or f"exit status {done.returncode}"
            raise ConnectionError(f"pip cannot fetch {name} {version}: {why}. {_by_hand(place / fetched.name)}")
        verify(fetched, _VADER_SHA256, "what pip fetched")
        return fetched.read_bytes()


def _snippets(content: bytes) -> Iterator[tuple[int, float, str]]:
    """Reads number, score and text of each snippet: a line each, divided by tabs, in an archive within the package."""
    outer, inner = _SNIPPETS
    text = _member(_member(content, outer), f"hutto_ICWSM_2014/{inner}").decode()
    for line in text.split("\r\n"):
        if line:
            number, score, snippet = line.split("\t")
            yield int(number), float(score), snippet


def _member(archive: bytes, name: str) -> bytes:
    """Takes one file out of a tar archive, in memory: nothing else in it is touched.

    Raises:
        ValueError: It is not there, is no plain file, or is too large.
    """
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            if member.name == name:
                return _content(tar, member)
    raise ValueError(f"the archive has no file {name}")


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """Reads a member of a tar archive.

    Raises:
        ValueError: It is no plain file, or is too large.
    """
    file = tar.extractfile(member) if member.isfile() and member.size <= _LARGEST_MEMBER else None
    if file is None:
        kind = f"{member.size:,} bytes of type {member.type!r}"
        raise ValueError(f"{member.name} has {kind}, expected a plain file of at most {_LARGEST_MEMBER:,} bytes")
    return file.read()


def _labelled(snippets: Iterable[tuple[int, float, str]]) -> Iterator[Row]:
    """Makes rows of snippets; leaves out neutral ones, and repeats, of which one might be in each part."""
    seen = set()
    for number, score, text in snippets:
        words = " ".join(re.findall(r"\w+", text.lower()))
        if abs(score) >= _NEUTRAL and words not in seen:
            seen.add(words)
            yield {"text": text, "label": "positive" if score > 0 else "negative", "score": score, "id": number}


def _split(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Divides rows for training and testing, with the same share of each class (stratified)."""
    parts: dict[str, list[Row]] = {"train": [], "test": []}
    classes: dict[str, list[Row]] = {}
    for row in rows:
        classes.setdefault(row["label"], []).append(row)
    for group in classes.values():
        group.sort(key=lambda row: hashlib.sha256(str(row["id"]).encode()).digest())
        count = round(_TEST_SHARE * len(group))
        parts["test"] += group[:count]
        parts["train"] += group[count:]
    return {name: sorted(part, key=lambda row: int(row["id"])) for name, part in parts.items()}


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
                text = _content(tar, member).decode()
                found[part].append(
                    {"text": text, "label": int(label == "pos"), "rating": int(rating), "id": int(number)}
                )
    for part, rows in found.items():
        rows.sort(key=lambda row: (row["label"], row["id"]))
        if {row["label"] for row in rows} != {0, 1}:
            raise ValueError(f"{archive} has {len(rows)} reviews to {part}, expected some of both classes")
    return found
