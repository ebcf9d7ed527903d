"""What is asked while a thread is at work gathers, and is its next batch."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any, Generic, NamedTuple, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Asked(NamedTuple, Generic[Item, Answer]):
    """Something that somebody waits for.

    Attributes:
        item: What is asked.
        answer: What will be answered.
        since: When it was asked, in seconds of `time.monotonic`.
    """

    item: Item
    answer: asyncio.Future[Answer]
    since: float

    def hand_over(self, answer: Answer | Exception) -> None:
        """Hands those who wait their answer, or raises an error there; nobody may wait for it any more."""
        if self.answer.done():
            return
        if isinstance(answer, Exception):
            self.answer.set_exception(answer)
        else:
            self.answer.set_result(answer)


class Queue(Generic[Item, Answer]):
    """Does what asyncio asks in batches, one after another, in a thread of its own.

    Attributes:
        waiting: What nobody has begun with, the first one first.
    """

    def __init__(
        self,
        name: str,
        take: Callable[[], list[Asked[Item, Answer]]],
        do: Callable[[list[Item]], Sequence[Answer | Exception]],
        gather: Callable[[], Awaitable[object]],
    ) -> None:
        """Starts with nothing asked.

        Args:
            name: Of the thread.
            take: Takes the next batch off `waiting`, or refuses some of that; it may return nothing.
            do: Does a batch, in the thread; returns the answer to each item, or the error that is raised there.
            gather: Waits before each batch for what it should have.
        """
        self.waiting: deque[Asked[Item, Answer]] = deque()
        self._take, self._do, self._gather = take, do, gather
        self._thread = ThreadPoolExecutor(1, name)
        self._work: asyncio.Task[None] | None = None

    async def ask(self, item: Item) -> Answer:
        """Returns the answer to an item, or raises the error in its place."""
        loop = asyncio.get_running_loop()
        asked = Asked[Item, Answer](item, loop.create_future(), monotonic())
        self.waiting.append(asked)
        if self._work is None:
            self._work = loop.create_task(self._go_on())
        return await asked.answer

    def close(self, *, wait: bool) -> None:
        """Ends the thread after the batch that it does, and waits for that or not."""
        self._thread.shutdown(wait)

    async def _go_on(self) -> None:
        """Does batches until nobody waits."""
        loop = asyncio.get_running_loop()
        try:
            while self.waiting:
                await self._gather()
                if batch := self._take():
                    answers: Sequence[Any] = await self._answers(loop, batch)
                    for asked, answer in zip(batch, answers, strict=True):
                        asked.hand_over(answer)
        finally:
            self._work = None
            for asked in self.waiting:  # only where this task was cancelled
                asked.answer.cancel()

    async def _answers(self, loop: asyncio.AbstractEventLoop, batch: list[Asked[Item, Answer]]) -> Sequence[Any]:
        """Does a batch; where that fails as a whole, everybody gets its error."""
        try:
            return await loop.run_in_executor(self._thread, self._do, [asked.item for asked in batch])
        except Exception as error:  # noqa: BLE001 - it is raised where it was asked
            return [error] * len(batch)
