"""The sessions of a service: what a step does, what is stored of it, and what is refused."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")

from tidegate import Network, NetworkConfig
from tidegate.models.text_model import TextModel
from tidegate.serve.sessions.sessions import IDLE_SECONDS, Sessions
from tidegate.serve.sessions.steps import Reply, SessionError, Step
from tidegate.stream.storage import FILE, StateFolder, StorageError

Make = Callable[..., TextModel]

WRONG_IDS: tuple[Any, ...] = (0, -1, 2**64, "", "x" * 129, [], None, True)


def vectors_network(seed: int = 0, **rest: Any) -> Network:
    """A network of vectors with random weights."""
    config = NetworkConfig(cell="lstm", labels=("low", "high"), input_size=3, hidden_size=5, **rest)
    rng = np.random.default_rng(seed)
    return Network(config, {name: rng.standard_normal(s).astype(np.float32) for name, s in config.shapes().items()})


class Service:
    """Sessions of a text model "words" and a network "numbers", asked without an event loop of one's own."""

    def __init__(self, models: dict[str, Any], folder: Path | None, **limits: Any) -> None:
        self.now, self.models = limits.pop("now", 0.0), models
        self.sessions = Sessions(models, StateFolder(folder) if folder else None, clock=lambda: self.now, **limits)

    def do(self, *steps: Step) -> list[Reply | BaseException]:
        """Does steps that come at once."""

        async def all_() -> list[Reply | BaseException]:
            return await asyncio.gather(*map(self.sessions.step, steps), return_exceptions=True)

        return asyncio.run(all_())

    def status(self, *steps: Step) -> list[int]:
        """The statuses of steps; 200 for those that were done."""
        return [each.status if isinstance(each, SessionError) else 200 for each in self.do(*steps)]

    def push(self, key: str, text: str, **what: bool) -> Reply:
        """Does one step with a text."""
        (reply,) = self.do(Step("words", key, text, **what))
        assert isinstance(reply, Reply), reply
        return reply


@pytest.fixture
def serve(random_model: Make) -> Iterator[Callable[..., Service]]:
    """Starts services; closes them at the end."""
    begun: list[Service] = []

    def start(folder: Path | None = None, models: dict[str, Any] | None = None, **limits: Any) -> Service:
        given = models or {"words": random_model(), "numbers": vectors_network()}
        begun.append(Service(given, folder, **limits))
        return begun[-1]

    yield start
    for service in begun:
        service.sessions.close()


def bits(reply: Any) -> bytes:
    """The probabilities of an answer."""
    assert isinstance(reply, Reply), reply
    return bytes(reply.answers.probabilities[0].tobytes())


def alone(model: Any, sequence: Any) -> bytes:
    """Those of the model for a whole sequence."""
    return bytes(model.predict_proba([sequence])[0].tobytes())


@pytest.mark.parametrize("stored", [False, True])
def test_steps_that_come_together_are_those_of_sessions_alone(
    serve: Callable[..., Service], tmp_path: Path, stored: bool
) -> None:
    """Texts and vectors of one batch have the bits of whole sequences; a wrong one fails alone."""
    service = serve(tmp_path / "states" if stored else None)
    words, numbers = service.models["words"], service.models["numbers"]
    x = np.random.default_rng(1).standard_normal((4, 3)).astype(np.float32)
    first = service.do(
        Step("words", "a", "a good fi", begins=True),
        Step("words", "b", "a bad film", begins=True, finishes=True),
        Step("numbers", "a", x[:1], begins=True),
        Step("numbers", "c", x[:, :2], begins=True),
    )
    assert isinstance(first[3], SessionError)
    second = service.do(
        Step("words", "a", "lm", ends=True),
        Step("words", "b", b"\xff"),
        Step("numbers", "a", x[1:].tolist()),
        Step("numbers", "c", x),
    )
    assert (bits(first[1]), bits(second[0]), bits(second[2])) == (
        alone(words, "a bad film"),
        alone(words, "a good film"),
        alone(numbers, x),
    )
    assert [each.status for each in second if isinstance(each, SessionError)] == [400, 404]
    assert service.status(Step("words", "a", "x"), Step("words", "b", "x")) == [404, 200]


def test_the_steps_of_one_session_are_done_in_their_order(serve: Callable[..., Service]) -> None:
    """Also where they come together; each counts as a push, and what only looks does not."""
    service = serve()
    service.do(Step("words", "a", begins=True))
    replies = service.do(*(Step("words", "a", letter) for letter in "a good"), Step("words", "a"))
    assert [reply.pushes for reply in replies if isinstance(reply, Reply)] == [1, 2, 3, 4, 5, 6, 6]
    assert [reply.pending for reply in replies if isinstance(reply, Reply)][-2:] == ["good", "good"]


def test_a_sequence_must_be_started(serve: Callable[..., Service]) -> None:
    """A step without a start is an error, a second start begins anew, and numbers and names are different sequences."""
    service = serve()
    sessions, model = service.sessions, service.models["words"]

    def ask(text: str, sequence_id: Any, **flags: bool) -> bytes:
        parameters = {"sequence_id": sequence_id} | {f"sequence_{name}": flag for name, flag in flags.items()}
        return bytes(asyncio.run(sessions("words", [text], parameters)).tobytes())

    with pytest.raises(SessionError, match="there is no such session"):
        ask("a good film", 7)
    ask("bad bad ", 7, start=True)
    ask("a ", "7", start=True)
    ask("a good ", 7, start=True, end=False)
    assert [ask("film", name, end=True) for name in (7, "7")] == [
        model.scores(["a good film"]).tobytes(),
        model.scores(["a film"]).tobytes(),
    ]
    assert sessions.count == 0


@pytest.mark.parametrize(
    ("rows", "parameters", "message"),
    [
        *((["a"], {"sequence_id": wrong}, "sequence_id is") for wrong in WRONG_IDS),
        (["a"], {"sequence_id": 1, "sequence_start": "yes"}, "sequence_start is 'yes', expected true or false"),
        (["a", "b"], {"sequence_id": 1}, "2 rows, expected 1: a sequence is one"),
    ],
)
def test_a_wrong_sequence_is_refused(
    serve: Callable[..., Service], rows: list[str], parameters: dict[str, Any], message: str
) -> None:
    """What is no name, no flag, or more than one row is an error that says so."""
    with pytest.raises(SessionError, match=message) as refused:
        asyncio.run(serve().sessions("words", rows, parameters))
    assert refused.value.status == 400


def test_what_was_answered_is_there_after_a_restart(serve: Callable[..., Service], tmp_path: Path) -> None:
    """Sessions go on in another server with the same folder, those that ended are gone, and no time has passed."""
    first = serve(tmp_path)
    first.push("a", "a good fi", begins=True)
    first.now = IDLE_SECONDS - 1
    first.push("b", "a ", begins=True)
    first.push("c", "a ", begins=True, ends=True)
    first.sessions.close()
    second = serve(tmp_path, now=10_000.0)  # of a clock that knows nothing of the other one
    assert second.sessions.count == 2
    reply = second.push("a", "lm", finishes=True)
    assert (reply.pushes, bits(reply)) == (2, alone(second.models["words"], "a good film"))
    second.now += IDLE_SECONDS - 1
    assert second.status(Step("words", "b"), Step("words", "c")) == [200, 404]


def test_sessions_that_idle_are_forgotten(serve: Callable[..., Service], tmp_path: Path) -> None:
    """In memory and in the folder, and a session that is begun under the same key knows nothing of them."""
    for folder in (None, tmp_path):
        service = serve(folder, idle_seconds=10.0)
        service.push("a", "a bad ", begins=True)
        service.now = 8
        service.push("b", "a ", begins=True)
        service.now = 11
        assert service.status(Step("words", "a", "film"), Step("words", "b", "film")) == [404, 200]
        assert bits(service.push("a", "a good film", begins=True, finishes=True)) == alone(
            service.models["words"], "a good film"
        )
    service.sessions.close()
    with StateFolder(tmp_path) as states:
        assert {stored.key for stored in states.sessions()} == {"a", "b"}


def test_too_many_sessions_are_refused(serve: Callable[..., Service]) -> None:
    """A new one waits until another ends; none is lost to make room, and one may begin anew in its own place."""
    service = serve(max_sessions=2)
    begin = [Step("words", key, "a ", begins=True) for key in "abc"]
    assert service.status(*begin) + service.status(begin[0]) == [200, 200, 429, 200]
    assert service.status(Step("words", "a", ends=True)) + service.status(begin[2]) == [200, 200]
    assert service.sessions.count == 2


def test_what_could_not_be_stored_is_not_answered(serve: Callable[..., Service], tmp_path: Path) -> None:
    """Where the disk is full, the session is as it was last answered, also in memory."""
    service = serve(tmp_path)
    service.push("a", "a good ", begins=True)
    folder: Any = service.sessions._folder
    folder._file.execute("PRAGMA max_page_count = 1")
    many = "bad " * 5000
    assert service.status(
        Step("words", "a", f"<!-- {many}"), Step("words", "b", "a", begins=True), Step("words", "c")
    ) == [507, 507, 404]
    folder._file.execute("PRAGMA max_page_count = 1000000")
    reply = service.push("a", "film", finishes=True)
    assert (reply.pushes, bits(reply)) == (2, alone(service.models["words"], "a good film"))
    assert service.status(Step("words", "b", "a")) == [404]


def test_a_state_of_another_model_is_refused(serve: Callable[..., Service], tmp_path: Path) -> None:
    """So is one that is damaged; a start makes a new session in its place."""
    first = serve(tmp_path)
    x = np.ones((1, 3), np.float32)
    first.do(*(Step("numbers", key, x, begins=True) for key in "ab"))
    first.sessions.close()
    with sqlite3.connect(tmp_path / FILE) as file:
        file.execute("UPDATE session SET state = CAST(substr(state, 2) AS BLOB) WHERE key = 'b'")
    file.close()
    second = serve(tmp_path)
    (error,) = second.do(Step("numbers", "b", x))
    assert isinstance(error, SessionError)
    assert (error.status, "no state of a stream" in str(error)) == (409, True)
    second.sessions.close()
    third = serve(tmp_path, {"numbers": vectors_network(1)})
    (error,) = third.do(Step("numbers", "a", x))
    assert isinstance(error, SessionError)
    assert (error.status, "of a stream through another model" in str(error)) == (409, True)
    assert third.status(Step("numbers", "a", x, begins=True)) + third.status(Step("numbers", "a", x)) == [200, 200]


def test_models_that_have_no_streams_are_refused(serve: Callable[..., Service], random_model: Make) -> None:
    """A bidirectional model says why; a model that is not there is named with those that are."""
    service = serve(None, {"both": random_model(bidirectional=True), "words": random_model()})
    replies = service.do(Step("both", "a", "a", begins=True), Step("none", "a", "a", begins=True))
    assert [getattr(each, "status", 0) for each in replies] == [400, 404]
    assert ["both directions" in str(replies[0]), "only both, words" in str(replies[1])] == [True, True]
    with pytest.raises(ValueError, match="max_sessions is 0"):
        serve(max_sessions=0)


def test_a_batch_that_fails_is_answered(serve: Callable[..., Service], monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of the server reaches those who wait, and the next step is done."""
    service = serve()

    def broken(steps: Sequence[Step]) -> None:
        raise RuntimeError("a fault")

    with monkeypatch.context() as patched:
        patched.setattr(service.sessions, "_do", broken)
        assert service.status(Step("words", "a", "a", begins=True)) == [500]
    assert service.push("a", "a", begins=True).pushes == 1


@pytest.mark.parametrize("stored", [False, True])
def test_a_start_that_is_refused_costs_no_session(serve: Callable[..., Service], tmp_path: Path, stored: bool) -> None:
    """A piece that cannot be read leaves the session that it was to replace, in memory and in the folder."""
    service = serve(tmp_path if stored else None)
    x = np.random.default_rng(1).standard_normal((4, 3)).astype(np.float32)
    service.do(Step("numbers", "a", x[:2], begins=True), Step("words", "b", "a good fi", begins=True))
    wrong = Step("numbers", "a", x[:, :2], begins=True), Step("words", "b", b"\xff\xff", begins=True, ends=True)
    assert service.status(*wrong, Step("numbers", "c", x[:, :2], begins=True)) == [400, 400, 400]
    assert service.sessions.count == 2
    if stored:
        service.sessions.close()
        service = serve(tmp_path)
    replies = service.do(Step("numbers", "a", x[2:]), Step("words", "b", "lm", finishes=True))
    assert [bits(reply) for reply in replies] == [
        alone(service.models["numbers"], x),
        alone(service.models["words"], "a good film"),
    ]
    assert [getattr(reply, "pushes", 0) for reply in replies] == [2, 2]


@pytest.mark.parametrize("error", [StorageError("the disk is full"), MemoryError()])
def test_memory_is_never_ahead_of_the_folder(
    serve: Callable[..., Service], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Whatever ends a commit, sessions are as they were last answered; nothing is forgotten later than it should be."""
    service = serve(tmp_path, idle_seconds=10.0)
    service.push("a", "a good ", begins=True)
    service.now = 5
    service.push("b", "a bad ", begins=True)
    service.push("c", "a ", begins=True)

    def broken(*_: Any) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(service.sessions._folder, "commit", broken)
        expected = 507 if isinstance(error, StorageError) else 500
        steps = (Step("words", "b", "x ", begins=True), Step("words", "a", "bad "), Step("words", "c", ends=True))
        assert service.status(*steps, Step("words", "d", "x", begins=True)) == [expected] * 4
    assert service.sessions.count == 3
    reply = service.push("b", "film", finishes=True)
    assert (reply.pushes, bits(reply)) == (2, alone(service.models["words"], "a bad film"))
    service.now = 11
    assert service.status(Step("words", "a"), Step("words", "c"), Step("words", "d")) == [404, 200, 404]
    service.sessions.close()
    with StateFolder(tmp_path) as states:
        assert [stored.key for stored in states.sessions()] == ["b", "c"]


def test_a_full_queue_refuses_steps(serve: Callable[..., Service]) -> None:
    """When too many steps wait, the next is told to come again later; those that wait are done."""
    service = serve(queue=2)
    replies = service.do(*(Step("words", key, "a", begins=True) for key in "abc"))
    assert [getattr(each, "status", 200) for each in replies] == [200, 200, 429]
    assert isinstance(replies[2], SessionError)
    assert replies[2].headers == {"Retry-After": "1"}
    assert service.status(Step("words", "c", "a", begins=True)) == [200]


def test_a_fault_of_the_server_is_logged(
    serve: Callable[..., Service], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A client hears that the server failed, and nothing of its insides; the log has those."""
    service = serve()

    def broken(*_: Any) -> None:
        raise RuntimeError("the insides")

    with monkeypatch.context() as patched:
        patched.setattr(service.sessions._pools["words"]._slots, "read", broken)  # type: ignore[union-attr]
        (error,) = service.do(Step("words", "a", "a", begins=True))
    assert isinstance(error, SessionError)
    assert (error.status, str(error)) == (500, "the server failed, and its log says why")
    assert "the insides" in caplog.text
    assert "Traceback" in caplog.text
