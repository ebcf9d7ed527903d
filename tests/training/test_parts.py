"""Tests of joining the parts of a model, and of choosing among them."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

from tidegate.models.metrics.reports import score
from tidegate.text.tokenizer import Tokenizer, Words
from tidegate.training.data.examples import TextExamples, prepare_texts
from tidegate.training.events import Epoch
from tidegate.training.network.loop import to_model, train
from tidegate.training.ngrams import stacking
from tidegate.training.ngrams.ngrams import count
from tidegate.training.ngrams.parts import Joiner, Parts, choose
from tidegate.training.ngrams.stacking import fit_stacking
from tidegate.training.settings import Settings

RNG = np.random.default_rng(0)
GOOD, BAD = ["good", "lovely", "great"], ["bad", "boring", "dull"]


def draw(count: int) -> tuple[list[str], list[str]]:
    """Texts of a few words, of which one is good or bad, and now and then the wrong one."""
    labels = RNG.choice(["neg", "pos"], count).tolist()
    wrong = RNG.random(count) < 0.1
    words = [RNG.choice(GOOD if (label == "pos") != w else BAD) for label, w in zip(labels, wrong, strict=True)]
    return [" ".join(RNG.permutation([*RNG.choice(["the", "film", "is"], 5), word])) for word in words], labels


def prepared(count: int = 400, **options: Any) -> TextExamples:
    """Examples of such texts."""
    return prepare_texts(*draw(count), **options)


def trained(examples: TextExamples, cell: str = "gru") -> tuple[Any, Epoch]:
    """A small network, and its best epoch."""
    config = examples.config(cell, embedding_size=8, hidden_size=8)
    events = train(examples, config, Settings(epochs=3, batch_size=16, learning_rate=0.02))
    *_, best = (event for event in events if isinstance(event, Epoch) and event.weights)
    return config, best


def test_the_joined_model_has_the_scores_that_were_judged() -> None:
    """With validation texts of their own, model and report agree: together, the network alone, n-grams alone."""
    texts, labels = draw(120)
    examples = prepared(validation=(texts, labels))
    config, best = trained(examples)
    joiner = Joiner(examples, Settings())
    ngrams = joiner.ngrams(config)
    for judged in (ngrams, joiner.network(config, best), joiner.together(config, best, ngrams)):
        model: Any = to_model(examples, judged.config, judged.as_epoch())
        truth = examples.validation.targets
        report = score(truth, model.predict_proba(texts), model.labels)
        assert report.log_loss == pytest.approx(judged.report.log_loss, abs=1e-5)
        assert report.accuracy == pytest.approx(judged.report.accuracy)
        assert all(weight >= 0 for weight in judged.weights.values())
        for text in texts[:20]:
            assert model.explain(text).error < 1e-5


def test_classes_in_order_are_stacked() -> None:
    """Of stars, those between the ends are found more often as the n-grams of their neighbours count for them."""
    stars = RNG.integers(0, 3, 900)
    words = [[*RNG.choice(GOOD, s + 1), *RNG.choice(BAD, 3 - s), *RNG.choice(["the", "film", "is"], 5)] for s in stars]
    examples = prepare_texts([" ".join(RNG.permutation(each)) for each in words], stars.tolist())
    config = examples.config("average", embedding_size=4)
    with_all = Joiner(examples, Settings()).ngrams(config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tidegate.training.ngrams.stacking.fit_stacking", lambda *_, **__: None)
        apart = Joiner(examples, Settings()).ngrams(config)
    assert with_all.report.log_loss < 0.8 * apart.report.log_loss
    model: Any = to_model(examples, with_all.config, with_all.as_epoch())
    assert all(model.explain(text).error < 1e-5 for text in examples.texts[1][:20])


MANY = [str(label) for label in range(101)] * 2


@pytest.mark.parametrize(
    ("labels", "expected"),
    [(["a", "b", "c"] * 4 + ["a", "b"], True), (["a"] * 6 + ["b"] * 6 + ["c"], False), (MANY, False)],
    ids=["three", "one text", "many"],
)
def test_classes_of_one_text_or_of_many_are_not_stacked(labels: list[str], expected: bool) -> None:
    """Either half must have texts of each class, and words that come again; and pairs of classes must be few."""
    targets = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    tokenizer = Tokenizer.train(["so good"] * 2)
    texts = [Words(np.array([2, 3], np.int32))] * len(labels)
    counts = count(texts, tokenizer.vocab, letters=False)
    found = fit_stacking(texts, targets, tokenizer.vocab, len(set(labels)), counts=counts)
    assert (found is not None) == expected


def test_many_texts_are_stacked_by_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """From a number of texts times classes on a fixed share of each class is taken, below it all texts."""
    targets = np.repeat([0, 1, 2], [600, 90, 2]).astype(np.int64)
    tokenizer = Tokenizer.train(["so good"] * 2)
    texts = [Words(np.array([2, 3], np.int32))] * len(targets)
    seen: list[list[int]] = []

    def stack(logits: Any, targets: Any, *_: Any) -> None:
        assert len(logits[0]) == len(targets)
        assert np.any(logits, axis=2).all()  # n-grams have read each
        seen.append(np.bincount(targets).tolist())

    monkeypatch.setattr(stacking, "stack", stack)
    counts = count(texts, tokenizer.vocab, letters=False)
    for most in (400_000, 3 * 692, 3 * 69):
        monkeypatch.setattr(stacking, "_MOST_MARGINS", most)
        fit_stacking(texts, targets, tokenizer.vocab, 3, counts=counts)
    assert seen == [[600, 90, 2], [600, 90, 2], [60, 9, 1]]


def test_fitting_n_grams_can_be_ended() -> None:
    """What is raised now and then ends the fits that the matrix is found with."""
    calls = iter(range(1000))

    def check() -> None:
        if next(calls) == 4:
            raise KeyboardInterrupt

    targets = np.arange(60) % 3
    tokenizer = Tokenizer.train(["so good"] * 2)
    texts = [Words(np.array([2, 3], np.int32))] * len(targets)
    counts = count(texts, tokenizer.vocab, letters=False)
    with pytest.raises(KeyboardInterrupt):
        fit_stacking(texts, targets, tokenizer.vocab, 3, counts=counts, check=check)
    assert next(calls) == 5


def test_a_share_that_was_held_out_is_read_by_the_n_grams_in_the_end() -> None:
    """The n-grams that are written were fitted on all texts, those that are judged on those to train on."""
    examples = prepared()
    config = examples.config("average", embedding_size=4)
    judged = Joiner(examples, Settings()).ngrams(config)
    model: Any = to_model(examples, judged.config, judged.as_epoch())
    report = score(examples.validation.targets, model.predict_proba(examples.texts[1]), model.labels)
    assert report.log_loss < judged.report.log_loss


def test_parts_are_not_weighed_on_what_they_were_fitted_to() -> None:
    """Where nothing is held out there is no way to weigh parts, and the error says so."""
    examples = prepared(20, validation=0)
    assert not examples.held_out
    with pytest.raises(ValueError, match="validation is 0, but parts are weighed on texts that nothing was fitted to"):
        Joiner(examples, Settings())


def test_a_part_that_adds_nothing_is_left_out() -> None:
    """The smallest model within half a percent of the best log-loss is kept, and a remark says which part is gone."""

    def chosen(**losses: float) -> tuple[str, str]:
        judged: Any = {name: SimpleNamespace(report=SimpleNamespace(log_loss=loss)) for name, loss in losses.items()}
        return choose(judged)[1:]

    assert chosen(ngrams=0.5, gru=0.6, together=0.4) == ("together", "")
    name, remark = chosen(ngrams=0.401, gru=0.6, together=0.4)
    assert (name, remark) == ("ngrams", "the network is left out: the log-loss is 0.4010 without, 0.4000 with")
    name, remark = chosen(ngrams=0.5, gru=0.4, together=0.4)
    assert (name, remark) == ("gru", "the n-grams are left out: the log-loss is 0.4000 without, 0.4000 with")
    assert chosen(gru=0.4) == ("gru", "")


@pytest.mark.parametrize("parts", ["lstm", "gru,", "", "ngrams,bigrams", "auto,ngrams"])
def test_unknown_parts_are_refused(parts: str) -> None:
    """Only the cell, `network` and `ngrams` are parts, and `auto` stands alone."""
    with pytest.raises(ValueError, match=r"expected network \(or gru, its cell\), ngrams, both with a comma, or auto"):
        Parts.read(parts, "gru")


def test_parts_are_read_by_their_names() -> None:
    """The network may be called by its cell, spaces do not count, and auto has both and may leave one out."""
    assert Parts.read("ngrams, lstm", "lstm") == Parts(network=True, ngrams=True)
    assert Parts.read(["network", "ngrams"], "lstm") == Parts(network=True, ngrams=True)
    assert Parts.read(["auto"], "lstm") == Parts.read("auto", "lstm")
    assert Parts.read("network", "lstm") == Parts(network=True, ngrams=False)
    assert Parts.read("ngrams", "lstm") == Parts(network=False, ngrams=True)
    assert Parts.read("auto", "lstm") == Parts(network=True, ngrams=True, chosen=True)
