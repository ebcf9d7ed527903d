"""The sessions of a service: steps that arrive together run as one batch, and are stored in one commit."""

import asyncio
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

from tidegate.serve.batching import hand_over
from tidegate.serve.limits import Limits
from tidegate.serve.refusals import FAILED, Refusal
from tidegate.stream.parts import Array, Streamable
from tidegate.stream.pool import StreamPool
from tidegate.stream.requests import Push
from tidegate.stream.slots import Answers
from tidegate.stream.state import StateError
from tidegate.stream.storage import Place, StateFolder, StorageError, Stored

LOG = logging.getLogger(__name__)
MAX_SESSIONS = 100_000
IDLE_SECONDS = 3600.0
LONGEST_ID = 128  # characters
_MOST_AT_ONCE = 1024  # steps in a batch, so that none waits long for others


class SessionError(Refusal):
    """A step that was not done; its session, if there is one, is as it was.

    Its status is 400 for what is wrong with the step, 404 for a session that there is not, 409 for a stored state of
    another model, 429 where too many sessions are open or steps wait, 507 if it could not be stored, 500 for a fault of
    the server.
    """


class Step(NamedTuple):
    """What is asked of a session.

    Attributes:
        model: The name of its model.
        key: Its key among the sessions of this model.
        piece: What it reads: a piece of a text, or vectors, as `Session.push` takes them; None for nothing.
        begins: Whether it begins anew. Otherwise there must be such a session.
        finishes: Whether what is held back of a text is read, as its end.
        ends: Whether the session is forgotten after that; what is held back is read before.
    """

    model: str
    key: str
    piece: Any = None
    begins: bool = False
    finishes: bool = False
    ends: bool = False

    @property
    def place(self) -> Place:
        """Where its session is."""
        return self.model, self.key

    @property
    def is_last(self) -> bool:
        """Whether what is held back of a text is read."""
        return self.finishes or self.ends

    @property
    def is_push(self) -> bool:
        """Whether it is one of the session's pushes."""
        return self.piece is not None or self.is_last


class Reply(NamedTuple):
    """A step that was done, and stored if there is a folder for that.

    Attributes:
        pushes: The steps so far that have read something, or ended a text: a client that counts its own knows after a
            broken connection which of them were done.
        steps: Words or vectors that the session has read.
        pending: What is held back of a text.
        answers: What the model makes of what was read, with B = 1.
    """

    pushes: int
    steps: int
    pending: str
    answers: Answers


class _Record(NamedTuple):
    """What is known of a session beside its state: its pushes, and when the last one was."""

    pushes: int
    used: float


Result = Reply | SessionError


class Sessions:
    """The sessions of some models by name and key, which asyncio asks and a thread of its own answers.

    A session lives until it is ended, or is idle for too long. If there is a folder, a step is answered after its state
    has been committed there, so what a client knows of is found again by the next server with this folder.

    Attributes:
        max_sessions: Most sessions at a time, over all models; more are refused.
        idle_seconds: After so long without a step a session is forgotten. The time between two servers is not counted.
    """

    def __init__(
        self,
        models: Mapping[str, Streamable],
        folder: StateFolder | None = None,
        *,
        max_sessions: int = MAX_SESSIONS,
        idle_seconds: float = IDLE_SECONDS,
        queue: int = Limits.queue,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Makes pools, and finds the sessions in the folder.

        Args:
            models: The models by name; steps of one that can't be streamed are refused.
            folder: Where states are kept; None to keep them in memory alone. It is closed with the sessions.
            max_sessions: As the attribute, and so is `idle_seconds`.
            queue: Most steps that wait at a time; more are refused.
            clock: Tells the time in seconds.

        Raises:
            ValueError: A limit is out of range.
            StorageError: The folder cannot be read.
        """
        if not idle_seconds > 0:
            raise ValueError(f"idle_seconds is {idle_seconds}, expected more than 0")
        self.max_sessions, self.idle_seconds, self._queue = max_sessions, idle_seconds, queue
        self._folder = folder
        self._pools: dict[str, StreamPool | ValueError] = {}
        for name, model in models.items():
            recall = partial(self._recall, name) if folder else None
            try:
                self._pools[name] = StreamPool(model, max_sessions=max_sessions, recall=recall)
            except ValueError as error:
                if max_sessions < 1:
                    raise
                self._pools[name] = error
        self._records: OrderedDict[Place, _Record] = OrderedDict()  # in the order of their last use
        for stored in folder.sessions() if folder else ():
            self._records[stored.model, stored.key] = _Record(stored.pushes, stored.used)
        self._gone: list[Place] = []  # to be forgotten by the folder too
        self._anew: Collection[Place] = ()  # that the present batch begins
        self._clock = clock
        self._begun = clock() - max((record.used for record in self._records.values()), default=0.0)
        self._worker = ThreadPoolExecutor(1, "sessions")
        self._waiting: deque[tuple[Step, asyncio.Future[Reply]]] = deque()
        self._draining: asyncio.Task[None] | None = None

    async def step(self, step: Step) -> Reply:
        """Does a step, together with those of others that have come by then.

        Raises:
            SessionError: It could not be done.
        """
        if len(self._waiting) >= self._queue:
            text = f"{len(self._waiting):,} steps of sessions wait, expected at most {self._queue:,}"
            raise SessionError(429, text, {"Retry-After": "1"})
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply] = loop.create_future()
        self._waiting.append((step, future))
        if self._draining is None or self._draining.done():
            self._draining = loop.create_task(self._drain())
        return await future

    async def __call__(self, name: str, rows: Sequence[Any], parameters: Mapping[str, Any]) -> Array:
        """Does a step of a sequence, as the Open Inference Protocol has it.

        Args:
            name: The name of the model.
            rows: What comes next: one row, a piece of a text or vectors [T, I].
            parameters: `sequence_id`, the client's name for the sequence, a number or a string; `sequence_start`,
                whether it begins anew with this row; `sequence_end`, whether it is over with this row.

        Returns:
            The scores of the sequence so far, float32 [1, C].

        Raises:
            SessionError: It could not be done.
        """
        begins, ends = (parameters.get(f"sequence_{flag}", False) for flag in ("start", "end"))
        for flag, given in (("start", begins), ("end", ends)):
            if not isinstance(given, bool):
                raise SessionError(400, f"sequence_{flag} is {given!r:.80}, expected true or false")
        if len(rows) != 1:
            raise SessionError(400, f"there are {len(rows):,} rows, expected 1: a sequence is one")
        key = _sequence_key(parameters.get("sequence_id"))
        reply = await self.step(Step(name, key, rows[0], begins=begins, ends=ends))
        return reply.answers.scores

    def close(self) -> None:
        """Waits for the steps that are being done, and gives the folder back."""
        self._worker.shutdown()
        if self._folder:
            self._folder.close()

    @property
    def count(self) -> int:
        """Sessions that there are."""
        return len(self._records)

    async def _drain(self) -> None:
        """Hands on what waits until nothing does. While a batch is being done, the next one gathers."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0)  # for all that has come with the first of them
        while self._waiting:
            batch = self._take()
            try:
                results = await loop.run_in_executor(self._worker, self._do, [step for step, _ in batch])
            except Exception:
                LOG.exception("a batch of steps failed")
                results = [SessionError(500, FAILED)] * len(batch)
            for (_, future), result in zip(batch, results, strict=True):
                hand_over(future, result)

    def _take(self) -> list[tuple[Step, asyncio.Future[Reply]]]:
        """Takes what waits, up to the second step of one session."""
        batch: list[tuple[Step, asyncio.Future[Reply]]] = []
        places = set[Place]()
        while self._waiting and len(batch) < min(_MOST_AT_ONCE, self.max_sessions):
            place = self._waiting[0][0].place
            if place in places:
                break
            places.add(place)
            batch.append(self._waiting.popleft())
        return batch

    def _do(self, steps: Sequence[Step]) -> list[Result]:
        """Does steps of different sessions, and stores what has become of these.

        What is known of sessions changes after that: where it could not be stored, they are as they were.
        """
        now = self._clock() - self._begun
        self._forget_idle(now)
        try:
            results = self._results(steps)
            changed = self._changed(steps, results, now)
            self._store(changed)
        except Exception as error:
            self._take_back(steps)
            if not isinstance(error, StorageError):
                raise
            lost = SessionError(507, str(error))
            return [lost if isinstance(results[step.place], Reply) else results[step.place] for step in steps]
        for place, record in changed.items():
            self._records.pop(place, None)  # it becomes the latest
            if record is None:
                self._drop(place)
            else:
                self._records[place] = record
        return [results[step.place] for step in steps]

    def _results(self, steps: Sequence[Step]) -> dict[Place, Result]:
        """Does steps in memory."""
        results: dict[Place, Result] = {}
        former: dict[Place, bytes | None] = {}  # sessions that are begun anew, with states that no folder has
        fresh = 0
        for step in steps:
            if refused := self._refused(step, fresh):
                results[step.place] = refused
            elif step.begins:
                fresh += step.place not in self._records
                former[step.place] = self._clear(step.place)
        self._anew = former.keys()
        for name, pool in self._pools.items():
            own = [step for step in steps if step.model == name and step.place not in results]
            if own and isinstance(pool, StreamPool):
                results |= self._run(pool, own)
        for (name, key), state in former.items():
            pool = self._pools[name]
            if state is not None and isinstance(results[name, key], SessionError) and isinstance(pool, StreamPool):
                pool.restore(key, state)
        return results

    def _run(self, pool: StreamPool, steps: Sequence[Step]) -> dict[Place, Result]:
        """Does the steps of one model."""
        found = pool.push_each(Push(step.key, step.piece, step.begins, step.is_last) for step in steps)
        results: dict[Place, Result] = {}
        for step, answers in zip(steps, found, strict=True):
            if isinstance(answers, Exception):
                results[step.place] = _refusal(answers)
            else:
                pushes = (0 if step.begins else self._records[step.place].pushes) + step.is_push
                results[step.place] = Reply(pushes, pool.steps(step.key), pool.pending(step.key), answers)
        return results

    def _forget_idle(self, now: float) -> None:
        """Ends the sessions that have idled for too long."""
        while self._records:
            place, record = next(iter(self._records.items()))
            if record.used >= now - self.idle_seconds:
                break
            del self._records[place]
            self._drop(place)
            self._gone.append(place)

    def _refused(self, step: Step, fresh: int) -> SessionError | None:
        """Says why a step can't be done, beside so many that begin a session."""
        pool = self._pools.get(step.model)
        if pool is None:
            return SessionError(404, f"there is no model {step.model!r:.200}, only {', '.join(self._pools)}")
        if isinstance(pool, ValueError):
            return SessionError(400, str(pool))
        if step.place in self._records:
            return None
        if not step.begins:
            idle = f"it was idle for {self.idle_seconds:,.0f} seconds"
            return SessionError(404, f"there is no such session: it was not started, or has ended, or {idle}")
        if len(self._records) + fresh < self.max_sessions:
            return None
        return SessionError(429, f"{self.max_sessions:,} sessions are open, and no more are allowed: try again later")

    def _clear(self, place: Place) -> bytes | None:
        """Drops a session that is begun anew from memory; returns its state if no folder has that."""
        name, key = place
        pool = self._pools[name]
        if not isinstance(pool, StreamPool) or key not in pool:
            return None
        state = None if self._folder else pool.state(key)
        pool.drop(key)
        return state

    def _changed(
        self, steps: Sequence[Step], results: Mapping[Place, Result], now: float
    ) -> dict[Place, _Record | None]:
        """Returns what becomes known of sessions by steps; None for those that have ended, or were lost."""
        changed: dict[Place, _Record | None] = {}
        for step in steps:
            result = results[step.place]
            if isinstance(result, Reply):
                changed[step.place] = None if step.ends else _Record(result.pushes, now)
            elif step.place in self._records and not self._is_kept(step.place):
                changed[step.place] = None
        return changed

    def _is_kept(self, place: Place) -> bool:
        """Whether the state of a session is in the folder or in memory, where a batch that broke off has lost some."""
        pool = self._pools.get(place[0])
        return self._folder is not None or (isinstance(pool, StreamPool) and place[1] in pool)

    def _store(self, changed: Mapping[Place, _Record | None]) -> None:
        """Commits what has become of sessions."""
        if self._folder:
            written = [
                (Stored(*place, *record), pool.state(place[1]))
                for place, record in changed.items()
                if record and isinstance(pool := self._pools[place[0]], StreamPool)
            ]
            ended = {place for place, record in changed.items() if record is None}
            self._folder.commit(written, ended.union(self._gone))
        self._gone.clear()

    def _take_back(self, steps: Sequence[Step]) -> None:
        """Leaves sessions as the folder has them, which could not be written."""
        for step in steps:
            if self._folder or step.place not in self._records:
                self._drop(step.place)

    def _drop(self, place: Place) -> None:
        """Ends a session in memory, if it is there."""
        pool = self._pools.get(place[0])  # none if the folder has sessions of a model that is not served now
        if isinstance(pool, StreamPool) and place[1] in pool:
            pool.drop(place[1])

    def _recall(self, model: str, key: str) -> bytes | None:
        """Finds the state of a session that is not in memory: of one that is being begun, none."""
        place = model, key
        goes_on = place in self._records and place not in self._anew
        return self._folder.load(place) if self._folder and goes_on else None


def _sequence_key(sequence_id: object) -> str:
    """Returns the key of a sequence; 7 and "7" are two."""
    if isinstance(sequence_id, int) and not isinstance(sequence_id, bool) and 0 < sequence_id < 2**64:
        return f"number:{sequence_id}"
    if isinstance(sequence_id, str) and 0 < len(sequence_id) <= LONGEST_ID:
        return f"name:{sequence_id}"
    expected = f"a number from 1 to 2**64 - 1, or 1 to {LONGEST_ID} characters"
    raise SessionError(400, f"sequence_id is {sequence_id!r:.200}, expected {expected}")


def _refusal(error: Exception) -> SessionError:
    """Says what went wrong with a step."""
    if isinstance(error, KeyError):
        return SessionError(404, "the session was lost: begin it anew")
    if isinstance(error, ValueError | TypeError):
        return SessionError(409 if isinstance(error, StateError) else 400, str(error))
    LOG.error("a step failed", exc_info=error)
    return SessionError(500, FAILED)
