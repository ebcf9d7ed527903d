"""The sessions of a service: steps that arrive together run as one batch, and are stored in one commit."""

import asyncio
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

from tidegate.serve.refusals import Refusal
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
    another model, 429 where too many sessions are open, 507 if it could not be stored, 500 for a fault of the server.
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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Makes pools, and finds the sessions in the folder.

        Args:
            models: The models by name; steps of one that can't be streamed are refused.
            folder: Where states are kept; None to keep them in memory alone. It is closed with the sessions.
            max_sessions: As the attribute, and so is `idle_seconds`.
            clock: Tells the time in seconds.

        Raises:
            ValueError: A limit is out of range.
            StorageError: The folder cannot be read.
        """
        if not idle_seconds > 0:
            raise ValueError(f"idle_seconds is {idle_seconds}, expected more than 0")
        self.max_sessions, self.idle_seconds = max_sessions, idle_seconds
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
            except Exception as error:
                LOG.exception("a batch of steps failed")
                results = [SessionError(500, f"the server failed: {error}")] * len(batch)
            for (_, future), result in zip(batch, results, strict=True):
                if not future.done():  # else nobody waits for it any more
                    _settle(future, result)

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
        """Does steps of different sessions, and stores what has become of these."""
        now = self._clock() - self._begun
        self._forget_idle(now)
        before = {step.place: self._records.get(step.place) for step in steps}
        results: dict[Place, Result] = {}
        fresh = 0
        for step in steps:
            refused = self._refused(step) or self._begin(step, fresh)
            if refused:
                results[step.place] = refused
            else:
                fresh += step.begins
        for name in self._pools:
            results |= self._run(name, [s for s in steps if s.model == name and s.place not in results], now)
        try:
            self._store(before, self._states(results))
        except StorageError as error:
            self._take_back(before)
            lost = SessionError(507, str(error))
            return [lost if isinstance(results[step.place], Reply) else results[step.place] for step in steps]
        return [results[step.place] for step in steps]

    def _forget_idle(self, now: float) -> None:
        """Ends the sessions that have idled for too long."""
        while self._records:
            place, record = next(iter(self._records.items()))
            if record.used >= now - self.idle_seconds:
                break
            self._end(place)
            self._gone.append(place)

    def _refused(self, step: Step) -> SessionError | None:
        """Says why a step can't be done."""
        pool = self._pools.get(step.model)
        if pool is None:
            return SessionError(404, f"there is no model {step.model!r:.200}, only {', '.join(self._pools)}")
        if isinstance(pool, ValueError):
            return SessionError(400, str(pool))
        if step.begins or step.place in self._records:
            return None
        idle = f"it was idle for {self.idle_seconds:,.0f} seconds"
        return SessionError(404, f"there is no such session: it was not started, or has ended, or {idle}")

    def _begin(self, step: Step, fresh: int) -> SessionError | None:
        """Makes room for the session of a step that begins one; says why if there is none."""
        if not step.begins:
            return None
        self._end(step.place)
        if len(self._records) + fresh < self.max_sessions:
            return None
        return SessionError(429, f"{self.max_sessions:,} sessions are open, and no more are allowed: try again later")

    def _run(self, name: str, steps: Sequence[Step], now: float) -> dict[Place, Result]:
        """Does the steps of one model."""
        pool = self._pools[name]
        if not steps or isinstance(pool, ValueError):
            return {}
        found = pool.push_each(Push(step.key, step.piece, step.begins, step.is_last) for step in steps)
        return {step.place: self._result(pool, step, each, now) for step, each in zip(steps, found, strict=True)}

    def _result(self, pool: StreamPool, step: Step, found: Answers | Exception, now: float) -> Result:
        """Takes down what a step has done, or failed to do."""
        if isinstance(found, Exception):
            if step.key not in pool and not self._folder:  # it never began, or the memory for it ran out
                self._end(step.place)
            return _refusal(found)
        pushes = self._records[step.place].pushes if step.place in self._records else 0
        self._records[step.place] = _Record(pushes + step.is_push, now)
        self._records.move_to_end(step.place)
        reply = Reply(pushes + step.is_push, pool.steps(step.key), pool.pending(step.key), found)
        if step.ends:
            self._end(step.place)
        return reply

    def _store(self, before: Mapping[Place, _Record | None], done: Mapping[Place, bytes]) -> None:
        """Commits what has become of sessions."""
        if self._folder:
            gone = {place for place, record in before.items() if record and place not in self._records}
            written = [(Stored(*place, *self._records[place]), state) for place, state in done.items()]
            self._folder.commit(written, gone.union(self._gone))
        self._gone.clear()

    def _states(self, results: Mapping[Place, Result]) -> dict[Place, bytes]:
        """Returns the states of sessions that have got on, if there is a folder for them."""
        if not self._folder:
            return {}
        on = [place for place, result in results.items() if isinstance(result, Reply) and place in self._records]
        pools = {name: pool for name, pool in self._pools.items() if isinstance(pool, StreamPool)}
        return {(name, key): pools[name].state(key) for name, key in on}

    def _take_back(self, before: Mapping[Place, _Record | None]) -> None:
        """Leaves sessions as the folder has them, which could not be written."""
        for place, record in before.items():
            if place[0] in self._pools:
                self._end(place)
                if record:
                    self._records[place] = record

    def _end(self, place: Place) -> None:
        self._records.pop(place, None)
        pool = self._pools.get(place[0])  # none if the folder has sessions of a model that is not served now
        if isinstance(pool, StreamPool) and place[1] in pool:
            pool.drop(place[1])

    def _recall(self, model: str, key: str) -> bytes | None:
        """Finds the state of a session that is not in memory: of one that is being begun, none."""
        place = model, key
        return self._folder.load(place) if self._folder and place in self._records else None


def _settle(future: asyncio.Future[Reply], result: Result) -> None:
    if isinstance(result, SessionError):
        future.set_exception(result)
    else:
        future.set_result(result)


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
    status = 409 if isinstance(error, StateError) else 400 if isinstance(error, ValueError | TypeError) else 500
    return SessionError(status, str(error))
