"""Keras itself beside what was converted: whether it is there, and models that it makes."""

import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

h5py = pytest.importorskip("h5py")

from tidegate.convert import ConversionError, convert  # noqa: E402
from tidegate.convert.keras import runtime as keras_runtime  # noqa: E402

FOLDER = Path(__file__).parent / "keras"
TOLERANCE = 1e-5

pytestmark = pytest.mark.usefixtures("_read_here")


@pytest.mark.filterwarnings("ignore")  # of Keras, which uses what torch and numpy will drop
def test_with_keras_its_own_results_are_compared_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate names Keras and the reference."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    pytest.importorskip("keras")
    _, certificate = convert(FOLDER / "numbers.h5")
    assert re.fullmatch(r"keras [\d.]+ on \w+ and the reference in float64", certificate.against)
    assert certificate.missing == ""
    assert str(certificate).endswith("(outputs, states)")


@pytest.mark.parametrize(
    ("absent", "message"),
    [
        (("keras",), "which is not installed: pip install keras torch"),
        (("torch", "tensorflow", "jax"), "which has no backend here: pip install torch"),
    ],
)
def test_without_keras_the_proof_is_of_arithmetic_alone(
    monkeypatch: pytest.MonkeyPatch, absent: tuple[str, ...], message: str
) -> None:
    """The certificate says that what was read is compared with itself, why, and what to install."""
    monkeypatch.setattr(
        "tidegate.convert.keras.runtime.find_spec", lambda name: None if name in absent else find_spec(name) or name
    )
    model, certificate = convert(FOLDER / "numbers.h5")
    assert certificate.against == "the reference in float64 alone"
    assert certificate.missing == f"not compared with Keras, {message}"
    assert str(certificate).endswith(f"(outputs, states); {certificate.missing}")
    assert model.metrics["conversion"]["missing"] == certificate.missing


@pytest.mark.parametrize(("there", "chosen"), [({"tensorflow", "torch"}, "torch"), ({"jax"}, "jax")])
def test_keras_computes_with_what_is_installed(monkeypatch: pytest.MonkeyPatch, there: set[str], chosen: str) -> None:
    """Keras' own default is TensorFlow: a backend that is here is chosen, unless the user did."""
    monkeypatch.setattr(keras_runtime, "find_spec", lambda name: name if name in {"keras", *there} else None)
    monkeypatch.setattr(keras_runtime, "import_module", lambda name: os.environ["KERAS_BACKEND"])
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.setenv("KERAS_BACKEND", "mine")
    assert keras_runtime.import_keras() == "mine"
    monkeypatch.delenv("KERAS_BACKEND")
    assert keras_runtime.import_keras() == chosen


@pytest.mark.filterwarnings("ignore")  # of Keras, which uses what torch and numpy will drop
@pytest.mark.parametrize("kind", ["GRU", "LSTM", "SimpleRNN"])
def test_models_made_by_keras_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """With Keras here, a model with padding computes what ours does with sequences that have none."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    layers = keras.layers
    recurrent = getattr(layers, kind)
    model = keras.Sequential(
        [
            keras.Input((None, 3)),
            layers.Masking(),
            layers.Bidirectional(recurrent(4, return_sequences=True)),
            recurrent(3),
            layers.Dense(2, activation="softmax"),
        ]
    )
    model.save(tmp_path / "model.keras")
    ours, certificate = convert(tmp_path / "model.keras")
    assert "keras" in certificate.against
    rng = np.random.default_rng(0)
    sequences = [rng.standard_normal((length, 3)).astype(np.float32) for length in (5, 2, 7)]
    padded = np.zeros((3, 7, 3), np.float32)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    theirs = keras.ops.convert_to_numpy(model(padded))
    np.testing.assert_allclose(ours.predict_proba(sequences), theirs, atol=TOLERANCE)


@pytest.mark.filterwarnings("ignore")  # of Keras, which uses what torch and numpy will drop
@pytest.mark.parametrize("every", [True, False])
def test_a_backward_layer_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: bool) -> None:
    """The directions of a Bidirectional may differ in their biases; Keras computes the same."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    layers = pytest.importorskip("keras").layers
    both = layers.Bidirectional(
        layers.GRU(4, return_sequences=every),
        backward_layer=layers.GRU(4, return_sequences=every, use_bias=False, go_backwards=True),
    )
    model = layers_to_file(
        tmp_path, [both, layers.GlobalMaxPooling1D(), layers.Dense(2)] if every else [both, layers.Dense(2)]
    )
    ours, certificate = convert(tmp_path / "model.keras")
    assert "keras" in certificate.against
    x = np.random.default_rng(0).standard_normal((1, 5, 2)).astype(np.float32)
    np.testing.assert_allclose(ours.scores([x[0]]), model(x).detach().numpy(), atol=TOLERANCE)


@pytest.mark.filterwarnings("ignore")  # of Keras, which uses what torch and numpy will drop
@pytest.mark.parametrize(
    ("option", "backward", "message"),
    [
        ({"go_backwards": True}, {}, "wraps a layer with go_backwards=True"),
        ({}, {"go_backwards": True, "activation": "relu"}, "has the cells gru and gru candidate=relu, expected one"),
    ],
)
def test_directions_that_no_layer_has_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: dict[str, Any], backward: dict[str, Any], message: str
) -> None:
    """Files of Keras whose Bidirectional walks backwards first, or has two cells, are refused and not read wrongly."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    layers = pytest.importorskip("keras").layers
    layers_to_file(tmp_path, [layers.Bidirectional(layers.GRU(3, **option), backward_layer=layers.GRU(3, **backward))])
    with pytest.raises(ConversionError, match=message):
        convert(tmp_path / "model.keras")


@pytest.mark.filterwarnings("ignore")  # of Keras, which uses what torch and numpy will drop
def test_what_keras_cannot_run_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras saves and loads directions of other widths before a Dense, but does not run them: nothing is proved."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    layers = pytest.importorskip("keras").layers
    both = layers.Bidirectional(layers.GRU(4), backward_layer=layers.GRU(3, go_backwards=True))
    layers_to_file(tmp_path, [both, layers.Dense(2)])
    with pytest.raises(ConversionError, match=r"keras .* ran none of the sequences, so nothing could be compared"):
        convert(tmp_path / "model.keras")


@pytest.mark.filterwarnings("ignore")  # of Keras, which uses what torch and numpy will drop
def test_a_layer_that_keeps_its_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stateful layer has a fixed number of rows and steps; what one batch leaves behind is no part of the next."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    layers = pytest.importorskip("keras").layers
    stack = [layers.GRU(4, stateful=True, return_sequences=True), layers.GRU(3, stateful=True), layers.Dense(2)]
    model = layers_to_file(tmp_path, stack, (3, 5))
    ours, certificate = convert(tmp_path / "model.keras")
    assert "keras" in certificate.against
    x = np.random.default_rng(0).standard_normal((3, 5, 2)).astype(np.float32)
    np.testing.assert_allclose(ours.scores(list(x)), model(x).detach().numpy(), atol=TOLERANCE)


def layers_to_file(folder: Path, layers: list[Any], sizes: tuple[int | None, int | None] = (None, None)) -> Any:
    """Saves a model of Keras that reads two numbers a step; the sizes are those of rows and steps."""
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.Input(batch_shape=(*sizes, 2)), *layers])
    model.save(folder / "model.keras")
    return model
