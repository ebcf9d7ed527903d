"""Tests of files that are written whole or not at all."""

import os
import re
import stat
from pathlib import Path

import pytest

from tidegate.data.files import remove_unfinished, replacing


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
    for name in ("a" * 255, "é" * 127):
        write(tmp_path / name, b"content")
        assert (tmp_path / name).read_bytes() == b"content"


def test_a_missing_folder_and_a_folder_are_refused(tmp_path: Path) -> None:
    """The error names the path, and nothing is written."""
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write(tmp_path / "nowhere" / "a.bin", b"content")
    with pytest.raises(IsADirectoryError, match=f"{re.escape(str(tmp_path))} is a folder, expected the name of a file"):
        write(tmp_path, b"content")
    assert list(tmp_path.iterdir()) == []


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
