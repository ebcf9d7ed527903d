"""What is exported and converted back has the very numbers that it had."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("h5py")

import h5py
import onnx
import torch

import tidegate
from tidegate.convert import ConversionError, convert
from tidegate.convert.keras.file import read_here
from tidegate.convert.to_keras import to_keras
from tidegate.convert.to_onnx import to_onnx
from tidegate.convert.to_torch import to_torch

Make = Callable[..., Any]

NETWORKS: dict[str, dict[str, Any]] = {
    "gru": {"num_layers": 2, "bidirectional": True, "summary": "mean"},
    "gru reset=before gate=hard_sigmoid": {"summary": "max"},
    "gru candidate=relu": {"bias": False},
    "lstm": {"num_layers": 2, "summary": "mean+max"},
    "rnn_tanh": {"bidirectional": True},
    "rnn_relu": {"bias": False},
}


def back(model: Any, path: Path) -> Any:
    """Exports a model, and converts the file back."""
    if path.suffix == ".onnx":
        to_onnx(model, path)
        return convert(path).model
    (to_keras if path.suffix == ".h5" else to_torch)(model, path)
    if path.suffix != ".pt":
        return convert(path).model
    task = model.config.task if model.config.has_head else None
    return convert(path, cell=model.config.cell, summary=model.config.summary, task=task).model


SUFFIXES = [".onnx", ".pt", ".safetensors", ".weights.h5"]


@pytest.fixture(autouse=True)
def _keras_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads files of Keras in this process and compares with the reference alone; `test_to_keras.py` asks Keras."""
    monkeypatch.setattr("tidegate.convert.keras.source.read", read_here)
    monkeypatch.setattr("tidegate.convert.keras.runtime.find_spec", lambda name: None)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("cell", NETWORKS)
def test_weights_come_back_bit_by_bit(vectors_model: Make, tmp_path: Path, cell: str, suffix: str) -> None:
    """Cell, summary and every weight of a network come back from ONNX, PyTorch's files and Keras'."""
    model = vectors_model(cell, **NETWORKS[cell])
    again = back(model, tmp_path / f"model{suffix}")
    assert (again.config.cell, again.config.summary) == (model.config.cell, model.config.summary)
    assert again.arrays.keys() == model.arrays.keys()
    for name, array in model.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array)


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What prints the table of pairs in the documentation."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    return importlib.import_module("bench_conversions")


@pytest.mark.parametrize(
    "name", ["ONNX", "ONNX, in pieces", "PyTorch, .pt", "PyTorch, .safetensors", "Keras, .weights.h5"]
)
@pytest.mark.parametrize("kind", ["vectors", "numbers", "texts"])
def test_random_networks_come_back_bit_by_bit(conversions: Any, tmp_path: Path, kind: str, name: str) -> None:
    """Networks with random options, one of each cell, go out and come back with the same bits and two certificates."""
    for seed in range(len(conversions.CELLS)):
        model = conversions.drawn(kind, seed)
        if name == "ONNX, in pieces" and model.config.bidirectional:
            continue
        trip = conversions.trip(model, conversions.FORMS[name], tmp_path)
        assert trip.same, model
        assert max(proof.error for proof in (trip.out, trip.back) if proof) <= 1e-5


@pytest.mark.parametrize(
    "name", ["ONNX, no metadata", "PyTorch, a module", "PyTorch, .pt", "words.keras", "numbers.h5"]
)
def test_whatever_comes_in_goes_out(conversions: Any, tmp_path: Path, name: str) -> None:
    """A model of any source goes out to any form, and comes back from there with the same bits."""
    if name in conversions.SOURCES:
        model = conversions.brought_in(conversions.drawn("vectors", 3), name, tmp_path)
    else:
        model = convert(Path(__file__).parent / "keras" / name).model
    for title, form in conversions.FORMS.items():
        both = "pieces" in title and model.config.bidirectional
        if both or title in {"C", "Keras, .keras"}:  # which take seconds: benchmarks/bench_conversions.py --pairs
            continue
        trip = conversions.trip(model, form, tmp_path)
        assert trip.same, title


def test_the_scale_of_numbers_comes_back(numbers_model: Make, tmp_path: Path) -> None:
    """Center and scale are those of the model; where some may be missing, no file says which, and that is an error."""
    model, path = numbers_model("gru", missing=()), tmp_path / "m.pt"
    program: dict[str, Any] = {}
    exec(to_torch(model, path).code, program)
    module = program["Model"]()
    module.load_state_dict(torch.load(path))
    for source in (path, module):
        again = convert(source).model
        assert type(again) is type(model)
        np.testing.assert_array_equal(again.arrays["features.scale"], model.arrays["features.scale"])
    to_torch(numbers_model("gru"), path)
    with pytest.raises(ConversionError, match=r"the layers read 8 numbers: features that may be missing are not named"):
        convert(path)


def test_word_vectors_come_back(texts_model: Make, tmp_path: Path) -> None:
    """So do those of words, which are ids to the other program; the two words that every vocabulary has come first."""
    model = texts_model("lstm", summary="mean")
    again = back(model, tmp_path / "model.pt")
    np.testing.assert_array_equal(again.arrays["embedding.weight"][2:], model.arrays["embedding.weight"])
    np.testing.assert_array_equal(again.arrays["head.weight"], model.arrays["head.weight"])
    assert "the words are the ids" in " ".join(again.metrics["conversion"]["assumed"])


TASKS: dict[str, dict[str, Any]] = {
    "classification": {"labels": ("a", "b", "c"), "classes": (10, 20, 30)},
    "multi-label": {"labels": ("war", "love", "money"), "separator": "|"},
    "multi-label of one": {"labels": ("war",)},
    "regression": {"labels": ("height", "width")},
    "quantiles": {"labels": ("height 0.1", "height 0.5", "height 0.9")},
    "next": {"labels": tuple(f"{k}+{h}" for h in (1, 2) for k in range(4)), "horizon": 2},
    "next-binary": {"labels": tuple("wxyz")},
    "next of changes": {"labels": tuple(f"{k}+{h}" for h in (1, 2) for k in range(4)), "horizon": 2, "residual": True},
    "labelling": {"labels": ("rests", "runs")},
    "encoding": {"labels": ()},
}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", TASKS)
def test_every_task_comes_back(numbers_model: Make, tmp_path: Path, name: str, suffix: str) -> None:
    """All files but a .pt say the whole configuration, and the answers are the same; of a .pt, what task is given."""
    task, whole = name.removesuffix(" of one").removesuffix(" of changes"), suffix != ".pt"
    gaps = (1, 3) if suffix in {".onnx", ".safetensors"} and not name.endswith("changes") else ()
    names = {"columns": ("k", "l", "m", "n"), "key": "id", "target": "y"}
    model = numbers_model("gru", task=task, missing=gaps, **names, **TASKS[name])
    path = tmp_path / f"model{suffix}"
    if name == "next of changes" and suffix != ".onnx":
        with pytest.raises(ValueError, match="which only a file of ONNX adds"):
            back(model, path)
        return
    if not whole and task in {"quantiles", "next", "next-binary", "labelling"}:
        with pytest.raises(ValueError, match=f"task is '{task}', expected"):
            back(model, path)
        return
    again = back(model, path)
    if whole:
        assert again.config == model.config
    assert (again.config.task, type(again)) == (model.config.task, type(model))
    assert again.arrays.keys() == model.arrays.keys()
    assert all(np.array_equal(again.arrays[key], array) for key, array in model.arrays.items())
    x = [np.random.default_rng(3).standard_normal((steps, 4)).astype(np.float32) for steps in (5, 0, 9)]
    if gaps:
        x[0][1:3, 1] = np.nan
    for ask in ("encode", "scores", "predict") if model.config.has_head else ("encode",):
        ours, theirs = getattr(again, ask)(x), getattr(model, ask)(x)
        if ask != "predict" or whole:  # classes have their names back
            assert ours.tolist() == theirs.tolist()


def test_a_file_of_keras_says_what_the_model_is(texts_model: Make, tmp_path: Path) -> None:
    """Words and the longest text come back; what is said against the file, and damage of what it says, are errors."""
    model, path = texts_model("lstm", summary="mean", max_length=5, num_layers=2), tmp_path / "m.weights.h5"
    to_keras(model, path)
    again, proof = convert(path)
    assert again.config == model.config
    texts = ["a good film", "", "an unheard word , it was very long and boring"]
    np.testing.assert_array_equal(again.predict_proba(texts), model.predict_proba(texts))
    assert proof.missing.startswith("not compared with Keras")
    assert convert(path, part="layers").model.config.task == "encoding"
    with pytest.raises(ConversionError, match="task is 'regression', but the file holds"):
        convert(path, task="regression")
    with h5py.File(path, "a") as file:
        said = file["tidegate"][()].tobytes()
        for new, error in (
            (said.replace(b'num_layers\\": 2', b'num_layers\\": 3'), "no weights in layers/lstm_2/cell"),
            (said.replace(b'hidden_size\\": 5', b'hidden_size\\": 6'), "do not fit its weights"),
            (b"{", "is not JSON"),
            (b'{"config": 3}', "expected texts by name"),
            (b"{}", "expected texts by name"),
            (b'{"arrays": "{}"}', "do not fit its weights: 'config'"),
        ):
            assert new != said
            del file["tidegate"]
            file["tidegate"] = np.frombuffer(new, np.uint8)
            file.flush()
            with pytest.raises(ConversionError, match=error):
                convert(path)


@pytest.mark.parametrize("streaming", [False, True])
def test_texts_come_back_with_their_words(texts_model: Make, tmp_path: Path, streaming: bool) -> None:
    """Words, labels and the longest text are in a file of ONNX, whole or in pieces: plain texts are answered alike."""
    model, path = texts_model("lstm", summary="mean", max_length=5), tmp_path / "m.onnx"
    to_onnx(model, path, streaming=streaming)
    again, proof = convert(path)
    assert again.config == model.config
    texts = ["a good film", "", "an unheard word , it was very long and boring"]
    np.testing.assert_array_equal(again.predict_proba(texts), model.predict_proba(texts))
    assert {"probabilities", "scores", "vectors"} <= set(proof.what)
    assert convert(path, labels=["no", "yes"]).model.labels == ("no", "yes")
    for wish, error in (({"words": ["a"]}, "holds its vocabulary"), ({"task": "regression"}, "for classification")):
        with pytest.raises(ConversionError, match=error):
            convert(path, **wish)


def test_an_exported_safetensors_file_is_a_model_file(
    texts_model: Make, numbers_model: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says all of the model, to `load` and to `convert`, which compares it; what is said against it is an error."""
    model, path = texts_model("lstm", summary="mean", max_length=5), tmp_path / "m.safetensors"
    to_torch(model, path)
    texts = ["a good film", "", "an unheard word , it was very long and boring"]
    for again in (tidegate.load(path), convert(path).model):
        assert again.config == model.config
        np.testing.assert_array_equal(again.predict_proba(texts), model.predict_proba(texts))
    assert tidegate.load(path).metrics["export"]["error"] <= 1e-5
    assert convert(path, labels=["no", "yes"]).model.labels == ("no", "yes")
    assert convert(path, part="layers").model.config.task == "encoding"
    wrong: dict[str, dict[str, Any]] = {"words": {"words": ["a"]}, "task": {"task": "regression"}}
    for match, wish in (wrong | {"cell is 'gru'": {"cell": "gru"}, "summary is": {"summary": "last"}}).items():
        with pytest.raises(ConversionError, match=match):
            convert(path, **wish)
    monkeypatch.setattr("tidegate.convert.conversion.find_spec", lambda name: None)
    assert "torch, which is not installed" in convert(path).certificate.missing
    path.write_bytes(path.read_bytes().replace(b'"format":"pt"', b'"format":"tf"'))
    with pytest.raises(ConversionError, match="digest does not match"):
        convert(path)


CHANGES: dict[str, tuple[str, str, str]] = {
    "another task": ('"multi-label"', '"regression"', "gives probabilities, scores, vectors, which is not what"),
    "another activation": ('"multi-label"', '"classification"', "probabilities differs by"),
    "another size": ('"hidden_size":5', '"hidden_size":6', "do not fit its graph: .*weight_ih_l0"),
    "no configuration": ("{", "[", "do not fit its graph"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_metadata_that_do_not_fit_the_graph_are_errors(vectors_model: Make, tmp_path: Path, change: str) -> None:
    """What the file computes is compared with the answers that its metadata promise; damage has a reason."""
    path, (old, new, error) = tmp_path / "m.onnx", CHANGES[change]
    to_onnx(vectors_model("gru", task="multi-label"), path)
    proto = onnx.load(path)
    (entry,) = (entry for entry in proto.metadata_props if entry.key == "config")
    text = entry.value.replace(": ", ":")
    assert old in text
    entry.value = text.replace(old, new)
    onnx.save(proto, path)
    with pytest.raises(ConversionError, match=error):
        convert(path)


ENDS = {"multi-label": 3, "classification": 3, "classification by one sigmoid": 1, "regression": 1}


@pytest.mark.parametrize("name", ENDS)
def test_without_metadata_the_end_of_the_graph_says_the_task(vectors_model: Make, tmp_path: Path, name: str) -> None:
    """Softmax or sigmoid beside an output of scores is seen, and compared."""
    count = ENDS[name]
    task = "multi-label" if name.endswith("sigmoid") else name
    model, path = vectors_model("gru", task=task, labels=tuple("abc"[:count])), tmp_path / "m.onnx"
    to_onnx(model, path)
    proto = onnx.load(path)
    del proto.metadata_props[:]
    onnx.save(proto, path)
    again = convert(path).model
    assert again.config.task == name.partition(" ")[0]
    x = np.random.default_rng(3).standard_normal((4, 7, 3)).astype(np.float32)
    values = model.values_of(model.scores(x))
    np.testing.assert_allclose(again.values_of(again.scores(x))[:, -count:], values, rtol=0, atol=1e-6)


def test_onnx_without_its_runtime(numbers_model: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ONNX Runtime a file of ours is run by onnx's own reference, rows of no step too."""
    model, path = numbers_model("gru", missing=()), tmp_path / "m.onnx"
    to_onnx(model, path)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    again, proof = convert(path)
    assert again.config == model.config
    assert "not installed" in proof.missing
