"""One step at a time."""

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import tidegate
from tidegate import ops
from tidegate.ops.cells import Cell
from tidegate.ops.streaming import step_streams

Array = npt.NDArray[np.float32]

every_cell = pytest.mark.parametrize(
    "cell", [*ops.CELLS, "gru reset=before", "gru reset=off gate=hard_sigmoid", "gru update=off candidate=relu"]
)
every_isa = pytest.mark.parametrize("isa", ops.isas())


def layer_of(cell: str, I: int, H: int, isa: str | None = None) -> ops.Layer:
    rng, gates = np.random.default_rng(0), Cell.of(cell).G * H
    shapes = ((gates, I), (gates, H), (gates,), (gates,))
    return ops.pack(cell, *(rng.uniform(-0.3, 0.3, shape).astype(np.float32) for shape in shapes), isa=isa)


@every_isa
@every_cell
@pytest.mark.parametrize("rows", [(), (1,), (5,)], ids=["one stream", "a batch of one", "five streams"])
@pytest.mark.parametrize(("I", "H"), [(1, 1), (7, 33), (96, 400)])
@pytest.mark.parametrize("in_place", [False, True])
def test_steps_make_the_sequence(isa: str, cell: str, rows: tuple[int, ...], I: int, H: int, in_place: bool) -> None:
    """Step by step the states are those of the whole sequence, to the bit, also when h is written over."""
    layer = layer_of(cell, I, H, isa)
    x = np.random.default_rng(1).standard_normal((6, *rows, I)).astype(np.float32)
    y = ops.forward(layer, x.reshape(6, -1, I)).y.reshape(6, *rows, H)
    S = layer.cell.S
    h = np.zeros((*rows, H) if S == 1 else (S, *rows, H), np.float32)
    for t in range(6):
        new = ops.step(layer, x[t], h, out=h if in_place else None)
        assert (new is h) == in_place
        h = new
        np.testing.assert_array_equal(h if S == 1 else h[0], y[t])


@every_isa
@pytest.mark.parametrize("rows", [(), (3,), (40,)], ids=["one stream", "three streams", "many streams"])
@pytest.mark.parametrize(("I", "H"), [(7, 33), (96, 400)])
@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(
    "cells", [("gru", "rnn_tanh", "gru reset=before"), ("lstm",) * 3], ids=["one state", "two states"]
)
def test_steps_of_a_stack_are_those_of_its_layers(
    isa: str, rows: tuple[int, ...], I: int, H: int, in_place: bool, threads: int, cells: tuple[str, ...]
) -> None:
    """Each layer reads the new state of the one before; the states are those of single steps, to the bit."""
    layers = [layer_of(cell, H if i else I, H, isa) for i, cell in enumerate(cells)]
    S = layers[0].cell.S
    rng, before = np.random.default_rng(1), tidegate.get_num_threads()
    h = rng.standard_normal((S, 3, *rows, H)).astype(np.float32)
    expected, h = list(h.swapaxes(0, 1)), h.copy() if S > 1 else h[0].copy()
    tidegate.set_num_threads(threads)
    try:
        for _ in range(3):
            x = y = rng.standard_normal((*rows, I)).astype(np.float32)
            for i, layer in enumerate(layers):
                expected[i] = ops.step(layer, y, expected[i] if S > 1 else expected[i][0]).reshape(S, *rows, H)
                y = expected[i][0]
            h = ops.step(layers, x, h, out=h if in_place else None)
            np.testing.assert_array_equal(h, np.stack(expected, 1) if S > 1 else np.stack(expected, 1)[0])
    finally:
        tidegate.set_num_threads(before)
    np.testing.assert_array_equal(ops.step(iter(layers), x, h.T.copy().T), ops.step(tuple(layers), x, h))


def test_a_step_takes_any_strides() -> None:
    """Inputs and states that are not contiguous are read as what they are."""
    layer = layer_of("gru", 4, 6)
    rows = np.random.default_rng(3).standard_normal((6, 3)).astype(np.float32)
    np.testing.assert_array_equal(
        ops.step(layer, rows[:4].T, rows.T), ops.step(layer, rows[:4].T.copy(), rows.T.copy())
    )
    x, h = np.random.default_rng(2).standard_normal((2, 6, 2)).astype(np.float32)
    expected = ops.step(layer, x[:4, 0].copy(), h[:, 0].copy())
    np.testing.assert_array_equal(ops.step(layer, x[:4, 0], h[:, 0]), expected)


X, STATE = np.zeros(4, np.float32), np.zeros(6, np.float32)
BOTH = np.zeros(10, np.float32)
FIXED = np.zeros(6, np.float32)
FIXED.flags.writeable = False
WRONG = {
    "x is a list": ([0.0] * 4, STATE, None, TypeError, "x is a list, expected a numpy array of float32"),
    "x has float64": (X.astype(np.float64), STATE, None, TypeError, "x has dtype float64, expected float32"),
    "h is None": (X, None, None, TypeError, r"h is a NoneType, expected a numpy array of float32 \[H\]"),
    "x is short": (X[:3], STATE, None, ValueError, r"x has shape \(3,\), expected \[I\] = \(4,\): I=4 comes from the"),
    "h is short": (X, STATE[:5], None, ValueError, r"h has shape \(5,\), expected \[H\] = \(6,\): H=6 comes from the"),
    "h has rows": (X, STATE[None], None, ValueError, r"h has shape \(1, 6\), expected 1 axes \[H\]"),
    "out is short": (X, STATE, np.zeros(5, np.float32), ValueError, r"out has shape \(5,\), expected \[H\]"),
    "out has gaps": (X, STATE, np.zeros(12, np.float32)[::2], ValueError, "out has strides"),
    "out is read-only": (X, STATE, FIXED, ValueError, "out is read-only"),
    "out lies on x": (BOTH[:4], STATE, BOTH[2:8], ValueError, "out shares memory with x"),
}


@pytest.mark.parametrize(("x", "h", "out", "error", "message"), WRONG.values(), ids=WRONG)
def test_wrong_arguments_of_a_step_are_named(x: Any, h: Any, out: Any, error: type[Exception], message: str) -> None:
    """The quick way refuses, and the error says what was wrong."""
    with pytest.raises(error, match=message):
        ops.step(layer_of("gru", 4, 6), x, h, out=out)


@pytest.mark.parametrize(
    ("sizes", "h", "message"),
    [
        ([], (1, 6), "layer is empty, expected packed weights or several of them"),
        (
            [(4, 6), (5, 6)],
            (2, 6),
            r"layer\[1\] has I = 5 and H = 6, expected 6 for both: it reads the state of layer\[0\]",
        ),
        ([(4, 6), (6, 6), (6, 7)], (3, 6), r"layer\[2\] has I = 6 and H = 7, expected 6 for both"),
        ([(4, 6), (6, 6)], (6,), r"h has shape \(6,\), expected 2 axes \[L, H\]"),
        ([(4, 6), (6, 6)], (3, 6), r"h has shape \(3, 6\), expected \[L, H\] = \(2, 6\): L=2 comes from the layers"),
    ],
)
def test_stacks_that_do_not_fit_are_named(sizes: list[tuple[int, int]], h: tuple[int, ...], message: str) -> None:
    """Layers fit on each other, and states on layers."""
    layers = [layer_of("gru", *size) for size in sizes]
    with pytest.raises(ValueError, match=message):
        ops.step(layers, X, np.zeros(h, np.float32))


@every_isa
@pytest.mark.parametrize("cells", [("gru", "gru reset=before"), ("lstm", "lstm"), ("rnn_relu",)])
@pytest.mark.parametrize(("B", "threads"), [(1, 1), (70, 1), (150, 3)])
def test_streams_step_in_their_places(isa: str, cells: tuple[str, ...], B: int, threads: int) -> None:
    """A step of rows anywhere in an array has the bits of a step of these rows alone, and touches no other row."""
    I, H, before = 7, 33, tidegate.get_num_threads()
    layers = [layer_of(cell, H if i else I, H, isa) for i, cell in enumerate(cells)]
    rng, S, L = np.random.default_rng(2), layers[0].cell.S, len(layers)
    states = rng.standard_normal((2 * B, S, L, H)).astype(np.float32)
    x, places = rng.standard_normal((B, I)).astype(np.float32), rng.permutation(2 * B)[:B]
    expected, h = states.copy(), np.ascontiguousarray(states[places].transpose(1, 2, 0, 3))
    expected[places] = ops.step(layers, x, h if S > 1 else h[0]).reshape(S, L, B, H).transpose(2, 0, 1, 3)
    tidegate.set_num_threads(threads)
    try:
        step_streams(layers, x, states, places)
    finally:
        tidegate.set_num_threads(before)
    np.testing.assert_array_equal(states, expected)


def test_a_dtype_that_is_float32_by_another_name_is_taken() -> None:
    """Numbers that ctypes owns step like others: their dtype is equal to float32, though its letters are not."""
    layer, rng = layer_of("gru", 3, 2), np.random.default_rng(0)
    plain = [rng.standard_normal(size).astype(np.float32) for size in (3, 2)]
    x, h = (np.ctypeslib.as_array((ctypes.c_float * len(array))(*array)) for array in plain)
    expected = ops.step(layer, *plain)
    np.testing.assert_array_equal(ops.step(layer, x, h), expected)
    np.testing.assert_array_equal(ops.step(layer, x, h, out=h), expected)
    np.testing.assert_array_equal(h, expected)
