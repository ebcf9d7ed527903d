"""A model's weights in a file of Keras: the model that the export shows loads them, and computes the same."""

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

pytest.importorskip("h5py")

import h5py

from tidegate.convert import convert
from tidegate.convert.certificate import ConversionError
from tidegate.convert.samples import results_of
from tidegate.convert.to_keras import to_keras
from tidegate.ops.cells import Cell
from tidegate.ops.layouts import LAYOUTS

Make = Callable[..., Any]
TOLERANCE = 1e-5

CELLS: dict[str, dict[str, Any]] = {
    "gru": {"num_layers": 2, "bidirectional": True},
    "gru reset=before gate=hard_sigmoid": {"summary": "mean"},
    "gru reset=off update=off candidate=identity": {"bias": False},
    "lstm": {"summary": "mean+max", "num_layers": 2, "task": "regression"},
    "rnn_tanh": {"bias": False, "bidirectional": True, "summary": "max"},
    "rnn_relu": {"task": "encoding", "labels": ()},
    "average": {},
}


@pytest.fixture
def keras() -> Any:
    """Keras, if it is installed."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras", exc_type=ImportError)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.filterwarnings("ignore")  # all of them Keras' own
def test_every_cell_and_summary(vectors_model: Make, tmp_path: Path, keras: Any, cell: str) -> None:
    """The model that is shown loads the file, and gives the same results, for a row of no step too."""
    model, path = vectors_model(cell, **CELLS[cell]), tmp_path / "m.weights.h5"
    written = to_keras(model, path)
    assert written.certificate is not None
    assert written.certificate.error <= TOLERANCE
    program = ModuleType("program")
    exec(written.code, program.__dict__)
    program.model.load_weights(path)
    x = np.random.default_rng(5).standard_normal((3, 6, 3)).astype(np.float32)
    found = keras.ops.convert_to_numpy(program.model([x, np.array([6, 0, 2], np.int32)]))
    name = "scores" if model.config.has_head else "vectors"
    expected = results_of(model, [x[0], x[1, :0], x[2, :2]])[name]
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.filterwarnings("ignore")  # all of them Keras' own
def test_texts_and_numbers(texts_model: Make, numbers_model: Make, tmp_path: Path, keras: Any) -> None:
    """Word vectors are in the file too, and the scale of features is in the code."""
    for model in (
        texts_model("gru", max_length=6, summary="mean"),
        texts_model("lstm").compress("int8"),
        numbers_model("gru", missing=(), layout="channels_first"),
    ):
        written = to_keras(model, tmp_path / "m.weights.h5")
        assert written.certificate is not None
        assert written.certificate.error <= TOLERANCE


@pytest.mark.filterwarnings("ignore")  # all of them Keras' own
def test_a_whole_model_is_loaded_by_keras_alone(
    vectors_model: Make, texts_model: Make, numbers_model: Make, tmp_path: Path, keras: Any
) -> None:
    """A .keras file holds layers, weights, masks and the scale of features, and rows of no step; Keras loads it."""
    path = tmp_path / "m.keras"
    for model in (
        vectors_model("gru reset=before gate=hard_sigmoid", num_layers=2, bidirectional=True, summary="mean+max"),
        texts_model("lstm", max_length=6),
        numbers_model("rnn_relu", missing=()),
    ):
        written = to_keras(model, path)
        assert written.certificate is not None
        assert written.certificate.error <= TOLERANCE
        assert written.code == "import keras\n\nmodel = keras.saving.load_model('m.keras')\n"
        x = np.random.default_rng(6).integers(0, 9, (2, 4)) if model.tokenizer else None
        features = model.config.shapes().get("features.center", (3,))[0]
        given = np.random.default_rng(6).standard_normal((2, 4, features)).astype(np.float32) if x is None else x
        found = keras.ops.convert_to_numpy(keras.saving.load_model(path)([given, np.array([3, 0])]))
        expected = results_of(model, [given[0, :3], given[1, :0]])["scores"]
        np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE)
    again, proof = convert(path)
    assert proof.against.startswith("keras ")
    assert again.config == model.config
    assert all(np.array_equal(again.arrays[name], array) for name, array in model.arrays.items())


@pytest.mark.filterwarnings("ignore")  # all of them Keras' own
def test_a_model_that_differs_is_not_written(
    vectors_model: Make, tmp_path: Path, keras: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If Keras gives something else, that is an error, and there is no file."""
    monkeypatch.setattr(
        "tidegate.convert.keras.code.held", lambda cell, weights: weights._replace(w_hh=weights.w_hh * 1.01)
    )
    with pytest.raises(ConversionError, match=r"scores differs by .* from keras"):
        to_keras(vectors_model("gru"), tmp_path / "m.weights.h5")
    assert list(tmp_path.iterdir()) == []


def test_the_weights_come_back(vectors_model: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Keras the file is written all the same; read by the table of layouts, it has the model's very numbers."""
    monkeypatch.setattr("tidegate.convert.keras.runtime.find_spec", lambda name: None)
    model = vectors_model("gru", num_layers=2, bidirectional=True)
    written = to_keras(model, tmp_path / "m.weights.h5")
    assert written.certificate is None
    with pytest.raises(
        ImportError, match=r"a \.keras file needs Keras, which is not installed: pip install keras torch"
    ):
        to_keras(model, tmp_path / "m.keras")
    assert "layers.Bidirectional(layers.GRU(5, return_sequences=True" in written.code
    with h5py.File(tmp_path / "m.weights.h5") as file:
        for layer, folder in enumerate(("bidirectional", "bidirectional_1")):
            for ending, direction in (("", "forward_layer"), ("_reverse", "backward_layer")):
                names = ("kernel", "recurrent_kernel", "bias")
                group = file[f"layers/{folder}/{direction}/cell/vars"]
                arrays = {name: np.array(group[str(i)]) for i, name in enumerate(names)}
                weights = LAYOUTS["keras"]["GRU"].read(Cell.of("gru"), arrays)
                for name, array in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), weights, strict=True):
                    np.testing.assert_array_equal(array, model.arrays[f"rnn.{name}_l{layer}{ending}"])
        np.testing.assert_array_equal(np.array(file["layers/dense/vars/0"]).T, model.head_weight)


@pytest.mark.parametrize(
    ("kind", "choices", "message"),
    [
        ("texts", {"cell": "gru", "ngrams": 9, "ngram_order": 2}, "n-grams, of which Keras has no layer"),
        ("texts", {"cell": "compound"}, "compounds, of which Keras has no layer"),
        ("numbers", {"cell": "gru"}, "fills gaps of features, of which Keras has no layer"),
    ],
)
def test_what_keras_has_not_is_one_error(
    texts_model: Make, numbers_model: Make, tmp_path: Path, kind: str, choices: dict[str, Any], message: str
) -> None:
    """N-grams, compounding, gaps and other suffixes are refused, with what can be done."""
    model = {"texts": texts_model, "numbers": numbers_model}[kind](**choices)
    with pytest.raises(ValueError, match=message):
        to_keras(model, tmp_path / "m.weights.h5")
    with pytest.raises(ValueError, match=r"expected one that ends in \.weights\.h5 or \.keras"):
        to_keras(model, tmp_path / "m.h5")
