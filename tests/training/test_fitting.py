"""Training in one call: texts or sequences, labels of any kind, classes or numbers."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

import tidegate
from tidegate.text.vectors import WordVectors
from tidegate.training.fitting import fit

TEXTS = ["a good film", "a bad film", "very good", "very bad"] * 8
QUICK: dict[str, Any] = {"epochs": 12, "batch_size": 8, "learning_rate": 0.05, "hidden_size": 8}


def walks(count: int = 200, T: int = 12) -> tuple[list[np.ndarray[Any, Any]], np.ndarray[Any, Any]]:
    """Sequences of different lengths whose first of two features adds up to some end, at an awkward scale; the ends."""
    rng = np.random.default_rng(0)
    steps = [rng.standard_normal((rng.integers(3, T), 2)) for _ in range(count)]
    return [1000 + 50 * x for x in steps], np.array([x[:, 0].sum() for x in steps])


def test_texts_make_a_text_model() -> None:
    """Labels are what was given, and the model says how good it is."""
    model = fit(TEXTS, ["yes", "no"] * 16, embedding_size=8, **QUICK)
    assert isinstance(model, tidegate.TextModel)
    assert model.predict(["good", "bad"]).tolist() == ["yes", "no"]
    assert model.metrics["accuracy"] == 1.0


@pytest.mark.parametrize(
    ("classes", "cell"),
    [
        ((1, 0), "lstm"),
        ((True, False), "gru reset=before"),
        (((0, 1), frozenset({0})), "rnn_tanh"),
        (("2", "10"), "average"),
    ],
)
def test_labels_are_of_any_hashable_kind(classes: tuple[Any, Any], cell: str) -> None:
    """Numbers, truth values and anything hashable are predicted as they were given, by every cell."""
    labels = [classes[0], classes[1]] * 16
    model = fit(TEXTS, labels, cell=cell, embedding_size=8, **QUICK)
    assert model.predict(TEXTS).tolist() == labels
    assert model.config.cell == cell


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_sequences_make_a_network(cell: str) -> None:
    """Vectors of any scale are learned from, without scaling them by hand, and the model takes them as they are."""
    sequences, ends = walks()
    network = fit(sequences, ends > 0, cell=cell, hidden_size=16, epochs=30, batch_size=16, learning_rate=0.02)
    assert type(network) is tidegate.SequenceModel
    assert (network.predict(sequences) == (ends > 0)).mean() > 0.9


def test_an_array_of_sequences_and_other_data_to_judge_by() -> None:
    """One array [N, T, I] is taken too, and the best epoch may be chosen by other data."""
    x = np.random.default_rng(1).standard_normal((96, 6, 1))
    labels = np.where(x[:, -1, 0] > 0, "up", "down")
    network = fit(x[:64], labels[:64], validation=(x[64:], labels[64:]), **QUICK)
    assert network.metrics["n"] == 32
    assert (network.predict(x[64:]) == labels[64:]).mean() > 0.8


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("cell", ["gru", "lstm", "average"])
def test_a_regression_learns_numbers_of_any_scale(columns: int, cell: str) -> None:
    """With task="regression" float labels are predicted as numbers, in their own units."""
    x = np.random.default_rng(2).standard_normal((300, 8, 3))
    targets = 5000 + 300 * x.mean(axis=1)[:, :columns]
    labels = targets[:, 0] if columns == 1 else targets
    network = fit(
        x, labels, task="regression", cell=cell, hidden_size=16, summary="mean", epochs=40, learning_rate=0.03
    )
    predicted = network.predict(x)
    assert predicted.shape == labels.shape
    assert network.metrics["r2"] > 0.8
    assert np.abs(predicted - labels).mean() < 0.5 * labels.std()


def test_texts_have_numbers_too() -> None:
    """A regression reads texts as a classification does."""
    model = fit(TEXTS, [9.0, 1.0] * 16, task="regression", embedding_size=8, **QUICK)
    good, bad = model.predict(["very good", "very bad"])
    assert good > 7
    assert bad < 3


def test_texts_come_in_any_collection() -> None:
    """Generators and arrays of texts are read as lists are."""
    options: dict[str, Any] = {"epochs": 1, "embedding_size": 4, "hidden_size": 4}
    first, *others = (
        fit(texts, ["yes", "no"] * 16, **options).arrays["head.weight"].tobytes()
        for texts in (TEXTS, iter(TEXTS), tuple(TEXTS), np.array(TEXTS))
    )
    assert set(others) == {first}


def test_the_same_seed_gives_the_same_model() -> None:
    """Two trainings with one seed agree in every bit, with another seed they differ."""
    first, again, other = (
        fit(TEXTS, ["yes", "no"] * 16, seed=seed, epochs=2, embedding_size=4, hidden_size=4).arrays
        for seed in (1, 1, 2)
    )
    assert all(first[name].tobytes() == again[name].tobytes() for name in first)
    assert first["head.weight"].tobytes() != other["head.weight"].tobytes()


WRONG: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "an unknown setting": ({"colour": "red"}, TypeError, "fit has no setting 'colour' for texts$"),
    "a misspelt setting": ({"epoch": 3}, TypeError, "fit has no setting 'epoch' for texts: did you mean 'epochs'"),
    "a misspelt size": ({"hidden": 3}, TypeError, "fit has no setting 'hidden' for texts: .*'hidden_size'"),
    "a size of words": (
        {"data": np.ones((32, 2, 1)), "embedding_size": 2},
        TypeError,
        "fit has no setting 'embedding_size' for sequences: it is one of texts",
    ),
    "sound of texts": ({"frontend": "logmel"}, TypeError, "'frontend' for texts: it is one of sound"),
    "memory of a list": ({"memory": "1 GB"}, TypeError, "'memory' for texts: it is one of frames"),
    "gaps of texts": ({"layout": "steps_first"}, TypeError, "'layout' for texts: it is one of sequences of numbers"),
    "quantiles as a text": (
        {"labels": [0.5, 1.5] * 16, "task": "regression", "quantiles": "0.1,0.5"},
        TypeError,
        "quantiles is '0.1,0.5', expected a list of numbers between 0 and 1",
    ),
    "parts that are no names": ({"parts": 5}, TypeError, "parts is 5, expected names such as"),
    "no parts": ({"parts": []}, TypeError, r"parts is \[\], expected names such as"),
    "an unknown part in a list": ({"parts": ["network", "letters"]}, ValueError, "parts has 'letters'"),
    "an unknown cell": ({"cell": "mgu"}, ValueError, "cell is 'mgu', expected one of 'gru', 'lstm'"),
    "an unknown task": ({"task": "translation"}, ValueError, "task is 'translation', expected one of"),
    "too few labels": ({"labels": ["yes"]}, ValueError, "found 1 label"),
    "labels of another number": ({"labels": ["yes", "no"]}, ValueError, "found 2 labels for 32 rows"),
    "labels that are no numbers": ({"task": "regression"}, TypeError, "labels has dtype <U3, expected real numbers"),
    "gradients of numbers": (
        {"task": "regression", "labels": [1.0, 2.0] * 16, "watch_gradients": True},
        ValueError,
        "watch_gradients measures the loss of classes, but the task is 'regression'",
    ),
    "word vectors": (
        {"data": np.ones((32, 2, 1)), "vectors": WordVectors(["a"], np.ones((1, 2), np.float32))},
        ValueError,
        "vectors are given, but a network of vectors has no words",
    ),
    "vectors that freeze": (
        {"data": np.ones((32, 2, 1)), "freeze": True},
        ValueError,
        "freeze is True, but a network of",
    ),
    "memories without gates": ({"cell": "average", "chrono": 9}, ValueError, "the cell 'average' has no gates to set"),
    "words of vectors": (
        {"data": np.ones((32, 2, 1)), "word_dropout": 0.2},
        ValueError,
        "word_dropout is 0.2, but a network of vectors has no words",
    ),
    "noise of words": ({"noise": 0.5}, ValueError, "noise is 0.5, but texts have no numbers to add it to"),
    "noise of next steps": (
        {"data": np.ones((32, 2, 1)), "labels": None, "task": "next", "noise": 0.5},
        ValueError,
        "noise is 0.5, but the task is 'next'",
    ),
    "balanced numbers": (
        {"task": "regression", "labels": [1.0, 2.0] * 16, "class_weights": "balanced"},
        ValueError,
        "class_weights is 'balanced', but the task is 'regression'",
    ),
    "a rate of nothing": ({"rate": 0.9}, ValueError, "rate is 0.9, the growth factor of compounding, but the cell is"),
    "one text": ({"data": "a good film"}, TypeError, r"texts is one text, expected several: pass \[text\]"),
    "float labels": (
        {"labels": np.linspace(0, 1, 32)},
        ValueError,
        'expected classes: to predict numbers, say task="regression"',
    ),
}


@pytest.mark.parametrize(("changes", "kind", "message"), WRONG.values(), ids=WRONG.keys())
def test_mistakes_are_named(changes: dict[str, Any], kind: type[Exception], message: str) -> None:
    """An error names what is wrong before anything is trained."""
    arguments = {"data": TEXTS, "labels": ["yes", "no"] * 16} | changes
    with pytest.raises(kind, match=message):
        fit(**arguments)


def test_without_torch_the_install_line_is_shown() -> None:
    """`import tidegate` works without PyTorch; `fit` says how to get it."""
    code = "import sys; sys.modules['torch'] = None; import tidegate; tidegate.fit(['a'], ['b'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ImportError: tidegate.training needs PyTorch: pip install 'tidegate[train]'" in done.stderr


def test_gaps_are_trained_on_and_told_from_numbers() -> None:
    """Where NaN stands for a missing value, that it is missing is learned from too, and gaps may come again."""
    rng = np.random.default_rng(4)
    x = rng.standard_normal((200, 10, 2))
    silent = np.arange(200) % 2 == 0
    x[silent, 5:8, 1] = np.nan
    model = fit(x, silent, hidden_size=8, epochs=15, batch_size=16, learning_rate=0.03)
    assert isinstance(model, tidegate.SequenceModel)
    assert model.config.missing == (1,)
    assert (model.predict(x) == silent).mean() > 0.95


def test_channels_first_trains_the_same_model() -> None:
    """[K, T] with layout="channels_first" is trained on as [T, K] is, held-out sequences too."""
    sequences, ends = walks(64)
    turned, labels = [x.T for x in sequences], ends > 0
    first = fit(sequences[:48], labels[:48], validation=(sequences[48:], labels[48:]), **QUICK)
    other = fit(turned[:48], labels[:48], validation=(turned[48:], labels[48:]), layout="channels_first", **QUICK)
    assert first.scores(sequences).tobytes() == other.scores(turned).tobytes()


def test_validation_of_nothing_trains_on_all() -> None:
    """With validation=0 every row is trained on, one of a class too, and the scores are of these rows."""
    model = fit([*TEXTS, "odd"], ["yes", "no"] * 16 + ["what"], validation=0, embedding_size=4, **QUICK)
    assert model.metrics["n"] == 33
    assert model.labels == ("no", "what", "yes")


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_weights_say_what_counts(task: str) -> None:
    """Of contradictory rows those with the weight are believed, and weights of another scale change nothing."""
    sequences = [np.full((3, 1), float(i % 2)) for i in range(64)]
    labels = np.array([(i % 2) ^ (i >= 32) for i in range(64)], float)
    options: dict[str, Any] = QUICK | {"task": task, "class_weights": "none"}
    for believed in (0, 1):
        options["validation"] = (sequences[:2], [float(believed), float(not believed)])
        weights = np.where((np.arange(64) >= 32) == believed, 1.0, 1e-4)
        model = fit(sequences, labels, sample_weight=weights, **options)
        one, two = model.predict(sequences[:2])
        assert (one > 0.5, two > 0.5) == (bool(believed), not believed)
    again = fit(sequences, labels, sample_weight=4 * weights, **options)
    assert again.scores(sequences).tobytes() == model.scores(sequences).tobytes()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones((32, 1)), r"sample_weight has shape \(32, 1\), expected one number for each"),
        (np.ones(3), r"sample_weight has shape \(3,\)"),
        (np.zeros(32), "all of them are 0"),
        (np.full(32, -1.0), "numbers that are negative"),
        (np.full(32, np.nan), "not finite"),
    ],
    ids=["two axes", "too few", "nothing", "negative", "none"],
)
def test_weights_that_cannot_be_meant(weights: Any, message: str) -> None:
    """An error names what is wrong with the weights."""
    with pytest.raises(ValueError, match=message):
        fit(TEXTS, ["yes", "no"] * 16, sample_weight=weights)


@pytest.mark.parametrize(
    ("parts", "weights"),
    [
        ("network", {"network"}),
        ("ngrams", {"counts", "presence"}),
        ("average, ngrams", {"counts", "presence", "network"}),
    ],
)
def test_parts_are_joined_as_the_command_line_joins_them(parts: str, weights: set[str]) -> None:
    """The model is the sum of the parts that are named, calibrated, and explains itself exactly."""
    model = fit(TEXTS, ["yes", "no"] * 16, cell="average", parts=parts, embedding_size=8, **QUICK)
    assert isinstance(model, tidegate.TextModel)
    assert set(model.metrics["weights"]) == weights
    assert (model.ngrams is not None, model.config.cell == "none") == ("ngrams" in parts, parts == "ngrams")
    assert model.predict(["good", "bad"]).tolist() == ["yes", "no"]
    assert model.explain("a good film").error < 1e-5


def test_one_part_is_chosen_if_it_is_enough() -> None:
    """With auto, the model is the smallest one that the texts held out need."""
    noise = np.random.default_rng(0).choice(["yes", "no"], 200)
    texts = [f"{'so' * (i % 2)} {'good' if label == 'yes' else 'bad'} film" for i, label in enumerate(noise)]
    model: Any = fit(texts, noise, cell="average", parts="auto", learning_rate=1e-9, embedding_size=4, epochs=1)
    assert (model.config.cell, model.ngrams is None) == ("none", False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parts": "ngrams", "validation": 0}, "parts is 'ngrams', but validation is 0: parts are weighed on texts"),
        ({"parts": "auto", "sample_weight": [1] * 32}, "parts is 'auto', but parts are weighed by texts that count"),
        ({"parts": "auto", "task": "regression"}, "parts is 'auto', but parts are those of a classifier"),
        ({"parts": "network", "data": [np.zeros((3, 2))] * 32}, "parts are those of a classifier of texts, but"),
        ({"parts": "letters"}, "parts has 'letters', expected network"),
    ],
)
def test_parts_that_cannot_be_weighed(changes: dict[str, Any], message: str) -> None:
    """Parts need texts with classes that count the same, some of them held out."""
    with pytest.raises(ValueError, match=message):
        fit(**{"data": TEXTS, "labels": [1, 0] * 16, "epochs": 1, **changes})


def test_sequences_have_any_number_of_labels() -> None:
    """Collections of labels of any kind are predicted as tuples; the model keeps that in its file."""
    rng = np.random.default_rng(0)
    x = rng.choice([-1.0, 1.0], (96, 1, 2)) + rng.normal(size=(96, 5, 2)) / 4
    sets = [tuple(k for k in range(2) if row[k] > 0) for row in x.mean(axis=1)]
    settings: dict[str, Any] = {"cell": "average", "epochs": 20, "learning_rate": 0.1, "sample_weight": np.ones(96)}
    model = tidegate.fit(x, sets, task="multi-label", **settings)
    assert np.mean([found == expected for found, expected in zip(model.predict(x), sets, strict=True)]) > 0.95
    assert model.predict_proba(x).shape == (96, 2)
    assert set(model.metrics) >= {"micro_f1", "macro_f1", "subset_accuracy"}
    with pytest.raises(ValueError, match="this is a network for multi-label, expected one whose answers are explained"):
        model.explain(x[0])


def test_quantiles_of_a_regression_hold_their_shares() -> None:
    """About a share of 0.1 of the numbers is below the lowest quantile, of any scale, and none of them cross."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4, 1))
    y = np.stack([1000 + 100 * (x.sum(axis=(1, 2)) + rng.exponential(size=300)), rng.normal(size=300)], axis=1)
    settings: dict[str, Any] = {"cell": "average", "epochs": 40, "learning_rate": 0.05, "validation": 0, "dropout": 0.0}
    model = tidegate.fit(x, y, task="regression", quantiles=(0.1, 0.5, 0.9), **settings)
    assert model.labels[:3] == ("value 1 0.1", "value 1 0.5", "value 1 0.9")
    found = model.predict(x).reshape(300, 2, 3)
    assert (np.diff(found, axis=2) >= 0).all()
    assert [abs((y[:, 0] <= found[:, 0, i]).mean() - q) < 0.06 for i, q in enumerate((0.1, 0.5, 0.9))] == [True] * 3
    assert model.metrics["r1"] > 0.2
    with pytest.raises(ValueError, match="expected ascending"):
        tidegate.fit(x, y, task="regression", quantiles=(0.9, 0.1))
    with pytest.raises(ValueError, match="quantiles are those of the numbers of a regression"):
        tidegate.fit(x, [0, 1] * 150, quantiles=(0.5,))


def test_noise_is_added_in_training_alone() -> None:
    """It changes the losses of what is trained on, and not how a network is judged."""
    x = np.random.default_rng(0).standard_normal((32, 5, 2))
    how: dict[str, Any] = {"hidden_size": 4, "epochs": 1, "learning_rate": 0.0, "weight_decay": 0.0}
    plain, noisy = (fit(x, [0, 1] * 16, noise=noise, **how) for noise in (0.0, 0.5))
    assert plain.metrics["log_loss"] == noisy.metrics["log_loss"]
    learned = [fit(x, [0, 1] * 16, noise=noise, **how | {"learning_rate": 0.1}) for noise in (0.0, 0.5)]
    assert learned[0].metrics["log_loss"] != learned[1].metrics["log_loss"]


@pytest.mark.parametrize("how", ["texts", "frame", "frame on a disk"])
def test_rare_words_are_known_that_have_a_vector(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A word of one text is known with its vector, one without stays unknown; both if it is said how often to occur."""
    texts, labels = ["so good", "so bad"] * 8 + ["so rare", "so odd"], ["yes", "no"] * 9
    vectors = WordVectors(["rare", "so", "good", "bad", "none"], np.eye(5, dtype=np.float32))
    data: Any = texts
    truth: Any = labels
    options: Any = {"validation": (texts[:4], labels[:4]), "epochs": 1, "hidden_size": 2, "embedding_size": 5}
    if how != "texts":
        pa = pytest.importorskip("pyarrow")
        data, truth = pa.table({"text": texts, "label": labels}), "label"
        options["validation"] = data.slice(0, 4)
    if how == "frame on a disk":
        monkeypatch.setattr("tidegate.training.data.data_frames._GROWS", 10**8)
        options["memory"] = "1GB"

    def known(**more: Any) -> set[str]:
        model: Any = fit(data, truth, **options, **more)
        return set(model.tokenizer.vocab) - {"[PAD]", "[UNK]", "so", "good", "bad"}

    assert known(vectors=vectors) == {"rare"}
    assert known(vectors=vectors, vocab_size=5) == set()
    assert known(vectors=vectors, min_frequency=2) == set()
    assert known(vectors=vectors, min_frequency=1) == {"rare", "odd"}
    assert known() == set()
