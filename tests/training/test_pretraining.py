"""Classifiers that start from a network which has learned to foresee the words of the texts."""

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import tidegate  # noqa: E402
from tidegate.training import pretraining  # noqa: E402
from tidegate.training.checkpoints import Checkpoints  # noqa: E402
from tidegate.training.data.examples import prepare_texts  # noqa: E402
from tidegate.training.events import DivergedError, Epoch  # noqa: E402
from tidegate.training.run import Run  # noqa: E402
from tidegate.training.settings import Settings  # noqa: E402

SMALL: dict[str, Any] = {"hidden_size": 6, "embedding_size": 4}
QUICK: dict[str, Any] = SMALL | {"epochs": 2, "batch_size": 16, "validation": 0.25}


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes pretraining short: an epoch of few steps, and few words that are foreseen."""
    monkeypatch.setattr(pretraining, "BPTT", 8)
    monkeypatch.setattr(pretraining, "FORESEEN", 5)
    monkeypatch.setattr(pretraining, "Settings", lambda **given: Settings(**given | {"epochs": 2, "batch_size": 4}))


def reviews(count: int = 48) -> tuple[list[str], list[str]]:
    """Texts with a good or a bad word among others, and their labels."""
    rng = np.random.default_rng(0)
    labels = rng.choice(["no", "yes"], count).tolist()
    words = [[*rng.choice(["a", "the", "film", "is"], 6), "good" if y == "yes" else "bad"] for y in labels]
    return [" ".join(rng.permutation(row)) for row in words], labels


def run_of(**options: Any) -> Run:
    """A run with pretraining."""
    examples = prepare_texts(*reviews(), validation=0.25)
    settings = Settings(**{"epochs": 1, "learning_rate": 1e-12, "weight_decay": 0.0, "batch_size": 16} | options)
    return pretraining.pretrained(Run(examples, examples.config(**SMALL), settings), ["more of the film", "a film"])


def test_the_network_starts_from_what_foresees_words() -> None:
    """Word vectors and recurrent layers are those of the best epoch before; padding is 0 again, the head is new."""
    run = run_of()
    assert run.pretraining
    assert run.network
    *_, before = (e for e in run.train(run.pretraining) if isinstance(e, Epoch) and e.weights is not None)
    assert before.weights
    assert before.weights["head.bias"].shape == (5,)
    *_, after = (e for e in run.train(run.network, start=before.weights) if isinstance(e, Epoch))
    assert after.weights
    for name, array in after.weights.items():
        if name.startswith("rnn."):
            np.testing.assert_allclose(array, before.weights[name], atol=1e-9)
    np.testing.assert_allclose(after.weights["embedding.weight"][1:], before.weights["embedding.weight"][1:], atol=1e-9)
    assert not after.weights["embedding.weight"][0].any()
    assert before.report.nats < np.log(5)


def test_more_texts_are_read_and_nothing_that_is_held_out_is() -> None:
    """What is trained before has the texts of the classifier, without their labels, and those that are given."""
    run = run_of()
    assert run.pretraining
    train, held = run.pretraining.examples.train, run.pretraining.examples.validation
    assert len(train.corpus) == len(run.examples.train) + 2
    assert len(held.corpus) == len(run.examples.validation)
    assert set(train.targets.tolist()) <= set(range(5))
    assert run.fingerprint() != pretraining.pretrained(Run(run.examples, run.config, run.settings)).fingerprint()


def best_of(events: Any) -> Any:
    """The weights of the best epoch."""
    return [event.weights for event in events if isinstance(event, Epoch) and event.weights is not None][-1]


def test_an_interrupted_run_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    """Whether words are being foreseen or classes told apart, a resumed run has the bits of one left alone."""
    run = run_of(epochs=3, learning_rate=0.01)
    assert run.pretraining
    assert run.network

    def checkpoints(**options: Any) -> Checkpoints:
        return Checkpoints(tmp_path / "run", run.fingerprint(), every=1e9, **options)

    start = best_of(run.train(run.pretraining))
    expected = best_of(run.train(run.network, start=start))
    events = run.train(run.pretraining, checkpoints())
    list(islice(events, 5))
    events.close()
    kept = checkpoints(resume=True)
    again = best_of(run.train(run.pretraining, kept))
    events = run.train(run.network, kept, again)
    list(islice(events, 4))
    events.close()
    kept = checkpoints(resume=True)
    found = best_of(run.train(run.network, kept, best_of(run.train(run.pretraining, kept))))
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
    assert any((array != best_of(run.train(run.network))[name]).any() for name, array in expected.items())


def test_a_fit_is_pretrained() -> None:
    """`fit` starts from what it is told to read: other weights without, and with more texts."""
    texts, labels = reviews()
    plain, before, more = (
        tidegate.fit(texts, labels, **QUICK, pretrain=pretrain).arrays["rnn.weight_hh_l0"]
        for pretrain in (False, True, ["a good film"] * 9)
    )
    assert (plain != before).any()
    assert (before != more).any()


def test_a_pretraining_that_diverges_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says which training it was, and has no model."""
    monkeypatch.setattr(pretraining, "LEARNING_RATE", 1e30)
    with pytest.raises(DivergedError, match=r"pretraining: .* diverged") as caught:
        tidegate.fit(*reviews(), **QUICK, pretrain=True)
    assert caught.value.model is None


@pytest.mark.parametrize(
    ("data", "settings", "message"),
    [
        (reviews(), {"cell": "average"}, "needs a recurrent cell that reads forward"),
        (reviews(), {"bidirectional": True}, "bidirectional=True"),
        (reviews(), {"parts": "ngrams"}, "n-grams alone"),
        ((reviews()[0],), {"task": "next"}, "pretraining is for texts with labels"),
        ((np.ones((16, 3, 2)), [0, 1] * 8), {}, "pretraining is for texts with labels"),
    ],
)
def test_what_cannot_be_pretrained_is_refused(data: Any, settings: dict[str, Any], message: str) -> None:
    """Cells that read backward or not at all, n-grams alone, and what has no labels or words are errors."""
    with pytest.raises(ValueError, match=message):
        tidegate.fit(*data, pretrain=True, **settings)
