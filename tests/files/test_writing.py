"""Tests of files that are written whole or not at all."""

import errno
import os
import re
import resource
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tidegate.files.writing import Sink, descriptor, is_stream, remove_unfinished, replacing


def write(path: Path, content: bytes) -> None:
    """Replaces a file in two writes."""
    with replacing(path) as file:
        file.write(content[:1])
        file.write(content[1:])


def test_a_file_is_made_and_replaced(tmp_path: Path) -> None:
    """The content is there when the block has ended, and nothing else is in the folder."""
    path = tmp_path / "a.bin"
    for content in (b"first", b"second"):
        write(path, content)
        assert path.read_bytes() == content
        assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_alone(tmp_path: Path, kind: type[BaseException]) -> None:
    """An exception inside the block, Ctrl-C too, keeps the old content and leaves no temporary file."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(kind), replacing(path) as file:  # noqa: PT012
        file.write(b"new")
        raise kind
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_old_file_is_there_until_the_end(tmp_path: Path) -> None:
    """While the block runs, readers see the old content."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with replacing(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"


def test_bytes_reach_the_disk_before_the_name_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is flushed to the disk, then renamed, then its folder is flushed."""
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def flush(descriptor: int) -> None:
        events.append(
            "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else f"file of {os.fstat(descriptor).st_size}"
        )
        fsync(descriptor)

    def rename(source: Path, target: Path) -> Path:
        events.append("rename")
        return replace(source, target)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(Path, "replace", rename)
    write(tmp_path / "a.bin", b"content")
    assert events == ["file of 7", "rename", "folder"]


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_permissions_are_those_that_the_umask_grants(tmp_path: Path, umask: int) -> None:
    """A file is as readable as one that `open` makes."""
    before = os.umask(umask)
    try:
        write(tmp_path / "a.bin", b"content")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.bin").stat().st_mode) == 0o666 & ~umask


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    """Writing through a link replaces the file that it points to."""
    (tmp_path / "folder").mkdir()
    link = tmp_path / "latest"
    link.symlink_to(tmp_path / "folder" / "a.bin")
    write(link, b"content")
    assert link.is_symlink()
    assert (tmp_path / "folder" / "a.bin").read_bytes() == b"content"


def test_long_names_are_no_obstacle(tmp_path: Path) -> None:
    """A name of 255 bytes, the most that file systems hold, can be written, in any script."""
    for name in (
        "a" * 255,
        "é" * 127,
        "評" * 74 + ".safetensors",
        "a" + "評" * 80,
        "😀" * 63,
    ):
        write(tmp_path / name, b"content")
        assert (tmp_path / name).read_bytes() == b"content"


def test_a_missing_folder_and_a_folder_are_refused(tmp_path: Path) -> None:
    """The error names the path, and nothing is written."""
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write(tmp_path / "nowhere" / "a.bin", b"content")
    with pytest.raises(IsADirectoryError, match=f"{re.escape(str(tmp_path))} is a folder, expected the name of a file"):
        write(tmp_path, b"content")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_permissions_of_the_old_file_stay(tmp_path: Path, mode: int) -> None:
    """What was private is private afterwards."""
    path = tmp_path / "a.bin"
    path.touch()
    path.chmod(mode)
    write(path, b"content")
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_write_protected_file_and_folder_are_refused(tmp_path: Path) -> None:
    """Who may rename could replace a write-protected file, and root can write anywhere: neither is done."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    path.chmod(0o444)
    with pytest.raises(PermissionError, match=r"a\.bin is write-protected"):
        write(path, b"new")
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(PermissionError, match=r"the folder .* cannot be written to, expected one for b\.bin"):
            write(tmp_path / "b.bin", b"new")
    finally:
        tmp_path.chmod(0o755)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_vanishes_is_named(tmp_path: Path) -> None:
    """The error is about the file that was to be written, not about a temporary one."""
    path = tmp_path / "folder" / "a.bin"
    path.parent.mkdir()
    with pytest.raises(FileNotFoundError) as raised, replacing(path) as file:  # noqa: PT012
        file.write(b"new")
        next(path.parent.iterdir()).unlink()
        path.parent.rmdir()
    assert raised.value.filename == str(path)


_SMALL = 1000


@contextmanager
def small_disk() -> Iterator[None]:
    """Has files of this process end at 1,000 bytes, as a quota would: also the one that pytest may write to."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_SMALL, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("sizes", [[5000], [999, 2], [1000, 1], [10] * 200])
def test_a_full_disk_leaves_the_old_file_alone(tmp_path: Path, sizes: list[int]) -> None:
    """The error names the file, wherever the bytes end, and no temporary file is left."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with small_disk(), pytest.raises(OSError, match="File too large") as raised, replacing(path) as file:  # noqa: PT012
        for size in sizes:
            file.write(bytes(size))
    assert sum(sizes) > _SMALL
    assert (raised.value.errno, raised.value.filename) == (errno.EFBIG, str(path))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_errors_of_the_block_keep_their_names(tmp_path: Path) -> None:
    """What goes wrong with another file is not said of this one."""
    with pytest.raises(FileNotFoundError) as raised, replacing(tmp_path / "a.bin"):
        (tmp_path / "other").read_bytes()
    assert raised.value.filename == str(tmp_path / "other")


def test_a_fifo_is_written_to(tmp_path: Path) -> None:
    """A named pipe, also behind a link, stays one, and the bytes come out of it."""
    fifo, link = tmp_path / "fifo", tmp_path / "link"
    os.mkfifo(fifo)
    link.symlink_to(fifo)
    for path in (fifo, link):
        read: list[bytes] = []
        reader = threading.Thread(target=lambda read=read: read.append(fifo.read_bytes()), daemon=True)
        reader.start()
        write(path, b"content" * 50_000)  # more than a pipe holds
        reader.join()
        assert read == [b"content" * 50_000]
        assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert set(tmp_path.iterdir()) == {fifo, link}


def test_a_device_is_written_to() -> None:
    """/dev/null stays a device."""
    write(Path("/dev/null"), b"content")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_device_is_named() -> None:
    """The error of a device has its name."""
    with pytest.raises(OSError, match=r"No space left on device: '/dev/full'"):
        write(Path("/dev/full"), b"content")
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


@pytest.mark.parametrize("name", ["/dev/fd/{}", "/proc/self/fd/{}", "/proc/{pid}/fd/{}", "/proc/thread-self/fd/{}"])
def test_an_open_file_is_written_to_where_it_stands(tmp_path: Path, name: str) -> None:
    """By the name of an open file, bytes go behind those that are there, and the file is not replaced."""
    if not Path("/proc/self/fd").exists() and name.startswith("/proc"):
        pytest.skip("there is no /proc here")
    path, link = tmp_path / "log", tmp_path / "link"
    with path.open("wb", buffering=0) as file:
        inode = path.stat().st_ino
        file.write(b"before ")
        named = name.format(file.fileno(), pid=os.getpid())
        link.symlink_to(named)
        write(Path(named), b"content")
        write(link, b" more")
        file.write(b" after")
        assert descriptor(named) == descriptor(link) == file.fileno()
    assert path.read_bytes() == b"before content more after"
    assert path.stat().st_ino == inode
    assert is_stream(named) is (descriptor(named) is not None)


@pytest.mark.parametrize("name", ["a.bin", "fd/1", "link", "circle", "/dev/stdouts", "/dev/fd", "/dev/fd/x"])
def test_other_names_are_no_open_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Names that only look like those of open files are files like any other."""
    monkeypatch.chdir(tmp_path)
    Path("fd").mkdir()
    Path("link").symlink_to("fd/1")
    Path("circle").symlink_to("circle")
    assert descriptor(name) is None


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/stderr"])
def test_standard_streams_have_names(name: str) -> None:
    """/dev/stdout and /dev/stderr are the open files 1 and 2."""
    assert descriptor(name) == {"/dev/stdout": 1, "/dev/stderr": 2}[name]


def test_a_part_that_was_taken_is_followed_by_the_rest() -> None:
    """A system call may take a part of the bytes only; one that takes none without waiting is an error."""

    class Slow:
        taken = b""

        def write(self, data: memoryview) -> int | None:
            self.taken += bytes(data[:3])
            return len(data[:3]) if len(self.taken) < 12 else None

    slow = Slow()
    sink = Sink(slow, "pipe")
    assert sink.write(b"0123456789") == 10
    assert (slow.taken, sink.tell()) == (b"0123456789", 10)
    with pytest.raises(BlockingIOError, match="pipe"):
        sink.write(b"0123")


def test_a_file_can_be_sought_in_and_a_device_cannot(tmp_path: Path) -> None:
    """A header can be written over in a file; what went to a device or an open file is gone."""
    with replacing(tmp_path / "a.bin") as file:
        file.write(b"head body")
        assert file.seekable()
        assert file.seek(0) == 0
        file.write(b"HEAD")
        assert (file.tell(), file.seek(0, os.SEEK_END)) == (4, 9)
        file.write(b"!")
    assert (tmp_path / "a.bin").read_bytes() == b"HEAD body!"
    with replacing("/dev/null") as file:
        file.write(b"head")
        assert (file.tell(), file.seekable()) == (4, False)
        with pytest.raises(OSError, match="a device or a pipe"):
            file.seek(0)


def test_a_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device of blocks, such as a disk or a partition, is neither written to nor replaced."""
    path = tmp_path / "disk"
    path.write_bytes(b"all that there is")
    monkeypatch.setattr("tidegate.files.writing.stat.S_ISBLK", lambda _: True)
    with pytest.raises(PermissionError, match="disk is a disk, whose content would be lost"):
        write(path, b"new")
    assert path.read_bytes() == b"all that there is"


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    """Temporary files of one name, or of any, are removed; other files are not, whatever their names are."""
    half, other = tmp_path / ".a[1].bin.0123456789abcdef.tmp", tmp_path / ".b.bin.0123456789abcdef.tmp"
    kept = [tmp_path / name for name in ("a[1].bin", ".a[1].bin.tmp", ".a1.bin.0123456789abcdef.tmp", "x.tmp")]
    for path in (half, other, *kept):
        path.write_bytes(b"")
    remove_unfinished(tmp_path, "a[1].bin")
    assert set(tmp_path.iterdir()) == {other, *kept}
    remove_unfinished(tmp_path)
    assert set(tmp_path.iterdir()) == set(kept) - {kept[2]}


@pytest.mark.parametrize("name", ["評" * 74 + ".safetensors", "a" + "é" * 127, "😀" * 63, "a" * 255])
def test_what_was_left_of_a_long_name_is_removed(tmp_path: Path, name: str) -> None:
    """The temporary file of a long name is found again, though its own name is cut."""
    with replacing(tmp_path / name):
        [left] = tmp_path.iterdir()
        os.link(left, tmp_path / "kept")
    (tmp_path / "kept").rename(left)
    remove_unfinished(tmp_path, name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
