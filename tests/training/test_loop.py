"""The training loop: what it learns, what it tells, and that it does the same thing twice."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tidegate.models.metrics.reports import score  # noqa: E402
from tidegate.text.vectors import WordVectors  # noqa: E402
from tidegate.training.data.examples import TextExamples, prepare_sequences, prepare_texts  # noqa: E402
from tidegate.training.events import Event  # noqa: E402
from tidegate.training.network import loop  # noqa: E402
from tidegate.training.network.loop import Epoch, Settings, Step, to_model, train  # noqa: E402
from tidegate.training.network.optimizer import Optimizer  # noqa: E402
from tidegate.training.network.starts import start_from_vectors  # noqa: E402
from tidegate.training.settings import ClassWeights  # noqa: E402

SMALL = {"embedding_size": 8, "hidden_size": 16}


def ordered(count: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Texts of which only the order of two words tells the label, so that an average cannot know."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    noise = [rng.choice(["a", "the", "of", "it", "so"], rng.integers(1, 6)).tolist() for _ in range(3 * count)]
    pairs = [("good", "bad") if label else ("bad", "good") for label in labels]
    texts = [
        " ".join([*noise[3 * i], first, *noise[3 * i + 1], second, *noise[3 * i + 2]])
        for i, (first, second) in enumerate(pairs)
    ]
    return texts, ["good first" if label else "bad first" for label in labels]


@pytest.fixture(scope="module")
def examples() -> TextExamples:
    """Six hundred texts of which only the order tells the label."""
    return prepare_texts(*ordered(600), validation=0.25)


def epochs_of(events: Iterator[Event]) -> list[Epoch]:
    """All epochs of a training."""
    return [event for event in events if isinstance(event, Epoch)]


def best_of(events: Iterator[Event]) -> Epoch:
    """The best epoch of a training."""
    return [epoch for epoch in epochs_of(events) if epoch.weights is not None][-1]


QUICK = Settings(epochs=12, batch_size=16, learning_rate=0.02, dropout=0.1, word_dropout=0.0, patience=12)


@pytest.mark.parametrize("cell", ["gru", "rnn_tanh"])
def test_a_recurrent_cell_learns_order(examples: TextExamples, cell: str) -> None:
    """What depends on order alone is learned, and the model of the best epoch scores as it was judged."""
    config = examples.config(cell, **SMALL)
    best = best_of(train(examples, config, QUICK))
    assert best.report.accuracy > 0.95
    texts, labels = ordered(300, seed=1)
    predicted = to_model(examples, config, best).predict(texts)
    assert np.mean(predicted == np.array(labels)) > 0.95


def test_the_average_cannot_learn_order(examples: TextExamples) -> None:
    """The same texts leave the summary without order at chance."""
    assert best_of(train(examples, examples.config("average", **SMALL), QUICK)).report.accuracy < 0.65


def test_compounding_learns_order(examples: TextExamples) -> None:
    """A rate below 1 weighs later words more, which is enough for two words."""
    assert best_of(train(examples, examples.config("compound", **SMALL), QUICK)).report.accuracy > 0.9


@pytest.mark.parametrize("cell", ["gru", "average", "compound"])
def test_the_same_seed_gives_the_same_bits(examples: TextExamples, cell: str) -> None:
    """Two trainings with one seed agree in every bit of every weight, with another seed they differ."""
    settings = Settings(epochs=2, batch_size=32, seed=3)
    config = examples.config(cell, **SMALL)
    first, again = (best_of(train(examples, config, settings)).weights for _ in range(2))
    other = best_of(train(examples, config, Settings(epochs=2, batch_size=32, seed=4))).weights
    assert first is not None
    assert again is not None
    assert other is not None
    assert {name: array.tobytes() for name, array in first.items()} == {n: a.tobytes() for n, a in again.items()}
    assert not np.array_equal(first["head.weight"], other["head.weight"])


def test_steps_count_the_words(examples: TextExamples) -> None:
    """Steps tell the words read so far, the last of them all of all epochs, and each epoch is judged once."""
    events = list(train(examples, examples.config("average", **SMALL), Settings(epochs=3, batch_size=64)))
    steps = [event for event in events if isinstance(event, Step)]
    words = [step.words for step in steps]
    assert words == sorted(words)
    assert words[-1] == steps[-1].of == 3 * len(examples.train.corpus.steps)
    assert len(steps) == 3 * -(-len(examples.train) // 64)
    assert [event.epoch for event in events if isinstance(event, Epoch)] == [1, 2, 3]
    assert isinstance(events[-1], Epoch)


def judged_as(monkeypatch: pytest.MonkeyPatch, accuracies: list[float]) -> None:
    """Makes the validation of each epoch give a macro F1 that is chosen, in hundredths."""
    scores = iter(accuracies)

    def evaluate(*_: Any) -> Any:
        right = round(next(scores) * 100)
        truth = np.arange(100) % 2
        return score(truth, np.eye(2)[np.where(np.arange(100) < right, truth, 1 - truth)], ("no", "yes"))

    monkeypatch.setattr(loop, "evaluate", evaluate)


def test_training_stops_when_patience_is_over(examples: TextExamples, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the asked number of epochs without a better score training ends, and only better epochs carry weights."""
    judged_as(monkeypatch, [0.6, 0.8, 0.7, 0.8, 0.7, 0.6, 0.9])
    settings = Settings(epochs=7, batch_size=256, patience=2)
    epochs = epochs_of(train(examples, examples.config("average", **SMALL), settings))
    assert [epoch.weights is not None for epoch in epochs] == [True, True, False, True, False, False]


def test_weights_are_those_of_their_epoch(examples: TextExamples) -> None:
    """The weights of an epoch do not change while training goes on."""
    events = train(examples, examples.config("average", **SMALL), Settings(epochs=3, learning_rate=0.1, batch_size=64))
    first = next(event for event in events if isinstance(event, Epoch))
    assert first.weights is not None
    before = first.weights["head.weight"].copy()
    list(events)
    assert np.array_equal(before, first.weights["head.weight"])


def test_an_epoch_without_weights_makes_no_model(examples: TextExamples, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model is made of the best epoch, and another one is refused."""
    judged_as(monkeypatch, [0.8, 0.6])
    config = examples.config("average", **SMALL)
    epochs = epochs_of(train(examples, config, Settings(epochs=2, batch_size=256)))
    with pytest.raises(ValueError, match="epoch 2 has no weights, expected the best epoch"):
        to_model(examples, config, epochs[1])


def test_a_model_keeps_what_training_measured(examples: TextExamples) -> None:
    """Scores, time and versions are kept with the model, and so are figures of the caller."""
    config = examples.config("average", **SMALL)
    best = best_of(train(examples, config, Settings(epochs=1, batch_size=256)))
    model = to_model(examples, config, best, {"note": 7})
    assert model.metrics["accuracy"] == best.report.accuracy
    assert model.metrics["note"] == 7
    assert set(model.versions) == {"tidegate", "torch", "tokenizers", "numpy"}


def unbalanced(rare: int, common: int) -> TextExamples:
    """Texts that say nothing about their classes, of which one is rarer."""
    return prepare_texts(["some words"] * (rare + common), ["rare"] * rare + ["common"] * common, validation=0.5)


@pytest.mark.parametrize(
    ("class_weights", "rare", "balanced"),
    [("auto", 200, False), ("auto", 40, True), ("none", 40, False), ("balanced", 200, True)],
)
def test_classes_are_balanced_when_asked_or_needed(class_weights: ClassWeights, rare: int, balanced: bool) -> None:
    """Texts that say nothing are given even odds where classes are balanced, and those of the classes elsewhere."""
    examples = unbalanced(rare, 400)
    config = examples.config("average", **SMALL)
    settings = Settings(epochs=8, learning_rate=0.05, batch_size=64, class_weights=class_weights, dropout=0.0)
    loss = epochs_of(train(examples, config, settings))[-1].loss
    share = 0.5 if balanced else rare / (rare + 400)
    entropy = -share * np.log(share) - (1 - share) * np.log(1 - share)
    assert loss == pytest.approx(entropy, abs=0.03)


def test_empty_texts_are_trained_on() -> None:
    """Texts without a known word have length 0 and disturb nothing."""
    examples = prepare_texts(["good film", "", "bad film", ""] * 8, ["yes", "no"] * 16, validation=0.25)
    best = best_of(train(examples, examples.config("gru", **SMALL), Settings(epochs=2, batch_size=4)))
    assert best.weights is not None
    assert all(np.isfinite(array).all() for array in best.weights.values())


def test_one_step_is_enough() -> None:
    """The fewest texts in one batch are trained on without an error."""
    examples = prepare_texts(["so good", "so bad"] * 2, ["yes", "no"] * 2, validation=0.5, min_frequency=1)
    assert len(epochs_of(train(examples, examples.config("gru", **SMALL), Settings(epochs=1)))) == 1


@pytest.mark.parametrize("steps", range(1, 12))
def test_any_number_of_steps_is_enough(steps: int) -> None:
    """A training of any length has a schedule whose rate rises and falls: torch's own divides by zero at some."""
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = Optimizer([weight], 0.1, steps)
    for _ in range(steps - 1):
        optimizer.step(weight.square().sum())
    assert torch.isfinite(weight).all()


def test_a_loss_that_is_not_finite_ends_training(examples: TextExamples) -> None:
    """Training that diverges says so and names what to change."""
    settings = Settings(learning_rate=1e30, clip=1e30)
    with pytest.raises(FloatingPointError, match="training has diverged: try a smaller learning rate"):
        list(train(examples, examples.config("rnn_relu", **SMALL), settings))


def test_less_noise_is_a_remedy_where_there_is_noise() -> None:
    """Training that diverges with noise may need less of it."""
    numbers = prepare_sequences(np.random.default_rng(0).standard_normal((32, 20, 2)), [0, 1] * 16, validation=0.25)
    settings = Settings(learning_rate=1e30, clip=1e30, noise=1.0, batch_size=4)
    with pytest.raises(FloatingPointError, match=r"diverged: try a smaller learning rate, or less noise$"):
        list(train(numbers, numbers.config("rnn_relu", hidden_size=4), settings))


VECTORS = WordVectors(["good", "bad", "nowhere"], np.array([[1, 2], [3, 4], [5, 6]], np.float32))


def test_word_vectors_start_the_embedding() -> None:
    """Known words get their vectors, padding stays 0, and the others are spread like the known ones."""
    vocab = ["[PAD]", "[UNK]", "bad", "good", *(f"w{i}" for i in range(2000))]
    embedding = torch.nn.Embedding(len(vocab), 2, padding_idx=0)
    assert start_from_vectors(embedding, vocab, VECTORS) == 2
    weight = embedding.weight.detach().numpy()
    assert weight[:1].tolist() == [[0, 0]]
    assert weight[2:4].tolist() == [[3, 4], [1, 2]]
    np.testing.assert_allclose(weight[4:].mean(0), [2, 3], atol=0.2)
    np.testing.assert_allclose(weight[4:].std(0), [2**0.5, 2**0.5], atol=0.2)


@pytest.mark.parametrize("known", [["good"], ["good", "bad"]])
@pytest.mark.parametrize("cell", ["gru", "average"])
def test_few_known_words_train(examples: TextExamples, cell: str, known: list[str]) -> None:
    """One word with a vector is enough to start from: the others have torch's own start, and the loss is a number."""
    vectors = WordVectors(known, np.array([[1, 2], [3, 4]], np.float32)[: len(known)])
    config = examples.config(cell, embedding_size=2, **({"hidden_size": 4} if cell == "gru" else {}))
    best = best_of(train(examples, config, Settings(epochs=1, freeze=True), vectors))
    assert best.weights is not None
    weight = best.weights["embedding.weight"]
    assert np.isfinite(weight).all()
    assert weight[examples.tokenizer.vocab.index("good")].tolist() == [1, 2]
    assert len(np.unique(weight[3:], axis=0)) == len(weight) - 3


@pytest.mark.parametrize("freeze", [True, False])
def test_frozen_vectors_stay(examples: TextExamples, freeze: bool) -> None:
    """Frozen word vectors are in the trained model as they were given, others have moved."""
    config = examples.config("gru", embedding_size=2, hidden_size=4)
    best = best_of(train(examples, config, Settings(epochs=1, freeze=freeze), VECTORS))
    assert best.weights is not None
    row = best.weights["embedding.weight"][examples.tokenizer.vocab.index("good")]
    assert np.array_equal(row, [1, 2]) == freeze


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (VECTORS, "the word vectors have 2 numbers each, expected E = 8"),
        (WordVectors(["zzz"], np.ones((1, 8), np.float32)), "none of the .* words of the texts is among the 1 words"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(examples: TextExamples, vectors: WordVectors, message: str) -> None:
    """Vectors of another size or another language are an error before training."""
    with pytest.raises(ValueError, match=message):
        next(train(examples, examples.config("gru", **SMALL), Settings(), vectors))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("epochs", 0, "epochs is 0, expected 1 or more"),
        ("batch_size", 0, "batch_size is 0, expected 1 or more"),
        ("patience", -1, "patience is -1, expected 1 or more"),
        ("dropout", 1.0, "dropout is 1.0, expected 0 or more and less than 1"),
        ("word_dropout", -0.1, "word_dropout is -0.1, expected 0 or more and less than 1"),
        ("learning_rate", -1.0, "learning_rate is -1.0, expected 0 or more"),
        ("noise", -0.1, "noise is -0.1, expected 0 to 100 standard deviations"),
        ("noise", np.inf, "noise is inf, expected 0 to 100"),
        ("noise", np.nan, "noise is nan, expected 0 to 100"),
        ("noise", 1e39, "noise is 1e\\+39, expected 0 to 100"),
        ("clip", -1.0, "clip is -1.0, expected 0 or more"),
        ("class_weights", "some", "class_weights is 'some', expected one of 'auto', 'balanced', 'none'"),
    ],
)
def test_wrong_settings_are_refused(field: str, value: Any, message: str) -> None:
    """Each setting is checked where it is made."""
    with pytest.raises(ValueError, match=message):
        Settings(**{field: value})


@pytest.mark.parametrize(
    ("settings", "count", "expected"),
    [
        (Settings(), 22_500, (64, 352, 3, 3, 0.1)),
        (Settings(), 15_999, (128, 125, 3, 3, 0.4)),
        (Settings(), 10_000, (128, 79, 4, 3, 0.4)),
        (Settings(), 9_999, (32, 313, 4, 3, 0.1)),
        (Settings(), 320, (32, 10, 100, 50, 0.1)),
        (Settings(learning_rate=0.0, epochs=2), 10_000, (128, 79, 2, 3, 0.0)),
        (Settings(batch_size=32), 10_000, (32, 313, 4, 3, 0.1)),
        (Settings(batch_size=100, epochs=8, patience=2), 22_500, (100, 225, 8, 2, 0.1)),
    ],
)
def test_what_is_left_open_follows_from_the_number_of_texts(
    settings: Settings, count: int, expected: tuple[int, int, int, int, float]
) -> None:
    """Batch size, steps of an epoch, epochs, patience and rate: few texts make smaller steps and more of them."""
    assert tuple(settings.schedule(count, 0.1, classes_of_texts=True)) == expected
    if not (settings.batch_size or 10_000 <= count < 16_000):
        assert tuple(settings.schedule(count, 0.1)) == expected


def test_other_sequences_make_small_steps() -> None:
    """Numbers, next words, and texts with more than one class are trained on in steps of 32 where they are few."""
    texts = [f"so good {i}" for i in range(12_000)]
    one = prepare_texts(texts, ["yes", "no", "no"] * 4_000, validation=0)
    several = prepare_texts(texts, [("yes",), ("no",), ()] * 4_000, task="multi-label", validation=0)
    sizes = [examples.schedule(Settings(), examples.config("gru")).batch_size for examples in (one, several)]
    assert sizes == [128, 32]


def test_without_torch_the_install_line_is_told() -> None:
    """Where PyTorch is missing, the error says how to get it."""
    code = "import sys; sys.modules['torch'] = None; import tidegate.training.network.loop"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ImportError: tidegate.training needs PyTorch: pip install 'tidegate[train]'" in done.stderr


def test_gradients_are_watched_when_asked(examples: TextExamples) -> None:
    """Each epoch carries gradient norms with --watch-gradients, and the weights are those of a training without it."""
    settings = Settings(epochs=2, batch_size=32)
    config = examples.config("gru", **SMALL)
    plain, watched = (
        epochs_of(train(examples, config, s)) for s in (settings, replace(settings, watch_gradients=True))
    )
    assert [epoch.gradients for epoch in plain] == [None, None]
    assert all(epoch.gradients and len(epoch.gradients.walks) == 1 for epoch in watched)
    assert watched[0].gradients != watched[1].gradients
    for one, other in zip(plain, watched, strict=True):
        assert (one.weights is None) == (other.weights is None)
        assert one.report.as_dict() == other.report.as_dict()


@pytest.mark.parametrize("name", ["orthogonal", "watch_gradients"])
def test_an_average_has_no_recurrent_layer(examples: TextExamples, name: str) -> None:
    """What is meant for recurrent layers is refused where there is none."""
    with pytest.raises(ValueError, match=f"^{name} is True, but the cell 'average' has no recurrent layer"):
        next(train(examples, examples.config("average", **SMALL), Settings(**{name: True})))  # type: ignore[arg-type]


def test_words_drop_out_unless_something_else_is_said(examples: TextExamples) -> None:
    """A tenth of the words drops out of texts, as if that had been asked for."""
    config = examples.config("average", **SMALL)
    standard, asked, none = (
        epochs_of(train(examples, config, Settings(epochs=1, word_dropout=share)))[0].loss for share in (None, 0.1, 0.0)
    )
    assert standard == asked != none


@pytest.mark.parametrize("cell", ["gru", "rnn_relu"])
def test_state_weights_start_orthogonal_when_asked(examples: TextExamples, cell: str) -> None:
    """With `orthogonal` the state weights of each gate neither shrink nor stretch a vector."""
    config = examples.config(cell, **SMALL)
    settings = Settings(epochs=1, batch_size=600, learning_rate=0.0, weight_decay=0.0, orthogonal=True)
    weights = best_of(train(examples, config, settings)).weights
    assert weights is not None
    H = config.hidden_size
    for gate in weights["rnn.weight_hh_l0"].reshape(-1, H, H):
        np.testing.assert_allclose(gate @ gate.T, np.eye(H), atol=1e-5)
