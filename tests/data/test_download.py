"""Downloads from a real server on this machine that breaks off, forgets, changes its mind or is not there."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tidegate.data.download import download, file_sha256

CONTENT = bytes(range(256)) * 5000  # 1.28 MB: several blocks
OTHER = CONTENT[::-1]


def checksum(content: bytes) -> str:
    """The SHA-256 of some bytes."""
    return hashlib.sha256(content).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Answers as the server is told to."""

    server: "Server"

    def do_GET(self) -> None:
        """Sends the file, or what the request asks of it."""
        server = self.server
        server.requests.append(dict(self.headers))
        if server.refusals:
            self.send_error(server.refusals.pop(0))
            return
        start = self.start()
        if start >= len(server.content) > 0:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        rest = server.content[start:]
        if start:
            size = len(server.content)
            self.send_header("Content-Range", f"bytes {start + server.shift}-{size - 1}/{size}")
        if server.says_length:
            self.send_header("Content-Length", str(len(rest)))
        if server.version:
            self.send_header("ETag" if '"' in server.version else "Last-Modified", server.version)
        self.end_headers()
        self.wfile.write(rest[: server.cuts.pop(0)] if server.cuts else rest)

    def start(self) -> int:
        """The first byte that is asked for, if the server can do that and has the version asked for."""
        asked = self.headers.get("Range", "")
        if not asked or not self.server.knows_ranges:
            return 0
        version = self.headers.get("If-Range")
        return 0 if version and version != self.server.version else int(asked.removeprefix("bytes=").removesuffix("-"))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing."""


class Server(ThreadingHTTPServer):
    """A file on the web, and how the server treats it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.version = '"v1"'
        self.knows_ranges = True
        self.says_length = True
        self.shift = 0
        self.cuts: list[int] = []
        self.refusals: list[int] = []
        self.requests: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        """Address of the file."""
        return f"http://127.0.0.1:{self.server_port}/file.tar.gz"

    def asked(self) -> list[str | None]:
        """What the requests so far asked for."""
        return [request.get("Range") for request in self.requests]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that runs while a test does, and is asked directly."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file shall be; the folder is not there yet."""
    return tmp_path / "folder" / "file.tar.gz"


def fetch(server: Server, path: Path, content: bytes = CONTENT, attempts: int = 3) -> None:
    """Downloads and checks that the file is there, and nothing beside it."""
    download(server.url, path, checksum(content), attempts=attempts, pause=0)
    assert path.read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_file_is_downloaded_and_progress_is_told(server: Server, path: Path) -> None:
    """The file arrives whole in one request, and progress is told up to its end."""
    told: list[tuple[int, int | None]] = []
    download(server.url, path, checksum(CONTENT), lambda done, total: told.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert file_sha256(path) == checksum(CONTENT)
    assert len(server.requests) == 1
    assert told == sorted(told)
    assert len(told) > 3
    assert told[-1] == (len(CONTENT), len(CONTENT))


def test_a_broken_connection_is_taken_up_again(server: Server, path: Path) -> None:
    """After a break only the rest of the same version is asked for."""
    server.cuts = [300_000, 500_000]
    fetch(server, path)
    assert server.asked() == [None, "bytes=300000-", "bytes=800000-"]
    assert [request.get("If-Range") for request in server.requests] == [None, '"v1"', '"v1"']


def test_many_breaks_are_no_reason_to_give_up_while_something_arrives(server: Server, path: Path) -> None:
    """Only attempts in a row that bring nothing are counted."""
    server.cuts = [200_000] * 6
    fetch(server, path, attempts=1)
    assert len(server.requests) == 7


def test_a_later_call_asks_for_the_rest(server: Server, path: Path) -> None:
    """What arrived before a call gave up, or was interrupted, is kept for the next."""
    server.cuts = [300_000, 0]
    with pytest.raises(ConnectionError, match="closed after 300,000 bytes"):
        download(server.url, path, checksum(CONTENT), attempts=1, pause=0)
    assert not path.exists()

    def interrupt(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(server.url, path, checksum(CONTENT), interrupt, pause=0)
    already = Path(f"{path}.part").stat().st_size
    assert already > 300_000
    fetch(server, path)
    assert server.asked()[-1] == f"bytes={already}-"


def test_servers_that_ignore_ranges(server: Server, path: Path) -> None:
    """A server that sends the whole file again gets its way."""
    server.knows_ranges = False
    server.cuts = [300_000]
    fetch(server, path)
    assert server.asked() == [None, "bytes=300000-"]


@pytest.mark.parametrize(
    ("old", "new"), [('"v1"', '"v2"'), ("Wed, 21 Oct 2015 07:28:00 GMT", "Thu, 22 Oct 2015 07:28:00 GMT")]
)
def test_a_file_that_changed_is_sent_whole(server: Server, path: Path, old: str, new: str) -> None:
    """If the server has another version by now, known by its tag or date, nothing of the old one is used."""
    server.version, server.cuts = old, [300_000, 0]
    with pytest.raises(ConnectionError):
        download(server.url, path, checksum(OTHER), attempts=1, pause=0)
    server.version, server.content = new, OTHER
    server.requests.clear()
    fetch(server, path, OTHER)
    assert [request.get("If-Range") for request in server.requests] == [old]


@pytest.mark.parametrize("version", ["", 'W/"weak"'])
def test_a_patchwork_of_two_versions_is_thrown_away(server: Server, path: Path, version: str) -> None:
    """From a server that names no version the file is fetched anew if the checksum says it is a patchwork."""
    server.version, server.cuts = version, [300_000, 0]
    with pytest.raises(ConnectionError):
        download(server.url, path, checksum(OTHER), attempts=1, pause=0)
    server.content = OTHER
    server.requests.clear()
    fetch(server, path, OTHER)
    assert server.asked() == ["bytes=300000-", None]
    assert "If-Range" not in server.requests[0]


def test_a_wrong_checksum_leaves_nothing(server: Server, path: Path) -> None:
    """A file that is not the one expected is refused, with both checksums, and deleted."""
    with pytest.raises(ValueError, match=f"{checksum(CONTENT)}, expected {checksum(OTHER)}"):
        download(server.url, path, checksum(OTHER))
    assert list(path.parent.iterdir()) == []
    assert len(server.requests) == 1


def test_an_old_file_stays_until_the_new_one_is_right(server: Server, path: Path) -> None:
    """A download that fails does not touch what was there, one that succeeds replaces it."""
    path.parent.mkdir()
    path.write_text("old")
    with pytest.raises(ValueError, match="expected"):
        download(server.url, path, checksum(OTHER))
    assert path.read_text() == "old"
    fetch(server, path)


@pytest.mark.parametrize("status", [404, 403, 410])
def test_a_refusal_is_final(server: Server, path: Path, status: int) -> None:
    """A server that has no such file is asked once, and its answer is told."""
    server.refusals = [status] * 5
    with pytest.raises(ConnectionError, match=rf"cannot download {server.url}: the server answers {status} \w+"):
        download(server.url, path, checksum(CONTENT), pause=0)
    assert len(server.requests) == 1


def test_a_busy_server_is_asked_again(server: Server, path: Path) -> None:
    """Answers that pass, such as 503, are waited out, up to the number of attempts."""
    server.refusals = [503, 429]
    fetch(server, path, attempts=3)
    server.refusals = [503] * 9
    with pytest.raises(ConnectionError, match=r"503 .*\(3 attempts\)"):
        download(server.url, path, checksum(CONTENT), attempts=3, pause=0)


def test_a_file_of_unknown_length(server: Server, path: Path) -> None:
    """Without a length the end of the connection is the end of the file, and the checksum decides."""
    server.says_length = False
    fetch(server, path)
    server.cuts = [300_000]
    with pytest.raises(ValueError, match="expected"):
        download(server.url, path, checksum(CONTENT), pause=0)


def part_of(path: Path, content: bytes) -> None:
    """Leaves the part of a download that a program was stopped in."""
    path.parent.mkdir()
    Path(f"{path}.part").write_bytes(content)


def test_a_part_that_is_already_whole(server: Server, path: Path) -> None:
    """If the program was stopped just before the end, nothing is sent again."""
    part_of(path, CONTENT)
    fetch(server, path)
    assert server.asked() == [f"bytes={len(CONTENT)}-"]


def test_a_part_that_is_too_long(server: Server, path: Path) -> None:
    """A part that is longer than the file is no part of it, and is thrown away."""
    part_of(path, CONTENT + b"more")
    fetch(server, path)
    assert server.asked() == [f"bytes={len(CONTENT) + 4}-", None]


def test_another_part_than_asked_for(server: Server, path: Path) -> None:
    """A server that sends other bytes than those asked for is not believed."""
    part_of(path, CONTENT[:300_000])
    server.shift = 7
    with pytest.raises(ConnectionError, match="from byte 300007, expected from byte 300000"):
        download(server.url, path, checksum(CONTENT), attempts=2, pause=0)


def test_without_a_server(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If nobody answers, the address and the reason are told."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as gone:
        url = gone.url
    with pytest.raises(ConnectionError, match=rf"cannot download {url}: .*refused.* \(2 attempts\)"):
        download(url, path, checksum(CONTENT), attempts=2, pause=0)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y", "ai.stanford.edu/file", ""])
def test_other_addresses_are_refused(url: str, path: Path) -> None:
    """Only http and https are asked: an address cannot read files of this machine."""
    with pytest.raises(ValueError, match="expected one that starts with http:// or https://"):
        download(url, path, checksum(CONTENT))
