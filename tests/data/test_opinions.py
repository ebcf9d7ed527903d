"""Short opinions: what is in the sets of film snippets and of three kinds, and how the archive is read."""

import hashlib
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tidegate.data import datasets, opinions, tables
from tidegate.data.datasets import Split

from .archives import archive  # noqa: TID252 - pytest takes tests by their paths


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The package with the archive, fetched once; tests that ask for it are skipped if pip cannot reach its index."""
    try:
        return opinions._fetch_with_pip(tmp_path_factory.mktemp("package"))
    except ConnectionError as error:
        if "from versions: none" in str(error):  # pip knows some versions where it reaches an index
            pytest.skip(f"pip cannot reach its index: {error}")
        raise


def made(package: bytes, name: str, folder: Path) -> Split:
    """Makes a set of the package, which lies where it was brought by hand."""
    place = folder / name
    place.mkdir()
    (place / "vaderSentiment-3.3.2.tar.gz").write_bytes(package)
    return {"movie-snippets": opinions.movie_snippets, "opinions": opinions.opinions}[name](folder)


@pytest.fixture(scope="session")
def snippets(package: bytes, tmp_path_factory: pytest.TempPathFactory) -> Split:
    """The movie snippets."""
    return made(package, "movie-snippets", tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def three_kinds(package: bytes, tmp_path_factory: pytest.TempPathFactory) -> Split:
    """The opinions of three kinds."""
    return made(package, "opinions", tmp_path_factory.mktemp("data"))


def test_snippets_have_the_sizes_that_are_documented(snippets: Split) -> None:
    """The two tables have the columns, the sizes and the labels that the documentation promises."""
    train, test = map(tables.read, snippets)
    assert [list(table.columns) for table in (train, test)] == [["text", "label", "score", "id"]] * 2
    assert Counter(train.labels) == {"negative": 4060, "positive": 3996}
    assert Counter(test.labels) == {"negative": 1015, "positive": 999}
    assert [table.text_column for table in (train, test)] == ["text", "text"]


def test_snippets_are_labelled_by_their_score(snippets: Split) -> None:
    """The label is the sign of the score, and no score is nearer to 0 than 0.5."""
    for table in map(tables.read, snippets):
        scores = table.columns["score"]
        assert table.labels == ["positive" if score > 0 else "negative" for score in scores]
        assert 0.5 <= min(map(abs, scores)) <= max(map(abs, scores)) <= 4


def test_snippets_to_test_are_not_trained_on(snippets: Split) -> None:
    """No number and no text is in both tables, or twice in one."""
    train, test = map(tables.read, snippets)
    for column in ("id", "text"):
        values = [*train.columns[column], *test.columns[column]]
        assert len(set(values)) == len(values) == 10_070
    assert train.columns["id"] == sorted(train.columns["id"])


def test_snippets_are_read_as_they_were_written(snippets: Split) -> None:
    """Texts keep their accents, and have neither tabs nor the line breaks of the file."""
    rows = {
        number: text
        for table in map(tables.read, snippets)
        for number, text in zip(table.columns["id"], table.texts, strict=True)
    }
    assert rows[1].startswith("The Rock is destined to be the 21st Century's new ''Conan''")
    assert rows[233].startswith("Jirí Hubac's script is a gem.")
    assert not any(mark in text for text in rows.values() for mark in "\t\r\n")


def test_snippets_are_split_the_same_way_everywhere(snippets: Split) -> None:
    """The choice depends on nothing but the numbers of the snippets."""
    ids = tables.read(snippets.test).columns["id"]
    assert hashlib.sha256(str(ids).encode()).hexdigest()[:16] == "2d3735d441dbba9b"


def test_opinions_have_the_sizes_that_are_documented(three_kinds: Split) -> None:
    """The two tables have the columns, sources, sizes and labels that the documentation promises."""
    train, test = map(tables.read, three_kinds)
    for table in (train, test):
        assert list(table.columns) == ["text", "label", "score", "source", "id"]
        assert (table.text_column, table.label_column) == ("text", "label")
        scores = table.columns["score"]
        assert table.labels == ["positive" if score > 0 else "negative" for score in scores]
    assert list(Counter(train.columns["source"]).items()) == [("movies", 8056), ("products", 2372), ("posts", 2623)]
    assert list(Counter(test.columns["source"]).items()) == [("movies", 2014), ("products", 596), ("posts", 655)]
    both = Counter(
        pair for table in (train, test) for pair in zip(table.columns["source"], table.labels or [], strict=True)
    )
    assert (both["movies", "negative"], both["movies", "positive"]) == (5075, 4995)
    assert (both["products", "negative"], both["products", "positive"]) == (1230, 1738)
    assert (both["posts", "negative"], both["posts", "positive"]) == (1011, 2267)


def test_opinions_to_test_are_not_trained_on(three_kinds: Split) -> None:
    """No text is in both tables, whatever its source, and no product review has sentences in both."""
    train, test = map(tables.read, three_kinds)
    assert len({*train.texts, *test.texts}) == len(train) + len(test) == 16_316
    reviews: list[set[str]] = []
    for table in (train, test):
        rows = zip(table.columns["id"], table.columns["source"], strict=True)
        reviews.append({number.partition("_")[0] for number, source in rows if source == "products"})
    assert not reviews[0] & reviews[1]
    assert [len(part) for part in reviews] == [237, 61]


def test_opinions_on_films_are_the_movie_snippets(three_kinds: Split, snippets: Split) -> None:
    """The films of each table are those of the movie snippets, so that figures for both can be compared."""
    for several, films in zip(map(tables.read, three_kinds), map(tables.read, snippets), strict=True):
        rows = zip(several.texts, several.columns["source"], strict=True)
        assert [text for text, source in rows if source == "movies"] == films.texts


def test_opinions_are_split_the_same_way_everywhere(three_kinds: Split) -> None:
    """The choice depends on nothing but the numbers of texts and reviews."""
    table = tables.read(three_kinds.test)
    rows = list(zip(table.columns["source"], table.columns["id"], strict=True))
    assert hashlib.sha256(str(rows).encode()).hexdigest()[:16] == "847c21d069ff3710"


def test_snippets_need_pip_or_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If pip fails, the message has its reason and says where to put the file."""
    answer = subprocess.CompletedProcess([], 1, "", "WARNING: old\nERROR: No matching distribution found\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answer)
    expected = rf"pip cannot fetch vaderSentiment 3.3.2: ERROR: No matching .* {tmp_path}/movie-snippets"
    with pytest.raises(ConnectionError, match=expected):
        opinions.movie_snippets(tmp_path)


def test_another_package_is_refused(tmp_path: Path) -> None:
    """An archive under the right name with another checksum is refused before anything in it is read."""
    folder = tmp_path / "movie-snippets"
    folder.mkdir()
    (folder / "vaderSentiment-3.3.2.tar.gz").write_bytes(archive({"setup.py": "x"}))
    with pytest.raises(ValueError, match=r"has the SHA-256 \w+, expected 5d7c06"):
        opinions.movie_snippets(tmp_path)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"other": "x"}, "the archive has no file name"),
        ({"name": None}, "expected a plain file"),
        ({"name": "x" * 101}, "101 bytes .* at most 100 bytes"),
    ],
)
def test_only_the_named_file_is_taken(
    members: dict[str, str | None], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member that is missing, is a link, or is too large is refused."""
    monkeypatch.setattr(datasets, "_LARGEST_MEMBER", 100)
    with pytest.raises(ValueError, match=message):
        opinions._member(archive(members), "name")
    assert opinions._member(archive({"a/name": "no", "name": "yes"}), "name") == b"yes"
