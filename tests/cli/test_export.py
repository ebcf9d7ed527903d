"""`tidegate export`: a model in the files of other programs."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

Shell = Callable[..., tuple[int, str, str]]

needs_compiler = pytest.mark.skipif(not shutil.which("cc"), reason="there is no C compiler")


def test_a_file_of_onnx(shell: Shell, folder: Path) -> None:
    """What was compared and the largest error are shown; an old file of ONNX is replaced, another one is not."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    for _ in range(2):
        code, out, err = shell("export model.safetensors --onnx model.onnx --streaming")
        assert (code, err) == (0, "wrote model.onnx\n")
    assert re.search(r"^largest error +\d\.\de-0\d over \d+ numbers *$", out, re.MULTILINE), out
    assert "onnxruntime" in out
    assert "cut texts into words" in out
    (folder / "mine.onnx").write_text("notes")
    assert "is not a file of ONNX, and would be lost" in shell("export model.safetensors --onnx mine.onnx")[2]


def test_weights_for_torch(shell: Shell, folder: Path) -> None:
    """The module that loads them is shown; a model file, which is a safetensors file too, is not replaced."""
    for suffix in ("pt", "safetensors"):
        for _ in range(2):
            code, out, err = shell(f"export model.safetensors --torch weights.{suffix}")
            assert (code, err) == (0, f"wrote weights.{suffix}\n")
        held = {"pt": "not in the file +cell, summary, task", "safetensors": "it is also +a model file"}[suffix]
        assert re.search(f"^{held}", out, re.MULTILINE), out
    assert "\nimport torch\nfrom torch import nn\n" in f"\n{out}"
    assert re.search(r"^        self.rnn = nn.GRU\(8, 8, num_layers=1", out, re.MULTILINE)
    assert re.search(r"^largest error +\d\.\de-0\d over \d+ numbers *$", out, re.MULTILINE), out
    (folder / "other.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    assert "would be lost" in shell("export model.safetensors --torch other.safetensors")[2]


def test_weights_for_keras(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model that loads them is shown, and that nothing was compared where Keras is not installed."""
    pytest.importorskip("h5py")
    monkeypatch.setattr("tidegate.convert.keras.runtime.find_spec", lambda name: None)
    for _ in range(2):
        code, out, err = shell("export model.safetensors --keras net.weights.h5")
        assert (code, err) == (0, "wrote net.weights.h5\n")
    assert "x = layers.GRU(8, return_sequences=False" in out
    assert "nothing: Keras is not installed" in out


@needs_compiler
def test_a_file_of_c(shell: Shell, folder: Path) -> None:
    """Sizes, the time of a step and the largest error are shown."""
    for weights in ("float32", "int8"):
        code, out, err = shell(f"export model.safetensors --c net.c --name tiny --weights {weights}")
        assert (code, err) == (0, "wrote net.c\n")
    for line in (r"weights +[\d,]+ bytes", r"a state +\d+ bytes", r"a step +[\d.]+ µs on this machine"):
        assert re.search(f"^{line}", out, re.MULTILINE), line
    assert re.search(r"^largest error +\d\.\de-0\d over \d+ numbers *$", out, re.MULTILINE), out
    assert "int8_t tiny_embedding" in (folder / "net.c").read_text()


def test_without_a_compiler_nothing_is_compared(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no C compiler, that is said in the place of the error."""
    monkeypatch.setenv("CC", "no-such-compiler")
    code, out, _ = shell("export model.safetensors --c net.c --overwrite")
    assert code == 0
    assert "nothing: there is no C compiler here" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "nothing to write: choose --onnx FILE"),
        ("--torch m.pt --weights int8", "--weights is given without --c, which it is for"),
        ("--c m.c --streaming", "--streaming is given without --onnx, which it is for"),
        ("--c model.cpp", "expected a file that ends in .c"),
        ("--c model.c --name 1", "name is '1', expected a letter"),
        ("--onnx model.safetensors", "is also an input"),
        ("--c train.csv", "expected a file that ends in .c"),
    ],
)
def test_mistakes_are_one_line(shell: Shell, options: str, message: str) -> None:
    """What cannot be done is said in one line, with exit code 2."""
    code, _, err = shell(f"export model.safetensors {options}")
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
