"""The open sessions of a pool: which row each has, whose turn it is to make room, and who is back from the store."""

import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence
from itertools import filterfalse
from typing import Any, NamedTuple

import numpy as np

from tidegate.stream.parts import Rows
from tidegate.stream.slots import Slots
from tidegate.stream.state import StateError
from tidegate.text.pieces import NO_TEXT, Held


class Memory(NamedTuple):
    """Memory of a pool in bytes.

    Attributes:
        sessions: Open sessions.
        session: The numbers that are kept of a session, float32.
        states: All of them, with rows that are free at present.
        words: The words that all sessions have read, of a model with n-grams.
        records: What finds a session: keys, rows, times, texts that are held back.
    """

    sessions: int
    session: int
    states: int
    words: int
    records: int


class OpenSessions:
    """Sessions by key, each in a row of some slots. One thread at a time may use it.

    Attributes:
        most: Most sessions at a time: the one that has waited longest makes room for a new one.
        idle_seconds: After so long without a push a session is evicted; None for never.
        rows: The row of each, in the order of their last push.
        held: What is held back of the texts of rows, where that is anything.
        used: When each row was last pushed to, float64 [capacity].
    """

    def __init__(
        self,
        slots: Slots,
        most: int,
        idle_seconds: float | None,
        on_evict: Callable[[Any, bytes], object] | None,
        recall: Callable[[Any], bytes | None] | None,
        clock: Callable[[], float],
    ) -> None:
        """Starts without sessions, in slots that are all free; see `StreamPool` for the rest."""
        self.most, self.idle_seconds = most, idle_seconds
        self.rows: OrderedDict[Hashable, int] = OrderedDict()
        self.held: dict[int, Held] = {}
        self.used = np.zeros(len(slots.counts))
        self._slots, self._free = slots, list(range(len(slots.counts)))[::-1]
        self._on_evict, self._recall, self._clock = on_evict, recall, clock

    def state(self, key: Hashable) -> bytes:
        """Writes down a session; KeyError if there is no such session."""
        row = self.rows[key]
        return self._slots.state(row, self.held.get(row, NO_TEXT))

    def restore(self, key: Hashable, state: bytes) -> None:
        """Opens a session with a state, in the place of one of that key; errors are those of `Slots.check`."""
        self._slots.check(state)
        if key in self.rows:
            self.forget(key)
        self._make_room()
        self._admit(key, state)

    def held_of(self, keys: Sequence[Hashable]) -> list[Held]:
        """Lists what is held back of the texts of keys, nothing where there is no session yet."""
        return [self.held.get(self.rows.get(key, -1), NO_TEXT) for key in keys]

    def hold(self, rows: Rows, held: Sequence[Held]) -> None:
        """Holds back what is left of the texts of rows; of vectors, nothing is."""
        for row, each in zip(rows.tolist(), held, strict=bool(held)):
            if each == NO_TEXT:
                self.held.pop(row, None)
            else:
                self.held[row] = each

    def missing_after_recall(self, keys: Sequence[Hashable]) -> list[Hashable]:
        """Opens the sessions of keys that can be recalled; returns the keys that have none."""
        missing = list(filterfalse(self.rows.__contains__, keys))
        if not missing or not self._recall:
            return missing
        self.touch(keys)
        recalled = {key: state for key in missing if (state := self._recall(key)) is not None}
        for key, state in recalled.items():
            try:
                self._slots.check(state)
            except StateError as error:
                raise StateError(f"what was recalled for the key {key!r:.60}: {error}") from error
        for key, state in recalled.items():
            self._make_room()
            self._admit(key, state)
        return [key for key in missing if key not in recalled]

    def rows_of(self, keys: Sequence[Hashable], missing: Sequence[Hashable]) -> Rows:
        """Opens sessions for the keys without one, and returns the rows of all."""
        found = self.touch(keys)
        if not missing:
            return found
        fresh: list[int] = []
        try:
            for key in missing:
                self._make_room()
                fresh.append(self._admit(key, None))
        finally:
            self._slots.clear(np.array(fresh, np.intp))
        return np.array([self.rows[key] for key in keys], np.intp)

    def touch(self, keys: Sequence[Hashable]) -> Rows:
        """Makes the sessions of keys the latest, so that none makes room for another; returns the rows of these."""
        here = keys if all(map(self.rows.__contains__, keys)) else list(filter(self.rows.__contains__, keys))
        deque(map(self.rows.move_to_end, here), maxlen=0)
        found = np.array(list(map(self.rows.__getitem__, here)), np.intp)
        self.used[found] = self._clock()
        return found

    def evict_idle(self) -> int:
        """Evicts sessions without a push for `idle_seconds`; returns how many."""
        count = 0
        if self.idle_seconds is not None:
            latest = self._clock() - self.idle_seconds
            while self.rows and self.used[self.rows[next(iter(self.rows))]] < latest:
                self._evict(next(iter(self.rows)))
                count += 1
        return count

    def forget(self, key: Hashable) -> None:
        """Ends a session without keeping its state; KeyError if there is no such session."""
        row = self.rows.pop(key)
        self.held.pop(row, None)
        self._slots.forget(np.array([row]))
        self._free.append(row)

    @property
    def memory(self) -> Memory:
        """What they take."""
        session = 4 * self._slots.floats
        records = sum(map(sys.getsizeof, (self.rows, self.held, self._free)))
        records += sum(sys.getsizeof(key) + sys.getsizeof(row) for key, row in self.rows.items())
        records += sum(sys.getsizeof(held.text) + sys.getsizeof(held.data) + 56 for held in self.held.values())
        records += self.used.nbytes + self._slots.counts.nbytes
        return Memory(len(self.rows), session, session * len(self.used), self._slots.word_bytes, records)

    def _make_room(self) -> None:
        if len(self.rows) == self.most:
            self._evict(next(iter(self.rows)))
        if not self._free:
            old, new = len(self.used), min(2 * len(self.used), self.most)
            self._slots.grow(new)
            self.used = np.concatenate([self.used, np.zeros(new - old)])
            self._free = list(range(old, new))[::-1]

    def _admit(self, key: Hashable, state: bytes | None) -> int:
        row = self._free[-1]
        if state is not None:
            held = self._slots.restore(row, state)
            if held != NO_TEXT:
                self.held[row] = held
        self.used[row] = self._clock()
        self.rows[key] = self._free.pop()
        return row

    def _evict(self, key: Hashable) -> None:
        if self._on_evict:
            self._on_evict(key, self.state(key))
        self.forget(key)
