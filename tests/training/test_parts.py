"""Tests of weighing and joining the parts of a model."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

from tidegate.models.metrics import score
from tidegate.sequences.embedded import softmax
from tidegate.training.events import Epoch
from tidegate.training.examples import TextExamples, prepare_texts
from tidegate.training.loop import to_model, train
from tidegate.training.parts import Joiner, weigh
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


def test_weights_calibrate() -> None:
    """Logits that are twice too large get half the weight, and a part of noise next to none."""
    rng = np.random.default_rng(1)
    true = rng.normal(size=(4000, 3)) * 2
    targets = np.array([rng.choice(3, p=p) for p in softmax(true)])
    weighing = weigh([2 * true + [0, 0, 1], rng.normal(size=(4000, 3))], targets)
    assert weighing.weights == pytest.approx([0.5, 0], abs=0.05)
    assert weighing.bias - weighing.bias[2] == pytest.approx([0.5, 0.5, 0], abs=0.15)
    probabilities = softmax(weighing.sum([2 * true + [0, 0, 1], rng.normal(size=(4000, 3))]))
    assert score(targets, probabilities, ["a", "b", "c"]).ece < 0.03


def test_weights_are_not_negative() -> None:
    """A part that is wrong more often than right is left out and not turned round."""
    targets = np.arange(200) % 2
    wrong = np.eye(2)[1 - targets] * 3
    assert weigh([wrong, -wrong], targets).weights[0] == 0


def test_few_texts_leave_the_weights_about_equal() -> None:
    """Four texts do not decide between two parts that are both right."""
    targets = np.array([0, 1, 0, 1])
    right = np.eye(2)[targets]
    weights = weigh([right, right * 0.9], targets).weights
    assert weights == pytest.approx([0.5, 0.5], abs=0.25)


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
