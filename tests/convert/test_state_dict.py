"""Weights alone: every tensor has a place, and what they do not say is listed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
import torch
from torch import nn

from tidegate.convert import ConversionError, convert

GRU, FC = {"rnn": nn.GRU(4, 6)}, {"fc": nn.Linear(6, 2)}


def arrays(**parts: Any) -> dict[str, Any]:
    """The state_dict of modules by name."""
    return {name: tensor.numpy() for name, tensor in nn.ModuleDict(parts).state_dict().items()}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (arrays(**GRU, norm=nn.LayerNorm(6), **FC), "norm.weight and norm.bias would be left out"),
        (arrays(**GRU, bn=nn.BatchNorm1d(6, affine=False), **FC), "bn.num_batches_tracked would be left out"),
        (arrays(inp=nn.Linear(4, 4), **GRU, **FC), "inp.weight and inp.bias would be left out"),
        (arrays(conv=nn.Conv1d(4, 4, 3), **GRU, **FC), "conv.weight and conv.bias would be left out"),
        (arrays(**GRU, **FC, more=nn.Linear(2, 2)), "more.weight and more.bias would be left out"),
        (arrays(**GRU, **FC) | {"h0": np.zeros((1, 1, 6), np.float32)}, "h0 would be left out"),
        (arrays(encoder=nn.GRU(4, 6), decoder=nn.GRU(6, 6), **FC), "of 2 modules, encoder and decoder"),
    ],
)
def test_what_would_be_left_out_is_an_error(given: Any, message: str) -> None:
    """A tensor without a place and a second module are named; the layers alone are taken if asked for."""
    with pytest.raises(ConversionError, match=message):
        convert(given)
    assert convert(given, part="layers").model.config.task == "encoding"


def test_what_is_assumed_is_kept() -> None:
    """The cell of an RNN, the summary and the task are listed unless said; torch's layers are rebuilt."""
    given = arrays(rnn=nn.RNN(4, 6), fc=nn.Linear(6, 1))
    model, certificate = convert(given)
    assert [line.split(";")[0] for line in model.metrics["conversion"]["assumed"][:3]] == [
        "the RNN is one of tanh",
        "what follows the layers reads their last states",
        "fc.weight: the output is a number",
    ]
    assert certificate.against.startswith("layers rebuilt in torch")
    assert certificate.against.count("the reference in float64") == 1
    said = convert(given, cell="rnn_relu", summary="mean", task="classification").model
    assert (said.config.labels, len(said.metrics["conversion"]["assumed"])) == (("0", "1"), 1)


def test_damaged_and_other_files_are_named(tmp_path: Path) -> None:
    """Half a checkpoint, a text with its suffix, and two state_dicts in one file are told apart."""
    weights, path = nn.GRU(4, 6).state_dict(), tmp_path / "a.pt"
    torch.save(weights, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConversionError, match=r"a.pt is cut off or damaged"):
        convert(path)
    path.write_text("epoch loss")
    with pytest.raises(ConversionError, match=r"expected a checkpoint of torch"):
        convert(path)
    torch.save({"encoder": weights, "decoder": weights}, path)
    with pytest.raises(ConversionError, match=r"a.pt holds 2 state_dicts, encoder, decoder"):
        convert(path)


@pytest.mark.filterwarnings("ignore")  # of TorchScript, which torch will drop
@pytest.mark.parametrize("form", ["script", "export"])
def test_programs_of_torch_are_refused_by_name(tmp_path: Path, form: str) -> None:
    """TorchScript and torch.export write programs into files that end in .pt, too: what to do instead is said."""
    layer, path = torch.nn.GRU(3, 4), tmp_path / "program.pt"
    if form == "script":
        torch.jit.save(torch.jit.script(layer), path)
    else:
        with path.open("wb") as file:
            torch.export.save(torch.export.export(torch.nn.Linear(3, 4), (torch.zeros(1, 3),)), file)
    with pytest.raises(ConversionError, match=r"holds a program of TorchScript or torch\.export.* state_dict\(\)"):
        convert(path)
