"""The server of the page: what it answers, what it refuses, and what it lets nobody else do."""

import json
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

import uvicorn

from tidegate import serve
from tidegate.models.text_model import TextModel
from tidegate.serve.limits import Limits

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def port(start: Callable[..., int], random_model: Callable[..., TextModel]) -> int:
    """The port of a server with a small GRU."""
    return start({"tiny": random_model()})


@pytest.fixture
def ask(port: int) -> Iterator[Callable[..., tuple[int, dict[str, str], bytes]]]:
    """Sends one request; returns status, headers and body."""
    connection = HTTPConnection("127.0.0.1", port)

    def send(path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection.request("GET" if body is None else "POST", path, data, JSON | headers)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()

    yield send
    connection.close()


Ask = Callable[..., tuple[int, dict[str, str], bytes]]


def test_the_page_and_its_parts_are_there(ask: Ask) -> None:
    """The page and every file that it names come with their type."""
    status, headers, body = ask("/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"<title>tidegate" in body
    for path, kind in (
        ("main.js", "javascript"),
        ("style.css", "css"),
        ("icon.svg", "svg"),
        ("vendor/uPlot.LICENSE.txt", "plain"),
    ):
        status, headers, _ = ask(f"/{path}")
        assert status == 200
        assert kind in headers["content-type"]


@pytest.mark.parametrize("path", ["/", "/main.js", "/api/model", "/nothing", "/api/words"])
def test_every_response_keeps_other_sites_out(ask: Ask, path: str) -> None:
    """Every response, errors included, forbids whatever is not from this server."""
    _, headers, _ = ask(path)
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "more", "key"),
    [
        ("words", {}, "contributions"),
        ("gates", {"gate": "kept"}, "values"),
        ("ledger", {}, "amounts"),
        ("flow", {}, "vanilla"),
        ("unit", {"unit": 2}, "from_memory"),
        ("what-if", {"unit": 2, "step": 1, "values": {"update": 0.5}}, "probabilities"),
    ],
)
def test_each_question_is_answered(ask: Ask, path: str, more: dict[str, Any], key: str) -> None:
    """Each picture's question is answered in JSON."""
    status, _, body = ask(f"/api/{path}", {"text": "a good film"} | more)
    assert status == 200
    assert key in json.loads(body)


def test_the_model_is_described(ask: Ask) -> None:
    """The page learns what its model is."""
    facts = json.loads(ask("/api/model")[2])
    assert (facts["name"], facts["title"], facts["units"]) == ("tiny", "GRU", 8)


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("words", {"text": 5}, 422, "text: Input should be a valid string"),
        ("words", b"{", 422, "JSON"),
        ("words", {}, 400, "neither or both of text and vectors"),
        ("gates", {"text": "film", "gate": 5}, 422, "gate: Input should be a valid string"),
        ("gates", {"text": "film", "gate": "preactivation"}, 400, "kept: the cell is gru"),
        ("unit", {"text": "film", "unit": 8}, 400, "expected 0..7"),
        ("what-if", {"text": "film", "unit": 0, "step": 1}, 400, "step is 1, expected 0..0"),
        (
            "what-if",
            {"text": "film", "unit": 0, "step": 0, "values": {"update": 2}},
            400,
            "update is 2.0, expected 0..1",
        ),
        ("words", b"x" * (Limits.body + 1), 413, "more than 8,000,000 bytes"),
    ],
)
def test_a_wrong_question_gets_one_clear_line(ask: Ask, path: str, body: Any, status: int, error: str) -> None:
    """What cannot be answered is refused with a status and one line that says why."""
    code, _, answer = ask(f"/api/{path}", body)
    assert code == status
    assert error in json.loads(answer)["error"]


def test_a_fault_of_ours_is_logged(ask: Ask, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that is no wrong question is a failure of the server, logged with its traceback; a wrong one is not."""
    caplog.set_level(logging.INFO)
    assert ask("/api/unit", {"text": "film", "unit": 8})[0] == 400
    assert caplog.records == []
    monkeypatch.setattr(TextModel, "trace", lambda *_: np.zeros(2) + np.zeros(3))
    assert ask("/api/unit", {"text": "a film of its own", "unit": 0})[0] == 500
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("tidegate.serve.layers", "ERROR")
    assert "Traceback" in caplog.text
    assert "could not be broadcast" in caplog.text


def test_a_foreign_name_is_refused(ask: Ask, port: int) -> None:
    """A site whose own name leads here gets nothing, so that it cannot read through a visitor's browser."""
    assert ask("/api/model", Host=f"evil.example:{port}")[0] == 400
    assert ask("/api/model", Host=f"localhost:{port}")[0] == 200


def test_what_is_not_json_is_refused(ask: Ask) -> None:
    """A form on another site can send no question: it cannot send JSON by its type."""
    assert ask("/api/words", {"text": "a"}, **{"Content-Type": "text/plain"})[0] in {415, 422}


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/../pyproject.toml", "/%2e%2e/server.py"])
def test_nothing_else_is_served(ask: Ask, path: str) -> None:
    """There is no page that would fetch scripts elsewhere, and no way out of the folder."""
    assert ask(path)[0] == 404


def test_a_taken_port_is_told(port: int) -> None:
    """A port in use is an error with the address and the way out."""
    with pytest.raises(OSError, match=rf"cannot serve on 127.0.0.1:{port}: .*in use; choose another with --port"):
        serve.listen("127.0.0.1", port)


def test_small_answers_are_sent_at_once(ask: Ask, port: int) -> None:
    """Connections do not wait for more to send."""
    with serve.listen("127.0.0.1", 0) as taken:
        assert taken.proto == socket.IPPROTO_TCP


@pytest.mark.parametrize(
    ("host", "here"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("example.org", False)],
)
def test_addresses_of_this_machine_are_known(host: str, here: bool) -> None:
    """Only loopback addresses are out of reach for others."""
    assert serve.is_here(host) is here


def test_serving_ends_with_the_interrupt(
    random_model: Callable[..., TextModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends `serve` without an error, and the port is free again."""

    def interrupted(self: Any, sockets: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(uvicorn.Server, "run", interrupted)
    taken, ready = serve.listen("127.0.0.1", 0), []
    number = taken.getsockname()[1]
    serve.serve(serve.create_app({"tiny": random_model()}), taken, lambda: ready.append(time.time()))
    assert ready
    serve.listen("127.0.0.1", number).close()


def test_a_question_under_way_is_no_error_at_the_end() -> None:
    """Ctrl-C ends the command when the time for the questions under way is over, without a traceback."""
    code = """
import urllib.request, threading, os, signal
from tidegate import serve
from fastapi import FastAPI
app, taken, begun, ended = FastAPI(), serve.listen("127.0.0.1", 0), threading.Event(), threading.Event()
@app.get("/")
def slow():
    begun.set()
    ended.wait()
def ask():
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{taken.getsockname()[1]}/")
    except OSError:
        pass
def interrupt():
    begun.wait()
    os.kill(os.getpid(), signal.SIGINT)
for act in (ask, interrupt):
    threading.Thread(target=act, daemon=True).start()
serve.serve(app, taken, drain=1)
ended.set()
print("ended")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("ended\n", "")


def test_the_page_needs_no_torch() -> None:
    """The server and all that answers the page's questions import no torch."""
    code = "import sys, tidegate.serve; print('torch' in sys.modules, 'fastapi' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
