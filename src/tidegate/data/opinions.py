"""Short opinions with the mean of 20 people's scores: film snippets, product reviews and posts from one archive."""

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

from tidegate.data.datasets import Row, Split, by_hand, find_set, member_content, write_set
from tidegate.data.download import Progress, verify

_VADER = "vaderSentiment-3.3.2"
_VADER_SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
_OUTER, _INNER = f"{_VADER}/additional_resources/hutto_ICWSM_2014.tar.gz", "hutto_ICWSM_2014"
SOURCES = {"movies": "movieReviewSnippets", "products": "amazonReviewSnippets", "posts": "tweets"}
"""The kinds of opinions, and how their files in the archive begin."""

_TEST_SHARE = 0.2
_NEUTRAL = 0.5  # scores nearer to 0 are neither negative nor positive


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
    place, ready = find_set("movie-snippets", folder)
    if ready:
        return ready
    parts = _split(_labelled(_scored(_archive(place, progress), "movies"), set()))
    kept = {name: [_without_source(row) for row in rows] for name, rows in parts.items()}
    return write_set(place, kept)


def opinions(folder: str | os.PathLike[str] | None = None, progress: Progress | None = None) -> Split:
    """Prepares short opinions of three kinds, scored by the same 20 people: on films and products, and posts.

    They come from the same package as `movie_snippets` (MIT licence; the texts were first collected by Pang & Lee 2004,
    by Hu & Liu 2004 and, without names and addresses, from Twitter), are labelled by the same rule, and none is in it
    twice:

    | source | what it is | texts | negative | positive | to train on | to test |
    |---|---|---|---|---|---|---|
    | `movies` | sentences of film reviews, Rotten Tomatoes | 10,070 | 5,075 | 4,995 | 8,056 | 2,014 |
    | `products` | sentences of 298 reviews of five products, Amazon | 2,968 | 1,230 | 1,738 | 2,372 | 596 |
    | `posts` | tweets, 200 of them made up | 3,278 | 1,011 | 2,267 | 2,623 | 655 |

    The films to test are those of `movie_snippets`; of the posts too a fifth of each class is for testing. The product
    reviews are divided by review, so that no review has sentences in both tables. All is decided by checksums.

    Args:
        folder: As in `movie_snippets`, for `opinions/train.parquet` and `test.parquet`.
        progress: As in `movie_snippets`.

    Returns:
        The two tables, with the columns `text`, `label`, `score`, `source` and `id`, which is unique in its source: the
        number of the text, for products that of the review and of the sentence in it, as in "12_3".

    Raises:
        ConnectionError: As in `movie_snippets`.
        OSError: As in `movie_snippets`.
        ValueError: As in `movie_snippets`.
    """
    place, ready = find_set("opinions", folder)
    if ready:
        return ready
    archive, seen = _archive(place, progress), set[str]()
    parts: dict[str, list[Row]] = {"train": [], "test": []}
    for source in SOURCES:
        rows = _labelled(_scored(archive, source), seen)
        found = _split_reviews(rows) if source == "products" else _split(rows)
        for name, part in parts.items():
            part += [row | {"id": str(row["id"])} for row in found[name]]
    return write_set(place, parts)


def _without_source(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "source"}


def _archive(place: Path, progress: Progress | None) -> bytes:
    """Gets the source distribution: from the folder where somebody may have put it, or by pip."""
    archive = place / f"{_VADER}.tar.gz"
    if archive.exists():
        verify(archive, _VADER_SHA256, str(archive))
        content = archive.read_bytes()
    else:
        content = _fetch_with_pip(place)
    if progress:
        progress(len(content), len(content))
    return content


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
            raise ConnectionError(f"pip cannot fetch {name} {version}: {why}. {by_hand(place / fetched.name)}")
        verify(fetched, _VADER_SHA256, "what pip fetched")
        return fetched.read_bytes()


def _member(archive: bytes, name: str) -> bytes:
    """Takes one file out of a tar archive, in memory: nothing else in it is touched.

    Raises:
        ValueError: It is not there, is no plain file, or is too large.
    """
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            if member.name == name:
                return member_content(tar, member)
    raise ValueError(f"the archive has no file {name}")


def _scored(archive: bytes, source: str) -> Iterator[Row]:
    """Reads the texts of one kind: a line each of number, score and text, divided by tabs."""
    text = _member(_member(archive, _OUTER), f"{_INNER}/{SOURCES[source]}_GroundTruth.txt").decode()
    for line in text.split("\r\n"):
        if line:
            number, score, opinion = line.split("\t")
            where = int(number) if number.isdecimal() else number
            yield {"text": opinion, "score": float(score), "source": source, "id": where}


def _labelled(rows: Iterable[Row], seen: set[str]) -> Iterator[Row]:
    """Labels texts; leaves out neutral ones, and those that repeat one `seen`, of which one might be in each part."""
    for row in rows:
        words = " ".join(re.findall(r"\w+", row["text"].lower()))
        if abs(row["score"]) >= _NEUTRAL and words not in seen:
            seen.add(words)
            yield {"text": row["text"], "label": "positive" if row["score"] > 0 else "negative"} | row


def _split(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Divides rows for training and testing, with the same share of each class (stratified)."""
    parts: dict[str, list[Row]] = {"train": [], "test": []}
    classes: dict[str, list[Row]] = {}
    for row in rows:
        classes.setdefault(row["label"], []).append(row)
    for group in classes.values():
        group.sort(key=lambda row: _checksum(row["id"]))
        count = round(_TEST_SHARE * len(group))
        parts["test"] += group[:count]
        parts["train"] += group[count:]
    return {name: sorted(part, key=lambda row: int(row["id"])) for name, part in parts.items()}


def _split_reviews(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Divides sentences for training and testing, all those of a review in one part; ids are "review_sentence"."""
    reviews: dict[str, list[Row]] = {}
    for row in rows:
        reviews.setdefault(row["id"].partition("_")[0], []).append(row)
    wanted = _TEST_SHARE * sum(map(len, reviews.values()))
    parts: dict[str, list[Row]] = {"train": [], "test": []}
    for review in sorted(reviews, key=_checksum):
        parts["test" if len(parts["test"]) < wanted else "train"] += reviews[review]
    return {name: sorted(part, key=lambda row: _place(row["id"])) for name, part in parts.items()}


def _place(number: str) -> list[int]:
    return [int(part) for part in number.split("_")]


def _checksum(number: int | str) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()
