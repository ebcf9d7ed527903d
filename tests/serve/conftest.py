"""Servers of small models, and ways to ask them."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from typing import Any, NamedTuple

import numpy as np
import pytest

from tidegate.models.config import SequenceConfig
from tidegate.models.network import Network
from tidegate.models.sequence_model import SequenceModel


class Reply(NamedTuple):
    """An answer of a server; the names of headers are in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """What the body says."""
        return json.loads(self.body)


Ask = Callable[..., Reply]
Start = Callable[..., int]


@contextmanager
def running(app: Any) -> Iterator[int]:
    """Serves an application in a thread of this process; yields the port."""
    uvicorn = pytest.importorskip("uvicorn")
    from tidegate import serve
    from tidegate.serve.server import configured

    server = uvicorn.Server(configured(app))
    with serve.listen("127.0.0.1", 0) as taken:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]})
        thread.start()
        yield taken.getsockname()[1]
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Serves models by name until the module ends, with the options of `create_app`; returns the port."""
    pytest.importorskip("fastapi")
    from tidegate import serve

    with ExitStack() as stack:
        yield lambda models, **options: stack.enter_context(running(serve.create_app(models, **options)))


@pytest.fixture
def ask() -> Ask:
    """Sends one request to a port: its body as JSON or as it is, by POST if there is one."""

    def send(port: int, path: str, body: Any = None, method: str | None = None, **headers: str) -> Reply:
        connection = HTTPConnection("127.0.0.1", port)
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method or ("GET" if body is None else "POST"), path, data, named)
        response = connection.getresponse()
        reply = Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        connection.close()
        return reply

    return send


@pytest.fixture(scope="session")
def models(random_model: Callable[..., Network]) -> Mapping[str, Network]:
    """A model of texts, one of sequences of two numbers, of which the second may be missing, and a regression."""
    rng = np.random.default_rng(0)

    def sequences(**rest: Any) -> SequenceModel:
        config = SequenceConfig(cell="gru", hidden_size=8, features=2, missing=(1,), **rest)
        arrays = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in config.shapes().items()}
        return SequenceModel(config, arrays | {"features.scale": np.array([2, 3], np.float32)})

    return {
        "reviews": random_model(),
        "sensors": sequences(labels=("rest", "walk", "run")),
        "heat": sequences(labels=("celsius",), task="regression", layout="channels_first"),
    }


@pytest.fixture(scope="module")
def port(start: Start, models: Mapping[str, Network]) -> int:
    """The port of a server with the three models."""
    return start(models)
