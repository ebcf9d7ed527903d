"""Inputs that are rows of a table, found by their numbers: they are multiplied once, and nothing else changes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tidegate
from tidegate import ops
from tidegate.ops.cells import Cell

Array = npt.NDArray[np.float32]

GRADIENT = 2e-5  # largest error of a gradient, relative to the largest magnitude in its array
LONG_GRADIENT = 1e-4  # that of sums over some 20,000 steps
CELLS = [*ops.CELLS, "gru reset=before", "gru reset=off gate=hard_sigmoid"]

every_isa = pytest.mark.parametrize("isa", ops.isas())


def problem(
    rng: np.random.Generator, cell: str, isa: str, I: int, H: int, T: int, B: int, V: int
) -> tuple[ops.Layer, Array, npt.NDArray[np.int64]]:
    """A layer, a table and what is looked up in it."""
    G = Cell.of(cell).G * H
    bound = H**-0.5  # as torch starts: states that explode leave gradients that are small differences of large numbers
    weights = (rng.uniform(-bound, bound, shape).astype(np.float32) for shape in ((G, I), (G, H), (G,), (G,)))
    return ops.pack(cell, *weights, isa=isa), normal(rng, V, I), rng.integers(0, V, (T, B))


def normal(rng: np.random.Generator, *shape: int) -> Array:
    return rng.standard_normal(shape).astype(np.float32)


def gathered(ids: npt.NDArray[np.int64], dx: Array, V: int) -> Array:
    """The gradient of a table from those of its rows wherever they were read."""
    sums = np.zeros((V, dx.shape[-1]))
    np.add.at(sums, ids.ravel(), dx.reshape(-1, dx.shape[-1]))
    return sums.astype(np.float32)


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Runs what is inside with a number of threads."""
    before = tidegate.get_num_threads()
    tidegate.set_num_threads(number)
    try:
        yield
    finally:
        tidegate.set_num_threads(before)


def assert_same_gradients(found: ops.Gradients, expected: ops.Gradients, ids: Any, V: int, tolerance: float) -> None:
    """A table's gradients are those of its rows summed; all others are the same but for rounding."""
    dx = None if found.dx is None or expected.dx is None else gathered(ids, expected.dx, V)
    for one, other in zip(found, expected._replace(dx=dx), strict=True):
        if other is None:
            assert one is None
        else:
            np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * max(1.0, np.abs(other).max(initial=0)))  # type: ignore[arg-type]


@every_isa
@settings(max_examples=80)
@given(data=st.data())
def test_a_table_changes_no_bit_of_the_values_and_no_gradient(isa: str, data: st.DataObject) -> None:
    """Values are those of `x[ids]` to the bit, gradients those of its rows summed, for any number of threads."""
    cell, draw = data.draw(st.sampled_from(CELLS)), data.draw
    H = draw(st.sampled_from([1, 5, 16, 33, 130, 210]))
    T, B, I = draw(st.integers(0, 40)), draw(st.sampled_from([1, 3, 8, 17, 50])), draw(st.sampled_from([1, 7, 16, 40]))
    V = draw(st.sampled_from([1, 2, 30, 700, 40_000]))  # few rows read of many are found in another way
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    layer, table, ids = problem(rng, cell, isa, I, H, T, B, V)
    if draw(st.booleans()):
        table = np.concatenate([table, table], axis=1)[:, :I]  # with gaps between rows
    states = (B, H) if layer.cell.S == 1 else (layer.cell.S, B, H)
    h0, dy, dh_n = normal(rng, *states), normal(rng, T, B, H), normal(rng, *states)
    options: dict[str, Any] = {
        "lengths": rng.integers(0, T + 1, B) if draw(st.booleans()) else None,
        "episode_starts": rng.random((T, B)) < 0.1 if draw(st.booleans()) else None,
        "episode_state": draw(st.sampled_from(ops.EPISODE_STATES)),
        "reverse": draw(st.booleans()),
    }
    more: dict[str, Any] = {
        "need": draw(st.sampled_from([("dx", "dh0"), ("dh0",)])),
        "recompute_every": draw(st.sampled_from([None, 3])),
    }

    def run(x: Array, number: int, **ids: Any) -> tuple[ops.Forward, ops.Gradients]:
        with threads(number):
            out = ops.forward(layer, x, h0, trace=True, **ids, **options)
            return out, ops.backward(layer, x, out, dy, dh_n, h0, **ids, **options, **more)

    expected, expected_gradients = run(table[ids], 1)
    out, gradients = run(table, 1, ids=ids)
    for one, other in zip(out, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert_same_gradients(gradients, expected_gradients, ids, V, GRADIENT)
    again, other_gradients = run(table, draw(st.integers(2, 5)), ids=ids)
    for one, other in zip((*out, *gradients), (*again, *other_gradients), strict=True):
        np.testing.assert_array_equal(one, other)


@every_isa
@pytest.mark.parametrize("V", [600, 20_000], ids=["sums of each group", "one sum for all"])
def test_many_rows_of_a_large_table(isa: str, V: int) -> None:
    """Groups of rows have sums of their own as long as these are small; a table of many rows has one sum for all."""
    rng = np.random.default_rng(1)
    layer, table, ids = problem(rng, "gru", isa, 30, 128, 300, 64, V)
    out, expected = ops.forward(layer, table, ids=ids, trace=True), ops.forward(layer, table[ids], trace=True)
    np.testing.assert_array_equal(out.y, expected.y)
    dy = normal(rng, *out.y.shape)
    found = ops.backward(layer, table, out, dy, ids=ids, need=["dx"])
    with threads(3):
        again = ops.backward(layer, table, out, dy, ids=ids, need=["dx"])
    for one, other in zip(found, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert_same_gradients(found, ops.backward(layer, table[ids], expected, dy, need=["dx"]), ids, V, LONG_GRADIENT)


@every_isa
@pytest.mark.parametrize("reverse", [False, True])
def test_a_packed_sequence_looks_up_its_rows_too(isa: str, reverse: bool) -> None:
    """Each number of the packed ids is the row of the table that a step reads."""
    rng = np.random.default_rng(2)
    layer, table, ids = problem(rng, "gru", isa, 5, 9, 11, 1, 7)
    options: dict[str, Any] = {"batch_sizes": [4, 4, 2, 1], "reverse": reverse}
    ids = ids.ravel()
    for number in (1, 2):
        with threads(number):
            out = ops.forward(layer, table, ids=ids, trace=True, **options)
            found = ops.backward(layer, table, out, out.y, ids=ids, **options)
        expected = ops.forward(layer, table[ids], trace=True, **options)
        np.testing.assert_array_equal(out.y, expected.y)
        assert_same_gradients(found, ops.backward(layer, table[ids], expected, out.y, **options), ids, 7, GRADIENT)


def test_rows_that_nobody_reads_have_no_gradient() -> None:
    """Steps beyond a row's length read nothing, whichever row their number names."""
    rng = np.random.default_rng(3)
    layer, table, _ = problem(rng, "gru", ops.isas()[0], 5, 9, 1, 1, 4)
    ids, lengths = np.array([[0, 1], [0, 3], [2, 3]]), [3, 1]
    out = ops.forward(layer, table, ids=ids, lengths=lengths, trace=True)
    gradients = ops.backward(layer, table, out, np.ones_like(out.y), ids=ids, lengths=lengths)
    assert gradients.dx is not None
    assert (gradients.dx != 0).any(1).tolist() == [True, True, True, False]
    nothing = ops.forward(layer, table, ids=ids, lengths=[0, 0], trace=True)
    for gradient in ops.backward(layer, table, nothing, np.ones_like(out.y), ids=ids, lengths=[0, 0]):
        assert gradient is not None
        assert not gradient.any()


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ([[0.0]], TypeError, "ids has dtype float64, expected integers"),
        ([0, 1], ValueError, r"ids has shape \(2,\), expected 2 axes \[T, B\]"),
        ([[0, 1], [2, -1]], ValueError, r"ids\[1, 1\] is -1, expected 0..3: V=4 comes from x"),
        ([[0, 4]], ValueError, r"ids\[0, 1\] is 4, expected 0..3: V=4 comes from x"),
    ],
)
def test_wrong_ids_are_refused(ids: Any, error: type[Exception], message: str) -> None:
    """Numbers outside of the table are named, with their place."""
    layer, table, _ = problem(np.random.default_rng(4), "gru", ops.isas()[0], 5, 9, 1, 1, 4)
    with pytest.raises(error, match=f"^{message}$"):
        ops.forward(layer, table, ids=ids)


def test_a_table_has_two_axes() -> None:
    """With ids, x is no batch."""
    layer, table, ids = problem(np.random.default_rng(5), "gru", ops.isas()[0], 5, 9, 2, 2, 4)
    with pytest.raises(ValueError, match=r"^x has shape \(1, 4, 5\), expected 2 axes \[V, I\]$"):
        ops.forward(layer, table[None], ids=ids)
    with pytest.raises(ValueError, match=r"^h0 has shape \(3, 9\), expected \[B, H\] = \(2, 9\): B=2 comes from ids"):
        ops.forward(layer, table, np.zeros((3, 9), np.float32), ids=ids)
