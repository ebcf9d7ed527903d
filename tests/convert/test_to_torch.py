"""A model's weights in PyTorch: the module that the export shows loads them, and computes what the model does."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from safetensors.numpy import load_file

from tidegate.convert.certificate import ConversionError
from tidegate.convert.samples import results_of
from tidegate.convert.to_torch import to_torch
from tidegate.convert.torch.code import torch_code

Make = Callable[..., Any]
TOLERANCE = 1e-5

CELLS: dict[str, dict[str, Any]] = {
    "gru": {"num_layers": 2, "bidirectional": True},
    "gru reset=before gate=hard_sigmoid": {"summary": "mean"},
    "gru candidate=relu": {"summary": "max", "bias": False, "bidirectional": True},
    "lstm": {"summary": "mean+max", "num_layers": 2},
    "lstm bidirectional": {"bidirectional": True, "task": "regression"},
    "rnn_tanh": {"bias": False},
    "rnn_relu": {"task": "encoding", "labels": ()},
    "average": {},
    "compound": {},
}


def module_of(code: str) -> Any:
    """The class of a program."""
    program = ModuleType("program")
    exec(code, program.__dict__)
    return program.Model().eval()


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_and_summary(vectors_model: Make, tmp_path: Path, cell: str) -> None:
    """The module that is shown loads the file, whose names and numbers are the model's, and gives the same results."""
    model, path = vectors_model(cell.removesuffix(" bidirectional"), **CELLS[cell]), tmp_path / "m.pt"
    written = to_torch(model, path)
    assert written.certificate is not None
    assert written.certificate.error <= TOLERANCE
    weights = torch.load(path, weights_only=True)
    assert weights.keys() == model.arrays.keys()
    for name, weight in weights.items():
        np.testing.assert_array_equal(weight.numpy(), model.arrays[name])
    module = module_of(written.code)
    module.load_state_dict(weights)
    x = np.random.default_rng(5).standard_normal((3, 6, 3)).astype(np.float32)
    with torch.no_grad():
        found = module(torch.from_numpy(x), torch.tensor([6, 0, 2])).numpy()
    name = "scores" if model.config.has_head else "vectors"
    expected = results_of(model, [x[0], x[1, :0], x[2, :2]])[name]
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_texts_and_numbers(texts_model: Make, numbers_model: Make, tmp_path: Path) -> None:
    """Word vectors, scales and what fills gaps are in the module too; a safetensors file is read without PyTorch."""
    for model in (
        texts_model("gru", max_length=6, summary="mean"),
        texts_model("gru").compress("int8"),
        numbers_model("lstm", summary="max"),
        numbers_model("compound", missing=()),
    ):
        written = to_torch(model, tmp_path / "m.safetensors")
        assert written.certificate is not None
        assert written.certificate.error <= TOLERANCE
        arrays = load_file(tmp_path / "m.safetensors")
        assert arrays.keys() == model.arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, model.arrays[name])


def test_without_torch_nothing_is_compared(
    vectors_model: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where PyTorch is not installed, .safetensors is written all the same; .pt is one line that says what to do."""
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    written = to_torch(vectors_model("gru"), tmp_path / "m.safetensors")
    assert written.certificate is None
    assert "nn.GRU(3, 5, num_layers=1, bias=True, bidirectional=False, batch_first=True)" in written.code
    with pytest.raises(ImportError, match=r"pip install 'tidegate\[train\]'"):
        to_torch(vectors_model("gru"), tmp_path / "m.pt")
    assert not (tmp_path / "m.pt").exists()


def test_a_module_that_differs_is_not_written(
    vectors_model: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the module gives something else, that is an error, and there is no file."""
    wrong = "tidegate.convert.to_torch.torch_code"
    monkeypatch.setattr(wrong, lambda model: torch_code(model).replace("h[-1]", "h[-1] + 1e-3"))
    with pytest.raises(ConversionError, match=r"scores differs by .* from torch"):
        to_torch(vectors_model("gru"), tmp_path / "m.pt")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_exported_is_one_error(texts_model: Make, tmp_path: Path) -> None:
    """N-grams and other suffixes are refused."""
    with pytest.raises(ValueError, match="n-grams, of which PyTorch has no layer"):
        to_torch(texts_model("gru", ngrams=9, ngram_order=2), tmp_path / "m.pt")
    with pytest.raises(ValueError, match=r"expected one that ends in \.pt or \.safetensors"):
        to_torch(texts_model("gru"), tmp_path / "m.bin")
