"""`tidegate compress`: a smaller model, and none that is worse."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tidegate
from tidegate.data import tables

Shell = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("dtype", ["int8", "bfloat16"])
def test_the_smaller_model_answers_as_the_larger_one(shell: Shell, folder: Path, dtype: str) -> None:
    """Size, time and accuracy are shown for both; the file says what it is, and reads texts without torch."""
    code, out, err = shell(f"compress model.safetensors --to {dtype} -o small.safetensors --check test.csv")
    assert code == 0, err
    assert "wrote small.safetensors" in err
    for line in (
        r" size +\d+\.\d\d MB +",
        r" one step +[\d.]+ µs +[\d.]+ µs +[\d.]+ × as fast",
        r" accuracy +\d\.\d{4} +",
    ):
        assert re.search(f"^{line}", out, re.MULTILINE), line
    assert (folder / "small.safetensors").stat().st_size < (folder / "model.safetensors").stat().st_size
    assert re.search(rf"^weights +{dtype} and float32 for the rest", shell("info small.safetensors")[1], re.MULTILINE)
    large, small = (tidegate.load(folder / f"{name}.safetensors") for name in ("model", "small"))
    texts = tables.read(folder / "test.csv").texts
    np.testing.assert_allclose(small.predict_proba(texts), large.predict_proba(texts), rtol=0, atol=0.05)
    assert {array.dtype for array in small.small.values()} == {dtype}


def test_a_worse_model_is_not_written(shell: Shell, folder: Path) -> None:
    """One whose accuracy falls by more than the tolerance is refused with one line; a larger tolerance lets it pass."""
    model = tidegate.load(folder / "model.safetensors", tidegate.TextModel)
    arrays = dict(model.arrays)
    # Weights of a unit that is always 0: no text shows them, but beside them int8 makes all others of their rows 0.
    weight = arrays["rnn.weight_hh_l0"].copy()
    weight[:, 0] = 1e4
    bias = {name: arrays[name].copy() for name in ("rnn.bias_ih_l0", "rnn.bias_hh_l0")}
    H = model.config.hidden_size
    head = arrays["head.weight"].copy()
    head[:, 0] = 0
    weight[[0, H, 2 * H]], bias["rnn.bias_ih_l0"][[0, H, 2 * H]], bias["rnn.bias_hh_l0"][[0, H, 2 * H]] = 0, 0, 0
    w_ih = arrays["rnn.weight_ih_l0"].copy()
    w_ih[[0, H, 2 * H]] = 0  # unit 0 stays 0 for ever
    changed = arrays | bias | {"rnn.weight_hh_l0": weight, "rnn.weight_ih_l0": w_ih, "head.weight": head}
    type(model)(model.config, model.tokenizer, changed).save(folder / "fragile.safetensors")
    code, out, err = shell("compress fragile.safetensors -o fragile8.safetensors --check train.csv")
    assert code == 2, out
    assert re.fullmatch(
        r"error: with int8 the accuracy on train\.csv falls by [\d.]+ points, and --tolerance allows 0\.2: "
        r"fragile8\.safetensors is not written\n",
        err,
    )
    assert not (folder / "fragile8.safetensors").exists()
    assert shell("compress fragile.safetensors -o fragile8.safetensors --check train.csv --tolerance 100")[0] == 0


def test_what_cannot_be_compressed_is_named(shell: Shell, folder: Path) -> None:
    """A model that is compressed already, an output that is an input, and a model of vectors beside texts."""
    assert shell("compress model.safetensors -o once.safetensors")[0] == 0
    code, _, err = shell("compress once.safetensors -o twice.safetensors")
    assert (code, err) == (
        2,
        "error: once.safetensors is compressed already: compress the model that it was made of\n",
    )
    assert "is also an input" in shell("compress model.safetensors -o model.safetensors")[2]
    assert "expected a file that ends in .safetensors" in shell("compress model.safetensors -o small.csv")[2]
    config = tidegate.NetworkConfig(cell="gru", labels=("a", "b"), input_size=3, hidden_size=4, bidirectional=True)
    arrays = {name: np.ones(shape, np.float32) for name, shape in config.shapes().items()}
    tidegate.Network(config, arrays).save(folder / "vectors.safetensors")
    assert (
        "expected a model that reads texts"
        in shell("compress vectors.safetensors -o v8.safetensors --check test.csv")[2]
    )
    assert shell("compress vectors.safetensors -o v8.safetensors")[0] == 0
    assert tidegate.load(folder / "v8.safetensors").small.keys() == {k for k in arrays if k.startswith("rnn.weight")}
