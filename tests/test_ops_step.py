"""One step at a time, and gates that are computed again in the backward pass."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tidegate import ops

Array = npt.NDArray[np.float32]

every_cell = pytest.mark.parametrize("cell", ops.GATES)
every_isa = pytest.mark.parametrize("isa", ops.isas())


def layer_of(cell: str, I: int, H: int, isa: str | None = None) -> ops.Layer:
    rng, gates = np.random.default_rng(0), ops.GATES[cell] * H
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
    h = np.zeros((*rows, H), np.float32)
    for t in range(6):
        new = ops.step(layer, x[t], h, out=h if in_place else None)
        assert (new is h) == in_place
        h = new
        np.testing.assert_array_equal(h, y[t])


def test_a_step_takes_any_strides() -> None:
    """Inputs and states that are not contiguous are read as what they are."""
    layer = layer_of("gru", 4, 6)
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


@every_isa
@every_cell
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("B", "H"), [(1, 9), (3, 33), (40, 33), (2, 160), (9, 160)])
def test_gates_that_are_computed_again_change_no_bit(isa: str, cell: str, bias: bool, B: int, H: int) -> None:
    """Without the trace the gradients are the same to the bit, for ragged rows in either direction too."""
    rng, gates = np.random.default_rng(3), ops.GATES[cell] * H
    shapes = ((gates, 5), (gates, H), (gates,), (gates,))[: 4 if bias else 2]
    layer = ops.pack(cell, *(rng.uniform(-0.3, 0.3, shape).astype(np.float32) for shape in shapes), isa=isa)
    x, dy = rng.standard_normal((70, B, 5)).astype(np.float32), rng.standard_normal((70, B, H)).astype(np.float32)
    options: dict[str, Any] = {"lengths": rng.integers(0, 71, B), "reverse": bool(rng.integers(2))}
    kept = ops.forward(layer, x, trace=True, **options)
    bare = ops.forward(layer, x, **options)
    expected = ops.backward(layer, x, kept, dy, **options)
    found = ops.backward(layer, x, bare, dy, checkpoint_every=1000, **options)
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("every", [1, 2, 7])
def test_short_segments_give_the_same_gradients(every: int) -> None:
    """Segments of any length add up to the same gradients, but for rounding."""
    layer = layer_of("gru", 5, 33)
    x = np.random.default_rng(4).standard_normal((50, 4, 5)).astype(np.float32)
    out = ops.forward(layer, x, trace=True)
    expected = ops.backward(layer, x, out, out.y)
    for one, other in zip(expected, ops.backward(layer, x, out, out.y, checkpoint_every=every), strict=True):
        assert one is not None
        assert other is not None
        assert np.abs(one - other).max() <= 2e-6 * max(1, np.abs(one).max())


def test_segments_without_a_step_are_refused() -> None:
    """A segment has at least one step."""
    layer, x = layer_of("gru", 5, 6), np.zeros((3, 2, 5), np.float32)
    with pytest.raises(ValueError, match="checkpoint_every is 0, expected 1 or more"):
        ops.backward(layer, x, ops.forward(layer, x), checkpoint_every=0)
