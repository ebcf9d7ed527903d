"""Models that read sequences of numbers as they are measured, without torch."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import tidegate
from tidegate.models.config import SequenceConfig
from tidegate.models.network import Network
from tidegate.models.sequence_model import SequenceModel
from tidegate.models.text_model import TextModel

CELLS = ["gru", "lstm", "rnn_tanh", "average", "compound"]


def make_model(cell: str = "gru", **changes: Any) -> SequenceModel:
    """A model with random weights whose second of three features may be missing."""
    fields: dict[str, Any] = {"labels": ("a", "b"), "features": 3, "missing": (1,), "hidden_size": 5} | changes
    config = SequenceConfig(cell=cell, **fields)
    rng = np.random.default_rng(5)
    arrays = {name: rng.uniform(0.1, 0.9, shape).astype(np.float32) for name, shape in config.shapes().items()}
    return SequenceModel(config, arrays, {"accuracy": 0.5})


def make_sequences() -> list[Any]:
    """Ragged sequences with gaps."""
    rng = np.random.default_rng(6)
    sequences = [rng.standard_normal((length, 3)) for length in (7, 1, 0, 40)]
    for sequence in sequences:
        sequence[rng.random(len(sequence)) < 0.4, 1] = np.nan
    return sequences


@pytest.mark.parametrize("cell", CELLS)
def test_a_model_is_features_before_a_network(cell: str) -> None:
    """It computes what a network of the same arrays computes for scaled sequences without gaps."""
    model, sequences = make_model(cell), make_sequences()
    sizes: dict[str, Any] = {"cell": cell, "labels": ("a", "b"), "input_size": 5, "hidden_size": 5}
    arrays = {name: array for name, array in model.arrays.items() if not name.startswith("features.")}
    network = Network(tidegate.NetworkConfig(**sizes), arrays)
    read = [model.features.read("x", sequence) for sequence in sequences]
    assert model.scores(sequences).tobytes() == network.scores(read).tobytes()
    assert model.encode(sequences).tobytes() == network.encode(read).tobytes()


@pytest.mark.parametrize("cell", CELLS)
def test_a_saved_model_comes_back_the_same(tmp_path: Any, cell: str) -> None:
    """After saving, pickling or copying it predicts the same bits, and has the same scales."""
    model, sequences, path = make_model(cell), make_sequences(), tmp_path / "model.safetensors"
    model.save(path)
    for other in (tidegate.load(path, SequenceModel), pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert type(other) is SequenceModel
        assert (other.config, other.metrics) == (model.config, model.metrics)
        assert other.scores(sequences).tobytes() == model.scores(sequences).tobytes()
    with pytest.raises(ValueError, match="it holds a model that reads sequences of numbers, expected a model that rea"):
        tidegate.load(path, TextModel)


@pytest.mark.parametrize("classes", [(False, True), (0, 1), (10, 2), (1.0, 2.0), ("1", "true"), (1, "one"), (None, 0)])
def test_classes_keep_their_types_in_a_file(tmp_path: Any, classes: tuple[Any, Any]) -> None:
    """They are a list of values and no keys of JSON, which would make texts of them all."""
    model = make_model(labels=("a", "b"), classes=classes)
    model.save(tmp_path / "model.safetensors")
    other = tidegate.load(tmp_path / "model.safetensors", SequenceModel)
    assert str(other.config.classes) == str(classes)
    found = other.predict(make_sequences()).tolist()
    assert str(found) == str([classes[i] for i in model.scores(make_sequences()).argmax(axis=1)])


def test_a_missing_value_at_the_end_is_no_padding() -> None:
    """The length of a sequence is that of its array: steps that end in gaps are read, all of them."""
    model = make_model()
    for gaps in (1, 3):
        x = np.ones((7, 3))
        x[-gaps:, 1] = np.nan
        session = model.stream().push(x)
        assert session.steps == len(model.trace([x])[0].y) == 7
        assert not np.array_equal(model.scores([x]), model.scores([x[:-gaps]]))
    nothing_seen = make_model(missing=(0, 1, 2))
    assert len(nothing_seen.trace([np.full((4, 3), np.nan)])[0].y) == 4


def test_channels_first_is_part_of_the_model(tmp_path: Any) -> None:
    """A model that was trained on [K, T] takes that, one sequence or several, after loading too."""
    model, sequences = make_model(), make_sequences()
    turned = SequenceModel(make_model(layout="channels_first").config, model.arrays)
    turned.save(tmp_path / "model.safetensors")
    turned = tidegate.load(tmp_path / "model.safetensors", SequenceModel)
    assert turned.scores([sequence.T for sequence in sequences]).tobytes() == model.scores(sequences).tobytes()
    one = turned.explain(sequences[0].T).contributions
    assert one.tobytes() == model.explain(sequences[0]).contributions.tobytes()


def test_a_model_is_looked_into() -> None:
    """Steps are accounted for, units are described, and gradients measured, on the numbers as they are given."""
    model, sequences = make_model(), make_sequences()
    explanation = model.explain(sequences[0])
    assert explanation.contributions.shape == (7, 2)
    assert explanation.error < 1e-5
    assert explanation.logits == pytest.approx(model.scores(sequences[:1])[0], abs=1e-5)
    found = model.units(sequences)
    network = Network(tidegate.NetworkConfig(cell="gru", labels=("a", "b"), input_size=5, hidden_size=5), {
        name: array for name, array in model.arrays.items() if not name.startswith("features.")
    })  # fmt: skip
    expected = network.units([model.features.read("x", sequence) for sequence in sequences])
    assert found.alike.tobytes() == expected.alike.tobytes()
    assert found.steps == 48
    assert len(model.gradient_flow(sequences[0])) == 1


def test_a_gap_is_refused_where_none_was_trained_on() -> None:
    """The error names the sequence, the step and the feature, whichever method is called."""
    model, sequences = make_model(), make_sequences()
    sequences[3][8, 2] = np.nan
    for method in (model.predict, model.encode, model.units):
        with pytest.raises(ValueError, match=r"sequences\[3\] has NaN at step 8, feature 2, which was never missing"):
            method(sequences)


SOUND = "logmel sample_rate=8000 n_mels=4 win_length=32 hop_length=16 n_fft=64"


def make_sound_model() -> SequenceModel:
    """A model of sound."""
    return make_model(features=4, missing=(), frontend=SOUND)


def test_a_model_of_sound_is_a_front_end_before_a_model_of_frames(tmp_path: Any) -> None:
    """Saved or not, it computes what a model of frames does for the frames; int16 and floats are the same."""
    model, path = make_sound_model(), tmp_path / "model.safetensors"
    clips = [np.random.default_rng(b).normal(0, 3000, 50 * b).astype(np.int16) for b in range(5)]
    frames = make_model(features=4, missing=())
    model.save(path)
    for other in (model, tidegate.load(path, SequenceModel), pickle.loads(pickle.dumps(model))):
        assert other.config == model.config
        expected = frames.scores([other.frames(clip) for clip in clips]).tobytes()
        assert other.scores(clips).tobytes() == other.scores([clip / 32768 for clip in clips]).tobytes() == expected
    assert len(model.frames(clips[1])) == 2
    assert model.config.frontend == str(model.front_end)
    assert model.config.feature_names == model.front_end.names  # type: ignore[union-attr]


def test_a_model_of_sound_is_looked_into() -> None:
    """One clip may be an array, and its steps are frames; several may be one array."""
    model, clip = make_sound_model(), np.random.default_rng(0).normal(0, 0.1, 100)
    assert model.explain(clip).contributions.shape == (5, 2)
    assert model.explain(clip[:, None]).logits == pytest.approx(model.scores([clip])[0], abs=1e-5)
    assert model.embed(np.stack([clip, clip])).x.shape == (5, 2, 4)
    assert model.units([clip, clip]).steps == 10
    for one in (clip, clip[:, None]):
        for method in (model.predict, model.scores, model.encode):
            assert method(one).tolist() == method([clip]).tolist()
    for reader in (model.predict, model.embed):
        with pytest.raises(ValueError, match=r"sequences\[0\] has shape \(\), expected samples of one channel"):
            reader(clip.tolist())
    with pytest.raises(ValueError, match=r"sequences\[1\] has nan at sample 0, expected floats whose full scale is 1"):
        model.predict([clip, [np.nan]])
    with pytest.raises(ValueError, match="the model reads no sound: it has no front-end"):
        make_model().frames(clip)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no features": ({"features": 0}, "features is 0, expected an integer of 1..65536"),
    "features by name": ({"features": "three"}, "features is 'three', expected an integer"),
    "a gap of no feature": ({"missing": (3,)}, r"missing is \(3,\), expected a tuple of indices 0..2"),
    "a gap by name": ({"missing": ("a",)}, "expected a tuple of indices 0..2"),
    "a truth value": ({"missing": (True,)}, "expected a tuple of indices 0..2"),
    "gaps twice": ({"missing": (1, 1)}, "expected ascending indices, each once"),
    "a layout": ({"layout": "time"}, "layout is 'time', expected one of 'steps_first', 'channels_first'"),
    "another front-end": ({"frontend": "mfcc"}, "the front-end is 'mfcc', expected 'logmel'"),
    "a front-end without a rate": ({"frontend": "logmel"}, "the samples a second are not known"),
    "other bands": (
        {"frontend": SOUND, "missing": ()},
        "features=3, layout='steps_first', missing=.., expected 4 features",
    ),
    "gaps in sound": (
        {"frontend": SOUND, "features": 4},
        r"missing=\(1,\), expected 4 features as its front-end makes",
    ),
    "too many": ({"features": 40_000, "missing": tuple(range(20_000))}, "input_size is 80000, expected 1..65536"),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_configurations_are_named(changes: dict[str, Any], message: str) -> None:
    """An error names what cannot be meant."""
    with pytest.raises(ValueError, match=message):
        make_model(**changes)


def test_a_scale_of_nothing_is_refused() -> None:
    """A file whose scales are not above 0 is no model."""
    model = make_model()
    with pytest.raises(ValueError, match=r"features.scale has 0.0, expected numbers above 0"):
        SequenceModel(model.config, {**model.arrays, "features.scale": np.zeros(3, np.float32)})
