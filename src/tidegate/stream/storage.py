"""States of sessions on disk, so that they outlive the process: SQLite, one file in a folder, one server a folder."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

FILE = "sessions.sqlite"
_APPLICATION = 0x74696465  # "tide", in the head of the file
_VERSION = 1
_PAGE = 4096  # bytes
_TABLE = """
CREATE TABLE session (
    model TEXT NOT NULL, key TEXT NOT NULL, pushes INTEGER NOT NULL, used REAL NOT NULL, state BLOB NOT NULL,
    PRIMARY KEY (model, key)
)
"""
_WRITE = """
INSERT INTO session VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET pushes = excluded.pushes, used = excluded.used, state = excluded.state
"""

Place = tuple[str, str]
"""Where a session is: the name of its model, and its key."""


class StorageError(OSError):
    """A folder of states cannot be opened, read or written."""


class Stored(NamedTuple):
    """What is known of a stored session beside its state.

    Attributes:
        model: The name of its model.
        key: Its key.
        pushes: The pushes that its state has read.
        used: The time of the last one, in seconds of a clock that stands still while no server runs.
    """

    model: str
    key: str
    pushes: int
    used: float


class StateFolder:
    """A folder with the states of sessions. What `commit` has written is there after the process was killed.

    One thread at a time may use it. The process that has opened a folder keeps others out until it ends, however that
    happens. Files that it makes can be read by their owner only.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: Path, *, power_loss: bool = False, max_bytes: int = 4 << 30) -> None:
        """Opens a folder, or begins one.

        Args:
            path: The folder.
            power_loss: Whether what was committed must also survive the loss of power, or a crash of the operating
                system, for which each commit waits until the disk has it. Otherwise such an event may take the last
                commits, and leaves the ones before.
            max_bytes: The largest size of the file: a commit beyond it is an error.

        Raises:
            StorageError: Another process has the folder, it cannot be written, or what is in it is damaged or of
                another version.
        """
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            (path / FILE).touch(mode=0o600)  # the log beside it gets the same; a folder that was there may be open
            # isolation_level=None: transactions begin where this code says so
            self._file = sqlite3.connect(path / FILE, timeout=0, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise StorageError(f"cannot keep states in {path}: {error}") from error
        try:
            self._open(power_loss, max_bytes)
        except sqlite3.Error as error:
            self._file.close()
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                raise StorageError(f"{path} is in use by another server: a folder of states belongs to one") from None
            raise StorageError(f"cannot keep states in {path}: {error}") from error
        except BaseException:
            self._file.close()
            raise

    def _open(self, power_loss: bool, max_bytes: int) -> None:
        run = self._file.execute
        run("PRAGMA locking_mode = EXCLUSIVE")  # the lock goes with the process, also if that is killed
        run("PRAGMA journal_mode = WAL")
        run(f"PRAGMA synchronous = {'FULL' if power_loss else 'NORMAL'}")
        run("BEGIN IMMEDIATE")
        (application,), (version,) = (run(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version"))
        (tables,) = run("SELECT count(*) FROM sqlite_master").fetchone()
        if not (application or version or tables):
            run(_TABLE)
            run(f"PRAGMA application_id = {_APPLICATION}")
            run(f"PRAGMA user_version = {_VERSION}")
        elif application != _APPLICATION:
            raise StorageError(f"{self.path / FILE} is a database of another program")
        elif version != _VERSION:
            raise StorageError(
                f"{self.path / FILE} is of version {version}, expected {_VERSION}: another version of tidegate"
            )
        run("COMMIT")
        run(f"PRAGMA max_page_count = {max(1, max_bytes // _PAGE)}")

    def sessions(self) -> Iterator[Stored]:
        """Lists all sessions, the one that was used first at the beginning.

        Raises:
            StorageError: They cannot be read.
        """
        try:
            rows = self._file.execute("SELECT model, key, pushes, used FROM session ORDER BY used")
            yield from map(Stored._make, rows)
        except sqlite3.Error as error:
            raise self._error("read", error) from error

    def load(self, place: Place) -> bytes | None:
        """Returns the state of a session; None if there is none.

        Raises:
            StorageError: It cannot be read.
        """
        try:
            row = self._file.execute("SELECT state FROM session WHERE model = ? AND key = ?", place).fetchone()
        except sqlite3.Error as error:
            raise self._error("read", error) from error
        return None if row is None else bytes(row[0])

    def commit(self, written: Iterable[tuple[Stored, bytes]], ended: Iterable[Place] = ()) -> None:
        """Stores states and forgets sessions: all of that, or nothing.

        Args:
            written: Sessions and their states, in the place of those that are there.
            ended: Sessions to forget.

        Raises:
            StorageError: It could not be written, for example because the disk is full; nothing has changed then.
        """
        try:
            self._file.execute("BEGIN IMMEDIATE")
            self._file.executemany("DELETE FROM session WHERE model = ? AND key = ?", ended)
            self._file.executemany(_WRITE, ((*stored, state) for stored, state in written))
            self._file.execute("COMMIT")
        except BaseException as error:
            with suppress(sqlite3.Error):
                self._file.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise self._error("write", error) from error
            raise

    def close(self) -> None:
        """Gives the folder back."""
        self._file.close()

    def _error(self, verb: str, error: Exception) -> StorageError:
        return StorageError(f"cannot {verb} states in {self.path}: {error}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
