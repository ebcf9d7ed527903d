"""Real pretrained networks: their weights go in, and the states that their own programs computed come out."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tidegate import Recurrent, StreamPool, ops

Array = npt.NDArray[np.floating[Any]]


@pytest.fixture(scope="module")
def rnnoise(data: Path) -> dict[str, Array]:
    """RNNoise's first network (Valin 2018): int8 weights, and what the C program made of 976 frames of a recording."""
    path = data / "golden" / "rnnoise_v0_model_orig.npz"
    if not path.is_file():
        pytest.skip(f"there is no {path}")
    with np.load(path) as arrays:
        return {name: arrays[name] / (256 if arrays[name].dtype == np.int8 else 1) for name in arrays.files}


def weights(rnnoise: dict[str, Array], name: str) -> dict[str, Array]:
    """One of its GRUs in torch's layout: it stores columns z, r, n and one bias."""

    def rows(array: Array) -> Array:
        z, r, n = np.split(array.T, 3)
        return np.concatenate([r, z, n])

    w_ih, w_hh, bias = (rows(rnnoise[f"{name}.{part}"]) for part in ("input_weights", "recurrent_weights", "bias"))
    return {"weight_ih_l0": w_ih, "weight_hh_l0": w_hh, "bias_ih_l0": bias, "bias_hh_l0": np.zeros_like(bias)}


def inputs(rnnoise: dict[str, Array], name: str) -> Array:
    """What each of the three GRUs reads, float32 [T, 1, I]."""
    features, vad, noise = (rnnoise[part] for part in ("features", "vad_gru_state", "noise_gru_state"))
    dense = np.tanh(features @ rnnoise["input_dense.weights"] + rnnoise["input_dense.bias"])
    read = {"vad_gru": [dense], "noise_gru": [dense, vad, features], "denoise_gru": [vad, noise, features]}[name]
    return np.concatenate(read, axis=1, dtype=np.float32)[:, None]


@pytest.mark.parametrize("name", ["vad_gru", "noise_gru", "denoise_gru"])
@pytest.mark.parametrize("isa", ops.isas())
def test_the_grus_of_rnnoise_follow_its_program(
    rnnoise: dict[str, Array], name: str, isa: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the reset gate before the product and relu candidates, all states are within 1e-4, whole and step by step.

    The program looks its tanh and sigmoid up in tables; exact arithmetic is up to 8.1e-5 away from it.
    """
    monkeypatch.setattr("tidegate.ops.layer.default_isa", lambda: isa)
    layer = Recurrent(weights(rnnoise, name), "gru reset=before candidate=relu")
    x, expected = inputs(rnnoise, name), rnnoise[f"{name}_state"]
    y, _ = layer.outputs(x)
    assert np.abs(y[:, 0] - expected).max() <= 1e-4
    h = np.zeros((1, expected.shape[1]), np.float32)
    for t in range(len(x)):
        layer.step(x[t, 0], h, out=h)
        np.testing.assert_array_equal(h[0], y[t, 0])


def test_the_reset_gate_after_the_product_is_another_network(rnnoise: dict[str, Array]) -> None:
    """The same weights with torch's GRU are far from the program: the two forms can't be exchanged."""
    layer = Recurrent(weights(rnnoise, "noise_gru"), "gru candidate=relu")
    y, _ = layer.outputs(inputs(rnnoise, "noise_gru"))
    assert np.abs(y[:, 0] - rnnoise["noise_gru_state"]).max() > 0.05


def test_the_grus_of_rnnoise_are_streams(rnnoise: dict[str, Array]) -> None:
    """Frame by frame in three pools, several calls at once, each frame's states are those of its recording alone."""
    calls, frames = 3, 60
    for name in ("vad_gru", "noise_gru", "denoise_gru"):
        layer, x = Recurrent(weights(rnnoise, name), "gru reset=before candidate=relu"), inputs(rnnoise, name)[:, 0]
        pool = StreamPool(layer)
        for t in range(frames):
            answers = pool.push(range(calls), np.stack([x[call * frames + t] for call in range(calls)]))
        alone = [layer([x[call * frames : (call + 1) * frames]])[0] for call in range(calls)]
        np.testing.assert_array_equal(answers.vectors, alone)
        assert np.abs(answers.vectors[0] - rnnoise[f"{name}_state"][frames - 1]).max() <= 1e-4
