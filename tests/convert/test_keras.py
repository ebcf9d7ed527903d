"""Files of Keras: what Keras computed with them, what is refused, and nothing that is executed."""

import io
import json
import os
import re
import sys
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

h5py = pytest.importorskip("h5py")

import tidegate  # noqa: E402
from tidegate.convert import ConversionError, convert  # noqa: E402
from tidegate.convert.keras import process as keras_process  # noqa: E402
from tidegate.convert.keras import runtime as keras_runtime  # noqa: E402
from tidegate.convert.keras.file import KerasLayer, KerasModel, read_here  # noqa: E402
from tidegate.convert.keras.source import found_in  # noqa: E402

FOLDER = Path(__file__).parent / "keras"
EXPECTED = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))
TOLERANCE = 1e-5


@pytest.fixture(autouse=True)
def _here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads files in this process: to start one for each takes half a second."""
    if "process" not in request.node.name:
        monkeypatch.setattr("tidegate.convert.keras.source.read", read_here)


def test_a_process_reads_the_same() -> None:
    """Through a process come the same layers and numbers, and the same errors."""
    for name in EXPECTED:
        near, far = read_here(FOLDER / name), keras_process.read(FOLDER / name)
        assert near.version == far.version
        for one, other in zip(near.layers, far.layers, strict=True):
            assert (one.kind, one.config, one.arrays.keys()) == (other.kind, other.config, other.arrays.keys())
            for way, arrays in one.arrays.items():
                for array, same in zip(arrays, other.arrays[way], strict=True):
                    np.testing.assert_array_equal(array, same)


def test_an_error_comes_through_the_process(tmp_path: Path) -> None:
    """What is wrong is said as it would be here."""
    (tmp_path / "m.h5").write_bytes((FOLDER / "numbers.h5").read_bytes()[:600])
    with pytest.raises(ConversionError, match=r"m.h5 is no model of Keras, or a damaged one"):
        keras_process.read(tmp_path / "m.h5")


def test_a_process_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that HDF5's library never gets through is one clear error, and so is one that it dies of."""
    monkeypatch.setattr(keras_process, "LONGEST", 0.01)
    with pytest.raises(ConversionError, match=r"numbers.h5 is damaged: HDF5's library did not get through it"):
        convert(FOLDER / "numbers.h5")
    monkeypatch.setattr(keras_process, "LONGEST", 60.0)
    monkeypatch.setattr(keras_process, "__name__", "no_such_module")
    with pytest.raises(ConversionError, match=r"numbers.h5 is damaged: the process that read it ended with 1"):
        convert(FOLDER / "numbers.h5")


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
def test_with_keras_its_own_results_are_compared_with() -> None:
    """The certificate names Keras and the reference."""
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
def test_what_keras_does_not_load_is_not_compared_with_it(tmp_path: Path) -> None:
    """A file of before Keras 2.1 is read; that Keras did not load it is said, with its reason."""
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


def changed(path: Path, folder: Path, change: Callable[[Any], None]) -> Path:
    """A `.keras` archive with its weights changed."""
    result = folder / "changed.keras"
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(result, "w") as out:
        for entry in archive.infolist():
            data = archive.read(entry)
            if entry.filename == "model.weights.h5":
                memory = io.BytesIO(data)
                with h5py.File(memory, "r+") as file:
                    change(file)
                data = memory.getvalue()
            out.writestr(entry, data)
    return result


def enlarge(file: Any) -> None:
    """Puts an array in the place of one that has no numbers in the file, and billions by its shape."""
    del file["layers/dense/vars/0"]
    file.create_dataset("layers/dense/vars/0", (2**20, 2**10), "f4", chunks=True)


def link(file: Any) -> None:
    """Puts a link to another file in the place of an array."""
    del file["layers/dense/vars/0"]
    file["layers/dense/vars/0"] = h5py.ExternalLink("/etc/passwd", "/")


def drop(file: Any) -> None:
    """Leaves an array out."""
    del file["layers/dense/vars/1"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (enlarge, r"has the shape \(1048576, 1024\), but 0 bytes in the file"),
        (link, "layers/dense/vars/0 is a link to another file"),
        (drop, r"'dense' .Dense. has arrays \[\(2, 3\)\], expected 2"),
    ],
)
def test_hostile_weights_are_refused(tmp_path: Path, change: Callable[[Any], None], message: str) -> None:
    """Lying sizes, links and missing arrays are one clear error each, before memory is taken."""
    with pytest.raises(ConversionError, match=message):
        convert(changed(FOLDER / "words.keras", tmp_path, change))


@pytest.mark.parametrize("name", ["words.keras", "numbers.h5"])
def test_a_truncated_file_is_refused(tmp_path: Path, name: str) -> None:
    """Wherever a file was cut, the error is of conversion and names the file."""
    data = (FOLDER / name).read_bytes()
    for length in (9, 600, len(data) // 2, len(data) - 100):
        (tmp_path / name).write_bytes(data[:length])
        with pytest.raises(ConversionError, match=name):
            read_here(tmp_path / name)


def test_a_packed_member_is_not_unpacked(tmp_path: Path) -> None:
    """A member that is thousands of times larger than in the archive is refused by its size."""
    with zipfile.ZipFile(tmp_path / "bomb.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * 10**7)
        archive.writestr("metadata.json", b"{}")
        archive.writestr("model.weights.h5", b"")
    with pytest.raises(ConversionError, match=r"config.json would take 10,000,000 bytes, packed in"):
        convert(tmp_path / "bomb.keras")


def test_a_model_with_branches_is_refused(tmp_path: Path) -> None:
    """A functional model whose layers form no chain is named by the layer that reads several."""
    path = tmp_path / "m.h5"
    layers = [
        {"class_name": "InputLayer", "name": "a", "config": {"name": "a"}, "inbound_nodes": []},
        {"class_name": "InputLayer", "name": "b", "config": {"name": "b"}, "inbound_nodes": []},
        {
            "class_name": "Add",
            "name": "c",
            "config": {"name": "c"},
            "inbound_nodes": [[["a", 0, 0, {}], ["b", 0, 0, {}]]],
        },
    ]
    config = {"class_name": "Functional", "config": {"layers": layers, "output_layers": [["c", 0, 0]]}}
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(ConversionError, match="the layer 'c' reads a, b, expected a chain of layers"):
        convert(path)


def test_weights_without_a_configuration_are_refused(tmp_path: Path) -> None:
    """A file of weights alone does not say what layers they are of."""
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["a"] = np.ones(3)
    with pytest.raises(ConversionError, match="it has no model_config: weights alone don't say"):
        convert(tmp_path / "w.h5")


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


def layers_to_file(folder: Path, layers: list[Any]) -> Any:
    """Saves a model of Keras that reads two numbers a step."""
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.Input((None, 2)), *layers])
    model.save(folder / "model.keras")
    return model
