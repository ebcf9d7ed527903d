"""What every request goes through before it is answered, as layers of ASGI, outermost first."""

import asyncio
import hmac
import json
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tidegate.serve.limits import Limits
from tidegate.serve.metrics import Metrics
from tidegate.serve.refusals import FAILED, refuse

LOG = logging.getLogger(__name__)
COOKIE = "tidegate-token"
OPEN = frozenset({"/health", "/v2/health/live", "/v2/health/ready"})
"""What answers without a token: those who look after servers have none."""

# Nothing comes from anywhere but this server, and no other page may show this one.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-cache"),
]


class Record:
    """Puts the headers that keep other sites out on every response, counts it, and writes a line about it.

    An error that nobody has handled is logged, and answered as a fault of the server.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, write: Callable[[str], object] | None) -> None:
        """Wraps an application.

        Args:
            app: What answers.
            metrics: Where requests are counted.
            write: Takes a line of JSON about each request, without anything that a text says; None for no lines.
        """
        self.app, self._metrics, self._write = app, metrics, write

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, see the class."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status, size = time.perf_counter(), 0, 0

        async def recorded(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            else:
                size += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receive, recorded)
        except Exception as error:
            LOG.exception("a request failed: %s", error)  # noqa: TRY401 - its first line says why
            if status:  # half an answer cannot be taken back
                raise
            await refuse(500, FAILED)(scope, receive, recorded)
        seconds = time.perf_counter() - start
        handler = getattr(scope.get("route"), "path", "other")
        self._metrics.answered(scope["method"], handler, status, seconds)
        if self._write:
            self._write(_line(scope, status, size, seconds))


def _line(scope: Scope, status: int, size: int, seconds: float) -> str:
    """Describes an answered request; its query is left out, where a token may be."""
    now = time.time()
    facts = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03}Z",
        "client": (scope.get("client") or [None])[0],
        "method": scope["method"],
        "path": scope["path"],
        "status": status,
        "bytes": size,
        "milliseconds": round(seconds * 1000, 3),
    }
    return json.dumps(facts)


class Head:
    """Answers HEAD as GET, without the body: what looks whether a server is there often asks so."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, see the class."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def bodiless(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        asked = dict(scope, method="GET")  # the server's own stays: it knows by that that no body follows
        try:
            await self.app(asked, receive, bodiless)
        finally:
            scope["route"] = asked.get("route")


class Guard:
    """Refuses those who call the server by a foreign name, come from another site's page, or have not the token."""

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...], token: str | None) -> None:
        """Wraps an application.

        Args:
            app: What answers.
            hosts: Names by which the server may be called, so that no foreign site can reach it by a name of its own
                that leads to this machine; "*" for any.
            token: What `Authorization: Bearer …` must say, or the cookie that `/?token=…` sets; None for no token.
        """
        self.app = app
        self._hosts = None if "*" in hosts else frozenset(hosts)
        self._token = token.encode() if token else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, see the class."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        refusal = self._refusal(scope, headers)
        if refusal is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await refusal(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Mapping[bytes, bytes]) -> ASGIApp | None:
        """Returns what answers in place of the application."""
        if self._hosts is not None:
            host = headers.get(b"host", b"").decode("latin-1")
            if _name(host) not in self._hosts:
                return refuse(400, f"the server is called {host}, expected one of {', '.join(sorted(self._hosts))}")
            origin = headers.get(b"origin")
            if origin is not None and origin.decode("latin-1") not in {f"http://{host}", f"https://{host}"}:
                return refuse(403, "the request comes from the page of another site")
        if self._token is None or (scope["type"] == "http" and scope["path"] in OPEN):
            return None
        return self._without_token(scope, headers, self._token)

    def _without_token(self, scope: Scope, headers: Mapping[bytes, bytes], token: bytes) -> ASGIApp | None:
        """Returns what answers those without the token; a browser that has it in the address gets it as a cookie."""
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), token):
            return None
        if hmac.compare_digest(_cookie(headers), token):
            return None
        asked = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0].encode()
        if scope["type"] == "http" and scope["path"] == "/" and hmac.compare_digest(asked, token):
            answer = RedirectResponse("/", 303)
            answer.set_cookie(COOKIE, token.decode(), httponly=True, samesite="strict")
            return answer
        text = "a token is needed: send the header Authorization: Bearer TOKEN, or open /?token=TOKEN in a browser"
        return refuse(401, text, {"WWW-Authenticate": "Bearer"})


def _name(host: str) -> str:
    """Leaves the port out of a Host header."""
    return host.rpartition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]


def _cookie(headers: Mapping[bytes, bytes]) -> bytes:
    """Returns the token that a browser sends; empty without one."""
    with suppress(CookieError):
        cookie = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1")).get(COOKIE)
        return cookie.value.encode() if cookie else b""
    return b""


class Body:
    """Puts a request's body together: not more than the limit, nor for longer."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app, self._limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, see the class."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        packed = next((value for name, value in scope["headers"] if name == b"content-encoding"), b"identity")
        if packed != b"identity":
            text = f"the request is compressed by {packed.decode('latin-1')}, expected it as it is"
            await refuse(415, text)(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._limits.seconds):
                body = await self._read(receive)
        except TimeoutError:
            text = f"the request did not arrive within {self._limits.seconds:g} seconds"
            await refuse(408, text)(scope, receive, send)
            return
        if body is None:  # the client has gone, and hears no answer
            return
        if len(body) > self._limits.body:
            text = f"the request has more than {self._limits.body:,} bytes, expected less: send a shorter one"
            await refuse(413, text)(scope, receive, send)
            return
        parts: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return parts.pop() if parts else await receive()

        await self.app(scope, replay, send)

    async def _read(self, receive: Receive) -> bytes | None:
        """Reads a body, up to a little more than the limit; None if the client leaves before its end."""
        message: Any = await receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            whole: bytes = message.get("body", b"")
            return whole
        body = bytearray()
        while message["type"] != "http.disconnect":
            body += message.get("body", b"")
            if not message.get("more_body", False) or len(body) > self._limits.body:
                return bytes(body)
            message = await receive()
        return None
