"""States of sessions on disk."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tidegate.stream.storage import FILE, StateFolder, StorageError, Stored

ANN, BOB = Stored("m", "ann", 1, 0.5), Stored("m", "bob", 2, 0.25)

WRITER = """
import os, sys
from pathlib import Path
from tidegate.stream.storage import StateFolder, Stored
folder = StateFolder(Path(sys.argv[1]))
folder.commit([(Stored("m", "ann", 1, 0.5), b"read")])
folder._file.execute("BEGIN")
folder._file.execute("DELETE FROM session")
print("committed", flush=True)
sys.stdin.read()
"""


def test_states_come_back(tmp_path: Path) -> None:
    """States, counts and times are as they were stored, in the order of their use; those that have ended are gone."""
    with StateFolder(tmp_path / "new" / "folder") as folder:
        folder.commit([(ANN, b"a"), (BOB, b"b")])
        folder.commit([(ANN._replace(pushes=2, used=1.0), b"later")], [("m", "nobody")])
    assert (tmp_path / "new" / "folder").stat().st_mode & 0o077 == 0
    with StateFolder(tmp_path / "new" / "folder", power_loss=True) as folder:
        assert [*folder.sessions()] == [BOB, ("m", "ann", 2, 1.0)]
        assert (folder.load(("m", "ann")), folder.load(("other", "ann"))) == (b"later", None)
        folder.commit([], [("m", "ann")])
        assert [stored.key for stored in folder.sessions()] == ["bob"]


def test_what_was_committed_survives_a_kill_and_nothing_else_does(tmp_path: Path) -> None:
    """A killed process leaves what it had committed, and no lock; while it runs, the folder is refused to others."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"committed\n"
        with pytest.raises(StorageError, match="in use by another server"):
            StateFolder(tmp_path)
        os.kill(process.pid, signal.SIGKILL)
    with StateFolder(tmp_path) as folder:
        assert folder.load(("m", "ann")) == b"read"
        with pytest.raises(StorageError, match="in use by another server"):
            StateFolder(tmp_path)


def test_a_commit_that_fails_changes_nothing(tmp_path: Path) -> None:
    """Where the file may not grow, the sessions of the commit are as before, and smaller commits still work."""
    with StateFolder(tmp_path, max_bytes=100_000) as folder:
        folder.commit([(ANN, b"a")])
        with pytest.raises(StorageError, match=r"cannot write states in .*full"):
            folder.commit([(BOB, b"b"), (ANN, bytes(200_000))])
        assert ([*folder.sessions()], folder.load(("m", "ann"))) == ([ANN], b"a")
        folder.commit([(BOB, b"b")])
        assert folder.load(("m", "bob")) == b"b"


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("PRAGMA user_version = 2", "version 2, expected 1"),
        ("PRAGMA application_id = 5", "another program"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, statement: str, message: str) -> None:
    """Another program's database, and one of a later version, are errors and not changed."""
    StateFolder(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE) as file:
        file.execute(statement)
    file.close()
    with pytest.raises(StorageError, match=message):
        StateFolder(tmp_path)


def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    """So is one with a file that is no database, and a file in the place of the folder."""
    (tmp_path / FILE).write_bytes(b"nonsense" * 1000)
    with pytest.raises(StorageError, match=r"cannot keep states in .*not a database"):
        StateFolder(tmp_path)
    with pytest.raises(StorageError, match="cannot keep states"):
        StateFolder(tmp_path / FILE)


def test_states_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    """Also in a folder that was there and is open to others; the log beside the states is no different."""
    tmp_path.chmod(0o755)
    before = os.umask(0o022)
    try:
        with StateFolder(tmp_path) as folder:
            folder.commit([(ANN, b"a")])
            modes = {path.name: path.stat().st_mode & 0o077 for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == {FILE: 0, f"{FILE}-wal": 0}
