"""Training that is interrupted anywhere and resumed: the bits of one that was left alone."""

import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import tidegate  # noqa: E402
from tidegate.text.vectors import WordVectors  # noqa: E402
from tidegate.training.checkpoints import CheckpointError, Checkpoints  # noqa: E402
from tidegate.training.data.examples import Examples, prepare_sequences, prepare_texts  # noqa: E402
from tidegate.training.data.next_tokens import prepare_tokens  # noqa: E402
from tidegate.training.events import DivergedError, Epoch, Event, Resumed, Step  # noqa: E402
from tidegate.training.fitting import fit  # noqa: E402
from tidegate.training.network import loop  # noqa: E402
from tidegate.training.network.optimizer import Optimizer  # noqa: E402
from tidegate.training.settings import Settings  # noqa: E402

STEPS = 4  # of an epoch: 48 sequences to train on, 12 in a batch
RUN: dict[str, Any] = {}


def texts(count: int = 64) -> tuple[list[str], list[str]]:
    """Texts of different lengths with a good or a bad word among others, and their labels."""
    rng = np.random.default_rng(0)
    labels = rng.choice(["no", "yes"], count).tolist()
    words = [[*rng.choice(["a", "the", "film"], rng.integers(0, 8)), "good" if y == "yes" else "bad"] for y in labels]
    return [" ".join(rng.permutation(row)) for row in words], labels


def of_texts() -> Examples:
    """Texts of two classes."""
    return prepare_texts(*texts(), validation=0.25)


def of_vectors(task: str = "classification") -> Examples:
    """Sequences of vectors, of two classes or with two numbers each."""
    x = np.random.default_rng(0).standard_normal((64, 6, 3))
    sums = x.sum(axis=1)[:, :2]
    labels = sums if task == "regression" else sums[:, 0] > 0
    return prepare_sequences(x[:48], labels[:48], task=task, validation=(x[48:], labels[48:]))


def of_words() -> Examples:
    """Texts whose words are to be foreseen, in parts that go on from each other."""
    return prepare_tokens(texts()[0], bptt=8, validation=0.25)


VECTORS = WordVectors(["good", "bad"], np.array([[1, 2, 3, 4], [4, 3, 2, 1]], np.float32))
TRAININGS: dict[str, dict[str, Any]] = {
    "a GRU": {},
    "an LSTM": {"cell": "lstm"},
    "a vanilla RNN": {"cell": "rnn_relu"},
    "an average": {"cell": "average"},
    "compounding": {"cell": "compound"},
    "a reset gate before": {"cell": "gru reset=before"},
    "layers and directions": {"num_layers": 2, "bidirectional": True, "summary": "mean+max"},
    "watched gradients": {"settings": {"watch_gradients": True, "orthogonal": True, "chrono": 5.0}},
    "little patience": {"settings": {"patience": 1, "learning_rate": 0.1}},
    "balanced classes": {"settings": {"class_weights": "balanced", "clip": 0.0}},
    "frozen word vectors": {"settings": {"freeze": True}, "vectors": VECTORS},
    "vectors": {"examples": of_vectors()},
    "words that are foreseen": {"examples": of_words(), "cell": "lstm", "num_layers": 2},
    "numbers": {"examples": of_vectors("regression"), "cell": "lstm"},
}


def start(folder: Path | None, training: dict[str, Any], *, resume: bool = False, every: float = 0) -> Iterator[Event]:
    """Starts a training; checkpoints are written after each step."""
    fields: dict[str, Any] = {
        "examples": of_texts(),
        "cell": "gru",
        "settings": {},
        "vectors": None,
        "hidden_size": 5,
    } | training
    examples, cell, settings, vectors = (fields.pop(name) for name in ("examples", "cell", "settings", "vectors"))
    if hasattr(examples, "tokenizer"):
        fields["embedding_size"] = 4
    settings = Settings(**{"epochs": 3, "batch_size": 12, "seed": 3} | settings)
    found = Checkpoints(folder, RUN, resume=resume, every=every, tell=lambda _: None) if folder else None
    return loop.train(examples, examples.config(cell, **fields), settings, vectors, found)


def results(events: Iterator[Event]) -> list[tuple[Any, ...]]:
    """What each epoch comes to: number, loss, scores, and the bits of the weights."""
    return [
        (event.epoch, event.loss, event.report.as_dict(), [] if event.weights is None else bits(event.weights))
        for event in events
        if isinstance(event, Epoch)
    ]


def bits(arrays: Any) -> list[tuple[str, bytes]]:
    """The bits of some arrays, by name."""
    return sorted((name, array.tobytes()) for name, array in arrays.items())


@pytest.mark.parametrize("training", TRAININGS.values(), ids=TRAININGS.keys())
def test_a_killed_training_goes_on_to_the_same_bits(tmp_path: Path, training: dict[str, Any]) -> None:
    """From the checkpoint of every moment, the epochs that are left and their weights are those of a run left alone."""
    expected = results(start(None, training))
    for number, _ in enumerate(start(tmp_path / "run", training)):
        shutil.copytree(tmp_path / "run", tmp_path / str(number))  # what a kill would leave now
    for moment in range(number + 1):
        resumed, *rest = start(tmp_path / str(moment), training, resume=True)
        assert isinstance(resumed, Resumed)
        found = results(iter(rest))
        assert found[-1][:3] == expected[-1][:3] or resumed.ended
        assert found == [known for known in expected if known[0] in {epoch for epoch, *_ in found}]
        assert [known for known in expected if known[3]][-1] == [known for known in found if known[3]][-1]


@pytest.mark.parametrize(
    "moments", [(1,), (STEPS,), (STEPS + 1,), (3, 3), (1, 1, 1, 1, 1, 1, 1), (STEPS + 1, STEPS + 3)]
)
def test_a_stopped_training_leaves_a_checkpoint(tmp_path: Path, moments: tuple[int, ...]) -> None:
    """However rare checkpoints are, to stop iterating writes one; that may happen again and again."""
    expected = results(start(None, {}))
    for i, moment in enumerate(moments):
        events = start(tmp_path, {}, resume=i > 0, every=1e9)
        list(islice(events, moment + 2 * (i > 0)))  # a resumed one first says so, and repeats its best epoch
        events.close()  # type: ignore[attr-defined]
    assert results(start(tmp_path, {}, resume=True))[-1] == expected[-1]


def test_other_random_numbers_in_between_change_nothing(tmp_path: Path) -> None:
    """What the process draws before it resumes has no influence."""
    expected = results(start(None, {}))
    events = start(tmp_path, {}, every=1e9)
    list(islice(events, 6))
    events.close()  # type: ignore[attr-defined]
    torch.rand(7)
    np.random.default_rng().random(3)
    assert results(start(tmp_path, {}, resume=True))[-1] == expected[-1]


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_may_be_others(tmp_path: Path, threads: int) -> None:
    """A training that began on one thread may go on with several, to the same bits."""
    before = tidegate.get_num_threads()
    expected = results(start(None, {}))
    try:
        tidegate.set_num_threads(3 - threads)
        events = start(tmp_path, {}, every=1e9)
        list(islice(events, 6))
        events.close()  # type: ignore[attr-defined]
        tidegate.set_num_threads(threads)
        assert results(start(tmp_path, {}, resume=True))[-1] == expected[-1]
    finally:
        tidegate.set_num_threads(before)


def test_a_resumed_training_says_where_it_stands(tmp_path: Path) -> None:
    """The first event tells epoch and words, and gradients are those of all epochs before."""
    watched = {"settings": {"watch_gradients": True}}
    alone = [event for event in start(None, watched) if not isinstance(event, Resumed)]
    events = start(tmp_path, watched, every=1e9)
    last = list(islice(events, 2 * STEPS + 3))[-1]
    events.close()  # type: ignore[attr-defined]
    assert isinstance(last, Step)
    resumed, *_ = start(tmp_path, watched, resume=True)
    assert isinstance(resumed, Resumed)
    assert (resumed.epoch, resumed.epochs, resumed.words, resumed.of) == (3, 3, last.words, last.of)
    assert list(resumed.gradients) == [e.gradients for e in alone if isinstance(e, Epoch)][:2]
    assert not resumed.ended


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    """Where a fingerprint does not tell, arrays that do not fit do."""
    events = start(tmp_path, {}, every=1e9)
    next(events)
    events.close()  # type: ignore[attr-defined]
    with pytest.raises(CheckpointError, match="a checkpoint has other contents than this version writes"):
        list(start(tmp_path, {"hidden_size": 6}, resume=True))


QUICK: dict[str, Any] = {"epochs": 3, "batch_size": 12, "embedding_size": 4, "hidden_size": 5, "validation": 0.25}


def break_at(monkeypatch: pytest.MonkeyPatch, step: int, error: BaseException) -> None:
    """Makes one step of the optimizer raise an error."""
    count, usual = iter(range(1, 1000)), Optimizer.step

    def counted(self: Optimizer, *given: Any) -> float:
        if next(count) == step:
            raise error
        return usual(self, *given)

    monkeypatch.setattr(Optimizer, "step", counted)


@pytest.mark.parametrize("step", [1, STEPS + 2])
def test_fit_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """`fit` continues what an interrupt has ended, and leaves no checkpoint behind."""
    expected = fit(*texts(), **QUICK)
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "due", lambda *_, **__: True)
        break_at(patch, step, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            fit(*texts(), checkpoint=folder, **QUICK)
    assert folder.exists() == (step > 1)
    if step == 1:
        with pytest.warns(UserWarning, match="there is no checkpoint"):
            found = fit(*texts(), checkpoint=folder, resume=True, **QUICK)
    else:
        with pytest.raises(CheckpointError, match="epochs is 3 there and 4 here"):
            fit(*texts(), checkpoint=folder, resume=True, **QUICK | {"epochs": 4})
        found = fit(*texts(), checkpoint=str(folder), resume=True, **QUICK)
    assert bits(found.arrays) == bits(expected.arrays)
    assert found.metrics["epoch"] == expected.metrics["epoch"]
    assert not folder.exists()


def test_to_resume_needs_a_folder() -> None:
    """`resume=True` without `checkpoint=` says so before anything is read."""
    with pytest.raises(ValueError, match="resume is True, but there is no folder to resume from"):
        fit([], [], resume=True)


@pytest.mark.parametrize(
    ("step", "where"),
    [
        (1, "at batch 1 of 4 in epoch 1"),
        (STEPS, "at batch 4 of 4 in epoch 1"),
        (STEPS + 2, "at batch 2 of 4 in epoch 2"),
    ],
)
def test_a_loss_that_is_not_finite_says_where(monkeypatch: pytest.MonkeyPatch, step: int, where: str) -> None:
    """The error names batch and epoch, and holds the model of the best epoch before, if there is one."""
    break_at(monkeypatch, step, FloatingPointError("the loss is inf, training has diverged"))
    with pytest.raises(
        DivergedError, match=rf"^the loss is inf {where}, training has diverged: try a smaller"
    ) as caught:
        fit(*texts(), **QUICK)
    assert (caught.value.model is not None) == (step > STEPS)
    if caught.value.model:
        assert caught.value.model.metrics["epoch"] == 1
        assert "attribute `model`" in caught.value.__notes__[0]


@pytest.mark.parametrize("step", [2, STEPS + 2])
def test_divergence_leaves_an_interrupted_run_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Of a run that diverges no checkpoint is left, but what an earlier one has left stays."""
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "due", lambda *_, **__: True)
        break_at(patch, 3, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            fit(*texts(), checkpoint=tmp_path, **QUICK)
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        break_at(patch, step, FloatingPointError("the loss is inf, training has diverged"))
        with pytest.raises(DivergedError), pytest.warns(UserWarning, match="its checkpoints are now in"):
            fit(*texts(), checkpoint=tmp_path, **QUICK)
    assert before
    assert [path.name for path in tmp_path.iterdir()] == ["previous"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "previous").iterdir()} == before


def test_weights_that_are_not_finite_are_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that spoils the weights after the last loss of an epoch is noticed, and its weights are not the best."""
    count, usual = iter(range(1, 1000)), Optimizer.step

    def spoiled(self: Optimizer, *given: Any) -> float:
        loss = usual(self, *given)
        if next(count) == 2 * STEPS:
            with torch.no_grad():
                self.parameters[-1][0] = torch.nan
        return loss

    monkeypatch.setattr(Optimizer, "step", spoiled)
    with pytest.raises(DivergedError, match=r"^the weights are not finite at batch 4 of 4 in epoch 2") as caught:
        fit(*texts(), **QUICK)
    assert caught.value.best
    assert caught.value.best.epoch == 1
