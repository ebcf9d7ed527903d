"""Recurrent nodes with all that they can be told, beside ONNX Runtime."""

from typing import Any

import numpy as np
import pytest

from tidegate.convert.onnx import layer as onnx_layer
from tidegate.convert.onnx.cells import FUNCTIONS, AnyLSTM
from tidegate.convert.onnx.settings import Settings
from tidegate.ops.cells import CELLS

TOLERANCE = 1e-5
STATES = {"RNN": 1, "GRU": 1, "LSTM": 2}
G = {"RNN": 1, "GRU": 3, "LSTM": 4}
T, B, I, H = 6, 4, 3, 5

# What ONNX Runtime computes as the specification says; without α, ThresholdedRelu and Affine differ there.
FREE = ("Tanh", "Relu", "Sigmoid", "HardSigmoid", "LeakyRelu", "Elu", "Softsign", "Softplus", "Affine", "ScaledTanh")


def arrays_of(operator: str, D: int, seed: int) -> dict[str, Any]:
    """Random inputs of a node, rows of several lengths, none of them 0."""
    rng = np.random.default_rng(seed)
    g = G[operator]
    shapes = {"X": (T, B, I), "W": (D, g * H, I), "R": (D, g * H, H), "B": (D, 2 * g * H), "initial_h": (D, B, H)}
    if operator == "LSTM":
        shapes |= {"initial_c": (D, B, H), "P": (D, 3 * H)}
    arrays: dict[str, Any] = {n: (0.5 * rng.standard_normal(s)).astype(np.float32) for n, s in shapes.items()}
    return arrays | {"sequence_lens": np.array([T, 1, 4, 2], np.int32)}


def random_attributes(operator: str, D: int, rng: np.random.Generator) -> dict[str, Any]:
    """Attributes of a node; α and β are for the activations that take one."""
    attributes: dict[str, Any] = {"direction": "bidirectional" if D == 2 else str(rng.choice(["forward", "reverse"]))}
    if rng.random() < 0.7:
        count = {"RNN": 1, "GRU": 2, "LSTM": 3}[operator] * D
        names = [str(name) for name in rng.choice(FREE, count)]
        taken = [FUNCTIONS[name] for name in names]
        attributes["activations"] = names
        attributes["activation_alpha"] = [round(float(rng.uniform(0.1, 0.4)), 3) for f in taken if f.alpha is not None]
        attributes["activation_beta"] = [round(float(rng.uniform(0.1, 0.6)), 3) for f in taken if f.beta is not None]
    if rng.random() < 0.5:
        attributes["clip"] = 0.4
    if operator == "GRU":
        attributes["linear_before_reset"] = int(rng.integers(2))
    if operator == "LSTM":
        attributes["input_forget"] = int(rng.integers(2))
    return {name: value for name, value in attributes.items() if value != []}


def in_onnxruntime(operator: str, attributes: dict[str, Any], arrays: dict[str, Any]) -> list[Any]:
    """What ONNX Runtime makes of a node."""
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    from onnx import helper

    names = [name if name in arrays else "" for name in onnx_layer.INPUTS[: 8 if operator == "LSTM" else 6]]
    outputs = ["Y", "Y_h", "Y_c"][: 1 + STATES[operator]]
    node = helper.make_node(operator, names, outputs, hidden_size=H, **attributes)
    types = {"f": onnx.TensorProto.FLOAT, "i": onnx.TensorProto.INT32}
    inputs = [
        helper.make_tensor_value_info(name, types[array.dtype.kind], array.shape) for name, array in arrays.items()
    ]
    found = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs]
    graph = helper.make_graph([node], "node", inputs, found)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    return list(onnxruntime.InferenceSession(model.SerializeToString()).run(None, arrays))


@pytest.mark.parametrize("operator", G)
def test_random_nodes_equal_onnx_runtime(operator: str) -> None:
    """Directions, activations with their numbers, clip, reset, peepholes and coupled gates are as in ONNX Runtime."""
    rng = np.random.default_rng(len(operator))
    for seed in range(40):
        D = 1 + seed % 2
        attributes, arrays = random_attributes(operator, D, rng), arrays_of(operator, D, seed)
        for name in ("B", "initial_h", "initial_c", "P", "sequence_lens"):
            if name in arrays and rng.random() < 0.3:
                del arrays[name]
        ours = onnx_layer.run(Settings.of(operator, attributes), arrays)
        for own, other in zip(ours, in_onnxruntime(operator, attributes, arrays), strict=True):
            np.testing.assert_allclose(own, other, rtol=TOLERANCE, atol=TOLERANCE, err_msg=str(attributes))


def test_a_clip_of_0_leaves_activations_nothing() -> None:
    """All that activations of a GRU are given is 0: gates of a half, a candidate of 0, and the state halves."""
    arrays = {name: array for name, array in arrays_of("GRU", 1, 1).items() if name != "sequence_lens"}
    y, _ = onnx_layer.run(Settings.of("GRU", {"clip": 0.0}), arrays)
    np.testing.assert_allclose(y[0], arrays["initial_h"] / 2, rtol=TOLERANCE)


@pytest.mark.parametrize("operator", G)
def test_the_batch_may_be_the_first_axis(operator: str) -> None:
    """With layout 1 inputs, outputs and states are those of layout 0 with other axes; no other runtime can say."""
    arrays = arrays_of(operator, 2, 1)
    y, *states = onnx_layer.run(Settings.of(operator, {"direction": "bidirectional"}), arrays)
    turned = {n: a.swapaxes(0, 1) if n in {"X", "initial_h", "initial_c"} else a for n, a in arrays.items()}
    other = onnx_layer.run(Settings.of(operator, {"direction": "bidirectional", "layout": 1}), turned)
    np.testing.assert_array_equal(other[0], y.transpose(2, 0, 1, 3))
    for own, state in zip(other[1:], states, strict=True):
        np.testing.assert_array_equal(own, state.swapaxes(0, 1))


@pytest.mark.parametrize("operator", G)
def test_a_row_without_steps_keeps_its_initial_state(operator: str) -> None:
    """The states of a row of length 0 are the initial ones, and its outputs are 0."""
    arrays = arrays_of(operator, 2, 2) | {"sequence_lens": np.array([T, 0, 4, 2], np.int32)}
    y, h, *c = onnx_layer.run(Settings.of(operator, {"direction": "bidirectional"}), arrays)
    np.testing.assert_array_equal(h[:, 1], arrays["initial_h"][:, 1])
    assert not y[:, :, 1].any()
    for cell_state in c:
        np.testing.assert_array_equal(cell_state[:, 1], arrays["initial_c"][:, 1])


@pytest.mark.parametrize(
    ("operator", "attributes", "text"),
    [
        ("GRU", {}, "gru reset=before"),
        ("GRU", {"linear_before_reset": 1}, "gru"),
        ("GRU", {"linear_before_reset": 1, "activations": ["sigmoid", "RELU"]}, "gru candidate=relu"),
        (
            "GRU",
            {"activations": ["HardSigmoid", "Affine"], "activation_alpha": [1 / 6, 1], "activation_beta": [0.5, 0]},
            "gru reset=before candidate=identity gate=hard_sigmoid",
        ),
        ("RNN", {}, "rnn_tanh"),
        ("RNN", {"activations": ["Relu"]}, "rnn_relu"),
        ("RNN", {"activations": ["Tanh", "Tanh"]}, "rnn_tanh"),
        ("LSTM", {}, "lstm"),
        ("LSTM", {"activations": ["Sigmoid", "Tanh", "Tanh"]}, "lstm"),
    ],
)
def test_what_the_kernels_have_they_run(operator: str, attributes: dict[str, Any], text: str) -> None:
    """A node whose cell the kernels have is run by them."""
    assert str(Settings.of(operator, attributes).cell(0)) == text


@pytest.mark.parametrize(
    ("operator", "attributes"),
    [
        ("GRU", {"clip": 3.0}),
        ("GRU", {"activations": ["HardSigmoid", "Tanh"]}),
        ("GRU", {"activations": ["Tanh", "Tanh"]}),
        ("RNN", {"activations": ["Elu"]}),
        ("LSTM", {"input_forget": 1}),
        ("LSTM", {"activations": ["Sigmoid", "Relu", "Tanh"]}),
    ],
)
def test_what_the_kernels_lack_is_another_cell(operator: str, attributes: dict[str, Any]) -> None:
    """A node with clip, other activations or coupled gates gets a cell that the reference runs, and none is named."""
    assert Settings.of(operator, attributes).cell(0).name not in CELLS


def test_numbers_that_are_left_out_are_those_of_the_specification() -> None:
    """Where ONNX Runtime takes 0, ThresholdedRelu has α = 1 and Affine is the identity; HardSigmoid is 0.2·x + 0.5."""
    a, names = np.array([-2.0, 0.5, 2.0]), ["ThresholdedRelu", "Affine", "HardSigmoid"]
    thresholded, affine, hard = Settings.of("LSTM", {"activations": names}).activations[0]
    np.testing.assert_array_equal(thresholded(a), [0, 0, 2])
    np.testing.assert_array_equal(affine(a), a)
    np.testing.assert_allclose(hard(a), [0.1, 0.6, 0.9])


def test_no_row_and_no_step_have_results() -> None:
    """A batch without a row, and sequences without a step, give arrays of that shape, and the initial states."""
    arrays = arrays_of("GRU", 1, 0)
    del arrays["sequence_lens"]
    y, h = onnx_layer.run(Settings.of("GRU", {}), arrays | {"X": arrays["X"][:0]})
    assert y.shape == (0, 1, B, H)
    np.testing.assert_array_equal(h, arrays["initial_h"])
    y, h = onnx_layer.run(
        Settings.of("GRU", {}), arrays | {"X": arrays["X"][:, :0], "initial_h": arrays["initial_h"][:, :0]}
    )
    assert y.shape == (T, 1, 0, H)


def test_peepholes_are_another_cell_unless_they_are_zero() -> None:
    """Peepholes of 0, which some exporters write, change nothing."""
    settings = Settings.of("LSTM", {})
    assert isinstance(settings.cell(0, np.ones(6, np.float32)), AnyLSTM)
    assert str(settings.cell(0, np.zeros(6, np.float32))) == "lstm"


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_dtypes_come_out_as_they_went_in(dtype: Any) -> None:
    """Results have the dtype of X; float64 is computed in float64."""
    arrays = {n: a if a.dtype.kind == "i" else a.astype(dtype) for n, a in arrays_of("GRU", 1, 3).items()}
    y, _ = onnx_layer.run(Settings.of("GRU", {}), arrays)
    assert y.dtype == dtype


@pytest.mark.parametrize(
    ("operator", "attributes", "message"),
    [
        ("RNN", {"direction": "backward"}, "direction is 'backward', expected one of forward, reverse, bidirectional"),
        ("GRU", {"activations": ["Tanh"]}, "activations are 1, expected 2"),
        ("GRU", {"activations": ["Tanh", "Swish"]}, "activations have 'Swish'"),
        ("LSTM", {"activations": ["Tanh"] * 3, "direction": "bidirectional"}, "activations are 3, expected 3 for each"),
        ("RNN", {"clip": -1.0}, "clip is -1.0, expected 0 or more"),
        ("RNN", {"clip": [1.0]}, r"clip is \[1.0\], expected a number"),
        ("GRU", {"linear_before_reset": "yes"}, "linear_before_reset is 'yes', expected a number"),
        ("GRU", {"direction": ["reverse"]}, r"direction is \['reverse'\], expected one of"),
        ("RNN", {"activations": 3}, "activations is 3, expected a list of names"),
        (
            "RNN",
            {"activations": ["Elu"], "activation_alpha": ["x"]},
            r"activation_alpha is \['x'\], expected a list of num",
        ),
    ],
)
def test_wrong_attributes_are_refused(operator: str, attributes: dict[str, Any], message: str) -> None:
    """A wrong attribute is named with what was expected."""
    with pytest.raises(ValueError, match=message):
        Settings.of(operator, attributes)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"W": None}, r"W has shape None, expected 3 axes, the first of them 1 directions"),
        ({"R": np.zeros((1, 12, 5), np.float32)}, r"15 and 12 rows for 5 units, expected 3·5"),
        ({"B": np.zeros((1, 7), np.float32)}, r"B has 7 numbers, expected 30"),
        ({"X": np.zeros((6, 4), np.float32)}, r"X has shape \(6, 4\), expected 3 axes"),
        ({"sequence_lens": np.array([7, 1, 1, 1])}, r"sequence_lens is \[7 1 1 1\], expected 4 integers in 0\.\.6"),
        ({"sequence_lens": np.array([1])}, r"sequence_lens is \[1\], expected 4 integers"),
        ({"initial_h": np.zeros((1, 3, 5), np.float32)}, r"initial_h has shape \(1, 3, 5\), expected \(1, 4, 5\)"),
    ],
)
def test_wrong_inputs_are_refused(changed: dict[str, Any], message: str) -> None:
    """A wrong array is named with its shape."""
    with pytest.raises(ValueError, match=message):
        onnx_layer.run(Settings.of("GRU", {}), arrays_of("GRU", 1, 0) | changed)
