"""Streams over WebSockets, as a client that is no browser speaks to them."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("websockets")

import uvicorn
from fastapi import FastAPI
from starlette.datastructures import Headers
from websockets.asyncio import client as asynchronous
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync import client

from tidegate import Network, NetworkConfig, SequenceConfig, SequenceModel, serve
from tidegate.models.text_model import TextModel
from tidegate.serve import server
from tidegate.serve.sessions.sessions import Sessions
from tidegate.serve.sessions.sockets import LARGEST_MESSAGE, is_same_origin, sessions_router
from tidegate.serve.sessions.steps import Step
from tidegate.stream.storage import StateFolder

connect = partial(client.connect, open_timeout=None)  # a busy machine may take long
BEGIN = {"begin": True}


@contextmanager
def running(sessions: Sessions, **limits: Any) -> Iterator[str]:
    """Serves sessions; yields the address of their streams."""
    app = FastAPI()
    app.include_router(sessions_router(sessions, **limits))
    started = uvicorn.Server(server.configured(app))
    with serve.listen("127.0.0.1", 0) as taken:
        thread = threading.Thread(target=started.run, kwargs={"sockets": [taken]})
        thread.start()
        try:
            yield f"ws://127.0.0.1:{taken.getsockname()[1]}/stream/"
        finally:
            started.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def models(random_model: Callable[..., TextModel]) -> dict[str, Any]:
    """A classifier of texts, a regression of vectors, and one without a head."""
    found: dict[str, Any] = {"words": random_model()}
    for task, labels in (("regression", ("a", "b")), ("encoding", ())):
        config = NetworkConfig(cell="gru", task=task, labels=labels, input_size=2, hidden_size=3)
        rng = np.random.default_rng(0)
        arrays = {name: rng.standard_normal(s).astype(np.float32) for name, s in config.shapes().items()}
        found[task] = Network(config, arrays)
    return found


@pytest.fixture(scope="module")
def sessions(models: dict[str, Any]) -> Sessions:
    return Sessions(models)


@pytest.fixture(scope="module")
def address(sessions: Sessions) -> Iterator[str]:
    """Where the streams of all models are."""
    with running(sessions) as found:
        yield found


def ask(socket: client.ClientConnection, message: Any) -> dict[str, Any]:
    """Sends a message and returns the answer."""
    socket.send(message if isinstance(message, str | bytes) else json.dumps(message))
    answer: dict[str, Any] = json.loads(socket.recv())
    return answer


def closing_code(socket: client.ClientConnection) -> int:
    """Waits until the server closes the connection; returns its code."""
    try:
        while True:
            socket.recv()
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 1006


def test_a_text_is_read_as_it_comes(address: str, models: dict[str, Any]) -> None:
    """Each message has an answer: the model's probabilities to the bit, and what is held back."""
    with connect(address + "words") as socket:
        begun = ask(socket, BEGIN)
        assert (begun["pushes"], begun["steps"], len(begun["token"])) == (0, 0, 43)
        answer = ask(socket, {"text": "a good fi"})
        assert (answer["steps"], answer["pending"]) == (2, "fi")
        answer = ask(socket, {"text": "lm"})
        answer = ask(socket, {"finish": True})
        expected = models["words"].predict_proba(["a good film"])[0].tolist()
        assert answer["probabilities"] == dict(zip(("negative", "positive"), expected, strict=True))
        assert (answer["pushes"], answer["steps"], answer["pending"]) == (3, 3, "")
        assert ask(socket, {"end": True})["probabilities"] == answer["probabilities"]
        assert closing_code(socket) == 1000
    with connect(address + "words") as socket:
        assert ask(socket, {"resume": begun["token"]})["status"] == 404
        assert closing_code(socket) == 4404


def test_vectors_are_answered_with_numbers(address: str, models: dict[str, Any]) -> None:
    """Numbers of a regression, the vector of a network without a head; numbers beyond float32 are refused."""
    x = [[0.5, -1.0], [2.0, 3.0], [1.0, 0.0]]
    for task, name, expected in (
        ("regression", "prediction", models["regression"].predict([x])[0].tolist()),
        ("encoding", "vector", models["encoding"].encode([x])[0].tolist()),
    ):
        with connect(address + task) as socket:
            ask(socket, BEGIN)
            ask(socket, {"vectors": x[:2]})
            assert "not finite" in ask(socket, '{"vectors": [[1e300, 0]]}')["error"]
            assert ask(socket, {"vectors": x[2:]})[name] == expected


def test_null_is_a_missing_number(random_model: Callable[..., TextModel]) -> None:
    """A number of a vector may be null where the model knows gaps, and nowhere else; vectors are of one size."""
    config = SequenceConfig(cell="gru", labels=("rest", "walk"), features=2, missing=(1,), hidden_size=3)
    rng = np.random.default_rng(0)
    arrays = {name: rng.standard_normal(s).astype(np.float32) for name, s in config.shapes().items()}
    model = SequenceModel(config, arrays | {"features.scale": np.ones(2, np.float32)})
    with running(Sessions({"sensors": model})) as found, connect(found + "sensors") as socket:
        ask(socket, BEGIN)
        ask(socket, {"vectors": [[1.0, None]]})
        for wrong in ([[None, 1.0]], [[1.0, 2.0], [1.0]]):
            assert ask(socket, {"vectors": wrong})["status"] == 400
        answer = ask(socket, {"vectors": [[2.0, 0.5]]})
        expected = model.predict_proba([np.array([[1.0, np.nan], [2.0, 0.5]])])[0].tolist()
        assert list(answer["probabilities"].values()) == expected


def test_a_session_is_resumed_by_its_token(address: str) -> None:
    """What was read and what is held back is there; a connection that is still open gives way."""
    with connect(address + "words") as first, connect(address + "words") as second:
        token = ask(first, BEGIN)["token"]
        before = ask(first, {"text": "a good fi"})
        assert ask(second, {"resume": token}) == before | {"token": token}
        assert closing_code(first) == 4409
        assert ask(second, {"text": "lm "})["steps"] == 3


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("{", "Invalid JSON"),
        ("[]", "object"),
        ({}, "the message holds nothing, expected one of its fields"),
        ({"text": "a", "end": True}, "the message holds text and end"),
        ({"text": 5}, "text: Input should be a valid string"),
        ({"text": "a", "x" * 1000: 1}, "xxx"),
        ({"text": "a", "x": 1}, "x: Extra inputs are not permitted"),
        ({"vectors": [["a"]]}, "vectors.0.0: Input should be a valid number"),
        ({"vectors": [[1.0]]}, "a piece of a text"),
        ('{"text": "\\ud800"}', "JSON"),
        (BEGIN, "expected not to be begin or resume"),
        ({"text": "<!--" + "a" * 70_000}, "would be held back"),
    ],
)
def test_a_wrong_message_is_refused_and_reads_nothing(address: str, message: Any, error: str) -> None:
    """The answer says what is wrong, and the session goes on as if it had not come."""
    with connect(address + "words") as socket:
        ask(socket, BEGIN)
        ask(socket, {"text": "a good "})
        answer = ask(socket, message)
        assert (answer["status"], error in answer["error"], len(answer["error"]) < 600) == (400, True, True), answer
        answer = ask(socket, {"text": "film "})
        assert (answer["pushes"], answer["steps"]) == (2, 3)


@pytest.mark.parametrize(
    ("model", "message", "code"),
    [
        ("words", {"text": "a"}, 4400),
        ("words", {"resume": "x"}, 4404),
        ("nothing", BEGIN, 4404),
        ("words", b"\x00", 1003),
        ("words", json.dumps({"text": "a" * LARGEST_MESSAGE}), 1009),
    ],
)
def test_a_wrong_beginning_closes_the_connection(address: str, model: str, message: Any, code: int) -> None:
    """With a code that says why."""
    with connect(address + model) as socket:
        socket.send(message if isinstance(message, str | bytes) else json.dumps(message))
        assert closing_code(socket) == code


@pytest.mark.parametrize(
    ("origins", "allowed"),
    [
        ([], True),
        (["http://127.0.0.1:8000"], True),
        (["https://127.0.0.1:8000"], True),
        (["http://127.0.0.1:8001"], False),
        (["http://127.0.0.1"], False),
        (["http://evil.example"], False),
        (["http://127.0.0.1:8000@evil.example"], False),
        (["http://127.0.0.1:8000", "http://127.0.0.1:8000"], False),
        (["null"], False),
        (["file://"], False),
        (["file://127.0.0.1:8000"], False),
        (["http://[::1"], False),
        ([""], False),
    ],
)
def test_pages_of_other_servers_are_kept_out(origins: list[str], allowed: bool) -> None:
    """Browsers say which page opens a socket: only one of this server may."""
    headers = Headers(raw=[(b"host", b"127.0.0.1:8000"), *((b"origin", origin.encode()) for origin in origins)])
    assert is_same_origin(headers) is allowed


def test_a_foreign_page_gets_no_connection(address: str) -> None:
    """It is refused before the connection is there; so is a path that is none."""
    for path, origin in (("words", "http://evil.example"), ("words/more", None), ("", None)):
        with pytest.raises(InvalidStatus, match="403"), connect(address + path, origin=origin):
            pass


def test_limits_of_connections_and_sessions(models: dict[str, Any]) -> None:
    """What is too much is refused with a code of its own, and those who are there go on."""
    limited = Sessions(models, max_sessions=2)
    with running(limited, max_connections=3) as address, ExitStack() as stack:
        sockets = [stack.enter_context(connect(address + "words")) for _ in range(4)]
        assert closing_code(sockets[3]) == 4503
        assert ["token" in ask(socket, BEGIN) for socket in sockets[:3]] == [True, True, False]
        assert closing_code(sockets[2]) == 4429
        assert [ask(socket, {"text": "a "})["steps"] for socket in sockets[:2]] == [1, 1]


def test_the_folder_is_given_back_at_the_end(models: dict[str, Any], tmp_path: Path) -> None:
    """When a server has ended, another one goes on with its sessions."""
    with running(Sessions(models, StateFolder(tmp_path))) as address, connect(address + "words") as socket:
        token = ask(socket, BEGIN)["token"]
        answer = ask(socket, {"text": "a good fi"})
    with running(Sessions(models, StateFolder(tmp_path))) as address, connect(address + "words") as socket:
        assert ask(socket, {"resume": token}) == answer | {"token": token}


def test_a_killed_server_loses_nothing() -> None:
    """A server that is killed while clients stream, and the next one, give answers as if nothing had happened."""
    pytest.importorskip("typer")
    script = Path(__file__).parents[2] / "fuzz" / "kill_service.py"
    done = subprocess.run([sys.executable, script, "--runs", "1"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 kills lost and swapped nothing" in done.stdout


def test_a_silent_client_is_left(models: dict[str, Any]) -> None:
    """After as long as an idle session lives."""
    with running(Sessions(models, idle_seconds=0.1)) as address, connect(address + "words") as socket:
        assert closing_code(socket) == 4408


def test_messages_of_many_clients_are_one_batch(
    address: str, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes while others are being read is read together, with the answers of each alone."""
    sizes: list[int] = []
    do = sessions._do

    def counted(steps: Sequence[Step]) -> Any:
        while not sizes and len(steps) + len(sessions._queue.waiting) < 2:
            time.sleep(0.001)  # the first batch is being read until somebody waits for it
        sizes.append(len(steps))
        return do(steps)

    monkeypatch.setattr(sessions, "_do", counted)

    async def talk(number: int) -> int:
        async with asynchronous.connect(address + "words", open_timeout=None) as socket:
            for message in (BEGIN, *[{"text": "film "}] * number):
                await socket.send(json.dumps(message))
            answers = [json.loads(await socket.recv()) for _ in range(number + 1)]
            return int(answers[-1]["steps"])

    async def all_() -> list[int]:
        return await asyncio.gather(*map(talk, range(30)))

    assert asyncio.run(all_()) == list(range(30))
    assert sum(sizes) == 30 + sum(range(30))
    assert max(sizes) > 1
