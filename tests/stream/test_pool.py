"""Many streams through one model."""

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import tidegate
from tidegate import Network, NetworkConfig, StateError, StreamPool, TextModel
from tidegate.stream import Answers, Push

Array = npt.NDArray[np.float32]
Make = Callable[..., TextModel]


def network(cell: str = "gru", **rest: Any) -> Network:
    """A network with random weights."""
    sizes: dict[str, Any] = {"hidden_size": 5, "num_layers": 2} | rest if cell != "compound" else {}
    config = NetworkConfig(cell=cell, labels=("low", "high"), input_size=3, **sizes)
    rng = np.random.default_rng(0)
    return Network(config, {name: rng.standard_normal(s).astype(np.float32) for name, s in config.shapes().items()})


def vectors(*shape: int, seed: int = 1) -> Array:
    return np.random.default_rng(seed).standard_normal((*shape, 3)).astype(np.float32)


def same(a: Any, b: Any) -> bool:
    """Whether two arrays have the same bits."""
    return bool(np.asarray(a).tobytes() == np.asarray(b).tobytes())


@pytest.mark.parametrize("cell", ["gru", "lstm", "gru reset=before", "rnn_relu", "compound"])
@pytest.mark.parametrize("summary", ["last", "mean+max"])
@pytest.mark.parametrize("B", [1, 3, 200])
def test_a_step_of_many_is_a_step_of_each(cell: str, summary: str, B: int) -> None:
    """One vector for each, several, and different numbers of them give the bits of the sequences alone."""
    model = network(cell, summary=summary)
    pool, x, keys = StreamPool(model), vectors(B, 7), list(range(B))
    pool.push(keys, x[:, 0])
    pool.push(keys[::-1], x[::-1, 1:3])
    pool.push(keys, [each[3 : 3 + b % 4] for b, each in enumerate(x)])
    answers = pool.push(keys, [each[3 + b % 4 :] for b, each in enumerate(x)])
    assert same(answers.vectors, model.encode(x))
    assert same(answers.probabilities, model.predict_proba(x))
    assert answers.predictions.tolist() == model.predict(x).tolist()


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_no_bit(threads: int) -> None:
    """Nor does their number, with more rows than a thread takes at once."""
    model, x, before = network("lstm", hidden_size=33), vectors(300, 2), tidegate.get_num_threads()
    tidegate.set_num_threads(threads)
    try:
        pool = StreamPool(model)
        pool.push(range(300), x[:, 0])
        assert same(pool.push(range(300), x[:, 1]).vectors, model.encode(x))
    finally:
        tidegate.set_num_threads(before)


def test_interleaved_sessions_are_as_if_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Schedules of clients, cuts, evictions and threads give the bits, and the states, of sessions on their own."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    schedules = import_module("schedules")
    models = schedules.networks()
    assert sum(schedules.interleave(models[seed % len(models)], seed) for seed in range(20)) > 50


def test_pushes_that_come_together_are_one_batch() -> None:
    """While one push is being read, others wait, and are read together then; those of one key in their order."""
    model = network()
    pool, x = StreamPool(model), vectors(8, 3)
    entered, leave, batches = threading.Event(), threading.Event(), []
    read = pool._slots.read

    def slow(rows: Any, sequences: Any) -> None:
        batches.append(len(rows))
        if len(batches) == 1:
            entered.set()
            leave.wait()
        read(rows, sequences)

    pool._slots.read = slow  # type: ignore[method-assign]
    with ThreadPoolExecutor(9) as workers:
        first = workers.submit(pool.push, ["first"], x[:1])
        entered.wait()
        others = [workers.submit(pool.push, [i], x[i : i + 1]) for i in range(8)]
        while len(pool._queue) < 8:
            time.sleep(0.001)
        leave.set()
        results = [other.result() for other in others]
    assert batches == [1, 8]
    assert same(first.result().vectors, model.encode(x[:1]))
    assert same(np.concatenate([result.vectors for result in results]), model.encode(x))


def test_the_one_that_has_waited_longest_makes_room() -> None:
    """Without a callback it is dropped; a push makes a session the latest."""
    model, x = network(), vectors(1)
    pool = StreamPool(model, max_sessions=2)
    for key in ("a", "b", "a", "c"):
        pool.push([key], x)
    assert (len(pool), "a" in pool, "b" in pool, "c" in pool) == (2, True, False, True)
    assert same(pool.push(["b"], x).vectors, model.encode([x]))


def test_idle_sessions_are_evicted() -> None:
    """After the time limit, by any push or when asked, and with their states."""
    now, gone = [0.0], []
    pool = StreamPool(
        network(), idle_seconds=10, on_evict=lambda key, state: gone.append((key, state)), clock=lambda: now[0]
    )
    pool.push(["a"], vectors(1))
    state = pool.state("a")
    now[0] = 8
    pool.push(["b"], vectors(1))
    now[0] = 11
    pool.push(["c"], vectors(1))
    assert (gone, list(pool._open.rows)) == ([("a", state)], ["b", "c"])
    now[0] = 30
    assert (pool.evict_idle(), len(pool)) == (2, 0)


def test_a_callback_that_fails_loses_nothing() -> None:
    """If a state can't be stored, its session stays, and the push that wanted its place is the one that fails."""
    failing = True

    def store(key: Hashable, state: bytes) -> None:
        if failing:
            raise OSError("disk full")

    pool, x = StreamPool(network(), max_sessions=1, on_evict=store), vectors(1)
    pool.push(["a"], x)
    state = pool.state("a")
    with pytest.raises(OSError, match="disk full"):
        pool.push(["b"], x)
    assert ("b" in pool, pool.state("a")) == (False, state)
    failing = False
    pool.push(["b"], x)
    assert "a" not in pool


def test_a_state_moves_between_pools(random_model: Make) -> None:
    """Also what is held back of a text; a damaged state opens nothing, and leaves an open session alone."""
    model = random_model()
    first, second = StreamPool(model), StreamPool(model)
    first.push(["a"], ["a good fil"])
    state = first.state("a")
    second.restore("b", state)
    assert second.pending("b") == "fil"
    assert same(second.push(["b"], ["m "]).vectors, model.encode(["a good film"]))
    with pytest.raises(StateError):
        second.restore("c", state[:-1])
    assert len(second) == 1
    second.restore("b", state)
    assert second.state("b") == state
    second.drop("b")
    assert len(second) == 0
    with pytest.raises(KeyError):
        second.state("b")


@pytest.mark.parametrize(
    ("keys", "pieces", "error", "message"),
    [
        (["a", "a"], np.zeros((2, 3)), ValueError, "key 'a' comes twice"),
        (["a"], np.zeros((2, 3)), ValueError, "2 pieces for 1 keys"),
        (["a", "b"], [np.zeros((1, 3)), np.zeros((1, 4))], ValueError, "expected"),
        (["a", "b"], np.full((2, 3), np.inf), ValueError, "not finite"),
        (["a"], "x", TypeError, "one for each key"),
        (["a"], [["x"]], TypeError, "real numbers"),
        (["a", "b", "c", "d"], np.zeros((4, 3)), ValueError, "at most max_sessions = 3"),
    ],
)
def test_a_wrong_push_reads_nothing(keys: list[str], pieces: Any, error: type[Exception], message: str) -> None:
    """It is an error for the one who pushes, and no session has read or begun anything."""
    pool = StreamPool(network(), max_sessions=3)
    pool.push(["a"], vectors(1))
    state = pool.state("a")
    with pytest.raises(error, match=message):
        pool.push(keys, pieces)
    assert (len(pool), pool.state("a")) == (1, state)


def test_a_wrong_text_fails_alone(random_model: Make) -> None:
    """Bytes that are no UTF-8 fail where they are pushed, with all pieces of that push, and change nothing."""
    pool = StreamPool(random_model())
    pool.push(["a", "b"], ["a good ", b"film \xc3"])
    states = [pool.state(key) for key in "ab"]
    with pytest.raises(ValueError, match="utf-8"):
        pool.push(["a", "b"], ["film ", b"\xff"])
    assert [pool.state(key) for key in "ab"] == states
    pool.push(["a", "b"], ["film ", b"\xa9 "])


def test_a_push_that_was_interrupted_is_not_read_later() -> None:
    """Nor while it still waits for its turn: who pushes the same again does not push it twice."""

    class Interrupted:
        def __enter__(self) -> None:
            raise KeyboardInterrupt

        def __exit__(self, *error: object) -> None: ...

    pool, x = StreamPool(network()), vectors(2, 1)
    lock, pool._lock = pool._lock, Interrupted()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        pool.push(["a"], x[:1])
    pool._lock = lock
    pool.push(["b"], x[1:])
    assert ("a" in pool, len(pool._queue)) == (False, 0)
    assert same(pool.push(["a"], x[:1]).vectors, pool.model.encode(x[:1]))  # type: ignore[attr-defined]


def test_only_a_session_is_finished(random_model: Make) -> None:
    """To finish a key without a session is a KeyError that evicts nobody; one in the store is recalled."""
    model, store = random_model(), dict[Hashable, bytes]()
    pool = StreamPool(model, max_sessions=1, on_evict=store.__setitem__, recall=store.get)
    pool.push(["a"], ["a good fil"])
    with pytest.raises(KeyError, match="typo"):
        pool.finish(["typo"])
    assert (list(pool._open.rows), store) == (["a"], {})
    pool.push(["b"], ["bad "])
    assert same(pool.finish(["a"]).vectors, model.encode(["a good fil"]))
    with pytest.raises(KeyError, match="typo"):
        StreamPool(network()).finish(["typo"])


def test_what_is_held_back_is_read_before_its_session_is_evicted(random_model: Make) -> None:
    """A session that has idled until its text is finished is not evicted by that."""
    now, model = [0.0], random_model()
    pool = StreamPool(model, idle_seconds=1, clock=lambda: now[0])
    pool.push(["a"], ["a good film"])
    now[0] = 5
    assert same(pool.finish(["a"]).vectors, model.encode(["a good film"]))


def test_a_state_that_does_not_fit_stays_in_the_store() -> None:
    """A recalled state of another model is an error that names the key, and evicts nobody."""
    pool, x = StreamPool(network("lstm")), vectors(1, 1)
    pool.push(["a"], x)
    store: dict[Hashable, bytes] = {"a": pool.state("a")}
    other = StreamPool(network(), max_sessions=1, on_evict=store.__setitem__, recall=store.get)
    other.push(["b"], x)
    with pytest.raises(StateError, match="recalled for the key 'a': the state is of a stream through another model"):
        other.push(["a"], x)
    assert (list(other._open.rows), list(store)) == (["b"], ["a"])


def test_each_push_of_many_stands_for_itself(random_model: Make) -> None:
    """What is wrong with one, or has no session, is its own error; those of one key are read in their order."""
    model = random_model()
    pool = StreamPool(model, max_sessions=3)
    pool.push(["a", "b"], ["a good fi", b"a \xc3"])
    state = pool.state("b")
    found = pool.push_each(
        [
            Push("a", "lm", ends=True),
            Push("b", "x"),
            Push("typo", "a", opens=False),
            Push("c", 5),
            Push("c", "a bad film", ends=True),
            Push("b", None, ends=True),
            Push("a", None),
        ]
    )
    kinds = [type(each).__name__ for each in found]
    assert kinds == ["Answers", "ValueError", "KeyError", "TypeError", "Answers", "ValueError", "Answers"]
    answers = [each.vectors for each in found if isinstance(each, Answers)]
    assert same(answers[0], model.encode(["a good film"]))
    assert same(answers[1], model.encode(["a bad film"]))
    assert same(answers[2], answers[0])
    assert (pool.state("b"), pool.steps("a"), pool.steps("c"), len(pool)) == (state, 3, 3, 3)
    assert pool.push_each([]) == []


def test_vectors_of_each_stand_for_themselves() -> None:
    """With nothing, numbers that are not finite, and as many steps as each has."""
    model, x = network("lstm"), vectors(2, 3)
    pool = StreamPool(model)
    found = pool.push_each([Push("a", None), Push("b", x[0, :1]), Push("c", np.full((1, 3), 1e300))])
    assert [type(each).__name__ for each in found] == ["Answers", "Answers", "ValueError"]
    found = pool.push_each([Push("a", x[1].tolist(), opens=False), Push("b", x[0, 1:], ends=True)])
    assert [same(each.vectors, model.encode(x[i : i + 1])) for i, each in ((1, found[0]), (0, found[1]))] == [True] * 2  # type: ignore[union-attr]


def test_a_failed_push_opens_nothing_and_is_no_use(random_model: Make) -> None:
    """It evicts nobody, and sessions are evicted in the order in which they were last read."""
    now, gone = [0.0], []
    pool = StreamPool(
        random_model(),
        max_sessions=2,
        idle_seconds=10,
        on_evict=lambda key, state: gone.append(key),
        clock=lambda: now[0],
    )
    for now[0], key in ((1, "a"), (2, "b")):
        pool.push([key], ["a good "])
    now[0] = 3
    for keys in (["c"], ["a"], ["a", "c"]):
        with pytest.raises(ValueError, match="utf-8"):
            pool.push(keys, [b"\xff"] * len(keys))
    assert (list(pool._open.rows), gone) == (["a", "b"], [])
    now[0] = 11.5
    assert (pool.evict_idle(), gone) == (1, ["a"])
    pool.push(["b", "d"], ["film ", "film "])
    assert pool._open.used[[pool._open.rows[key] for key in ("b", "d")]].tolist() == [11.5, 11.5]


@pytest.mark.parametrize(
    ("options", "message"), [({"max_sessions": 0}, "max_sessions is 0"), ({"idle_seconds": 0}, "idle_seconds is 0")]
)
def test_limits_out_of_range(options: dict[str, Any], message: str) -> None:
    """A pool without room or time is an error, and so is a model that reads in both directions."""
    with pytest.raises(ValueError, match=message):
        StreamPool(network(), **options)
    with pytest.raises(ValueError, match="both directions"):
        StreamPool(network(bidirectional=True))


def test_memory_follows_the_sessions(random_model: Make) -> None:
    """What a session takes beside its states is far below 1 KiB, and rows of sessions that are gone serve new ones."""
    pool = StreamPool(random_model(), max_sessions=1000)
    for first in range(0, 5000, 500):
        pool.push(range(first, first + 500), ["a good fil"] * 500)
    memory = pool.memory
    assert (memory.sessions, memory.session) == (1000, 4 * 8)
    assert memory.states == 1000 * memory.session
    assert memory.records < 1000 * 600


def test_a_batch_that_breaks_off_ends_its_sessions() -> None:
    """If memory runs out in the middle, nobody goes on from states that are half new."""
    model, x = network(), vectors(2, 1)
    pool = StreamPool(model)
    pool.push(["a"], x[:1])

    def broken(rows: Any, sequences: Any) -> None:
        raise MemoryError("no more")

    read, pool._slots.read = pool._slots.read, broken  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="its sessions are lost"):
        pool.push(["a", "b"], x)
    pool._slots.read = read  # type: ignore[method-assign]
    assert len(pool) == 0
    assert same(pool.push(["a"], x[:1]).vectors, model.encode(x[:1]))
