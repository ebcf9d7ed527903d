"""Batches: who is read together, who is refused, and that nobody's answer depends on the others."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

pytest.importorskip("fastapi")

from tidegate.models.network import Network
from tidegate.serve import batching, queues
from tidegate.serve.app import create_app
from tidegate.serve.batching import Batcher
from tidegate.serve.limits import Limits
from tidegate.serve.metrics import Metrics
from tidegate.serve.refusals import Refusal


class Reader:
    """Answers numbers with their doubles, and remembers its batches; the first one waits until it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, rows: Sequence[int]) -> list[int]:
        self.batches.append(list(rows))
        self.begun.set()
        self.go.wait()
        if 13 in rows:
            raise ValueError("13 cannot be read")
        if 17 in rows:
            raise KeyError("a fault")
        return [2 * row for row in rows]


def asked(reader: Reader, requests: Sequence[Sequence[int]], **limits: Any) -> list[Any]:
    """Asks for all requests, one after another while the first is read; returns answers and errors.

    The clock of the queue is at 0 until all wait, and at 10 seconds then.
    """
    now = [0.0]

    async def run() -> list[Any]:
        batcher = Batcher(reader, Limits(**limits), Metrics().batches("model", "task"), (ValueError,))
        tasks = [asyncio.create_task(batcher.ask(request)) for request in requests[:1]]
        await asyncio.get_running_loop().run_in_executor(None, reader.begun.wait)
        tasks += [asyncio.create_task(batcher.ask(request)) for request in requests[1:]]
        await asyncio.sleep(0)  # all of them ask
        now[0] = 10
        reader.go.set()
        answers: list[Any] = await asyncio.gather(*tasks, return_exceptions=True)
        return answers

    with pytest.MonkeyPatch.context() as patched:
        for module in (queues, batching):
            patched.setattr(module, "monotonic", lambda: now[0])
        return asyncio.run(run())


def test_requests_that_wait_are_one_batch() -> None:
    """The first request is read at once; all that come meanwhile are the next batch, each with its own answers."""
    reader = Reader()
    assert asked(reader, [[1], [2, 3], [4], [5, 6, 7]]) == [[2], [4, 6], [8], [10, 12, 14]]
    assert reader.batches == [[1], [2, 3, 4, 5, 6, 7]]


def test_a_batch_is_no_larger_than_its_limit() -> None:
    """Requests are not cut, and only one that is larger alone makes a larger batch."""
    reader = Reader()
    asked(reader, [[1], [2, 3], [4], [5, 6, 7, 8], [9]], batch=3)
    assert reader.batches == [[1], [2, 3, 4], [5, 6, 7, 8], [9]]


def test_somebody_elses_mistake_costs_nothing_but_time() -> None:
    """Rows that cannot be read are refused to the one who asked; the others of the batch get their answers."""
    first, mine, wrong, fault = asked(Reader(), [[1], [2], [3, 13], [17]])
    assert (first, mine) == ([2], [4])
    assert (wrong.status, wrong.text) == (400, "13 cannot be read")
    assert isinstance(fault, KeyError)


def test_a_full_queue_refuses() -> None:
    """When too many wait, the next is told to come again later; what fits is still answered."""
    _, second, third, fourth = asked(Reader(), [[1], [2, 3], [4, 5], [6]], queue=3)
    assert (second, fourth) == ([4, 6], [12])
    assert isinstance(third, Refusal)
    assert (third.status, third.headers) == (429, {"Retry-After": "1"})


def test_who_has_waited_too_long_is_refused() -> None:
    """A request is not read long after its client has given up."""
    first, late = asked(Reader(), [[1], [2]], seconds=9)
    assert first == [2]
    assert (late.status, late.headers) == (503, {"Retry-After": "1"})


def test_a_batch_can_wait_for_more() -> None:
    """With a wait, requests that come a little later are part of the first batch."""
    reader = Reader()
    reader.go.set()

    async def run() -> None:
        batcher = Batcher(reader, Limits(wait=0.2), Metrics().batches("model", "task"), ())
        loop, now = asyncio.get_running_loop(), [0.0]
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(loop, "time", lambda: now[0])
            asking = [asyncio.create_task(batcher.ask([1]))]
            for _ in range(10):  # turns of the loop, in which the batch would be read if it did not wait
                await asyncio.sleep(0)
            now[0] = 0.19
            asking.append(asyncio.create_task(batcher.ask([2])))
            await asyncio.sleep(0)
            assert reader.batches == []
            now[0] = 0.21
            await asyncio.gather(*asking)

    asyncio.run(run())
    assert reader.batches == [[1, 2]]


def test_answers_do_not_depend_on_the_batch(
    ask: Callable[..., Any], port: int, models: Mapping[str, Network], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many clients at once, with texts of all lengths, get the bits that they would get alone."""
    others, wait, scores = threading.Semaphore(0), Batcher.ask, models["reviews"].scores

    async def asking(self: Batcher, rows: Sequence[Any]) -> Sequence[Any]:
        others.release()
        return await wait(self, rows)

    def held(rows: Sequence[Any]) -> Any:
        monkeypatch.setattr(models["reviews"], "scores", scores)
        for _ in range(3):  # the first batch is being read until two more requests are there
            others.acquire()
        return scores(rows)

    monkeypatch.setattr(Batcher, "ask", asking)
    monkeypatch.setattr(models["reviews"], "scores", held)
    texts = ["a good film " * (i % 40) + "bad " * (i % 3) for i in range(120)]
    with ThreadPoolExecutor(16) as clients:
        replies = list(clients.map(lambda text: ask(port, "/predict", {"text": text}).body, texts))
    alone = [ask(port, "/predict", {"text": text}).body for text in texts]
    assert replies == alone
    assert any(b'"label":"positive"' in reply for reply in replies)
    found = ask(port, "/metrics").body.decode()
    counted = 'tidegate_batch_rows_{}{{model="reviews",task="predict"}}'
    lines = dict(line.rsplit(" ", 1) for line in found.splitlines())
    assert float(lines[counted.format("sum")]) == 240
    assert float(lines[counted.format("count")]) < 240


def test_threads_end_with_the_application(models: Mapping[str, Network]) -> None:
    """An application that is closed leaves no thread that reads."""

    def threads() -> set[threading.Thread]:
        return {each for each in threading.enumerate() if each.name.startswith(("tidegate-batch", "sessions"))}

    before = threads()
    app = create_app(models)

    async def ask() -> dict[str, Any]:
        sent: list[Any] = []
        body = [{"type": "http.request", "body": b'{"text": "a good film"}', "more_body": False}]

        async def receive() -> Any:
            return body.pop()

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/predict", "headers": [(b"host", b"localhost")]}
        async with app.router.lifespan_context(app):
            await app(scope, receive, send)
        return dict(sent[0])

    assert asyncio.run(ask())["status"] == 200
    for thread in threads() - before:
        thread.join(600)
        assert not thread.is_alive()
