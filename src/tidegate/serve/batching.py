"""Requests that arrive together are read together."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from tidegate.serve.limits import Limits
from tidegate.serve.metrics import BatchMetrics
from tidegate.serve.refusals import Refusal

LOG = logging.getLogger(__name__)

Read = Callable[[Sequence[Any]], Sequence[Any]]
"""What reads rows, and returns an answer for each. No answer may depend on the other rows."""


class _Asked(NamedTuple):
    """Rows that one request asks about."""

    rows: Sequence[Any]
    answers: asyncio.Future[Sequence[Any]]
    since: float


class Batcher:
    """Reads the rows of many requests in batches, one after another, in a thread of its own.

    A request that finds the model idle is read at once. Those that come while a batch is read are the next one.
    """

    def __init__(
        self, read: Read, limits: Limits, metrics: BatchMetrics, mistakes: tuple[type[Exception], ...]
    ) -> None:
        """Starts with nothing asked.

        Args:
            read: What reads rows.
            limits: Of the queue and of a batch.
            metrics: Where batches are counted.
            mistakes: What `read` raises about rows that it cannot read, which is the fault of the one who asked.
        """
        self._read, self._limits, self._metrics, self._mistakes = read, limits, metrics, mistakes
        self._asked: deque[_Asked] = deque()
        self._waiting = 0  # rows
        self._work: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "tidegate-batch")

    async def ask(self, rows: Sequence[Any]) -> Sequence[Any]:
        """Returns the answer for each row.

        Raises:
            Refusal: Too many wait already, or have waited for too long, or the rows cannot be read.
        """
        if not rows:
            return []
        if self._waiting + len(rows) > max(self._limits.queue, len(rows)):
            text = f"{self._waiting:,} texts or sequences wait for this model, expected at most {self._limits.queue:,}"
            raise Refusal(429, text, {"Retry-After": "1"})
        asked = _Asked(rows, asyncio.get_running_loop().create_future(), time.monotonic())
        self._asked.append(asked)
        self._waiting += len(rows)
        if self._work is None:
            self._work = asyncio.create_task(self._go_on())
        return await asked.answers

    def close(self) -> None:
        """Ends the thread, after the batch that it reads."""
        self._thread.shutdown(wait=False)

    async def _go_on(self) -> None:
        """Reads batches until nobody waits."""
        loop = asyncio.get_running_loop()
        try:
            while self._asked:
                if self._limits.wait and self._waiting < self._limits.batch:
                    await asyncio.sleep(self._limits.wait)
                if batch := self._next():
                    answers = await loop.run_in_executor(self._thread, self._answers, [asked.rows for asked in batch])
                    for asked, answer in zip(batch, answers, strict=True):
                        hand_over(asked.answers, answer)
        finally:
            self._work = None
            for asked in self._asked:  # only where this task was cancelled
                asked.answers.cancel()

    def _next(self) -> list[_Asked]:
        """Takes the next batch off the queue: at least one request, and as many as fit."""
        batch: list[_Asked] = []
        rows, latest = 0, time.monotonic() - self._limits.seconds
        while self._asked and (not rows or rows + len(self._asked[0].rows) <= self._limits.batch):
            asked = self._asked.popleft()
            self._waiting -= len(asked.rows)
            if asked.since < latest:
                text = f"the model had no time for this request within {self._limits.seconds:g} seconds"
                hand_over(asked.answers, Refusal(503, text, {"Retry-After": "1"}))
            elif not asked.answers.cancelled():
                batch.append(asked)
                rows += len(asked.rows)
        return batch

    def _answers(self, batch: Sequence[Sequence[Any]]) -> list[Sequence[Any] | Exception]:
        """Reads a batch, in the thread; returns the answers to each request, or what is wrong with it."""
        rows = [row for rows in batch for row in rows]
        start = time.perf_counter()
        try:
            read = self._read(rows)
        except Exception as error:  # noqa: BLE001 - it is handed to those who asked
            if len(batch) > 1:  # somebody else's rows are no reason to refuse one's own
                return [self._answers([rows])[0] for rows in batch]
            return [Refusal(400, str(error)) if isinstance(error, self._mistakes) else error]
        self._metrics.read(len(rows), time.perf_counter() - start)
        answers: list[Sequence[Any] | Exception] = []
        end = 0
        for some in batch:
            start_, end = end, end + len(some)
            answers.append(read[start_:end])
        return answers


def hand_over(future: asyncio.Future[Any], answer: Any) -> None:
    """Hands those who wait their answer, or raises an error there; nobody may wait for it any more."""
    if future.done():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
