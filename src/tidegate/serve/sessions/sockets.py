"""Streams over WebSockets: JSON messages in, scores out after each, resumable by a token."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import blake2b
from secrets import token_urlsafe
from typing import Any

import numpy as np
from fastapi import APIRouter, WebSocket
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import to_json
from starlette.datastructures import Headers
from starlette.websockets import WebSocketDisconnect

from tidegate.characters import visible
from tidegate.models.network import Network
from tidegate.serve.refusals import LONGEST_REFUSAL, first_fault
from tidegate.serve.served import by_label
from tidegate.serve.sessions.sessions import Sessions
from tidegate.serve.sessions.steps import Reply, SessionError, Step
from tidegate.stream.slots import Answers

LARGEST_MESSAGE = 1_000_000  # bytes
MAX_CONNECTIONS = 10_000
_OWN_CODES = 4000  # of closing: the status of HTTP that says the same, and this


class StreamMessage(BaseModel):
    """What a client sends: one of these, `begin` or `resume` first."""

    model_config = ConfigDict(extra="forbid", strict=True)

    begin: bool = Field(False, description="Begin a session.")
    resume: str | None = Field(None, max_length=100, description="Go on with the session of this token.")
    text: str | None = Field(None, description="What comes next of a text; it may be cut anywhere.")
    vectors: list[list[float | None]] | list[float] | None = Field(
        None,
        description="The next vectors of a sequence, [T, I], with null where a number is missing, or a single one, [I];"
        " of sound also samples, [T].",
    )
    finish: bool = Field(False, description="Read what is held back, as the end of the text.")
    end: bool = Field(False, description="Read what is held back, and forget the session.")

    @model_validator(mode="after")
    def _is_one(self) -> "StreamMessage":
        given = [name for name in type(self).model_fields if getattr(self, name) not in (None, False)]
        if len(given) != 1:
            raise ValueError(f"the message holds {' and '.join(given) or 'nothing'}, expected one of its fields")
        return self

    def check(self, *, first: bool) -> None:
        """Checks that it comes in its place; SessionError if not."""
        if first != (self.begin or self.resume is not None):
            place = "first message is" if first else "messages after the first are"
            raise SessionError(400, f"the {place} expected {'' if first else 'not '}to be begin or resume")

    def step(self, model: str, key: str) -> Step:
        """Returns what it asks of a session; SessionError if vectors have different sizes."""
        piece: Any = self.text
        if self.vectors is not None:
            try:
                piece = np.array(self.vectors, np.float64)
            except ValueError:
                raise SessionError(
                    400, "the vectors have different numbers of values, expected as many in each"
                ) from None
        return Step(model, key, piece, begins=self.begin, finishes=self.finish, ends=self.end)


def sessions_router(sessions: Sessions, *, max_connections: int = MAX_CONNECTIONS) -> APIRouter:
    """Makes the routes of streams, `/stream/{model}`; other WebSockets are refused.

    Args:
        sessions: What answers; they are closed when the application ends.
        max_connections: Most connections at a time.

    Returns:
        Routes for an application, before those that serve every path.
    """
    live: dict[str, _Connection] = {}
    count = 0

    @asynccontextmanager
    async def closing(_: Any) -> AsyncIterator[None]:
        yield
        sessions.close()

    router = APIRouter(lifespan=closing)

    @router.websocket("/stream/{model}")
    async def stream(socket: WebSocket, model: str) -> None:
        nonlocal count
        if not is_same_origin(socket.headers):
            await socket.close()  # before it is accepted, this is 403
            return
        await socket.accept()
        if count >= max_connections:
            await _close(socket, 503, f"{max_connections:,} connections are open, and no more are allowed")
            return
        count += 1
        try:
            await _Connection(socket, sessions, model, live).serve()
        finally:
            count -= 1

    @router.websocket("/{path:path}")
    async def nothing(socket: WebSocket, path: str) -> None:
        await socket.close()

    return router


def is_same_origin(headers: Headers) -> bool:
    """Says whether a WebSocket may be opened: by a page of this server, or by what is no browser and names no page.

    Browsers let any page open a WebSocket to any server, also to one that only this machine can reach.
    """
    host = headers.get("host")
    return headers.getlist("origin") in ([], [f"http://{host}"], [f"https://{host}"])


class _Connection:
    """One client, and its session."""

    def __init__(self, socket: WebSocket, sessions: Sessions, model: str, live: dict[str, "_Connection"]) -> None:
        """Takes an open socket, and the connections by the keys of their sessions."""
        self._socket, self._sessions, self._model, self._live = socket, sessions, model, live
        self._key = ""
        self._task = asyncio.current_task()
        self._replaced = False

    async def serve(self) -> None:
        """Answers messages until the session ends or the client leaves."""
        try:
            await self._open()
            while await self._answer():
                pass
        except WebSocketDisconnect:
            pass
        except SessionError as error:
            await _close(self._socket, error.status, str(error))
        except asyncio.CancelledError:
            if not self._replaced:
                raise
            await _close(self._socket, 409, "another connection has resumed this session")
        finally:
            if self._live.get(self._key) is self:
                del self._live[self._key]

    def give_way(self) -> None:
        """Ends, because another connection goes on with the session."""
        self._replaced = True
        if self._task:
            self._task.cancel()

    async def _open(self) -> None:
        """Begins a session, or goes on with one."""
        message = await self._message()
        message.check(first=True)
        token = token_urlsafe() if message.resume is None else message.resume
        self._key = key_of(token)
        if earlier := self._live.get(self._key):  # the client has lost it, even if this server does not know yet
            earlier.give_way()
        self._live[self._key] = self
        reply = await self._sessions.step(message.step(self._model, self._key))
        await self._send({"token": token} | described(reply))

    async def _answer(self) -> bool:
        """Answers a message; returns whether the session goes on."""
        try:
            message = await self._message()
            message.check(first=False)
            reply = await self._sessions.step(message.step(self._model, self._key))
        except SessionError as error:
            if error.status not in {400, 429}:  # it has read nothing
                raise
            await self._send(_error(error.status, str(error)))
            return True
        await self._send(described(reply))
        if message.end:
            await self._socket.close()
        return not message.end

    async def _message(self) -> StreamMessage:
        """Waits for a message.

        Raises:
            SessionError: It is none, or does not come.
            WebSocketDisconnect: The client has left, or sends what it should not.
        """
        try:
            async with asyncio.timeout(self._sessions.idle_seconds):
                received = await self._socket.receive()
        except TimeoutError:
            raise SessionError(408, f"there was no message for {self._sessions.idle_seconds:,.0f} seconds") from None
        if received["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(received.get("code", 1005))
        text = received.get("text")
        if text is None or len(text) > LARGEST_MESSAGE:
            code, reason = (1003, "expected text") if text is None else (1009, f"expected {LARGEST_MESSAGE:,} bytes")
            await self._socket.close(code, reason)
            raise WebSocketDisconnect(code)
        try:
            return StreamMessage.model_validate_json(text)
        except ValidationError as error:
            raise SessionError(400, first_fault(error).removeprefix("Value error, ")) from None

    async def _send(self, answer: dict[str, Any]) -> None:
        await self._socket.send_text(to_json(answer, inf_nan_mode="null").decode())


def key_of(token: str) -> str:
    """Returns the key of a session; who reads where states are kept cannot go on with it."""
    return "token:" + blake2b(token.encode("utf-8", "replace"), digest_size=16).hexdigest()


def described(reply: Reply) -> dict[str, Any]:
    """Returns an answer as a message."""
    return {"pushes": reply.pushes, "steps": reply.steps, "pending": reply.pending} | _found(reply.answers)


def _found(answers: Answers) -> dict[str, Any]:
    """Returns what a model makes of a session: a class and probabilities, numbers, or a vector."""
    if answers.all_scores is None:
        return {"vector": answers.vectors[0].tolist()}
    found: dict[str, Any] = {"prediction": answers.predictions.tolist()[0]}
    if isinstance(answers.model, Network) and answers.model.config.aim.has_probabilities:
        found["probabilities"] = by_label(answers.model, answers.probabilities[0].tolist())
    return found


def _error(status: int, text: str) -> dict[str, Any]:
    text = text if len(text) <= LONGEST_REFUSAL else text[:LONGEST_REFUSAL] + " …"
    return {"error": visible(text), "status": status}


async def _close(socket: WebSocket, status: int, text: str) -> None:
    """Says why, and closes."""
    await socket.send_text(to_json(_error(status, text)).decode())
    await socket.close(_OWN_CODES + status, visible(text).encode()[:120].decode("utf-8", "ignore"))
