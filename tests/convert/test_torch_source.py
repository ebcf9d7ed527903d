"""Weights and modules of torch become models that compute the same; nothing of a file is executed."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
import torch
from safetensors.torch import save_file

import tidegate
import tidegate.torch
from tidegate.convert import ConversionError, convert
from tidegate.convert.tensor_files import read_safetensors
from tidegate.ops.cells import CELLS

TOLERANCE = 1e-5


class Net(torch.nn.Module):
    """An embedding if asked for, a recurrent stack, a summary and a linear layer."""

    def __init__(self, kind: str, summary: str, words: bool = False, both: bool = False, softmax: bool = False) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(12, 3) if words else torch.nn.Identity()
        self.rnn = getattr(torch.nn, kind)(3, 4, 2, bidirectional=both, batch_first=True, dropout=0.5)
        self.head = torch.nn.Linear(4 * (1 + both) * (1 + (summary == "mean+max")), 3)
        self.summary, self.softmax = summary, softmax

    def forward(self, x: Any) -> Any:
        y, states = self.rnn(self.embedding(x))
        h_n = states[0] if isinstance(states, tuple) else states
        summaries = {
            "last": lambda: torch.cat([*h_n[-1 - self.rnn.bidirectional :]], 1),
            "mean": lambda: y.mean(1),
            "max": lambda: y.amax(1),
            "mean+max": lambda: torch.cat([y.mean(1), y.amax(1)], 1),
            "every": lambda: y,
        }
        scores = self.head(summaries[self.summary]())
        return scores.softmax(-1) if self.softmax else scores


NETS = [
    Net("GRU", "last"),
    Net("LSTM", "last", both=True, words=True),
    Net("RNN", "mean", softmax=True),
    Net("GRU", "max", both=True),
    Net("LSTM", "mean+max", words=True, softmax=True),
    Net("GRU", "every"),
]


@pytest.mark.parametrize("net", NETS, ids=lambda net: f"{type(net.rnn).__name__}-{net.summary}")
def test_modules_become_models(net: Net) -> None:
    """What `forward` does with outputs and scores is found by comparing; the module is left as it was."""
    model, certificate = convert(net)
    assert model.config.summary == ("last" if net.summary == "every" else net.summary)
    assert certificate.error <= TOLERANCE
    assert isinstance(model, tidegate.TextModel) == isinstance(net.embedding, torch.nn.Embedding)
    assert net.training
    assert net.rnn.training


@pytest.mark.parametrize("net", NETS[:5], ids=lambda net: f"{type(net.rnn).__name__}-{net.summary}")
def test_a_state_dict_is_the_module(tmp_path: Path, net: Net) -> None:
    """A checkpoint, one with more around it, a safetensors file and the arrays are the module's weights."""
    torch.save(net.state_dict(), tmp_path / "a.pt")
    torch.save({"epoch": 3, "optimizer": {"lr": 0.1}, "model": net.state_dict()}, tmp_path / "b.pt")
    save_file(net.state_dict(), tmp_path / "c.safetensors")
    whole, _ = convert(net)
    arrays = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
    for source in (tmp_path / "a.pt", tmp_path / "b.pt", tmp_path / "c.safetensors", arrays):
        model, certificate = convert(source, summary=net.summary)
        assert "torch" in certificate.against
        assert model.arrays.keys() == whole.arrays.keys()
        for name, array in whole.arrays.items():
            np.testing.assert_array_equal(model.arrays[name], array)


@pytest.mark.parametrize("name", CELLS)
def test_drop_ins_become_models(name: str) -> None:
    """Every cell of this library's own layers is read, and every choice of it."""
    choices = {choice: words[-1] for choice, words in CELLS[name].choices.items()}
    kinds = {3: tidegate.torch.GRU, 4: tidegate.torch.LSTM, 1: tidegate.torch.RNN}
    if CELLS[name].G == 1:
        choices = {"nonlinearity": name.removeprefix("rnn_")}
    module = kinds[CELLS[name].G](3, 4, 2, bidirectional=True, **choices)
    model, certificate = convert(module)
    assert model.config.task == "encoding"
    assert certificate.error <= TOLERANCE
    x = torch.randn(6, 1, 3)
    h_n = module(x)[1]
    h_n = h_n[0] if isinstance(h_n, tuple) else h_n
    np.testing.assert_allclose(model.encode([x[:, 0].numpy()])[0], h_n[-2:].flatten().detach(), atol=TOLERANCE)


def test_half_precision_is_widened(tmp_path: Path) -> None:
    """bfloat16, float16 and float64 are read, without a package for bfloat16."""
    weights = {name: tensor.bfloat16() for name, tensor in torch.nn.GRU(2, 3).state_dict().items()}
    save_file(weights, tmp_path / "b.safetensors")
    torch.save(weights, tmp_path / "b.pt")
    for name in ("b.safetensors", "b.pt"):
        model, _ = convert(tmp_path / name)
        np.testing.assert_array_equal(model.arrays["rnn.weight_ih_l0"], weights["weight_ih_l0"].float())
    save_file({name: tensor.half() for name, tensor in weights.items()}, tmp_path / "h.safetensors")
    save_file({name: tensor.double() for name, tensor in weights.items()}, tmp_path / "d.safetensors")
    for name in ("h", "d"):
        assert read_safetensors(tmp_path / f"{name}.safetensors").keys() == weights.keys()


def test_the_cell_of_arrays_can_be_said() -> None:
    """Weights alone do not say which activation an RNN has, nor where the reset gate of a GRU stands."""
    arrays = {name: tensor.numpy() for name, tensor in torch.nn.RNN(2, 3, nonlinearity="relu").state_dict().items()}
    assert convert(arrays).model.config.cell == "rnn_tanh"
    assert convert(arrays, cell="rnn_relu").model.config.cell == "rnn_relu"
    with pytest.raises(ConversionError, match="weights have 3 and 3 rows for 3 units"):
        convert(arrays, cell="gru")


class Attack:
    """What would be executed if a pickle were."""

    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("executed",)


def test_nothing_is_executed(tmp_path: Path) -> None:
    """Python objects in a checkpoint are refused, in torch's archive and in a plain pickle."""
    torch.save({"weight_ih_l0": torch.ones(1), "more": Attack()}, tmp_path / "a.pt")
    (tmp_path / "b.pt").write_bytes(pickle.dumps({"weight_ih_l0": Attack()}))
    torch.save(torch.nn.GRU(2, 3), tmp_path / "c.pt")
    for name in ("a.pt", "c.pt"):
        with pytest.raises(ConversionError, match=f"{name} holds Python objects beside its tensors"):
            convert(tmp_path / name)
    with pytest.raises(ConversionError, match=r"b.pt (holds Python objects|is no checkpoint)"):
        convert(tmp_path / "b.pt")


def test_a_packed_archive_is_not_unpacked(tmp_path: Path) -> None:
    """Checkpoints are not packed: one that is larger inside than outside is refused."""
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"\0" * 10**7)
    with pytest.raises(ConversionError, match=r"bomb.pt is packed: its 10,000,000 bytes inside"):
        convert(tmp_path / "bomb.pt")


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
def test_a_truncated_file_is_refused(tmp_path: Path, name: str) -> None:
    """Wherever a file was cut, the error is of conversion and names the file."""
    weights = torch.nn.GRU(2, 3).state_dict()
    (save_file if name.endswith("safetensors") else torch.save)(weights, tmp_path / name)
    data = (tmp_path / name).read_bytes()
    for length in (20, len(data) // 2, len(data) - 1):
        (tmp_path / name).write_bytes(data[:length])
        with pytest.raises(ConversionError, match=name):
            convert(tmp_path / name)


class Noisy(Net):
    """A network with a layer that no model has."""

    def forward(self, x: Any) -> Any:
        return super().forward(x.tanh())


class Uncallable(Net):
    """A network that cannot be called with a batch alone."""

    def forward(self, x: Any, lengths: Any, mask: Any) -> Any:  # type: ignore[override]
        return super().forward(x)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (Noisy("GRU", "last"), ConversionError, "do not compute what torch .* does: the source has operations"),
        (Uncallable("GRU", "last"), ConversionError, "Uncallable cannot be called with a batch of one sequence"),
        (torch.nn.Linear(2, 3), ConversionError, "Linear holds no GRU, LSTM or RNN of torch"),
        (torch.nn.LSTM(2, 3, proj_size=2), ConversionError, "weight_hr_l0 is a projection of an LSTM"),
        (
            torch.nn.Sequential(torch.nn.GRU(2, 3), torch.nn.Linear(3, 3), torch.nn.Linear(3, 1)),
            ConversionError,
            "Sequential holds 2 linear layers, expected one; its recurrent layers alone",
        ),
        ({"a": np.ones(3)}, ConversionError, "no array is called weight_ih_l0"),
        ({"weight_ih_l0": np.ones((6, 2))}, ConversionError, "the arrays: weights lacks 'weight_hh_l0'"),
        (3, TypeError, "source is of type int, expected a path, a module of torch, or arrays"),
    ],
)
def test_what_cannot_be_converted_is_named(source: Any, error: type[Exception], message: str) -> None:
    """One clear error says what is wrong."""
    with pytest.raises(error, match=message):
        convert(source)


def test_a_model_of_tidegate_is_refused(tmp_path: Path) -> None:
    """A file that is a model already is named so."""
    convert(torch.nn.GRU(2, 3)).model.save(tmp_path / "m.safetensors")
    with pytest.raises(ConversionError, match=r"m.safetensors is a model of tidegate already"):
        convert(tmp_path / "m.safetensors")
