"""Files from the web: taken up again where they were cut off, and kept only if their checksum is right."""

import hashlib
import os
import re
import ssl
import time
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

Progress = Callable[[int, int | None], None]
"""Called with the number of bytes that are here, and their total if it is known."""

_BLOCK = 1 << 18  # bytes
_TIMEOUT = 20.0  # seconds without a byte
_NETWORK_TROUBLE = (URLError, TimeoutError, ConnectionError, ssl.SSLError, HTTPException)
_PASSING = {408, 416, 425, 429, 500, 502, 503, 504}  # answers after which asking again may help


def download(
    url: str,
    path: str | os.PathLike[str],
    sha256: str,
    progress: Progress | None = None,
    *,
    attempts: int = 4,
    pause: float = 0.5,
) -> None:
    """Downloads a file.

    What has arrived stays in `path` + ".part", also when the program is stopped, and the next call asks for the rest
    only (RFC 9110, Range). A server that cannot do that, or whose file has changed since (If-Range), sends all of it.

    Args:
        url: Address, http or https.
        path: Where to write the file; its folder is made if necessary.
        sha256: Checksum of the file, in hexadecimal digits.
        progress: Is called after every block.
        attempts: How many attempts in a row may bring nothing.
        pause: Seconds to wait after the first of them; twice as long after each further one.

    Raises:
        ConnectionError: The server cannot be reached, refuses, or breaks off again and again.
        OSError: The file cannot be written.
        ValueError: The address is none of the web, or the file is not the one expected; it is deleted then.
    """
    if not url.lower().startswith(("http://", "https://")):
        raise ValueError(f"the address is {url!r}, expected one that starts with http:// or https://")
    part = Path(f"{os.fspath(path)}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    patched = _size(part) > 0
    _complete(url, part, progress, attempts, pause)
    if patched and file_sha256(part) != sha256:  # the rest of another file, from a server without If-Range
        _forget(part)
        _complete(url, part, progress, attempts, pause)
    try:
        verify(part, sha256, url)
    except ValueError:
        _forget(part)
        raise
    part.replace(path)
    _forget(part)


def file_sha256(path: Path) -> str:
    """Computes the checksum of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(path: Path, sha256: str, origin: str) -> None:
    """Checks that a file is the expected one.

    Args:
        path: The file.
        sha256: Its checksum, in hexadecimal digits.
        origin: Where it comes from, for the error.

    Raises:
        OSError: The file cannot be read.
        ValueError: The checksum is another.
    """
    found = file_sha256(path)
    if found != sha256:
        raise ValueError(f"{origin} has the SHA-256 {found}, expected {sha256}: it is damaged or another version")


def _complete(url: str, part: Path, progress: Progress | None, attempts: int, pause: float) -> None:
    """Asks for a file, and for the rest of it, until it is whole.

    Raises:
        ConnectionError: A refusal, or too many attempts in a row that brought nothing.
    """
    failures = 0
    while True:
        before = _size(part)
        try:
            if _fetch(url, part, progress):
                return
            reason = f"the connection was closed after {_size(part):,} bytes"
        except HTTPError as error:
            error.close()
            reason = f"the server answers {error.code} {error.reason}"
            if error.code == 416:  # nothing is missing, or what is here is longer than the server's file
                if error.headers.get("Content-Range") == f"bytes */{before}":
                    return
                _forget(part)
            elif error.code not in _PASSING:
                raise ConnectionError(f"cannot download {url}: {reason}") from None
        except _NETWORK_TROUBLE as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        failures = failures + 1 if _size(part) <= before else 0
        if failures >= attempts:
            raise ConnectionError(f"cannot download {url}: {reason} ({failures} attempts)")
        time.sleep(pause * 2 ** max(0, failures - 1) if failures else 0)


def _fetch(url: str, part: Path, progress: Progress | None) -> bool:
    """Asks once for what is missing.

    Returns:
        Whether the file is complete, as far as is known; the checksum decides.
    """
    headers = {"User-Agent": "tidegate", "Accept-Encoding": "identity"}
    done = _size(part)
    if done:
        headers["Range"] = f"bytes={done}-"
        if version := _version_file(part).read_text("ascii") if _version_file(part).exists() else "":
            headers["If-Range"] = version
    with urlopen(Request(url, headers=headers), timeout=_TIMEOUT) as response:  # noqa: S310, the scheme is checked
        start, total = _range(response)
        if start not in {0, done}:
            raise HTTPException(f"the server sent the file from byte {start}, expected from byte {done}")
        done = start
        _version_file(part).write_text(_version(response), "ascii")
        with part.open("ab" if done else "wb") as file:
            while block := response.read(_BLOCK):
                file.write(block)
                done += len(block)
                if progress:
                    progress(done, total)
    return total is None or done >= total


def _range(response: HTTPResponse) -> tuple[int, int | None]:
    """Reads off the first byte that an answer holds, and the size of the whole file if it is said."""
    if response.status == 206:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if not found:
            raise HTTPException("the server sent a part of the file without saying which")
        return int(found[1]), None if found[2] == "*" else int(found[2])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _version(response: HTTPResponse) -> str:
    """Names the version of the file that is being sent, for If-Range, which takes no weak tags; "" if it has none."""
    tag = str(response.headers.get("ETag", ""))
    version = tag if tag.startswith('"') else str(response.headers.get("Last-Modified", ""))
    return version if version.isascii() else ""


def _version_file(part: Path) -> Path:
    return part.with_name(part.name + ".version")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _forget(part: Path) -> None:
    """Deletes what has arrived, and what is known about it."""
    part.unlink(missing_ok=True)
    _version_file(part).unlink(missing_ok=True)
