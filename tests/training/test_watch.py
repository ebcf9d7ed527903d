"""Gradient norms while a model is trained."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from tidegate.inspection.gradient_flow import flows, loss_gradients
from tidegate.training.data.examples import TextExamples, prepare_texts
from tidegate.training.network.watch import SEQUENCES, Watch

E, H = 4, 6


@pytest.fixture(scope="module")
def examples() -> TextExamples:
    """Texts of 1 to 40 words."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(list("abcdef"), length)) for length in np.arange(240) % 40 + 1]
    return prepare_texts(texts, rng.choice(["no", "yes"], 240).tolist(), validation=0.5)


def watched(
    examples: TextExamples, scale: float, cell: str = "gru", layers: int = 1, directions: int = 1, **sizes: Any
) -> tuple[Watch, dict[str, np.ndarray]]:
    """What watches a model of some cell, and weights of which those of the states have a given size."""
    options = {"embedding_size": E, "hidden_size": H, "num_layers": layers, "bidirectional": directions == 2}
    config = examples.config(cell, **options, **sizes)
    rng = np.random.default_rng(0)
    arrays = {
        name: rng.standard_normal(shape) * (scale if "weight_hh" in name else 0.3 if name.startswith("rnn.") else 1.0)
        for name, shape in sorted(config.shapes().items(), key=lambda item: not item[0].startswith("rnn."))
    }
    return Watch(examples, config), {name: array.astype(np.float32) for name, array in arrays.items()}


def test_texts_are_held_out_and_about_as_long_as_most(examples: TextExamples) -> None:
    """A few texts of the validation part are watched, close to the length that three in four do not exceed."""
    watch, _ = watched(examples, 0.4)
    usual = np.quantile(examples.validation.corpus.lengths, 0.75)
    assert len(watch.sequences) == SEQUENCES
    assert all(abs(len(ids) - usual) <= 2 for ids in watch.sequences)


def test_medians_of_the_texts_are_measured(examples: TextExamples) -> None:
    """What is told are the medians of what the texts give one by one, at distances from 0 to the first word."""
    watch, weights = watched(examples, 0.4)
    (walk,) = watch.measure(weights).walks
    model = watch.examples.model(watch.config, weights)
    texts = [weights["embedding.weight"][ids] for ids in watch.sequences]
    n = min(map(len, texts))
    assert walk.distances == (*(d for d in (0, 1, 3, 10, 30) if d < n), n)
    flow = np.median([flows(model, text)[0].by_distance[: n + 1] for text in texts], axis=0)
    np.testing.assert_allclose(np.array(walk.log_flow, float), flow[list(walk.distances)])
    losses = [
        loss_gradients(model, text, int(c)).log_hidden[0][::-1][: n + 1]
        for text, c in zip(texts, watch.classes, strict=True)
    ]
    np.testing.assert_allclose(np.array(walk.log_loss, float), np.median(losses, axis=0)[list(walk.distances)])
    assert 0 < walk.rate < 1
    assert (walk.layer, walk.reverse) == (0, False)


@pytest.mark.parametrize(
    ("cell", "scale", "summary", "trouble"),
    [
        ("rnn_tanh", 0.1, "last", "vanish"),
        ("rnn_relu", 2.0, "last", "explode"),
        ("gru", 0.5, "mean", ""),
        ("rnn_tanh", 0.1, "mean", ""),
    ],
)
def test_trouble_is_seen(examples: TextExamples, cell: str, scale: float, summary: str, trouble: str) -> None:
    """Small weights make gradients vanish and large ones explode; a mean hands the loss to every state by itself."""
    watch, weights = watched(examples, scale, cell, summary=summary)
    (walk,) = watch.measure(weights).walks
    assert walk.trouble == trouble
    if trouble:
        assert 0 < walk.distance < walk.distances[-1]
        assert walk.verdict.startswith(trouble)
    else:
        assert walk.distance == walk.distances[-1]


def test_every_layer_and_direction_is_told_of(examples: TextExamples) -> None:
    """A stack in both directions has as many walks as traces, and the worst of them is one in trouble."""
    watch, weights = watched(examples, 0.5, layers=2, directions=2)
    weights["rnn.weight_hh_l1"] *= 0
    weights["rnn.bias_ih_l1"][H : 2 * H] = -9
    gradients = watch.measure(weights)
    assert [(walk.layer, walk.reverse) for walk in gradients.walks] == [(0, False), (0, True), (1, False), (1, True)]
    assert gradients.worst.trouble == "vanish"


def test_texts_without_a_word_are_no_trouble() -> None:
    """Where the texts held out are empty, there is nothing to tell, and no error."""
    empty = prepare_texts(["a b", "b a"] * 4, ["no", "yes"] * 4, validation=(["", ""], ["no", "yes"]))
    watch, weights = watched(empty, 0.4)
    (walk,) = watch.measure(weights).walks
    assert walk.trouble == ""
    assert walk.distances == (0,)


def test_the_record_is_json(examples: TextExamples) -> None:
    """Norms of nothing at all are null: standard JSON holds the record."""
    watch, weights = watched(examples, 0.0, "rnn_relu")
    record = json.dumps(asdict(watch.measure(weights)), allow_nan=False)
    assert json.loads(record)["walks"][0]["log_flow"][-1] is None
