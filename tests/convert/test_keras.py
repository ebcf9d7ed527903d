"""Files of Keras: what Keras computed with them, and layers that no model has."""

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

h5py = pytest.importorskip("h5py")

import tidegate  # noqa: E402
from tidegate.convert import ConversionError, convert  # noqa: E402
from tidegate.convert.keras.file import KerasLayer, KerasModel, read_here  # noqa: E402
from tidegate.convert.keras.source import found_in  # noqa: E402

FOLDER = Path(__file__).parent / "keras"
EXPECTED = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))
TOLERANCE = 1e-5

pytestmark = pytest.mark.usefixtures("_read_here")


def test_texts_are_read_as_keras_reads_ids(tmp_path: Path) -> None:
    """A model of ids becomes one of texts, whose words are the ids, and 0 is left out wherever it stands."""
    model, certificate = convert(FOLDER / "words.keras")
    assert isinstance(model, tidegate.TextModel)
    model.save(tmp_path / "model.safetensors")
    again = tidegate.load(tmp_path / "model.safetensors", tidegate.TextModel)
    for case in EXPECTED["words.keras"]:
        text = " ".join(str(number) for number in case["source"] if number)
        np.testing.assert_allclose(again.predict_proba([text])[0], case["outputs"], atol=TOLERANCE)
    assert again.metrics["conversion"]["error"] == certificate.error <= TOLERANCE


def test_numbers_are_read_as_keras_reads_them() -> None:
    """A sigmoid of one output becomes two labels, and narrower layers become as wide as the others."""
    model, _ = convert(FOLDER / "numbers.h5", labels=["no", "yes"])
    assert model.config.summary == "mean"
    assert model.config.hidden_size == 3
    for case in EXPECTED["numbers.h5"]:
        probabilities = model.predict_proba([np.array(case["source"])])[0]
        np.testing.assert_allclose(probabilities[1:], case["outputs"], atol=TOLERANCE)
    assert set(model.predict([np.zeros((2, 2))])) <= {"no", "yes"}


@pytest.mark.filterwarnings("ignore")  # of Keras, which uses what torch and numpy will drop
def test_what_keras_does_not_load_is_not_compared_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of before Keras 2.1 is read; that Keras did not load it is said, with its reason."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    pytest.importorskip("keras")
    _, certificate = convert(keras_2(tmp_path, {}, gru_arrays(), version="1.2.2"))
    assert certificate.against == "the reference in float64 alone"
    assert re.match(r"not compared with Keras, which does not load the file \(\w+: .+\)$", certificate.missing)


def test_words_of_a_vocabulary_take_the_place_of_ids() -> None:
    """The vocabulary names the ids in their order; the first one is padding because Keras masks it."""
    words = ["nothing", "<unk>", "a", "good", "bad", "film", "not", "very", "it"]
    model, _ = convert(FOLDER / "words.keras", words=words)
    numbers, _ = convert(FOLDER / "words.keras")
    assert isinstance(model, tidegate.TextModel)
    assert model.vocabulary == ["[PAD]", "[UNK]", *words[2:]]
    np.testing.assert_array_equal(model.scores(["A good film", "unheard"]), numbers.scores(["2 3 5", "1"]))


def test_layers_alone_encode() -> None:
    """With part='layers' there is neither embedding nor head; added units or directions would show, and are refused."""
    model, _ = convert(FOLDER / "numbers.h5", part="layers")
    assert model.encode([np.zeros((4, 2))]).shape == (1, 3)
    with pytest.raises(ConversionError, match="without a head they would show"):
        convert(FOLDER / "words.keras", part="layers")


def keras_2(
    folder: Path, config: dict[str, Any], arrays: dict[str, Any], kind: str = "GRU", version: str = "2.4.0"
) -> Path:
    """A `.h5` file as Keras 2 writes it: a Sequential of one layer, names that end in ":0", no masks."""
    layer = {"class_name": kind, "config": {"name": "layer", "batch_input_shape": [None, None, 2], **config}}
    path = folder / "model.h5"
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = version.encode()
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"layers": [layer]}}).encode()
        group = file.create_group("model_weights/layer")
        group.attrs["weight_names"] = [f"layer/cell/{name}:0".encode() for name in arrays]
        for name, array in arrays.items():
            group.create_dataset(f"layer/cell/{name}:0", data=np.asarray(array, np.float32))
    return path


def gru_arrays(H: int = 3, seed: int = 0) -> dict[str, Any]:
    """Arrays of a GRU of Keras with one bias."""
    rng = np.random.default_rng(seed)
    shapes = {"kernel": (2, 3 * H), "recurrent_kernel": (H, 3 * H), "bias": (3 * H,)}
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def test_hard_sigmoid_is_that_of_the_version(tmp_path: Path) -> None:
    """Keras 2 has 0.2·x + 0.5 where Keras 3 has x/6 + 0.5: a file of Keras 2 computes the former."""
    arrays = gru_arrays()
    config = {"activation": "tanh", "recurrent_activation": "hard_sigmoid", "reset_after": False}
    found = convert(keras_2(tmp_path, config, arrays)).model
    x = np.random.default_rng(1).standard_normal((6, 2))
    kernel, recurrent, bias = arrays["kernel"], arrays["recurrent_kernel"], arrays["bias"]
    h = np.zeros(3)
    for step in x:
        z, r = (np.clip(0.2 * a + 0.5, 0, 1) for a in np.split((step @ kernel + h @ recurrent + bias)[:6], 2))
        n = np.tanh((step @ kernel + bias)[6:] + (r * h) @ recurrent[:, 6:])
        h = z * h + (1 - z) * n
    np.testing.assert_allclose(found.encode([x])[0], h, atol=TOLERANCE)


def test_archives_of_keras_2_are_read(tmp_path: Path) -> None:
    """Keras 3 does not load them: layers below the folder of early versions or of later ones, named or counted."""
    arrays, path = gru_arrays(), tmp_path / "model.keras"
    expected = convert(keras_2(tmp_path, {"unroll": True}, arrays)).model
    layer = {"class_name": "GRU", "config": {"name": "reader", "unroll": True, "time_major": False}}
    for root, folder in (("_layer_checkpoint_dependencies", "gru"), ("layers", "gru"), ("layers", "reader")):
        weights = io.BytesIO()
        with h5py.File(weights, "w") as file:
            for i, array in enumerate(arrays.values()):
                file[f"{root}/{folder}/cell/vars/{i}"] = array.astype(np.float32)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("metadata.json", json.dumps({"keras_version": "2.13.1"}))
            archive.writestr("config.json", json.dumps({"class_name": "Sequential", "config": {"layers": [layer]}}))
            archive.writestr("model.weights.h5", weights.getvalue())
        model, proof = convert(path)
        assert "which does not load the file" in proof.missing or "not installed" in proof.missing
        assert all(np.array_equal(model.arrays[name], array) for name, array in expected.arrays.items())


def test_a_gru_without_a_word_of_the_reset_gate_has_it_before_the_product(tmp_path: Path) -> None:
    """Files of before Keras 2.1 know no reset_after; their recurrent sigmoid was the hard one."""
    assert str(found_in(read_here(keras_2(tmp_path, {}, gru_arrays(), version="1.2.2"))).layers[0].cell) == (
        "gru reset=before gate=hard_sigmoid"
    )
    assert str(found_in(read_here(keras_2(tmp_path, {}, gru_arrays()))).layers[0].cell) == "gru reset=before"


def test_a_layer_that_goes_backwards_reads_from_the_end(tmp_path: Path) -> None:
    """With go_backwards the last output is that of the first step; nothing walks forward, and a head would not mind."""
    config = {"activation": "tanh", "go_backwards": True}
    found = found_in(read_here(keras_2(tmp_path, config, gru_arrays())))
    assert found.layers[0].forward is None
    assert found.layers[0].reverse is not None


@pytest.mark.parametrize(
    ("kind", "config", "message"),
    [
        ("GRU", {"activation": "selu"}, "'layer' .GRU. has the activations 'selu' and 'sigmoid', which no cell has"),
        ("GRU", {"reset_after": True}, "'layer' .GRU.: bias has 9 numbers, expected 18"),
        ("GRU", {"use_bias": False}, r"'layer' .GRU. has arrays \[\(2, 9\), \(3, 9\), \(9,\)\], expected 2"),
        ("GRU", {"go_backwards": True, "return_sequences": True}, "returns its outputs from the end to the start"),
        ("Conv1D", {}, "'layer' .Conv1D. is nothing that a model of this library has"),
        ("Lambda", {"function": "import os"}, "'layer' .Lambda. is nothing that"),
        ("Masking", {}, "the model has no GRU, LSTM or SimpleRNN"),
        ("Dense", {}, "'layer' .Dense. comes before the recurrent ones"),
        ("Bidirectional", {"layer": {"class_name": "Dense", "config": {}}}, "wraps no GRU, LSTM or SimpleRNN"),
        (
            "Bidirectional",
            {"layer": {"class_name": "GRU", "config": {}}, "merge_mode": "sum"},
            "has merge_mode='sum', expected 'concat'",
        ),
        (
            "Bidirectional",
            {"layer": {"class_name": "GRU", "config": {"go_backwards": True}}},
            "'layer' .Bidirectional. wraps a layer with go_backwards=True, expected False",
        ),
        (
            "Bidirectional",
            {
                "layer": {"class_name": "GRU", "config": {}},
                "backward_layer": {"class_name": "GRU", "config": {}},
            },
            "has a backward_layer with go_backwards=False, expected True",
        ),
        (
            "Bidirectional",
            {
                "layer": {"class_name": "GRU", "config": {}},
                "backward_layer": {"class_name": "GRU", "config": {"go_backwards": True, "return_sequences": True}},
            },
            "has return_sequences=True in one direction alone",
        ),
        (
            "Bidirectional",
            {
                "layer": {"class_name": "GRU", "config": {}},
                "backward_layer": {"class_name": "GRU", "config": {"go_backwards": True, "activation": "relu"}},
            },
            "has the cells gru reset=before and gru reset=before candidate=relu, expected one",
        ),
        (
            "Bidirectional",
            {
                "layer": {"class_name": "GRU", "config": {}},
                "backward_layer": {"class_name": "LSTM", "config": {"go_backwards": True}},
            },
            "has the cells gru reset=before and lstm, expected one",
        ),
        (
            "Bidirectional",
            {"layer": {"class_name": "GRU", "config": {}}, "backward_layer": {"class_name": "Dense", "config": {}}},
            "wraps no GRU, LSTM or SimpleRNN",
        ),
    ],
)
def test_layers_that_no_model_has_are_named(tmp_path: Path, kind: str, config: dict[str, Any], message: str) -> None:
    """The error names the layer by its name and its class."""
    with pytest.raises(ConversionError, match=message):
        convert(keras_2(tmp_path, config, gru_arrays(), kind))


@pytest.mark.parametrize(
    ("kind", "option", "message"),
    [
        ("GlobalAveragePooling1D", {"data_format": "channels_first"}, "expected 'channels_last'"),
        ("GlobalMaxPooling1D", {"keepdims": True}, "expected False"),
    ],
)
def test_poolings_that_are_not_over_time_alone_are_refused(kind: str, option: dict[str, Any], message: str) -> None:
    """A pooling over the units, or one that leaves an axis of one step, is named; one over time is read."""
    rng = np.random.default_rng(0)
    shapes = {"kernel": (2, 9), "recurrent_kernel": (3, 9), "bias": (9,)}
    arrays = tuple(rng.standard_normal(shape).astype(np.float32) for shape in shapes.values())
    gru = KerasLayer("GRU", {"name": "gru", "return_sequences": True}, {"": arrays})
    with pytest.raises(ConversionError, match=rf"'pool' \({kind}\) has .*{message}"):
        found_in(KerasModel((gru, KerasLayer(kind, {"name": "pool", **option}, {})), (3, 15)))
    plain = {"name": "pool", "data_format": "channels_last", "keepdims": False}
    assert found_in(KerasModel((gru, KerasLayer(kind, plain, {})), (3, 15))).summary in {"mean", "max"}
