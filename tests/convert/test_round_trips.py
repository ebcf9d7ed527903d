"""What is exported and converted back has the very numbers that it had."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import torch

from tidegate.convert import ConversionError, convert
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
    to_torch(model, path)
    return convert(path, cell=model.config.cell, summary=model.config.summary, task=model.config.task).model


@pytest.mark.parametrize("suffix", [".onnx", ".pt", ".safetensors"])
@pytest.mark.parametrize("cell", NETWORKS)
def test_weights_come_back_bit_by_bit(vectors_model: Make, tmp_path: Path, cell: str, suffix: str) -> None:
    """Cell, summary and every weight of a network come back from ONNX, which says it all, and from torch's files."""
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


@pytest.mark.parametrize("name", ["ONNX", "PyTorch, .pt", "PyTorch, .safetensors"])
@pytest.mark.parametrize("kind", ["vectors", "numbers", "texts"])
def test_random_networks_come_back_bit_by_bit(conversions: Any, tmp_path: Path, kind: str, name: str) -> None:
    """Networks with random options, one of each cell, go out and come back with the same bits and two certificates."""
    for seed in range(len(conversions.CELLS)):
        model = conversions.drawn(kind, seed)
        trip = conversions.trip(model, conversions.FORMS[name], tmp_path)
        assert trip.same, model
        assert max(trip.out.error, trip.back.error) <= 1e-5


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


@pytest.mark.parametrize("suffix", [".onnx", ".safetensors"])
def test_word_vectors_come_back(texts_model: Make, tmp_path: Path, suffix: str) -> None:
    """So do those of words, which are ids to the other program; the two words that every vocabulary has come first."""
    model = texts_model("lstm", summary="mean")
    again = back(model, tmp_path / f"model{suffix}")
    np.testing.assert_array_equal(again.arrays["embedding.weight"][2:], model.arrays["embedding.weight"])
    np.testing.assert_array_equal(again.arrays["head.weight"], model.arrays["head.weight"])
