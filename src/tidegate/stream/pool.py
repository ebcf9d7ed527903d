"""Many streams through one model: pushes that arrive together are read as one batch."""

import sys
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from tidegate.sequences.recurrent import Recurrent
from tidegate.stream.parts import Rows, Streamable, streamable
from tidegate.stream.requests import Push, Request, merged
from tidegate.stream.slots import Answers, Slots
from tidegate.stream.state import StateError
from tidegate.text import pieces

_FIRST_ROWS = 64


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


class StreamPool:
    """Sessions by key, as many as a server has clients, each to the bit as if it were alone.

    Methods may be called from any thread. Pushes that come while others are being read are read together, as one batch.

    Example:
        >>> from tidegate import Recurrent, StreamPool
        >>> ones = np.ones((1, 1), np.float32)
        >>> pool = StreamPool(Recurrent({"weight_ih_l0": ones, "weight_hh_l0": ones}, cell="rnn_relu"))
        >>> pool.push(["ann", "bob"], [[[1.0], [2.0]], [[5.0]]]).vectors
        array([[3.],
               [5.]], dtype=float32)
        >>> pool.push(["ann"], [[[4.0]]]).vectors
        array([[7.]], dtype=float32)

    Attributes:
        model: The model.
        max_sessions: Most sessions at a time: the one that has waited longest makes room for a new one.
        idle_seconds: After so long without a push a session is evicted; None for never.
    """

    def __init__(
        self,
        model: Streamable | Recurrent,
        *,
        max_sessions: int = 100_000,
        idle_seconds: float | None = None,
        on_evict: Callable[[Any, bytes], object] | None = None,
        recall: Callable[[Any], bytes | None] | None = None,
        endless: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Makes a pool without sessions.

        Args:
            model: The model, or a bare stack.
            max_sessions: As the attribute, and so is `idle_seconds`.
            on_evict: Is given the key and the state of each session that is evicted; None to drop it. If it raises, the
                session stays. Like `recall` it may be called from any thread, one at a time, and may not call the pool.
            recall: Returns the state of a key that has no session, or None to begin anew. It should look up and not
                take out, since a state that does not fit the model is refused: with a dict `store`,
                `on_evict=store.__setitem__, recall=store.get` never loses a session.
            endless: As in `Network.stream`.
            clock: Tells the time in seconds.

        Raises:
            ValueError: The model can't be streamed, or a limit is out of range.
        """
        if max_sessions < 1:
            raise ValueError(f"max_sessions is {max_sessions}, expected 1 or more")
        if idle_seconds is not None and not idle_seconds > 0:
            raise ValueError(f"idle_seconds is {idle_seconds}, expected more than 0, or None for no limit")
        self.model, self.max_sessions, self.idle_seconds = streamable(model), max_sessions, idle_seconds
        self._on_evict, self._recall, self._clock = on_evict, recall, clock
        capacity = min(_FIRST_ROWS, max_sessions)
        self._slots = Slots(self.model, capacity, None if endless else self.model.most_steps)
        self._used = np.zeros(capacity)  # when each row was last pushed to
        self._free = list(range(capacity))[::-1]
        self._rows: OrderedDict[Hashable, int] = OrderedDict()  # in the order of their last push
        self._held: dict[int, pieces.Held] = {}
        self._queue: deque[Request] = deque()
        self._lock = Lock()  # of all of the above but the queue

    def push(self, keys: Sequence[Hashable], piece_of_each: Any) -> Answers:
        """Reads what comes next in some sessions; a key without one begins one.

        Args:
            keys: B keys, none twice.
            piece_of_each: For each what `Session.push` takes; or the vectors of all, an array [B, T, I], or [B, I] for
                one of each.

        Returns:
            What the model makes of these sessions now, in the order of the keys.

        Raises:
            TypeError: A piece is of another type.
            ValueError: A key comes twice, there are more than `max_sessions`, or a piece is wrong as in `Session.push`.
                No session has read or begun anything then.
            StateError: A state that was recalled is damaged or of another model.
        """
        return self._ask(Request.push(self.model, list(keys), piece_of_each))

    def push_each(self, pushes: Iterable[Push]) -> list[Answers | Exception]:
        """Reads what comes next in some sessions as one batch in which each stands for itself.

        Args:
            pushes: What each of B sessions reads. Those of one key are read in their order.

        Returns:
            For each push what the model makes of its session now, with B = 1, or the error that `push` or `finish`
            would raise. That session is as it was then, and the others have been read.
        """
        found: list[Request | Exception] = []
        for push in pushes:
            try:
                found.append(Request.of(self.model, push))
            except Exception as error:  # noqa: BLE001 - whatever it is, the others are read
                found.append(error)
        self._run([request for request in found if isinstance(request, Request)])
        return [each.error or each.result() if isinstance(each, Request) else each for each in found]

    def finish(self, keys: Sequence[Hashable]) -> Answers:
        """Reads what is held back of texts, as their ends; what is pushed later begins a new word.

        Raises:
            KeyError: A key has no session, and none is recalled.
            StateError: As in `push`.
            ValueError: A text ends inside a character, or as in `push`.
        """
        return self._ask(Request(list(keys), None, opens=False, ends=True))

    def pending(self, key: Hashable) -> str:
        """Returns what is held back of a text, see `Session.pending`; KeyError if there is no such session."""
        with self._lock:
            return self._held.get(self._rows[key], pieces.NO_TEXT).text

    def steps(self, key: Hashable) -> int:
        """Returns the words or vectors that a session has read; KeyError if there is no such session."""
        with self._lock:
            return int(self._slots.counts[self._rows[key]])

    def state(self, key: Hashable) -> bytes:
        """Returns the state of a session, see `Session.state`; KeyError if there is no such session."""
        with self._lock:
            return self._state(self._rows[key])

    def restore(self, key: Hashable, state: bytes) -> None:
        """Opens a session with the state of an earlier one, in the place of one of that key.

        Raises:
            TypeError: The state is no bytes.
            StateError: It is damaged or of another model; a session of that key is as it was.
        """
        with self._lock:
            self._slots.check(state)
            if key in self._rows:
                self._forget(key)
            self._make_room()
            self._admit(key, state)

    def drop(self, key: Hashable) -> None:
        """Ends a session without keeping its state; KeyError if there is no such session."""
        with self._lock:
            self._forget(key)

    def evict_idle(self) -> int:
        """Evicts sessions without a push for `idle_seconds`, as every push does too; returns how many."""
        with self._lock:
            return self._evict_idle()

    @property
    def memory(self) -> Memory:
        """What it takes."""
        with self._lock:
            session = 4 * self._slots.floats
            records = sum(map(sys.getsizeof, (self._rows, self._held, self._free)))
            records += sum(sys.getsizeof(key) + sys.getsizeof(row) for key, row in self._rows.items())
            records += sum(sys.getsizeof(held.text) + sys.getsizeof(held.data) + 56 for held in self._held.values())
            records += self._used.nbytes + self._slots.counts.nbytes
            return Memory(len(self._rows), session, session * len(self._used), self._slots.word_bytes, records)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._rows

    def _ask(self, request: Request) -> Answers:
        """Waits for the answers to a request."""
        if len(request.keys) > self.max_sessions:
            raise ValueError(f"{len(request.keys):,} keys, expected at most max_sessions = {self.max_sessions:,}")
        self._run([request])
        return request.result()

    def _run(self, own: Sequence[Request]) -> None:
        """Waits until requests have been answered, which is in their order.

        The thread that gets the lock answers every request in the queue, also those of the threads that wait for it.
        """
        try:
            self._queue.extend(own)
            with self._lock:
                while own and not own[-1].done:
                    requests: list[Request] = []
                    try:
                        self._take(requests)
                        self._answer(requests)
                    except BaseException as error:
                        self._lose(requests, error)
                        if not isinstance(error, Exception):
                            raise
        except BaseException:
            for request in own:
                request.cancelled = True  # interrupted, perhaps while it waited: what has raised is not read later
            raise

    def _take(self, taken: list[Request]) -> None:
        """Takes the first requests off the queue: as many as have no key in common and fit in."""
        keys = set[Hashable]()
        while self._queue:
            following = self._queue[0]
            if not (following.cancelled or following.done):
                if taken and (
                    len(keys) + len(following.keys) > self.max_sessions or not keys.isdisjoint(following.keys)
                ):
                    break
                taken.append(following)
                keys.update(following.keys)
            self._queue.popleft()

    def _answer(self, requests: list[Request]) -> None:
        try:
            for request in requests:
                if request.ends or not request.opens:
                    self._touch(request.keys)  # what is to go on is not evicted before it is read
            self._evict_idle()
        except Exception as error:  # noqa: BLE001 - of the caller's function, and for all of them
            for request in requests:
                request.error = error
        ready = [request for request in requests if self._is_ready(request)]
        if not ready:
            return
        rows = np.concatenate([request.rows for request in ready])
        self._slots.read(rows, merged(self.model, ready))
        answers = self._slots.answers(rows)
        for request in ready:
            answers = request.take(answers)
            self._hold(request)

    def _is_ready(self, request: Request) -> bool:
        """Takes the pieces of a request to what is held back and opens its sessions, or gives it its error."""
        try:
            if not request.error:
                missing = self._missing_after_recall(request.keys)
                if missing and not request.opens:
                    raise KeyError(missing[0])  # noqa: TRY301 - like all errors here it goes to the request
                if self.model.tokenizer:
                    held = [self._held.get(self._rows.get(key, -1), pieces.NO_TEXT) for key in request.keys]
                    request.settle(self.model.tokenizer, held)
                request.rows = self._open(request.keys, missing)
        except Exception as error:  # noqa: BLE001 - it is raised where the request was made
            request.error = error
        return not request.error

    def _hold(self, request: Request) -> None:
        for row, held in zip(request.rows.tolist(), request.held, strict=bool(request.held)):
            if held == pieces.NO_TEXT:
                self._held.pop(row, None)
            else:
                self._held[row] = held

    def _lose(self, requests: list[Request], error: BaseException) -> None:
        """Ends sessions that have been read in part, when memory ran out or the program is being interrupted."""
        for request in requests:
            if not request.done:
                request.error = RuntimeError(f"a batch broke off ({error!r:.200}), and its sessions are lost")
                request.error.__cause__ = error
                for key in request.keys:
                    if key in self._rows:
                        self._forget(key)

    def _missing_after_recall(self, keys: Sequence[Hashable]) -> list[Hashable]:
        """Opens the sessions of keys that can be recalled; returns the keys that have none."""
        missing = [key for key in keys if key not in self._rows]
        if not missing or not self._recall:
            return missing
        self._touch(keys)
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

    def _open(self, keys: Sequence[Hashable], missing: Sequence[Hashable]) -> Rows:
        """Opens sessions for the keys without one, and returns the rows of all."""
        self._touch(keys)
        fresh: list[int] = []
        try:
            for key in missing:
                self._make_room()
                fresh.append(self._admit(key, None))
        finally:
            self._slots.clear(np.array(fresh, np.intp))
        return np.array([self._rows[key] for key in keys], np.intp)

    def _touch(self, keys: Sequence[Hashable]) -> None:
        """Makes the sessions of keys the latest, so that none of them makes room for another."""
        rows = [row for row in map(self._rows.get, keys) if row is not None]
        here = keys if len(rows) == len(keys) else [key for key in keys if key in self._rows]
        deque(map(self._rows.move_to_end, here), maxlen=0)
        self._used[rows] = self._clock()

    def _make_room(self) -> None:
        if len(self._rows) == self.max_sessions:
            self._evict(next(iter(self._rows)))
        if not self._free:
            old, new = len(self._used), min(2 * len(self._used), self.max_sessions)
            self._slots.grow(new)
            self._used = np.concatenate([self._used, np.zeros(new - old)])
            self._free = list(range(old, new))[::-1]

    def _admit(self, key: Hashable, state: bytes | None) -> int:
        row = self._free[-1]
        if state is not None:
            held = self._slots.restore(row, state)
            if held != pieces.NO_TEXT:
                self._held[row] = held
        self._used[row] = self._clock()
        self._rows[key] = self._free.pop()
        return row

    def _evict_idle(self) -> int:
        count = 0
        if self.idle_seconds is not None:
            latest = self._clock() - self.idle_seconds
            while self._rows and self._used[self._rows[next(iter(self._rows))]] < latest:
                self._evict(next(iter(self._rows)))
                count += 1
        return count

    def _evict(self, key: Hashable) -> None:
        if self._on_evict:
            self._on_evict(key, self._state(self._rows[key]))
        self._forget(key)

    def _forget(self, key: Hashable) -> None:
        row = self._rows.pop(key)
        self._held.pop(row, None)
        self._slots.forget(np.array([row]))
        self._free.append(row)

    def _state(self, row: int) -> bytes:
        return self._slots.state(row, self._held.get(row, pieces.NO_TEXT))
