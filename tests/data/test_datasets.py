"""Sets of reviews: where they are looked for, how they are made, and what is in them."""

import hashlib
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tidegate.data import datasets as reviews
from tidegate.data import opinions, tables

from .archives import archive  # noqa: TID252 - pytest takes tests by their paths

SPLIT = ("train.parquet", "test.parquet")
MEMBERS = {
    f"aclImdb/{part}/{kind}/{number}_{rating}.txt": f"{part} {kind} {number}<br />café"
    for part in ("train", "test")
    for kind, rating in (("neg", 2), ("pos", 9))
    for number in (10, 9)
}


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the folders of the user, or asks a proxy."""
    monkeypatch.delenv("TIDEGATE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing."""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder that is on the web, and its address."""
    folder = tmp_path / "web"
    folder.mkdir()

    def handler(*arguments: object) -> Quiet:
        return Quiet(*arguments, directory=str(folder))  # type: ignore[arg-type]

    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def publish(web: tuple[Path, str], members: Mapping[str, str | None]) -> tuple[str, str]:
    """Puts an archive on the web; returns its address and checksum."""
    content = archive(members)
    (web[0] / "aclImdb_v1.tar.gz").write_bytes(content)
    return f"{web[1]}/aclImdb_v1.tar.gz", hashlib.sha256(content).hexdigest()


def test_imdb_is_downloaded_and_converted(web: tuple[Path, str], tmp_path: Path) -> None:
    """The labelled reviews of the archive become two tables, sorted, and the archive is not kept."""
    others = {"aclImdb/train/unsup/0_0.txt": "x", "aclImdb/README": "y", "aclImdb/train/pos/0_9.txt.bak": "z"}
    url, sha256 = publish(web, others | MEMBERS)
    told: list[tuple[int, int | None]] = []
    split = reviews.imdb(tmp_path / "data", url, lambda *bytes_: told.append(bytes_), sha256=sha256)
    assert told[-1][0] == told[-1][1] == len((web[0] / "aclImdb_v1.tar.gz").read_bytes())
    assert split == tuple(tmp_path / "data" / "imdb" / name for name in SPLIT)
    assert sorted(path.name for path in split.train.parent.iterdir()) == sorted(SPLIT)
    for part, path in zip(("train", "test"), split, strict=True):
        table = tables.read(path)
        assert table.labels == ["0", "0", "1", "1"]
        assert table.columns["id"] == [9, 10, 9, 10]
        assert table.columns["rating"] == [2, 2, 9, 9]
        assert table.texts == [f"{part} {kind} {number}<br />café" for kind in ("neg", "pos") for number in (9, 10)]


def test_imdb_takes_an_archive_that_lies_there(tmp_path: Path) -> None:
    """An archive that was brought by hand needs no network, is checked, and stays."""
    content = archive(MEMBERS)
    path = tmp_path / "imdb" / "aclImdb_v1.tar.gz"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"aclImdb_v1.tar.gz has the SHA-256 .* expected c40f74"):
        reviews.imdb(tmp_path)
    split = reviews.imdb(tmp_path, sha256=hashlib.sha256(content).hexdigest())
    assert len(tables.read(split.test)) == 4
    assert path.exists()


def test_imdb_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network the message says where to put the file."""

    def fail(*arguments: object) -> None:
        raise ConnectionError("cannot download it: no network")

    monkeypatch.setattr(reviews, "download", fail)
    with pytest.raises(ConnectionError, match=rf"no network. Without a network, bring .* {tmp_path}/imdb/aclImdb_v1"):
        reviews.imdb(tmp_path)
    assert not (tmp_path / "imdb" / SPLIT[0]).exists()


def test_imdb_takes_plain_files_only(web: tuple[Path, str], tmp_path: Path) -> None:
    """A link in the archive is refused: it could point to any file of this machine."""
    url, sha256 = publish(web, {**MEMBERS, "aclImdb/train/pos/9_9.txt": None})
    with pytest.raises(ValueError, match=r"pos/9_9\.txt has 0 bytes of type b'2', expected a plain file"):
        reviews.imdb(tmp_path, url, sha256=sha256)
    assert not list((tmp_path / "imdb").glob("*.parquet"))


def test_imdb_needs_both_classes(web: tuple[Path, str], tmp_path: Path) -> None:
    """An archive without some of the reviews makes no table."""
    url, sha256 = publish(web, {name: text for name, text in MEMBERS.items() if "test/pos" not in name})
    with pytest.raises(ValueError, match="has 2 reviews to test, expected some of both classes"):
        reviews.imdb(tmp_path, url, sha256=sha256)
    assert not list((tmp_path / "imdb").glob("*.parquet"))


def ready(folder: Path) -> list[Path]:
    """Makes a folder that looks like a set of reviews."""
    folder.mkdir(parents=True)
    for name in SPLIT:
        (folder / name).write_text(str(folder))
    return [folder / name for name in SPLIT]


@pytest.mark.parametrize(
    ("make", "name"),
    [(reviews.imdb, "imdb"), (opinions.movie_snippets, "movie-snippets"), (opinions.opinions, "opinions")],
)
def test_what_is_there_is_used_as_it_is(
    make: object, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A set in the named folder, in TIDEGATE_DATA or in the cache is found, in this order, and not touched."""
    cache = ready(reviews.cache_folder() / name)
    assert list(make()) == cache  # type: ignore[operator]
    variable = ready(tmp_path / "variable" / name)
    monkeypatch.setenv("TIDEGATE_DATA", str(tmp_path / "variable"))
    assert list(make()) == variable  # type: ignore[operator]
    given = ready(tmp_path / "given" / name)
    assert list(make(tmp_path / "given")) == given  # type: ignore[operator]
    assert [path.read_text() for path in given] == [str(given[0].parent)] * 2


def test_a_folder_that_cannot_be_written_is_passed_over(
    web: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If TIDEGATE_DATA is read-only and has not the set, it is made in the cache folder; root too keeps off."""
    url, sha256 = publish(web, MEMBERS)
    fixed = tmp_path / "fixed"
    fixed.mkdir(mode=0o555)
    monkeypatch.setenv("TIDEGATE_DATA", str(fixed))
    assert reviews.imdb(url=url, sha256=sha256).train == reviews.cache_folder() / "imdb" / SPLIT[0]
    assert list(fixed.iterdir()) == []
    with pytest.raises(PermissionError, match=f"imdb is not in {fixed}, and cannot be written there"):
        reviews.imdb(fixed, url, sha256=sha256)


def test_the_set_is_made_where_the_variable_says(
    web: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If TIDEGATE_DATA can be written, sets are made there, and the folder too."""
    url, sha256 = publish(web, MEMBERS)
    monkeypatch.setenv("TIDEGATE_DATA", str(tmp_path / "new" / "folder"))
    assert reviews.imdb(url=url, sha256=sha256).test == tmp_path / "new" / "folder" / "imdb" / SPLIT[1]


@pytest.mark.parametrize(
    ("platform", "cache", "expected"),
    [
        ("linux", "/x/y", "/x/y/tidegate"),
        ("linux", "", "{home}/.cache/tidegate"),
        ("linux", "relative", "{home}/.cache/tidegate"),
        ("darwin", "/x/y", "{home}/Library/Caches/tidegate"),
    ],
)
def test_the_cache_folder(
    platform: str, cache: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache is where the system has its caches."""
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv("XDG_CACHE_HOME", cache)
    assert str(reviews.cache_folder()) == expected.format(home=tmp_path / "home")


def test_the_real_set_is_found_and_left_alone(data: Path) -> None:
    """A folder that has the reviews is used as it is: nothing in it changes."""
    before = {path.name: path.stat().st_mtime_ns for path in (data / "imdb").iterdir()}
    split = reviews.imdb(data)
    assert split == tuple(data / "imdb" / name for name in SPLIT)
    assert {path.name: path.stat().st_mtime_ns for path in (data / "imdb").iterdir()} == before
