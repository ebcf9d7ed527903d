"""Fuzzes the service as uvicorn calls it: any method, path, headers and body, in any parts; never a 5xx.

An input is lines: method, path with query, headers, an empty line, the body. A byte 0 ends a part of the body.
"""

import asyncio
import logging
from typing import Any
from urllib.parse import unquote_to_bytes

import atheris
from harness import fuzz

with atheris.instrument_imports(include=["tidegate"]):
    from models import make_model
    from tidegate.serve import create_app

APP = create_app({"model": make_model("gru", num_layers=2)})
LOOP = asyncio.new_event_loop()
logging.disable(logging.CRITICAL)


def request_of(data: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """The scope of a request, and the parts of its body."""
    head, _, body = data.partition(b"\n\n")
    method, path, *lines = [*head.split(b"\n"), b"", b""][: max(2, head.count(b"\n") + 1)]
    path, _, query = path.partition(b"?")
    headers = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method.decode("latin-1").upper() or "GET",
        "scheme": "http",
        "path": unquote_to_bytes(path).decode("utf-8", "replace") or "/",
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    return scope, body.split(b"\0")


async def answer(scope: dict[str, Any], parts: list[bytes]) -> int:
    """Lets the application answer, and returns the status."""
    status, asked = 0, 0

    async def receive() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        if asked > len(parts):
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": parts[asked - 1], "more_body": asked < len(parts)}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]

    await APP(scope, receive, send)
    return status


def ask(data: bytes) -> None:
    """Sends one request."""
    scope, parts = request_of(data)
    status = LOOP.run_until_complete(answer(scope, parts))
    if not 200 <= status < 500:
        raise RuntimeError(f"{scope['method']} {scope['path']!r} was answered with {status}")


if __name__ == "__main__":
    fuzz(ask)
