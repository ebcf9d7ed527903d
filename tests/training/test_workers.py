"""Processes that train together come to what one process comes to."""

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

torch = pytest.importorskip("torch")

from tidegate.training import workers as workers_module  # noqa: E402
from tidegate.training.baselines.baselines import Baseline  # noqa: E402
from tidegate.training.checkpoints import Checkpoints  # noqa: E402
from tidegate.training.data.examples import Examples, prepare_sequences, prepare_texts  # noqa: E402
from tidegate.training.data.next_steps import prepare_steps  # noqa: E402
from tidegate.training.data.next_tokens import prepare_tokens  # noqa: E402
from tidegate.training.data.spooled.gathered import Plan  # noqa: E402
from tidegate.training.data.spooled.preparing import parts_of, spool_sequences, spool_texts  # noqa: E402
from tidegate.training.events import Epoch, Resumed, Step  # noqa: E402
from tidegate.training.fitting import fit  # noqa: E402
from tidegate.training.group import LostWorkerError  # noqa: E402
from tidegate.training.network.shares import sum_gradients  # noqa: E402
from tidegate.training.run import Run  # noqa: E402
from tidegate.training.settings import Settings  # noqa: E402
from tidegate.training.workers import _Joining, _who_has_ended, workers  # noqa: E402

TOLERANCE = 1e-5  # of losses and scores, which differ by the order of additions


def texts(count: int = 65) -> tuple[list[str], list[str]]:
    """Texts of different lengths, some without a word, with a good or a bad word among others, and their labels."""
    rng = np.random.default_rng(0)
    labels = rng.choice(["no", "yes"], count, p=[0.2, 0.8]).tolist()
    words = [[*rng.choice(["a", "the", "film"], rng.integers(0, 8)), "good" if y == "yes" else "bad"] for y in labels]
    return ["" if b % 20 == 5 else " ".join(rng.permutation(row)) for b, row in enumerate(words)], labels


X = np.random.default_rng(0).standard_normal((65, 6, 3))  # 49 to train on: the last batch has a single row
SUMS = X.sum(axis=1)[:, :2]
HELD = (X[49:], SUMS[49:, 0] > 0)


def network(name: str, examples: Examples, cell: str = "gru", sizes: Any = None, **settings: Any) -> Baseline:
    """A small network; as all of them, it has dropout unless something else is said."""
    small = {"hidden_size": 5} | ({"embedding_size": 4} if hasattr(examples, "tokenizer") else {})
    config = examples.config(cell, **small | (sizes or {}))
    return Baseline(name, examples, config, Settings(**{"epochs": 2, "batch_size": 12, "seed": 3} | settings))


def networks() -> Iterator[Baseline]:
    """Networks of all kinds, on data in memory and on a disk."""
    read = prepare_texts(*texts(), validation=0.25)
    sequences = prepare_sequences(X[:49], SUMS[:49, 0] > 0, validation=HELD)
    yield network("texts", read)
    yield network("average", read, "average")
    yield network("compounding", read, "compound")
    deep = {"num_layers": 2, "bidirectional": True, "summary": "mean+max"}
    yield network("layers, balanced classes", read, "lstm", deep, class_weights="balanced")
    yield network("frozen words", read, freeze=True)
    yield network("sequences", sequences, dropout=0.3, noise=0.2)
    yield network("weights of rows", sequences.weighted(np.arange(49) + 1.0))
    numbers = prepare_sequences(X[:49], SUMS[:49], task="regression", validation=(X[49:], SUMS[49:]))
    yield network("numbers", numbers)
    yield network("next steps", prepare_steps(X[:49], validation=X[49:]))
    yield network("next words", prepare_tokens(texts(400)[0], validation=0.25, bptt=7), dropout=0.3)
    yield network("texts on a disk", spool_texts(parts_of(*texts()), Plan(validation=0.25)))
    labels = [str(positive) for positive in SUMS[:, 0] > 0]
    yield network("sequences on a disk", spool_sequences(parts_of(list(X), labels), Plan(validation=0.25)))


NETWORKS = {each.name: each for each in networks()}


def curve(run: Run, trained: Baseline) -> list[float]:
    """The loss after each step, and the score and the loss after each epoch."""
    found: list[float] = []
    for event in run.train(trained):
        assert isinstance(event, Step | Epoch)
        found += [event.loss] if isinstance(event, Step) else [event.loss, event.report.quality]
    return found


@pytest.fixture(scope="module")
def curves() -> dict[str, list[float]]:
    """What two processes come to with each network."""
    first = NETWORKS["texts"]
    run = Run(first.examples, first.config, first.settings, baselines=list(NETWORKS.values()))
    with workers(run, 2) as shared:
        return {each.name: curve(shared, each) for each in shared.baselines}


@pytest.mark.parametrize("name", NETWORKS)
def test_two_processes_have_the_losses_of_one(curves: dict[str, list[float]], name: str) -> None:
    """Losses after every step and scores are those of one process, whose dropout and order they share."""
    alone = NETWORKS[name]
    expected = curve(Run(alone.examples, alone.config, alone.settings), alone)
    assert len(expected) > 8
    assert len(set(expected)) > 6
    np.testing.assert_allclose(curves[name], expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_processes_go_on_from_the_states_that_were_carried(tmp_path: Path) -> None:
    """A training of words that is stopped within an epoch ends with the losses of one that was left alone."""
    trained = NETWORKS["next words"]
    run = Run(trained.examples, trained.config, trained.settings, baselines=[trained, trained])
    folder, facts = tmp_path / "checkpoints", run.fingerprint()
    with workers(run, 2) as shared:
        expected = [event.loss for event in shared.train(trained) if isinstance(event, Step)]
        stopped = shared.train(trained, Checkpoints(folder, facts, every=0))
        before = [event.loss for event in islice(stopped, 7) if isinstance(event, Step)]
        stopped.close()
    assert before == expected[:7]
    left = Checkpoints(folder, facts, resume=True).read("gru next-token")
    assert left is not None
    states = left.arrays["carried.0"]
    assert states.shape == (1, 12, 5)
    assert (np.abs(states).max(axis=(0, 2)) > 0).all()  # those of the rows of both
    with workers(replace(run, baselines=[trained]), 2) as shared:
        resumed, *events = shared.train(trained, Checkpoints(folder, facts, resume=True))
    assert isinstance(resumed, Resumed)
    assert [event.loss for event in events if isinstance(event, Step)] == expected[7:]


class Doubled:
    """A group of two processes that have the same."""

    rank, size = 0, 2

    def __init__(self) -> None:
        self.sent: list[int] = []

    def sum(self, values: npt.NDArray[np.float32]) -> None:
        """Adds what the other has, and notes how much was sent in each message."""
        self.sent.append(values.size)
        values *= 2

    def share(self, value: Any) -> Any:
        """Returns the value."""
        return value


def test_only_rows_that_are_read_are_sent() -> None:
    """Of an embedding, the rows that a batch reads are added up; the others, whose gradients are 0, are not sent."""
    table, bias, unused = (torch.nn.Parameter(torch.zeros(shape)) for shape in ((100, 4), (3,), (2,)))
    loss = (table[[7, 9]] * torch.arange(1.0, 5)).sum() + 3 * bias.sum()
    loss.backward()
    group = Doubled()
    states = torch.ones(1, 2, 3)
    total = sum_gradients(group, [table, bias, unused], 1.5, {table: torch.tensor([7, 9])}, [states])
    assert total == 3.0
    assert group.sent == [2 * 4 + 3 + 2 + 6 + 1]
    assert states.tolist() == [[[2.0] * 3] * 2]
    expected = torch.zeros(100, 4)
    expected[[7, 9]] = 2 * torch.arange(1.0, 5)
    assert torch.equal(table.grad, expected)
    assert bias.grad.tolist() == [6.0] * 3
    assert unused.grad.tolist() == [0.0] * 2  # as of a process without rows, whose layers have done nothing


@pytest.mark.parametrize(
    ("exitcode", "error", "said"),
    [
        (-9, None, "worker 2 of 2 was killed by SIGKILL"),
        (1, "MemoryError: no memory", "worker 2 of 2 has ended: MemoryError: no memory"),
        (1, None, "worker 2 of 2 has ended before it began, for it imports the script that started it"),
        (None, None, "the connection to a worker is lost"),
    ],
)
def test_how_a_worker_has_ended_is_said(exitcode: int | None, error: str | None, said: str) -> None:
    """A signal, or its error, is named."""
    ended: Any = SimpleNamespace(exitcode=exitcode, join=lambda seconds: None)
    store = SimpleNamespace(check=lambda keys: error is not None, get=lambda key: str(error).encode())
    assert _who_has_ended([ended], store).startswith(said)


def test_a_worker_that_ends_while_the_group_is_made_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where gloo would wait for a process that was ready and has ended since, there is an error at once."""
    ended: Any = SimpleNamespace(is_alive=lambda: False)
    forever = threading.Event()
    store = SimpleNamespace(port=0)
    monkeypatch.setattr(workers_module, "_connection", lambda port: "connection")
    monkeypatch.setattr(workers_module, "_join", lambda *given: forever.wait())
    with pytest.raises(LostWorkerError):
        _Joining(store, 2).make([ended])
    forever.set()
    monkeypatch.setattr(workers_module, "_join", lambda *given: [].pop())
    alive: Any = SimpleNamespace(is_alive=lambda: True)
    with pytest.raises(LostWorkerError) as caught:
        _Joining(store, 2).make([alive])
    assert isinstance(caught.value.__cause__, IndexError)


def test_a_group_that_was_not_made_is_not_in_the_way_of_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch has noted of it is gone: the next has the name by which processes that are new look for it."""
    ended = SimpleNamespace(is_alive=lambda: False, kill=lambda: None, join=lambda *seconds: None, exitcode=-9)
    monkeypatch.setattr(workers_module, "_start", lambda *given: [ended])
    monkeypatch.setattr(workers_module, "_wait_for", lambda *given: None)
    monkeypatch.setattr(workers_module, "_TO_FINISH", 0.1)
    first = NETWORKS["texts"]
    run = Run(first.examples, first.config, first.settings)
    with pytest.raises(LostWorkerError, match="worker 2 of 2 was killed by SIGKILL"), workers(run, 2):
        pass
    assert not torch.distributed.is_initialized()
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    following = _Joining(store, 1)
    following.make([])
    assert torch.distributed.group.WORLD.group_name == "0"
    following.undo()
    assert not torch.distributed.is_initialized()


def test_a_worker_ends_with_the_first_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the first process has ended, a worker does, whatever it waits for."""
    seen: list[Any] = []
    first = SimpleNamespace(join=lambda: seen.append("the first has ended"))
    monkeypatch.setattr(workers_module, "parent_process", lambda: first)
    monkeypatch.setattr(os, "_exit", seen.append)
    workers_module._end_with_the_first()
    assert seen == ["the first has ended", 1]


def test_fit_trains_with_workers() -> None:
    """`fit(workers=2)` comes to the weights that it comes to alone, and ends the group behind it."""
    alone, shared = (fit(*texts(), epochs=1, hidden_size=3, batch_size=12, workers=count) for count in (1, 2))
    assert not torch.distributed.is_initialized()
    assert shared.labels == alone.labels
    for name, weights in alone.arrays.items():
        np.testing.assert_allclose(shared.arrays[name], weights, rtol=TOLERANCE, atol=TOLERANCE, err_msg=name)


@pytest.mark.parametrize("count", [0, -1, True, 1.5, "2", None])
def test_a_number_of_workers_that_cannot_be_meant(count: Any) -> None:
    """It is refused before anything is read, here data that could not be."""
    with pytest.raises(ValueError, match=f"workers is {count!r}, expected an integer of 1 or more"):
        fit(object(), workers=count)


def test_a_group_of_the_user_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers inside a process that trains together with others already are an error, and one worker is no group."""
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    run: Any = object()
    with pytest.raises(ValueError, match=r"torch\.distributed has a group in this process already"), workers(run, 2):
        pass
    with workers(run, 1) as same:
        assert same is run
    with (
        pytest.raises(ValueError, match="1000 workers are asked for, but there are processors for"),
        workers(run, 1000),
    ):
        pass
    assert issubclass(LostWorkerError, ConnectionError)
