"""Many streams through one model: pushes that arrive together are read as one batch."""

import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from threading import Lock
from typing import Any

import numpy as np

from tidegate.sequences.recurrent import Recurrent
from tidegate.stream.open_sessions import Memory, OpenSessions
from tidegate.stream.requests import Push, Request, merged
from tidegate.stream.slots import Answers, Slots
from tidegate.stream.streamable import Streamable, streamable
from tidegate.text.pieces import NO_TEXT

_FIRST_ROWS = 64


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
        self.model = streamable(model)
        self._slots = Slots(self.model, min(_FIRST_ROWS, max_sessions), None if endless else self.model.most_steps)
        self._open = OpenSessions(self._slots, max_sessions, idle_seconds, on_evict, recall, clock)
        self._queue: deque[Request] = deque()
        self._lock = Lock()  # of the open sessions and their slots

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
            return self._open.held.get(self._open.rows[key], NO_TEXT).text

    def steps(self, key: Hashable) -> int:
        """Returns the words or vectors that a session has read; KeyError if there is no such session."""
        with self._lock:
            return int(self._slots.counts[self._open.rows[key]])

    def state(self, key: Hashable) -> bytes:
        """Returns the state of a session, see `Session.state`; KeyError if there is no such session."""
        with self._lock:
            return self._open.state(key)

    def restore(self, key: Hashable, state: bytes) -> None:
        """Opens a session with the state of an earlier one, in the place of one of that key.

        Raises:
            TypeError: The state is no bytes.
            StateError: It is damaged or of another model; a session of that key is as it was.
        """
        with self._lock:
            self._open.restore(key, state)

    def drop(self, key: Hashable) -> None:
        """Ends a session without keeping its state; KeyError if there is no such session."""
        with self._lock:
            self._open.forget(key)

    def evict_idle(self) -> int:
        """Evicts sessions without a push for `idle_seconds`, as every push does too; returns how many."""
        with self._lock:
            return self._open.evict_idle()

    @property
    def max_sessions(self) -> int:
        """Most sessions at a time."""
        return self._open.most

    @property
    def idle_seconds(self) -> float | None:
        """Seconds without a push after which a session is evicted; None for never."""
        return self._open.idle_seconds

    @property
    def memory(self) -> Memory:
        """What it takes."""
        with self._lock:
            return self._open.memory

    def __len__(self) -> int:
        return len(self._open.rows)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._open.rows

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
                    self._open.touch(request.keys)  # what is to go on is not evicted before it is read
            self._open.evict_idle()
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
            self._open.hold(request.rows, request.held)

    def _is_ready(self, request: Request) -> bool:
        """Takes the pieces of a request to what is held back and opens its sessions, or gives it its error."""
        try:
            if not request.error:
                missing = self._open.missing_after_recall(request.keys)
                if missing and not request.opens:
                    raise KeyError(missing[0])  # noqa: TRY301 - like all errors here it goes to the request
                if self.model.tokenizer:
                    request.settle(self.model.tokenizer, self._open.held_of(request.keys))
                request.rows = self._open.rows_of(request.keys, missing)
        except Exception as error:  # noqa: BLE001 - it is raised where the request was made
            request.error = error
        return not request.error

    def _lose(self, requests: list[Request], error: BaseException) -> None:
        """Ends sessions that have been read in part, when memory ran out or the program is being interrupted."""
        for request in requests:
            if not request.done:
                request.error = RuntimeError(f"a batch broke off ({error!r:.200}), and its sessions are lost")
                request.error.__cause__ = error
                for key in request.keys:
                    if key in self._open.rows:
                        self._open.forget(key)
