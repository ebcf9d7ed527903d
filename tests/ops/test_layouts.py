"""The layouts of other frameworks: read and written back, and computed as the frameworks say."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tidegate.ops import reference
from tidegate.ops.cells import GRU, LSTM, Cell, TanhRNN
from tidegate.ops.cells.activations import sigmoid
from tidegate.ops.layouts import LAYOUTS, Layout, Weights

I, H = 3, 2
ALL = [(framework, kind) for framework, kinds in LAYOUTS.items() for kind in kinds]


def cell_of(layout: Layout, kind: str) -> Cell:
    """The cell of a kind of layer."""
    before = "reset_after=False" in kind or ("bias" in layout.names and "b_hn" not in layout.names)
    cells: dict[int, Cell] = {1: TanhRNN(), 3: GRU(reset="before" if before else "after"), 4: LSTM()}
    return cells[len(layout.blocks)]


def arrays_of(layout: Layout, cell: Cell, seed: int = 0) -> dict[str, Any]:
    """Random arrays by the framework's names: those that it writes, with other numbers in them."""
    rng = np.random.default_rng(seed)
    zeros = Weights(np.zeros((cell.G * H, I)), np.zeros((cell.G * H, H)))
    return {name: rng.standard_normal(array.shape) for name, array in layout.write(cell, zeros).items()}


@pytest.mark.parametrize(("framework", "kind"), ALL)
def test_what_is_read_is_written_back(framework: str, kind: str) -> None:
    """Reading and writing gives the framework's own arrays, bit by bit."""
    layout = LAYOUTS[framework][kind]
    cell = cell_of(layout, kind)
    arrays = arrays_of(layout, cell)
    written = layout.write(cell, layout.read(cell, arrays))
    assert written.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(written[name], array, err_msg=name)
        assert written[name].flags.c_contiguous


@pytest.mark.parametrize(("framework", "kind"), ALL)
def test_what_can_be_said_computes_the_same_there(framework: str, kind: str) -> None:
    """Two biases that are written as one, or moved to the other side, still give the same states."""
    layout, rng = LAYOUTS[framework][kind], np.random.default_rng(1)
    cell = cell_of(layout, kind)
    shapes = (cell.G * H, I), (cell.G * H, H), (cell.G * H,), (cell.G * H,)
    weights = Weights(*(rng.standard_normal(shape) for shape in shapes))
    if (framework, kind) == ("nnx", "GRUCell"):
        weights.b_hh[2 * H :] = 0  # type: ignore[index]
    again = layout.read(cell, layout.write(cell, weights))
    x, h0 = rng.standard_normal((4, 2, I)), rng.standard_normal((cell.S, 2, H))
    first, second = (
        reference.Layer(cell, *w).forward(x, h0.squeeze(0) if cell.S == 1 else h0) for w in (weights, again)
    )
    np.testing.assert_allclose(second.y, first.y, atol=1e-12)


def keras_gru(a: dict[str, Any], x: Any, h: Any) -> Any:
    """Keras' GRU, reset after the product: columns z, r, h, two rows of biases."""
    xz, xr, xh = np.split(x @ a["kernel"] + a["bias"][: H * 3], 3, axis=1)
    hz, hr, hh = np.split(h @ a["recurrent_kernel"] + a["bias"][H * 3 :], 3, axis=1)
    z = sigmoid(xz + hz)
    return z * h + (1 - z) * np.tanh(xh + sigmoid(xr + hr) * hh)


def linen_gru(a: dict[str, Any], x: Any, h: Any) -> Any:
    """Flax linen's GRUCell: biases on the input's side, and on the candidate's recurrent product."""
    r = sigmoid(x @ a["ir.kernel"] + a["ir.bias"] + h @ a["hr.kernel"])
    z = sigmoid(x @ a["iz.kernel"] + a["iz.bias"] + h @ a["hz.kernel"])
    n = np.tanh(x @ a["in.kernel"] + a["in.bias"] + r * (h @ a["hn.kernel"] + a["hn.bias"]))
    return (1 - z) * n + z * h


def equinox_gru(a: dict[str, Any], x: Any, h: Any) -> Any:
    """Equinox' GRUCell: rows r, z, n, one bias, and one more of the candidate's recurrent product."""
    xr, xz, xn = np.split(x @ a["weight_ih"].T + a["bias"], 3, axis=1)
    hr, hz, hn = np.split(h @ a["weight_hh"].T, 3, axis=1)
    n, z = np.tanh(xn + sigmoid(xr + hr) * (hn + a["bias_n"])), sigmoid(xz + hz)
    return n + z * (h - n)


def rnnoise_gru(a: dict[str, Any], x: Any, h: Any) -> Any:
    """RNNoise's GRU: columns z, r, h, the reset gate before the product; here with tanh."""
    xz, xr, xh = np.split(x @ a["input_weights"] + a["bias"], 3, axis=1)
    wz, wr, wh = np.split(a["recurrent_weights"], 3, axis=1)
    z, r = sigmoid(xz + h @ wz), sigmoid(xr + h @ wr)
    return z * h + (1 - z) * np.tanh(xh + (r * h) @ wh)


def rnnoise_gru_2(a: dict[str, Any], x: Any, h: Any) -> Any:
    """The GRU of RNNoise 0.2: rows z, r, h, two biases, the reset gate after the product."""
    xz, xr, xh = np.split(x @ a["input_weights"].T + a["input_bias"], 3, axis=1)
    hz, hr, hh = np.split(h @ a["recurrent_weights"].T + a["recurrent_bias"], 3, axis=1)
    z = sigmoid(xz + hz)
    return z * h + (1 - z) * np.tanh(xh + sigmoid(xr + hr) * hh)


def haiku_gru(a: dict[str, Any], x: Any, h: Any) -> Any:
    """Haiku's GRU: columns z, r, a, the reset gate before the product, and z says how much is new."""
    xz, xr, xa = np.split(x @ a["w_i"] + a["b"], 3, axis=1)
    wz, wr, wa = np.split(a["w_h"], 3, axis=1)
    z, r = sigmoid(xz + h @ wz), sigmoid(xr + h @ wr)
    return (1 - z) * h + z * np.tanh(xa + (r * h) @ wa)


def haiku_rnn(a: dict[str, Any], x: Any, h: Any) -> Any:
    """Haiku's VanillaRNN: two linear layers; here with tanh."""
    sides = ((x, "linear"), (h, "linear_1"))
    return np.tanh(sum(v @ a[f"{side}.w"] + a[f"{side}.b"] for v, side in sides))


STEPS: dict[tuple[str, str], Callable[[dict[str, Any], Any, Any], Any]] = {
    ("keras", "GRU"): keras_gru,
    ("linen", "GRUCell"): linen_gru,
    ("equinox", "GRUCell"): equinox_gru,
    ("rnnoise", "GRU"): rnnoise_gru,
    ("rnnoise", "GRU 0.2"): rnnoise_gru_2,
    ("haiku", "GRU"): haiku_gru,
    ("haiku", "VanillaRNN"): haiku_rnn,
}


@pytest.mark.parametrize(("framework", "kind"), STEPS)
def test_a_step_is_the_frameworks_own(framework: str, kind: str) -> None:
    """Arrays that are read compute what the framework's equations do."""
    layout, rng = LAYOUTS[framework][kind], np.random.default_rng(2)
    cell = cell_of(layout, kind)
    arrays = arrays_of(layout, cell)
    x, h = rng.standard_normal((4, I)), rng.standard_normal((4, H))
    ours = reference.Layer(cell, *layout.read(cell, arrays)).forward(x[None], h).h_n
    np.testing.assert_allclose(ours, STEPS[framework, kind](arrays, x, h), atol=1e-12)


def linen_lstm(a: dict[str, Any], x: Any, h: Any, c: Any) -> Any:
    """Flax linen's LSTMCell: gates by their letters, biases on the hidden side alone."""
    i, f, g, o = (x @ a[f"i{k}.kernel"] + h @ a[f"h{k}.kernel"] + a[f"h{k}.bias"] for k in "ifgo")
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return np.stack([sigmoid(o) * np.tanh(c), c])


def onnx_lstm(a: dict[str, Any], x: Any, h: Any, c: Any) -> Any:
    """The operator of ONNX: rows i, o, f, c, both biases in one."""
    i, o, f, g = np.split(x @ a["W"].T + h @ a["R"].T + a["B"][: 4 * H] + a["B"][4 * H :], 4, axis=1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return np.stack([sigmoid(o) * np.tanh(c), c])


def haiku_lstm(a: dict[str, Any], x: Any, h: Any, c: Any) -> Any:
    """Haiku's LSTM: one matrix for input and state side by side, columns i, g, f, o, and 1 is added to f."""
    i, g, f, o = np.split(np.hstack([x, h]) @ a["linear.w"] + a["linear.b"], 4, axis=1)
    c = sigmoid(f + 1) * c + sigmoid(i) * np.tanh(g)
    return np.stack([sigmoid(o) * np.tanh(c), c])


LSTMS = [(("linen", "LSTMCell"), linen_lstm), (("onnx", "LSTM"), onnx_lstm), (("haiku", "LSTM"), haiku_lstm)]


@pytest.mark.parametrize(("key", "step"), LSTMS)
def test_a_step_of_an_lstm_is_the_frameworks_own(key: tuple[str, str], step: Callable[..., Any]) -> None:
    """The gates of an LSTM are in the framework's order."""
    layout, rng = LAYOUTS[key[0]][key[1]], np.random.default_rng(3)
    arrays = arrays_of(layout, LSTM())
    x, h, c = rng.standard_normal((4, I)), rng.standard_normal((4, H)), rng.standard_normal((4, H))
    ours = reference.Layer(LSTM(), *layout.read(LSTM(), arrays)).forward(x[None], np.stack([h, c])).h_n
    np.testing.assert_allclose(ours, step(arrays, x, h, c), atol=1e-12)


def test_a_bias_without_a_place_is_refused() -> None:
    """A bias of the candidate's recurrent product can't be moved: nnx' GRU has none."""
    weights = Weights(np.zeros((6, I)), np.zeros((6, H)), np.zeros(6), np.ones(6))
    with pytest.raises(ValueError, match="no place for the bias of the candidate block"):
        LAYOUTS["nnx"]["GRUCell"].write(GRU(), weights)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "arrays of the shapes .*, expected matrices called kernel"),
        ({"kernel": np.ones((3, 6)), "recurrent_kernel": np.ones(6)}, r"shapes \[\(6,\)\], expected matrices"),
        ({"kernel": np.ones((3, 6)), "recurrent_kernel": np.ones((2, 8))}, "6 and 8 rows for 2 units, expected 4·2"),
        (
            {"kernel": np.ones((3, 8)), "recurrent_kernel": np.ones((2, 8)), "bias": np.ones(7)},
            "bias has 7 numbers, expected 8",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays: dict[str, Any], message: str) -> None:
    """A missing or wrong array is named by the framework's name."""
    with pytest.raises(ValueError, match=message):
        LAYOUTS["keras"]["LSTM"].read(LSTM(), arrays)
