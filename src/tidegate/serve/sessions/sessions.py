"""The sessions of a service: steps that arrive together run as one batch, and are stored in one commit."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from tidegate.serve.limits import Limits
from tidegate.serve.queues import Asked, Queue
from tidegate.serve.refusals import FAILED
from tidegate.serve.sessions.records import Record, Records
from tidegate.serve.sessions.steps import Reply, Result, SessionError, Step, refusal_of, sequence_step
from tidegate.stream.parts import Array
from tidegate.stream.pool import StreamPool
from tidegate.stream.requests import Push
from tidegate.stream.storage import Place, StateFolder, StorageError, Stored
from tidegate.stream.streamable import Streamable

LOG = logging.getLogger(__name__)
MAX_SESSIONS = 100_000
IDLE_SECONDS = 3600.0
_MOST_AT_ONCE = 1024  # steps in a batch, so that none waits long for others


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
        self.max_sessions, self.idle_seconds, self._most_waiting = max_sessions, idle_seconds, queue
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
        self._records = Records(folder.sessions() if folder else (), clock)
        self._anew: Collection[Place] = ()  # that the present batch begins
        self._queue = Queue[Step, Reply]("sessions", self._take, self._do_all, lambda: asyncio.sleep(0))

    async def step(self, step: Step) -> Reply:
        """Does a step, together with those of others that have come by then.

        Raises:
            SessionError: It could not be done.
        """
        waiting = len(self._queue.waiting)
        if waiting >= self._most_waiting:
            text = f"{waiting:,} steps of sessions wait, expected at most {self._most_waiting:,}"
            raise SessionError(429, text, {"Retry-After": "1"})
        return await self._queue.ask(step)

    async def __call__(self, name: str, rows: Sequence[Any], parameters: Mapping[str, Any]) -> Array:
        """Does a step of a sequence, as the Open Inference Protocol has it.

        Args:
            name: The name of the model.
            rows: What comes next, and so are the parameters: as in `sequence_step`.
            parameters: Of the request.

        Returns:
            The scores of the sequence so far, float32 [1, C].

        Raises:
            SessionError: It could not be done.
        """
        reply = await self.step(sequence_step(name, rows, parameters))
        return reply.answers.scores

    def close(self) -> None:
        """Waits for the steps that are being done, and gives the folder back."""
        self._queue.close(wait=True)
        if self._folder:
            self._folder.close()

    @property
    def count(self) -> int:
        """Sessions that there are."""
        return len(self._records)

    def _take(self) -> list[Asked[Step, Reply]]:
        """Takes what waits, up to the second step of one session."""
        batch: list[Asked[Step, Reply]] = []
        places, waiting = set[Place](), self._queue.waiting
        while waiting and len(batch) < min(_MOST_AT_ONCE, self.max_sessions):
            place = waiting[0].item.place
            if place in places:
                break
            places.add(place)
            batch.append(waiting.popleft())
        return batch

    def _do_all(self, steps: Sequence[Step]) -> Sequence[Result]:
        """Does a batch; a fault in it is logged, and told to nobody."""
        try:
            return self._do(steps)
        except Exception:
            LOG.exception("a batch of steps failed")
            return [SessionError(500, FAILED)] * len(steps)

    def _do(self, steps: Sequence[Step]) -> list[Result]:
        """Does steps of different sessions, and stores what has become of these.

        What is known of sessions changes after that: where it could not be stored, they are as they were.
        """
        now = self._records.now()
        for place in self._records.forget_idle(now - self.idle_seconds):
            self._drop(place)
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
        self._records.change(changed)
        for place in changed.keys() - self._records.keys():
            self._drop(place)
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
                results[step.place] = refusal_of(answers)
            else:
                pushes = (0 if step.begins else self._records[step.place].pushes) + step.is_push
                results[step.place] = Reply(pushes, pool.steps(step.key), pool.pending(step.key), answers)
        return results

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
    ) -> dict[Place, Record | None]:
        """Returns what becomes known of sessions by steps; None for those that have ended, or were lost."""
        changed: dict[Place, Record | None] = {}
        for step in steps:
            result = results[step.place]
            if isinstance(result, Reply):
                changed[step.place] = None if step.ends else Record(result.pushes, now)
            elif step.place in self._records and not self._is_kept(step.place):
                changed[step.place] = None
        return changed

    def _is_kept(self, place: Place) -> bool:
        """Whether the state of a session is in the folder or in memory, where a batch that broke off has lost some."""
        pool = self._pools.get(place[0])
        return self._folder is not None or (isinstance(pool, StreamPool) and place[1] in pool)

    def _store(self, changed: Mapping[Place, Record | None]) -> None:
        """Commits what has become of sessions."""
        if self._folder:
            written = [
                (Stored(*place, *record), pool.state(place[1]))
                for place, record in changed.items()
                if record and isinstance(pool := self._pools[place[0]], StreamPool)
            ]
            ended = {place for place, record in changed.items() if record is None}
            self._folder.commit(written, ended.union(self._records.gone))
        self._records.gone.clear()

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
