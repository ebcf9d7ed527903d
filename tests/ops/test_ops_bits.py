"""The same bits however a result is computed: properties of random problems, for every instruction set."""

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tidegate
from tidegate import _native, ops
from tidegate.ops import reference
from tidegate.ops.cells import GRU, Cell

Array = npt.NDArray[np.float32]

every_isa = pytest.mark.parametrize("isa", ops.isas())
CELLS = [
    *map(Cell.of, ("rnn_tanh", "rnn_relu", "gru", "gru reset=before")),
    *[Cell.of("lstm")] * 12,
    *(GRU(*chosen) for chosen in product(*GRU.choices.values())),
]
many = settings(max_examples=60)


@dataclass
class Problem:
    """A layer's weights, a ragged batch with episodes, and gradients of its outputs."""

    cell: Cell
    weights: list[Array]
    x: Array
    h0: Array
    dy: Array
    options: dict[str, Any]

    def layer(self, isa: str) -> ops.Layer:
        return ops.pack(self.cell, *self.weights, isa=isa)


@st.composite
def problems(draw: st.DrawFn, /, **fixed: Any) -> Problem:
    """Problems of all kinds of shapes: few and many rows, small layers, and large ones whose units are shared."""
    cell = draw(st.sampled_from(CELLS))
    H = draw(st.sampled_from([1, 5, 16, 33, 48, 130, 210]))
    T, B = draw(st.integers(0, 12 if H > 100 else 40)), draw(st.sampled_from([1, 2, 3, 5, 8, 17, 32, 50]))
    I, reverse = draw(st.sampled_from([1, 7, 16, 40])), fixed.get("reverse", draw(st.booleans()))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shapes = ((cell.G * H, I), (cell.G * H, H), *2 * ((cell.G * H,),))
    weights = [rng.uniform(-0.3, 0.3, shape).astype(np.float32) for shape in shapes]
    x, dy = (rng.standard_normal((T, B, n)).astype(np.float32) for n in (I, H))
    options = {
        "lengths": rng.integers(0, T + 1, B) if draw(st.booleans()) else np.full(B, T),
        "episode_starts": rng.random((T, B)) < draw(st.sampled_from([0, 0.1, 1])),
        "episode_state": draw(st.sampled_from(ops.EPISODE_STATES)),
        "reverse": reverse,
    }
    states = (B, H) if cell.S == 1 else (cell.S, B, H)
    return Problem(cell, weights, x, rng.standard_normal(states).astype(np.float32), dy, options)


def run(problem: Problem, isa: str, threads: int, layer: ops.Layer | None = None) -> list[Array | None]:
    """Values and gradients, with a number of threads."""
    before = tidegate.get_num_threads()
    tidegate.set_num_threads(threads)
    try:
        layer = layer or problem.layer(isa)
        out = ops.forward(layer, problem.x, problem.h0, trace=True, **problem.options)
        gradients = ops.backward(layer, problem.x, out, problem.dy, h0=problem.h0, **problem.options)
    finally:
        tidegate.set_num_threads(before)
    return [*out, *gradients]


@every_isa
@many
@given(problem=problems(), threads=st.integers(1, 5))
def test_threads_change_no_bit(isa: str, problem: Problem, threads: int) -> None:
    """Values and gradients are the same for any number of threads, and the second time."""
    for one, other in zip(run(problem, isa, 1), run(problem, isa, threads), strict=True):
        np.testing.assert_array_equal(one, other)


@every_isa
@settings(many, max_examples=150)
@given(problem=problems(), threads=st.integers(1, 5), steps=st.sampled_from([1, 40]), bias=st.booleans())
def test_weights_that_are_read_where_they_are(isa: str, problem: Problem, threads: int, steps: int, bias: bool) -> None:
    """Weights that are not packed before, but in or before each call, give the same bits: single steps above all."""
    problem.x, problem.dy = problem.x[:steps], problem.dy[:steps]
    problem.weights = problem.weights[: 4 if bias else 2]
    starts, lengths = problem.options["episode_starts"][:steps], np.minimum(problem.options["lengths"], steps)
    problem.options |= {"episode_starts": starts, "lengths": lengths}
    I, H = problem.x.shape[-1], problem.dy.shape[-1]
    addresses = [weight.ctypes.data for weight in problem.weights]
    native = _native.PackedLayer.borrow(problem.cell.name, problem.cell.places, I, H, addresses, isa)
    borrowed = ops.Layer(problem.cell, I, H, bias, isa, native)
    for one, other in zip(run(problem, isa, 1), run(problem, isa, threads, borrowed), strict=True):
        np.testing.assert_array_equal(one, other)


@every_isa
@many
@given(problem=problems(), threads=st.integers(1, 5), data=st.data())
def test_a_row_has_the_bits_that_it_has_alone(isa: str, problem: Problem, threads: int, data: st.DataObject) -> None:
    """Other rows, their order and the padding change nothing in a row."""
    y, h_n, *_ = run(problem, isa, threads)
    assert y is not None
    assert h_n is not None
    b = data.draw(st.integers(0, problem.x.shape[1] - 1))
    length = problem.options["lengths"][b]
    alone = problem.options | {"lengths": None, "episode_starts": problem.options["episode_starts"][:length, b : b + 1]}
    row = ops.forward(problem.layer(isa), problem.x[:length, b : b + 1], problem.h0[..., b : b + 1, :], **alone)
    np.testing.assert_array_equal(y[:length, b], row.y[:, 0])
    np.testing.assert_array_equal(h_n[..., b, :], row.h_n[..., 0, :])
    assert not y[length:, b].any()


@every_isa
@many
@given(problem=problems(reverse=False), data=st.data())
def test_pieces_have_the_bits_of_the_whole(isa: str, problem: Problem, data: st.DataObject) -> None:
    """A sequence cut anywhere, its state carried from piece to piece, gives the whole, down to single steps."""
    layer, T = problem.layer(isa), len(problem.x)
    episode_starts = problem.options["episode_starts"]
    whole = ops.forward(layer, problem.x, problem.h0, episode_starts=episode_starts)
    cuts = sorted(data.draw(st.lists(st.integers(0, T), max_size=4)))
    state, pieces = problem.h0, []
    for start, end in zip([0, *cuts], [*cuts, T], strict=True):
        piece = ops.forward(layer, problem.x[start:end], state, episode_starts=episode_starts[start:end])
        state = piece.h_n
        pieces.append(piece.y)
    np.testing.assert_array_equal(np.concatenate(pieces), whole.y)
    np.testing.assert_array_equal(state, whole.h_n)

    h = problem.h0.copy()
    for t in range(T):
        h[..., episode_starts[t], :] = 0
        after = ops.step(layer, problem.x[t], h, out=h)
        np.testing.assert_array_equal(after if problem.cell.S == 1 else after[0], whole.y[t])


@every_isa
@many
@given(problem=problems(), threads=st.integers(1, 5))
def test_gates_computed_again_change_no_bit(isa: str, problem: Problem, threads: int) -> None:
    """The gradients without a trace are those with it."""
    expected = run(problem, isa, threads)[3:]
    layer = problem.layer(isa)
    out = ops.forward(layer, problem.x, problem.h0, trace="states", **problem.options)
    options = problem.options | {"recompute_every": 10_000}
    for one, other in zip(
        ops.backward(layer, problem.x, out, problem.dy, h0=problem.h0, **options), expected, strict=True
    ):
        np.testing.assert_array_equal(one, other)


def drawn(I: int, H: int, T: int, B: int, cell: str = "gru") -> Problem:
    """A layer of one shape, without lengths or episodes."""
    rng = np.random.default_rng(0)
    G, S = Cell.of(cell).G * H, Cell.of(cell).S
    shapes = ((G, I), (G, H), (G,), (G,))
    weights = [rng.uniform(-(H**-0.5), H**-0.5, shape).astype(np.float32) for shape in shapes]
    x, dy = (rng.standard_normal((T, B, n)).astype(np.float32) for n in (I, H))
    states = (B, H) if S == 1 else (S, B, H)
    return Problem(Cell.of(cell), weights, x, rng.standard_normal(states).astype(np.float32), dy, {})


LARGE = {
    "a trace that no cache holds": (16, 128, 300, 16),  # 9.8 MB, stored past the caches
    "weights that no cache holds": (640, 640, 6, 40),  # 9.8 MB: other blocks, shared units, input products first
}


@every_isa
@pytest.mark.parametrize("shape", LARGE.values(), ids=LARGE)
@pytest.mark.parametrize("cell", ["gru", "lstm", "gru reset=before"])
def test_large_problems_have_the_bits_of_small_ones(isa: str, cell: str, shape: tuple[int, int, int, int]) -> None:
    """What is done otherwise because it is large changes nothing: not the threads, nor row by row and step by step."""
    problem = drawn(*shape, cell)
    expected = run(problem, isa, 1)
    for one, other in zip(expected, run(problem, isa, 2), strict=True):
        np.testing.assert_array_equal(one, other)
    y, _, trace, *_ = expected
    assert y is not None
    assert trace is not None
    layer, h = problem.layer(isa), problem.h0[..., 3:4, :]
    for t in (0, 1, 2):
        alone = ops.forward(layer, problem.x[t : t + 1, 3:4], h, trace=True)
        np.testing.assert_array_equal(alone.y[0, 0], y[t, 3])
        assert alone.trace is not None
        np.testing.assert_array_equal(alone.trace[0, 0], trace[t, 3])
        h = alone.h_n


@every_isa
@pytest.mark.parametrize("shape", LARGE.values(), ids=LARGE)
@pytest.mark.parametrize("cell", ["gru", "lstm", "gru reset=before"])
def test_large_problems_equal_the_reference(isa: str, cell: str, shape: tuple[int, int, int, int]) -> None:
    """Their gradients are those of the specification in float64."""
    problem = drawn(*shape, cell)
    found = run(problem, isa, 2)
    x, h0, dy = (array.astype(np.float64) for array in (problem.x, problem.h0, problem.dy))
    layer = reference.Layer(cell, *problem.weights)
    expected = layer.backward(x, layer.forward(x, h0), dy)
    for ours, theirs in zip(found[3:], expected, strict=True):
        assert ours is not None
        assert theirs is not None
        assert np.abs(ours - theirs).max() <= 2e-5 * np.abs(theirs).max()


def inside(shape: tuple[int, ...], first: int, width: int) -> tuple[Array, Array]:
    """An array of some columns of a wider one, aligned to cache lines and full of NaN; and the wider one."""
    *rows, columns = shape
    memory = np.full(int(np.prod(rows)) * width + 16, np.nan, np.float32)
    start = -memory.ctypes.data % 64 // 4
    whole = memory[start : start + memory.size - 16].reshape(*rows, width)
    return whole[..., first : first + columns], whole


LAYOUTS = {"alone": (0, 128), "first half": (0, 256), "second half": (128, 256), "between lines": (16, 150)}


@every_isa
@pytest.mark.parametrize("cell", ["gru", "lstm", "gru reset=before"])
@pytest.mark.parametrize("rows", [64, 3], ids=["rows shared", "units shared"])
@pytest.mark.parametrize(("first", "width"), LAYOUTS.values(), ids=LAYOUTS)
def test_padding_of_large_outputs_is_zero_and_all_beside_them_is_left_alone(
    isa: str, cell: str, rows: int, first: int, width: int
) -> None:
    """Zeros that are stored past the caches end up where others do; the steps of rows are those of each row alone."""
    T = 20_000 // rows  # y has 10 MB
    problem = drawn(4, 128, T, rows, cell)
    lengths = np.random.default_rng(1).integers(1, T // 4, rows)
    lengths[rows // 2] = T // 3
    y, whole = inside((T, rows, 128), first, width)
    before = tidegate.get_num_threads()
    tidegate.set_num_threads(2)
    try:
        out = ops.forward(problem.layer(isa), problem.x, problem.h0, lengths=lengths, y=y, trace=True)
    finally:
        tidegate.set_num_threads(before)
    padding = np.arange(T)[:, None] >= lengths
    assert out.trace is not None
    for array in (y, out.trace):
        assert (array[padding] == 0).all()
        assert np.isfinite(array).all()
    assert np.isnan(whole[..., :first]).all()
    assert np.isnan(whole[..., first + 128 :]).all()
    for row in (0, rows // 2):
        steps = slice(lengths[row])
        alone = ops.forward(problem.layer(isa), problem.x[steps, row : row + 1], problem.h0[..., row : row + 1, :])
        np.testing.assert_array_equal(y[steps, row], alone.y[:, 0])


@every_isa
@pytest.mark.parametrize("threads", [1, 2])
def test_denormal_numbers_are_flushed_and_the_callers_mode_is_restored(isa: str, threads: int) -> None:
    """A state that dies away becomes 0, not denormal; outside of the call denormal numbers are what they were."""
    H, rows = 64, 40
    layer = ops.pack("gru", np.zeros((3 * H, 4), np.float32), np.zeros((3 * H, H), np.float32), isa=isa)
    x, h0 = np.zeros((30, rows, 4), np.float32), np.full((rows, H), 1e-35, np.float32)
    before = tidegate.get_num_threads()
    tidegate.set_num_threads(threads)
    try:
        y = ops.forward(layer, x, h0).y  # every step halves the state
    finally:
        tidegate.set_num_threads(before)
    smallest = np.finfo(np.float32).tiny
    assert (y[0] > smallest).all()
    assert ((y == 0) | (y >= smallest)).all()
    assert (y[-1] == 0).all()
    assert np.float32(1e-40) * np.float32(0.5) != 0
