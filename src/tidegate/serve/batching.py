"""Requests that arrive together are read together."""

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic, perf_counter
from typing import Any

from tidegate.serve.limits import Limits
from tidegate.serve.metrics import BatchMetrics
from tidegate.serve.queues import Asked, Queue
from tidegate.serve.refusals import Refusal

Read = Callable[[Sequence[Any]], Sequence[Any]]
"""What reads rows, and returns an answer for each. No answer may depend on the other rows."""


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
        self._rows = 0  # that wait
        self._queue = Queue[Sequence[Any], Sequence[Any]]("tidegate-batch", self._next, self._answers, self._gather)

    async def ask(self, rows: Sequence[Any]) -> Sequence[Any]:
        """Returns the answer for each row.

        Raises:
            Refusal: Too many wait already, or have waited for too long, or the rows cannot be read.
        """
        if not rows:
            return []
        if self._rows + len(rows) > max(self._limits.queue, len(rows)):
            text = f"{self._rows:,} texts or sequences wait for this model, expected at most {self._limits.queue:,}"
            raise Refusal(429, text, {"Retry-After": "1"})
        self._rows += len(rows)
        return await self._queue.ask(rows)

    def close(self) -> None:
        """Ends the thread, after the batch that it reads."""
        self._queue.close(wait=False)

    async def _gather(self) -> None:
        """Waits for more rows, if the limits say so and the batch is not full."""
        if self._limits.wait and self._rows < self._limits.batch:
            await asyncio.sleep(self._limits.wait)

    def _next(self) -> list[Asked[Sequence[Any], Sequence[Any]]]:
        """Takes the next batch off the queue: at least one request, and as many as fit."""
        batch: list[Asked[Sequence[Any], Sequence[Any]]] = []
        waiting, rows, latest = self._queue.waiting, 0, monotonic() - self._limits.seconds
        while waiting and (not rows or rows + len(waiting[0].item) <= self._limits.batch):
            asked = waiting.popleft()
            self._rows -= len(asked.item)
            if asked.since < latest:
                text = f"the model had no time for this request within {self._limits.seconds:g} seconds"
                asked.hand_over(Refusal(503, text, {"Retry-After": "1"}))
            elif not asked.answer.cancelled():
                batch.append(asked)
                rows += len(asked.item)
        return batch

    def _answers(self, batch: Sequence[Sequence[Any]]) -> list[Sequence[Any] | Exception]:
        """Reads a batch, in the thread; returns the answers to each request, or what is wrong with it."""
        rows = [row for rows in batch for row in rows]
        start = perf_counter()
        try:
            read = self._read(rows)
        except Exception as error:  # noqa: BLE001 - it is handed to those who asked
            if len(batch) > 1:  # somebody else's rows are no reason to refuse one's own
                return [self._answers([rows])[0] for rows in batch]
            return [Refusal(400, str(error)) if isinstance(error, self._mistakes) else error]
        self._metrics.read(len(rows), perf_counter() - start)
        answers: list[Sequence[Any] | Exception] = []
        end = 0
        for some in batch:
            start_, end = end, end + len(some)
            answers.append(read[start_:end])
        return answers
