"""Tests of int8 and bfloat16 weights: their rounding, and what layers compute with them however they are run."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import tidegate
from tidegate import _native, ops
from tidegate.ops import Compressed, compress, reference
from tidegate.ops.cells import Cell
from tidegate.ops.compressed import DTYPES

Array = npt.NDArray[np.float32]

every_isa = pytest.mark.parametrize("isa", ops.isas())
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
CELLS = ("gru", "gru reset=before", "gru reset=off update=off candidate=relu", "lstm", "rnn_tanh", "rnn_relu")
SIZES = [(1, 1, 3, 2), (7, 33, 5, 11), (61, 130, 3, 37), (210, 210, 2, 1), (9, 20, 2, 4), (16, 35, 3, 6)]  # I, H, T, B


def drawn(cell: str, I: int, H: int, seed: int = 0) -> list[Array]:
    """Weights of a layer, w_ih, w_hh, b_ih, b_hh; rows have very different sizes, and one is 0."""
    rng, rows = np.random.default_rng(seed), Cell.of(cell).G * H
    weights = [rng.uniform(-1, 1, shape).astype(np.float32) for shape in ((rows, I), (rows, H), (rows,), (rows,))]
    for w in weights[:2]:
        w[:] *= rng.uniform(0.02, 1, (rows, 1)) / np.sqrt(w.shape[1])
        w[rows // 2] = 0
    return weights


def packed(cell: str, weights: list[Array], dtype: str, isa: str | None = None) -> ops.Layer:
    """A layer with compressed weights."""
    w_ih, w_hh, *biases = weights
    return ops.pack(cell, compress(w_ih, dtype), compress(w_hh, dtype), *biases, isa=isa)


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Lets two threads share the work."""
    before = tidegate.get_num_threads()
    tidegate.set_num_threads(2)
    yield
    tidegate.set_num_threads(before)


NUMBERS = st.floats(-(2.0**127), 2.0**127, width=32)
finite = arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 9)), elements=NUMBERS)


@settings(max_examples=50)
@given(matrix=finite)
def test_int8_is_the_nearest_multiple_of_a_rows_scale(matrix: Array) -> None:
    """No number is further off than half a scale, and the largest of a row is not off at all."""
    small = compress(matrix, "int8")
    assert small.values.dtype == np.int8
    assert small.scales is not None
    largest = np.abs(matrix.astype(np.float64)).max(axis=1)
    np.testing.assert_allclose(small.scales, largest / 127, rtol=1e-6, atol=1e-44)
    errors = np.abs(small.values * small.scales[:, None].astype(np.float64) - matrix)
    assert (errors <= 0.5001 * largest[:, None] / 127 + 1e-43).all()


@settings(max_examples=50)
@given(matrix=finite)
def test_bfloat16_is_the_nearest_number_with_eight_bits(matrix: Array) -> None:
    """No number is further off than 2^-8 of itself, what has eight bits is kept, and the largest stays finite."""
    expanded = compress(matrix, "bfloat16").expand()
    errors = np.abs(expanded.astype(np.float64) - matrix)
    assert (errors <= np.maximum(np.abs(matrix.astype(np.float64)) * 2.0**-8, 2.0**-134)).all()
    np.testing.assert_array_equal(compress(expanded, "bfloat16").expand(), expanded)
    assert np.isfinite(compress(np.full_like(matrix, np.finfo(np.float32).max), "bfloat16").expand()).all()


@every_isa
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("I", "H", "T", "B"), SIZES)
def test_bfloat16_gives_the_bits_of_float32_weights_of_its_values(
    isa: str, cell: str, I: int, H: int, T: int, B: int, two_threads: None
) -> None:
    """Outputs, states and traces are those of a float32 layer with the rounded weights, in passes and in steps."""
    weights = drawn(cell, I, H)
    rounded = [compress(w, "bfloat16").expand() for w in weights[:2]]
    small, large = packed(cell, weights, "bfloat16", isa), ops.pack(cell, *rounded, *weights[2:], isa=isa)
    x = np.random.default_rng(1).standard_normal((T, B, I)).astype(np.float32)
    found, expected = ops.forward(small, x, trace=True), ops.forward(large, x, trace=True)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(ops.step(small, x[0], found.h_n), ops.step(large, x[0], found.h_n))


class RoundedProduct:
    """A matrix that rounds the rows it is multiplied with, as the kernels do, in float64."""

    __array_ufunc__ = None

    def __init__(self, matrix: npt.NDArray[np.float64]) -> None:
        """Takes W [R, K]."""
        self.matrix = matrix
        self.shape, self.T = matrix.shape, self
        self.most = min(2**15 - 1, (2**31 - 1) // (127 * matrix.shape[1]))

    def __len__(self) -> int:
        return len(self.matrix)

    def __rmatmul__(self, rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        scales = np.abs(rows).max(axis=-1, keepdims=True) / self.most
        rounded: npt.NDArray[np.float64] = np.rint(rows / np.where(scales > 0, scales, 1)) * scales @ self.matrix.T
        return rounded


@every_isa
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("I", "H", "T", "B"), [*SIZES, (1500, 40, 2, 3)])
def test_int8_equals_the_rounded_network_in_float64(
    isa: str, cell: str, I: int, H: int, T: int, B: int, two_threads: None
) -> None:
    """Outputs, states and gates are those of plain numpy with the same integers, but for float32's rounding."""
    weights = drawn(cell, I, H)
    small = [compress(w, "int8") for w in weights[:2]]
    assert all(w.scales is not None for w in small)
    exact: list[Any] = [w.values * w.scales[:, None].astype(np.float64) for w in small]  # type: ignore[index]
    truth = reference.Layer(cell, *exact, *weights[2:])
    truth.w_ih, truth.w_hh = RoundedProduct(exact[0]), RoundedProduct(exact[1])  # type: ignore[assignment]
    x = np.random.default_rng(1).standard_normal((T, B, I)).astype(np.float32)
    found, expected = ops.forward(packed(cell, weights, "int8", isa), x, trace=True), truth.forward(x)
    np.testing.assert_allclose(found.y, expected.y, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.h_n, expected.h_n, rtol=1e-5, atol=1e-5)


@every_isa
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("I", "H", "T", "B"), SIZES)
def test_int8_has_the_same_bits_however_a_row_is_computed(
    isa: str, cell: str, I: int, H: int, T: int, B: int, two_threads: None
) -> None:
    """Threads, other rows, padding, a table, pieces and single steps change no bit; nor do VNNI's instructions."""
    layer = packed(cell, drawn(cell, I, H), "int8", isa)
    rng = np.random.default_rng(2)
    x = (rng.standard_normal((T, B, I)) * 10.0 ** rng.integers(-3, 3, (T, B, 1))).astype(np.float32)
    lengths = rng.integers(0, T + 1, B)
    lengths[0] = T
    whole = ops.forward(layer, x, lengths=lengths)
    table, ids = x.reshape(T * B, I), np.arange(T * B).reshape(T, B)
    np.testing.assert_array_equal(ops.forward(layer, table, ids=ids, lengths=lengths).y, whole.y)
    tidegate.set_num_threads(1)
    np.testing.assert_array_equal(ops.forward(layer, x, lengths=lengths).y, whole.y)
    _native._use_dots(False)
    np.testing.assert_array_equal(ops.forward(layer, x, lengths=lengths).y, whole.y)
    _native._use_dots(True)
    for b in {0, B // 2, B - 1}:
        state = np.zeros((B, H) if layer.cell.S == 1 else (layer.cell.S, B, H), np.float32)[..., b, :]
        for t in range(lengths[b]):
            state = ops.step(layer, x[t, b], state)
            np.testing.assert_array_equal(state if layer.cell.S == 1 else state[0], whole.y[t, b])
        np.testing.assert_array_equal(state, whole.h_n[..., b, :])


@every_isa
def test_int8_keeps_what_is_not_finite_in_its_row(isa: str) -> None:
    """A row that reads infinity or NaN has no number as a result, and its neighbours theirs; tiny numbers are 0."""
    layer = packed("gru", drawn("gru", 5, 20), "int8", isa)
    x = np.random.default_rng(3).standard_normal((1, 4, 5)).astype(np.float32)
    clean = ops.forward(layer, x).y
    x[0, 1, 2], x[0, 2, 4] = np.inf, np.nan
    y = ops.forward(layer, x).y
    assert np.isnan(y[0, 1:3]).all()
    np.testing.assert_array_equal(y[0, ::3], clean[0, ::3])
    tiny, zero = np.full_like(x, 1e-38), np.zeros_like(x)
    np.testing.assert_array_equal(ops.forward(layer, tiny).y, ops.forward(layer, zero).y)


@every_isa
def test_the_longest_int8_sums_do_not_overflow(isa: str) -> None:
    """The largest weights times the largest inputs, all of one sign, over as many columns as there may be."""
    I = 65_536
    w_ih, w_hh = Compressed(np.full((1, I), 127, np.int8), np.array([1e-7], np.float32)), np.ones((1, 1), np.float32)
    layer = ops.pack("rnn_relu", w_ih, compress(w_hh, "int8"), isa=isa)
    y = ops.forward(layer, np.ones((1, 1, I), np.float32)).y
    np.testing.assert_allclose(y, 127e-7 * I, rtol=1e-5)


@every_dtype
def test_compressed_weights_have_no_gradients(dtype: str) -> None:
    """`backward` says so, before it looks at anything else."""
    layer = packed("gru", drawn("gru", 3, 4), dtype)
    x = np.zeros((1, 1, 3), np.float32)
    with pytest.raises(ValueError, match=f"weights are {dtype}, which have no gradients"):
        ops.backward(layer, x, ops.forward(layer, x, trace=True))


ONES, SCALES = np.ones((3, 2), np.int8), np.ones(3, np.float32)
WRONG_PARTS: dict[str, tuple[Any, Any, type[Exception], str]] = {
    "float values": (ONES.astype(np.float32), SCALES, TypeError, "values have dtype float32, expected int8"),
    "a vector": (ONES[0], SCALES, ValueError, r"shape \(2,\), expected a matrix"),
    "no scales": (ONES, None, TypeError, "scales are absent, expected float32"),
    "double scales": (ONES, SCALES.astype(float), TypeError, "scales are float64, expected float32"),
    "fewer scales": (ONES, SCALES[1:], ValueError, r"shape \(2,\), expected \(3,\)"),
    "a scale below 0": (ONES, -SCALES, ValueError, "negative or not finite"),
    "an infinite scale": (ONES, SCALES * np.float32(np.inf), ValueError, "negative or not finite"),
    "-128": (ONES * np.int8(-128), SCALES, ValueError, "values hold -128, expected -127"),
    "too many columns": (np.ones((1, 65_537), np.int8), SCALES[:1], ValueError, "expected at most 65,536"),
    "scales of bfloat16": (ONES.astype(np.uint16), SCALES, ValueError, "have scales, expected none"),
}


@pytest.mark.parametrize(("values", "scales", "error", "message"), WRONG_PARTS.values(), ids=WRONG_PARTS)
def test_parts_that_do_not_fit_are_named(values: Any, scales: Any, error: type[Exception], message: str) -> None:
    """A matrix whose sums could overflow, or whose parts do not belong together, cannot be made."""
    with pytest.raises(error, match=message):
        Compressed(values, scales)


def test_wrong_arguments_are_named() -> None:
    """Weights that cannot be rounded, two dtypes in one layer, and shapes that do not fit."""
    w_ih, w_hh = np.ones((3, 2), np.float32), np.ones((3, 1), np.float32)
    with pytest.raises(ValueError, match="dtype is 'int4', expected"):
        compress(w_ih, "int4")
    with pytest.raises(ValueError, match="not finite, expected weights"):
        compress(w_ih * np.float32(np.nan), "int8")
    with pytest.raises(TypeError, match="w_ih is int8 and w_hh float32, expected one dtype for both"):
        ops.pack("gru", compress(w_ih, "int8"), w_hh)
    with pytest.raises(TypeError, match="w_ih is bfloat16 and w_hh int8, expected one dtype for both"):
        ops.pack("gru", compress(w_ih, "bfloat16"), compress(w_hh, "int8"))
    with pytest.raises(ValueError, match=r"w_ih has shape \(2, 2\)"):
        ops.pack("gru", compress(w_ih[1:], "int8"), compress(w_hh, "int8"))
