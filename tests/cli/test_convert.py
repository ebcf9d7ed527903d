"""`tidegate convert`: another framework's weights as a model, with the proof printed and kept."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import tidegate

Shell = Callable[..., tuple[int, str, str]]


@pytest.fixture(name="weights")
def fixture_weights(folder: Path) -> Path:
    """A state_dict of torch with an embedding, a GRU and a linear layer, as a safetensors file."""
    rng = np.random.default_rng(0)
    shapes = {
        "emb.weight": (5, 3),
        "rnn.weight_ih_l0": (12, 3),
        "rnn.weight_hh_l0": (12, 4),
        "rnn.bias_ih_l0": (12,),
        "rnn.bias_hh_l0": (12,),
        "out.weight": (2, 4),
        "out.bias": (2,),
    }
    path = folder / "weights.safetensors"
    save_file({name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}, path)
    return path


@pytest.mark.usefixtures("weights")
def test_a_model_is_written_with_its_proof(shell: Shell, folder: Path) -> None:
    """The error is printed and kept; other commands read the model."""
    (folder / "words.txt").write_text("<pad>\n<unk>\ngood\nbad\nfilm\n", encoding="utf-8")
    code, _, err = shell(
        "convert weights.safetensors -o new.safetensors --labels bad,good --vocabulary words.txt --summary mean"
    )
    assert code == 0, err
    assert re.search(r"largest error \d\.\de-\d\d against .*the reference in float64", err)
    model = tidegate.load(folder / "new.safetensors", tidegate.TextModel)
    assert model.labels == ("bad", "good")
    assert model.config.summary == "mean"
    assert model.metrics["conversion"]["error"] < 1e-5
    assert shell("info new.safetensors")[0] == 0
    assert model.predict(["good film"])[0] in model.labels


@pytest.mark.usefixtures("weights")
@pytest.mark.parametrize("absent", [True, False])
def test_what_was_not_compared_is_said(shell: Shell, monkeypatch: pytest.MonkeyPatch, absent: bool) -> None:
    """Without torch, words say that the weights were not compared with it, and what that means; with it, none do."""
    if absent:
        monkeypatch.setattr("tidegate.convert.conversion.find_spec", lambda name: None)
    else:
        pytest.importorskip("torch")
    code, _, err = shell("convert weights.safetensors -o new.safetensors --summary mean --overwrite")
    assert code == 0, err
    said = " ".join(err.split())
    words = "not compared with torch, which is not installed: pip install torch"
    assert (words in said) == absent
    assert ("against the reference in float64 alone," in said) == absent
    assert ("The certificate is one of arithmetic alone" in said) == absent


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--cell rnn_relu", "weights have 12 and 12 rows for 4 units, expected 1·4 = 4 of the cell 'rnn_relu'"),
        ("--labels a,b,c", "head.weight has shape"),
        ("--set sr", "--set is 'sr', expected NAME=NUMBER such as sr=16000"),
        ("--summary sum", "summary is 'sum', expected one of 'last', 'mean', 'max', 'mean+max'"),
    ],
)
@pytest.mark.usefixtures("weights")
def test_wrong_options_are_one_line(shell: Shell, folder: Path, options: str, message: str) -> None:
    """Nothing is written, and the line says what is wrong."""
    code, _, err = shell(f"convert weights.safetensors -o none.safetensors {options}")
    assert code == 2
    assert message in err
    assert not (folder / "none.safetensors").exists()


def test_a_vocabulary_that_is_no_text_is_refused(shell: Shell, weights: Path) -> None:
    """A file in another encoding is named."""
    (weights.parent / "words.txt").write_bytes(b"\xff\n")
    code, _, err = shell("convert weights.safetensors -o new.safetensors --vocabulary words.txt")
    assert code == 2
    assert "words.txt is no text in UTF-8: byte 0" in err


def test_what_is_no_model_is_refused(shell: Shell, folder: Path) -> None:
    """A file of another kind is named."""
    (folder / "a.pdf").write_bytes(b"%PDF-1.7 and more")
    code, _, err = shell("convert a.pdf -o new.safetensors")
    assert code == 2
    assert "a.pdf is a PDF document, expected a file of ONNX, Keras or torch" in err


@pytest.mark.usefixtures("weights")
def test_assumptions_are_printed(shell: Shell) -> None:
    """Each is a line, and predict notes texts of which the model knows no word."""
    err = shell("convert weights.safetensors -o new.safetensors")[2]
    assert "assumed: what follows the layers reads their last states" in err
    assert "knows no word" in shell("predict new.safetensors -", stdin="good film\n")[2]
    assert "knows no word" not in shell("predict new.safetensors -", stdin="3 4\n")[2]
