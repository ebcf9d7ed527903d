"""Tests of what surrounds the native kernels: refused arguments, what a layer says, numbers of threads, environment."""

import os
import subprocess
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tidegate import ops


def floats(*shape: int, dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
    return np.zeros(shape, dtype)


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    array.flags.writeable = False
    return array


def test_a_layer_says_what_it_is() -> None:
    """A packed layer shows its cell, sizes, bias and instruction set, by default the best one."""
    layer = ops.pack("gru", floats(27, 3), floats(27, 9))
    assert (str(layer.cell), layer.input_size, layer.hidden_size, layer.bias) == ("gru", 3, 9, False)
    assert layer.isa == (os.environ.get("TIDEGATE_ISA") or ops.isas()[0])
    assert ops.isas()[-1] == "baseline"


WRONG_WEIGHTS = {
    "cell": ({"cell": "mlp"}, ValueError, "cell is 'mlp', expected one of 'gru', 'lstm', 'rnn_tanh', 'rnn_relu'"),
    "isa": ({"isa": "mmx"}, ValueError, "isa is 'mmx', expected one of"),
    "gates": ({"w_hh": floats(9, 9)}, ValueError, "w_hh has shape (9, 9), expected [G·H, H] = (27, 9): G=3 comes from"),
    "rows": ({"w_ih": floats(9, 3)}, ValueError, "w_ih has shape (9, 3), expected [G·H, I] = (27, 3)"),
    "bias": ({"b_ih": floats(9)}, ValueError, "b_ih has shape (9,), expected [G·H] = (27,)"),
    "one bias": ({"b_hh": None}, ValueError, "only one of b_ih and b_hh is given"),
    "dtype": ({"w_ih": floats(27, 3, dtype=np.float64)}, TypeError, "w_ih has dtype float64, expected float32"),
}


@pytest.mark.parametrize(("wrong", "error", "text"), WRONG_WEIGHTS.values(), ids=WRONG_WEIGHTS)
def test_wrong_weights_are_refused_with_the_reason(wrong: dict[str, Any], error: type[Exception], text: str) -> None:
    """Packing names the argument, what was found, and what was expected."""
    good: dict[str, Any] = {"w_ih": floats(27, 3), "w_hh": floats(27, 9), "b_ih": floats(27), "b_hh": floats(27)}
    with pytest.raises(error) as raised:
        ops.pack(**{"cell": "gru"} | good | wrong)
    assert str(raised.value).startswith(text)


X = floats(5, 4, 3)
WRONG_INPUT = {
    "inputs": ({"x": floats(5, 4, 2)}, ValueError, "x has shape (5, 4, 2), expected [T, B, I] = (5, 4, 3): I=3 comes"),
    "axes": ({"x": floats(4, 3)}, ValueError, "x has shape (4, 3), expected 3 axes [T, B, I]"),
    "dtype": ({"x": floats(5, 4, 3, dtype=np.float64)}, TypeError, "x has dtype float64, expected float32"),
    "rows of h0": ({"h0": floats(3, 9)}, ValueError, "h0 has shape (3, 9), expected [B, H] = (4, 9): B=4 comes from x"),
    "few lengths": ({"lengths": [1, 2]}, ValueError, "lengths has shape (2,), expected [B] = (4,): B=4 comes from x"),
    "long row": ({"lengths": [1, 6, 2, 3]}, ValueError, "lengths[1] is 6, expected 0..5: T=5 comes from x"),
    "y": ({"y": floats(5, 4, 8)}, ValueError, "y has shape (5, 4, 8), expected [T, B, H] = (5, 4, 9)"),
    "read-only y": ({"y": read_only(floats(5, 4, 9))}, ValueError, "y is read-only"),
    "packed": (
        {"x": floats(9, 3), "batch_sizes": [4, 4, 2]},
        ValueError,
        "batch_sizes sums to 10, expected N = 9: N=9 comes from x",
    ),
    "h0 of packed": (
        {"x": floats(9, 3), "batch_sizes": [4, 4, 1], "h0": floats(9, 9)},
        ValueError,
        "h0 has shape (9, 9), expected [B, H] = (4, 9): B=4 comes from batch_sizes",
    ),
    "both": ({"lengths": [5] * 4, "batch_sizes": [4]}, ValueError, ""),
}


@pytest.mark.parametrize(("wrong", "error", "text"), WRONG_INPUT.values(), ids=WRONG_INPUT)
def test_wrong_input_is_refused_with_the_reason(wrong: dict[str, Any], error: type[Exception], text: str) -> None:
    """Forward names the argument, what was found, and what was expected."""
    layer = ops.pack("gru", floats(27, 3), floats(27, 9))
    with pytest.raises(error) as raised:
        ops.forward(layer, **{"x": X} | wrong)
    assert str(raised.value).startswith(text)


WRONG_GRADIENTS = {
    "dy": ({"dy": floats(5, 4, 8)}, ValueError, "dy has shape (5, 4, 8), expected [T, B, H] = (5, 4, 9)"),
    "dh_n": ({"dh_n": floats(3, 9)}, ValueError, "dh_n has shape (3, 9), expected [B, H] = (4, 9): B=4 comes from x"),
    "dtype": ({"dh_n": floats(4, 9, dtype=np.float64)}, TypeError, "dh_n has dtype float64, expected float32"),
    "lengths": ({"lengths": [6] * 4}, ValueError, "lengths[0] is 6, expected 0..5: T=5 comes from x"),
}


@pytest.mark.parametrize(("wrong", "error", "text"), WRONG_GRADIENTS.values(), ids=WRONG_GRADIENTS)
def test_wrong_gradients_are_refused_with_the_reason(wrong: dict[str, Any], error: type[Exception], text: str) -> None:
    """Backward names the argument, what was found, and what was expected."""
    layer = ops.pack("gru", floats(27, 3), floats(27, 9))
    out = ops.forward(layer, X, trace=True)
    with pytest.raises(error) as raised:
        ops.backward(layer, X, out, **{"dy": floats(5, 4, 9), "dh_n": floats(4, 9)} | wrong)
    assert str(raised.value).startswith(text)


def test_outputs_of_another_call_are_refused() -> None:
    """Backward takes the outputs and gates of as many steps and rows as its input has."""
    layer = ops.pack("gru", floats(27, 3), floats(27, 9))
    out, other = ops.forward(layer, X, trace=True), ops.forward(layer, X[:4], trace=True)
    with pytest.raises(ValueError, match=r"^y has shape \(4, 4, 9\), expected \[T, B, H\] = \(5, 4, 9\)"):
        ops.backward(layer, X, other, floats(5, 4, 9))
    with pytest.raises(ValueError, match=r"^trace has shape \(4, 4, 4, 9\), expected .*\(5, 4, 4, 9\)"):
        ops.backward(layer, X, out._replace(trace=other.trace), floats(5, 4, 9))


def test_backward_of_a_gru_needs_the_trace() -> None:
    """Without the gates of each step there is no gradient, and the error says how to keep them."""
    layer = ops.pack("gru", floats(27, 3), floats(27, 9))
    with pytest.raises(ValueError, match="trace=True"):
        ops.backward(layer, X, ops.forward(layer, X), floats(5, 4, 9), floats(4, 9))


def test_an_output_in_the_memory_of_an_input_is_refused() -> None:
    """Results may not be written over the input that they are still being computed from."""
    layer = ops.pack("rnn_tanh", floats(9, 9), floats(9, 9))
    x = floats(5, 4, 9)
    with pytest.raises(ValueError, match="y shares memory with x or h0"):
        ops.forward(layer, x, y=x)
    with pytest.raises(ValueError, match="y shares memory with x or h0"):
        ops.forward(layer, floats(1, 4, 9), x[0], y=x[:1])


def test_the_layout_of_what_forward_returned_does_not_matter() -> None:
    """Backward reads copies of the outputs in other strides as it reads the outputs themselves."""
    layer = ops.pack("gru", floats(27, 7), floats(27, 9))
    x, dy = floats(5, 4, 7), floats(5, 4, 9)
    out = ops.forward(layer, x, trace=True)
    assert out.trace is not None
    other = ops.Forward(np.asfortranarray(out.y), out.h_n, np.asfortranarray(out.trace))
    for found, expected in zip(ops.backward(layer, x, other, dy), ops.backward(layer, x, out, dy), strict=True):
        np.testing.assert_array_equal(found, expected)


PACK_ONE = "tidegate.ops.pack('rnn_tanh', *numpy.zeros((2, 1, 1), numpy.float32)).isa"


@pytest.mark.parametrize(
    ("variable", "value", "expression"),
    [
        ("TIDEGATE_NUM_THREADS", "3", "tidegate.get_num_threads()"),
        *(("TIDEGATE_ISA", isa, PACK_ONE) for isa in ops.isas()),
    ],
    ids=["threads", *ops.isas()],
)
def test_the_environment_sets_defaults(variable: str, value: str, expression: str) -> None:
    """A fresh interpreter takes the number of threads and the instruction set from the environment."""
    code = f"import numpy, tidegate.ops; print({expression})"
    environment = os.environ | {variable: value}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == value
