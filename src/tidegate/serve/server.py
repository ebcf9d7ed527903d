"""The page in a browser on this machine: FastAPI and uvicorn around one model."""

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tidegate.characters import visible
from tidegate.models.text_model import TextModel
from tidegate.serve import messages
from tidegate.serve.page import Page
from tidegate.serve.sessions import Sessions
from tidegate.serve.sockets import LARGEST_MESSAGE, sessions_router

WEB = Path(__file__).parent / "web"
LOG = logging.getLogger(__name__)
LARGEST_QUESTION = 8_000_000  # bytes
LONGEST_WAIT = 30.0  # seconds in which a question must have arrived
LONGEST_REFUSAL = 500  # letters of what a question is said to hold
HERE = ("127.0.0.1", "localhost")

# Nothing comes from anywhere but this server, and no other page may show this one.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def create_app(
    model: TextModel, name: str = "model", hosts: tuple[str, ...] = HERE, sessions: Sessions | None = None
) -> FastAPI:
    """Builds the application: the page at /, its questions under /api/, streams under /stream/.

    Args:
        model: What answers.
        name: What the page calls it.
        hosts: Names by which a browser may ask for the page. Others are refused, so that no foreign site can reach it
            by a name of its own that leads to this machine.
        sessions: Of streams through the model by this name; None for those in memory.

    Returns:
        An ASGI application.
    """
    # The pages of API documentation would fetch scripts from elsewhere.
    app = FastAPI(title="tidegate", docs_url=None, redoc_url=None, openapi_url=None)
    page = Page(model, name)
    app.add_api_route("/api/model", page.facts, response_model=messages.Facts)
    for path, answer in _answers(page).items():
        app.add_api_route(f"/api/{path}", answer, methods=["POST"])  # the messages are read off the signature
    app.include_router(sessions_router(Sessions({name: model}) if sessions is None else sessions))
    app.mount("/", StaticFiles(directory=WEB, html=True))
    for wrong in (messages.QuestionError, FloatingPointError):  # numbers so large that the network overflows
        app.add_exception_handler(wrong, lambda _, error: _refuse(400, str(error)))
    app.add_exception_handler(ValueError, _fail)
    app.add_exception_handler(RequestValidationError, lambda _, error: _refuse(422, _first_fault(error)))
    app.add_middleware(_Limit)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    app.add_middleware(_Guard)
    return app


def listen(host: str, port: int) -> socket.socket:
    """Takes a port, before anything is said about it.

    Args:
        host: An address of this machine.
        port: 0 for any that is free.

    Raises:
        OSError: The port is in use, or may not be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sends small answers at once; else they wait for the client, 40 ms at a time.
    taken = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((host, port))
        taken.listen()
    except OSError as error:
        taken.close()
        raise OSError(f"cannot serve on {host}:{port}: {error.strerror}; choose another with --port") from error
    return taken


def serve(app: FastAPI, taken: socket.socket, ready: Callable[[], object] = lambda: None) -> None:
    """Serves until Ctrl-C.

    Args:
        app: What `create_app` returned.
        taken: What `listen` returned; it is closed at the end.
        ready: Called once before the first question is answered.
    """
    server = uvicorn.Server(configured(app))
    logging.getLogger("uvicorn.error").addFilter(lambda record: not (server.should_exit and _is_cancelled(record)))
    with taken, suppress(KeyboardInterrupt):
        ready()
        server.run(sockets=[taken])


def configured(app: FastAPI) -> uvicorn.Config:
    """Says how uvicorn serves an application."""
    # Messages are small: to compress them would take more memory for each connection than its session.
    sockets: dict[str, Any] = {"ws_max_size": LARGEST_MESSAGE, "ws_per_message_deflate": False}
    return uvicorn.Config(app, log_level="warning", ws="websockets-sansio", timeout_graceful_shutdown=1, **sockets)


def _is_cancelled(record: logging.LogRecord) -> bool:
    """Whether a record says that a question under way was given up, which is no error when the server ends."""
    kind = record.exc_info[0] if record.exc_info else None
    return kind is asyncio.CancelledError or "graceful shutdown exceeded" in record.getMessage()


def is_here(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _answers(page: Page) -> dict[str, Callable[[Any], Any]]:
    """Lists what answers the page's questions, by path; FastAPI runs each in a thread."""
    return {
        "words": page.words,
        "gates": page.heat_map,
        "ledger": page.stream,
        "flow": page.flow,
        "unit": page.unit,
        "what-if": page.what_if,
    }


def _refuse(status: int, text: str) -> JSONResponse:
    """Answers with an error. What it quotes may be long, or hold what no answer can: lone surrogates."""
    text = text if len(text) <= LONGEST_REFUSAL else text[:LONGEST_REFUSAL] + " …"
    return JSONResponse({"error": visible(text)}, status)


def _fail(_: Any, error: Exception) -> JSONResponse:
    """Answers a question that was right, and failed by a fault of the server, which is logged."""
    LOG.error("a question failed: %s", error, exc_info=error)
    return _refuse(500, f"The server failed: {error}")


def _first_fault(error: RequestValidationError) -> str:
    """Says what is wrong with a question: where, and what was expected."""
    fault = error.errors()[0]
    where = ".".join(str(part) for part in fault["loc"] if part != "body")
    return f"{where}: {fault['msg']}" if where else str(fault["msg"])


class _Guard:
    """Puts the headers that keep other sites out on every response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, guarded)


class _Limit:
    """Refuses a question that is too large, before more than the limit is held in memory, or that takes too long."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            body = await asyncio.wait_for(_read_body(receive), LONGEST_WAIT)
        except TimeoutError:
            await _refuse(408, f"the question did not arrive within {LONGEST_WAIT} seconds")(scope, receive, send)
            return
        if body is None:  # the client has gone, and hears no answer
            return
        if len(body) > LARGEST_QUESTION:
            text = f"the question has more than {LARGEST_QUESTION:,} bytes, expected less: read a shorter text"
            await _refuse(413, text)(scope, receive, send)
            return
        parts: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def replay() -> Message:
            return parts.pop() if parts else await receive()

        await self.app(scope, replay, send)


async def _read_body(receive: Receive) -> bytearray | None:
    """Puts a body together, up to a little more than the limit; None if the client leaves before its end."""
    body = bytearray()
    while len(body) <= LARGEST_QUESTION:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return body
