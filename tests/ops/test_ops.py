"""Tests of the native kernels: their numbers against the reference, their identities, their promises about bits."""

import multiprocessing
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

import tidegate
from tidegate import ops
from tidegate.ops import reference
from tidegate.ops.cells import Cell

Array = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Result = tuple[Any, Any]  # ops.Forward and ops.Gradients

FORWARD = 5e-6  # largest absolute error of y, h_n and trace
GRADIENT = 2e-5  # largest error of a gradient, relative to the largest magnitude in its array

CELLS = ("gru", "rnn_tanh", "rnn_relu", "lstm", "gru reset=before")
OTHERS = (
    "gru reset=off candidate=relu gate=hard_sigmoid",
    "gru update=off candidate=identity",
)  # all: test_ops_choices
SIZES = (1, 7, 8, 9, 15, 16, 17, 33)  # around the widths of vectors and register tiles
LAYOUTS = ("time first", "batch first", "inside a wider array", "turned around", "packed")

every_cell = pytest.mark.parametrize("cell", CELLS + OTHERS)
every_isa = pytest.mark.parametrize("isa", ops.isas())
every_direction = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])


class Case(NamedTuple):
    """One row of the table of sizes and options."""

    T: int
    B: int
    I: int
    H: int
    bias: bool = True
    h0: bool = True
    ragged: bool = False
    reverse: bool = False
    layout: str = "time first"
    threads: int = 1


def table() -> Iterator[Case]:
    """Lists all pairs of sizes of B, I and H (a Latin square) with options by a fixed seed, and some wide layers."""
    random = np.random.default_rng(0)
    for (i, H), (j, B) in product(enumerate(SIZES), enumerate(SIZES)):
        T, threads = (int(random.choice(values)) for values in ((1, 2, 5, 11), (1, 2, 3)))
        bias, h0, ragged, reverse = random.random(4) < 0.5
        layout = str(random.choice(LAYOUTS))
        yield Case(T, B, SIZES[(i + j) % len(SIZES)], H, bias, h0, ragged, reverse, layout, threads)
    yield from WIDE


# Large enough that several threads, blocks of steps and prepared input products are worth their while.
WIDE = [
    Case(50, 32, 100, 128, threads=2),
    Case(20, 70, 3, 40, ragged=True, threads=2, layout="batch first"),
    Case(31, 37, 33, 65, bias=False, ragged=True, reverse=True, threads=3),
    Case(60, 9, 129, 113, h0=False, ragged=True, threads=2),
    Case(25, 5, 200, 96, threads=3, layout="packed"),
    Case(40, 1, 64, 257, reverse=True, threads=3),
    Case(40, 3, 17, 201, ragged=True, reverse=True, threads=2),
    Case(30, 4, 9, 200, threads=3, layout="packed"),
]


def name_of(case: Case) -> str:
    """Names a case by its sizes and the options that are not the default."""
    options = {name: value for name, value in case._asdict().items() if value != Case._field_defaults.get(name)}
    return " ".join(f"{name}{value}" if name in "TBIH" else f"{name}={value}" for name, value in options.items())


@dataclass(frozen=True)
class Problem:
    """The arguments of one layer in float32, dense and time first, with the gradients of its outputs."""

    cell: str
    x: Array
    w_ih: Array
    w_hh: Array
    b_ih: Any  # Array, or None
    b_hh: Any
    h0: Any
    lengths: Any
    reverse: bool
    dy: Array
    dh_n: Array

    @property
    def steps(self) -> Bools:
        """Whether step t belongs to row b: bool [T, B]."""
        T, B = self.x.shape[:2]
        return np.arange(T)[:, None] < (np.full(B, T) if self.lengths is None else self.lengths)


def draw(cell: str, case: Case, seed: int = 0) -> Problem:
    """Draws a problem, weights as torch draws them; ragged ones have a row of length 0 and one of length T."""
    random = np.random.default_rng(seed)
    T, B, I, H = case[:4]
    G, S = Cell.of(cell).G, Cell.of(cell).S
    states = (B, H) if S == 1 else (S, B, H)

    def weights(*shape: int) -> Array:
        return np.asarray(random.uniform(-1, 1, shape) / np.sqrt(H), np.float32)

    def normal(*shape: int) -> Array:
        return random.normal(size=shape).astype(np.float32)

    lengths: npt.NDArray[np.int64] | None = None
    if case.layout == "packed":
        lengths = np.sort(np.r_[T, random.integers(1, T + 1, B - 1)])[::-1]
    elif case.ragged:
        lengths = random.permutation(np.r_[0, T, random.integers(0, T + 1, B)][:B])
    return Problem(
        cell=cell,
        x=normal(T, B, I),
        w_ih=weights(G * H, I),
        w_hh=weights(G * H, H),
        b_ih=weights(G * H) if case.bias else None,
        b_hh=weights(G * H) if case.bias else None,
        h0=normal(*states) if case.h0 else None,
        lengths=lengths,
        reverse=case.reverse,
        dy=normal(T, B, H),
        dh_n=normal(*states),
    )


def lay_out(array: Array, layout: str, steps: Bools) -> Array:
    """Returns a dense [T, B, F] array as the layout would present it, uninteresting memory filled with NaN."""
    match layout:
        case "batch first":
            return array.swapaxes(0, 1).copy().swapaxes(0, 1)
        case "inside a wider array":
            wide = np.full((len(array) + 1, array.shape[1] + 2, array.shape[2] + 5), np.nan, np.float32)
            wide[1:, 1:-1, 2:-3] = array
            return wide[1:, 1:-1, 2:-3]
        case "turned around":
            return array[::-1].copy()[::-1]
        case "packed":
            return array[steps]
    return array.copy()


def kept_of(cell: str) -> tuple[str, ...]:
    """What a trace holds of each step, in the order of the kernels."""
    return (*Cell.of(cell).trace, *Cell.of(cell).states[1:])


def pack(problem: Problem, isa: str | None = None) -> ops.Layer:
    return ops.pack(problem.cell, problem.w_ih, problem.w_hh, problem.b_ih, problem.b_hh, isa=isa)


def run(problem: Problem, isa: str | None = None, layout: str = "time first") -> Result:
    """Runs forward and backward natively; padding of x and dy, and y beforehand, hold NaN."""
    layer, steps = pack(problem, isa), problem.steps
    x, dy = (lay_out(np.where(steps[..., None], a, np.float32(np.nan)), layout, steps) for a in (problem.x, problem.dy))
    y = lay_out(np.full_like(problem.dy, np.nan), layout, steps)
    rows: dict[str, Any] = {"batch_sizes": steps.sum(axis=1)} if layout == "packed" else {"lengths": problem.lengths}
    out = ops.forward(layer, x, problem.h0, **rows, reverse=problem.reverse, trace=True, y=y)
    assert out.y is y
    return out, ops.backward(layer, x, out, dy, problem.dh_n, problem.h0, **rows, reverse=problem.reverse)


def run_reference(problem: Problem) -> tuple[reference.Forward, reference.Gradients]:
    """Runs forward and backward in float64."""
    layer = reference.Layer(problem.cell, problem.w_ih, problem.w_hh, problem.b_ih, problem.b_hh)
    rows = (problem.lengths, problem.reverse)
    out = layer.forward(problem.x, problem.h0, *rows)
    return out, layer.backward(problem.x, out, problem.dy, problem.dh_n, *rows)


@lru_cache(maxsize=len(CELLS + OTHERS))
def expected_of(cell: str, case: Case) -> tuple[Problem, reference.Forward, reference.Gradients]:
    """Draws a problem and runs the reference once for all instruction sets, which follow one another."""
    problem = draw(cell, case)
    return problem, *run_reference(problem)


def arrays(result: Result, steps: Bools | None) -> dict[str, Array]:
    """Names all arrays of a result; the trace only where a row has steps, for it has no meaning in padding."""
    out, gradients = result
    named: dict[str, Any] = {"y": out.y, "h_n": out.h_n} | gradients._asdict()
    if out.trace is not None:
        named["trace"] = out.trace if steps is None or out.trace.ndim == 3 else out.trace[steps]
    return {name: array for name, array in named.items() if array is not None}


def assert_same_bits(result: Result, expected: Result, steps: Bools | None = None) -> None:
    """Compares all arrays of two results for equality."""
    found, wanted = arrays(result, steps), arrays(expected, steps)
    assert found.keys() == wanted.keys()
    for name, array in found.items():
        np.testing.assert_array_equal(array, wanted[name], err_msg=name)


def assert_close(array: Any, expected: reference.Array, tolerance: float, name: str) -> None:
    """Compares with a tolerance for the largest error; NaN on either side is an error."""
    assert array.shape == expected.shape, name
    assert array.dtype == np.float32, name
    error = np.abs(array - expected).max(initial=0)
    assert error <= tolerance, f"{name} has an error of {error:.2g}, allowed are {tolerance:.2g}"


@pytest.fixture(autouse=True)
def _restored_num_threads() -> Iterator[None]:
    threads = tidegate.get_num_threads()
    yield
    tidegate.set_num_threads(threads)


@pytest.fixture
def _poisoned_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fills every array that is allocated without values with NaN, so that an element left unwritten shows."""

    def poisoning(allocate: Callable[..., npt.NDArray[Any]]) -> Callable[..., npt.NDArray[Any]]:
        def poisoned(*args: Any, **kwargs: Any) -> npt.NDArray[Any]:
            array = allocate(*args, **kwargs)
            if np.issubdtype(array.dtype, np.floating):
                array.fill(np.nan)
            return array

        return poisoned

    for name in ("empty", "empty_like"):
        monkeypatch.setattr(np, name, poisoning(getattr(np, name)))


@pytest.mark.usefixtures("_poisoned_memory")
@every_cell
@every_isa
@pytest.mark.parametrize("case", list(table()), ids=name_of)
def test_kernels_equal_the_reference(cell: str, isa: str, case: Case) -> None:
    """Values are within 5e-6 of float64, gradients within 2e-5 of their largest, and padding is exactly 0."""
    tidegate.set_num_threads(case.threads)
    problem, expected, expected_gradients = expected_of(cell, case)
    steps, packed = problem.steps, case.layout == "packed"
    out, gradients = run(problem, isa, case.layout)

    def presented(array: reference.Array) -> reference.Array:
        return array[steps] if packed else array

    assert_close(out.y, presented(expected.y), FORWARD, "y")
    assert_close(out.h_n, expected.h_n, FORWARD, "h_n")
    trace = np.stack([expected.trace[name] for name in kept_of(cell)], axis=2)
    assert_close(out.trace if packed else out.trace[steps], trace[steps], FORWARD, "trace")
    for name, expectation in expected_gradients._asdict().items():
        gradient = getattr(gradients, name)
        if expectation is None:
            assert gradient is None, name
        else:
            tolerance = GRADIENT * np.abs(expectation).max(initial=0)
            assert_close(gradient, presented(expectation) if name == "dx" else expectation, tolerance, name)
    if not packed:
        assert (out.y[~steps] == 0).all()
        assert (gradients.dx[~steps] == 0).all()
        assert out.trace is None or (out.trace[~steps] == 0).all()


@every_cell
@every_isa
def test_nothing_is_written_beside_the_output(cell: str, isa: str) -> None:
    """An output inside a wider array leaves the rest of that array alone."""
    problem = draw(cell, Case(5, 9, 3, 17, ragged=True))
    wide = np.full((7, 11, 40), np.nan, np.float32)
    y = wide[1:-1, 1:-1, 11:28]
    ops.forward(pack(problem, isa), problem.x, problem.h0, lengths=problem.lengths, y=y)
    assert np.isfinite(y).all()
    y[:] = np.nan
    assert np.isnan(wide).all()


@every_cell
@every_isa
@pytest.mark.parametrize("case", WIDE, ids=name_of)
def test_the_number_of_threads_changes_no_bit(cell: str, isa: str, case: Case) -> None:
    """One, two and three threads give the same values and gradients."""
    problem = draw(cell, case)
    tidegate.set_num_threads(1)
    expected = run(problem, isa, case.layout)
    for threads in (2, 3):
        tidegate.set_num_threads(threads)
        assert_same_bits(run(problem, isa, case.layout), expected, problem.steps)


@every_cell
@every_isa
@every_direction
def test_a_row_does_not_depend_on_the_rest_of_its_batch(cell: str, isa: str, reverse: bool) -> None:
    """Each row alone, without padding, has the bits that it has inside a ragged batch."""
    problem = draw(cell, Case(7, 19, 9, 17, ragged=True, reverse=reverse))
    out, gradients = run(problem, isa)
    for b, length in enumerate(problem.lengths):
        alone = {name: getattr(problem, name)[:length, b : b + 1] for name in ("x", "dy")}
        alone |= {name: getattr(problem, name)[..., b : b + 1, :] for name in ("h0", "dh_n")}
        row, row_gradients = run(replace(problem, **alone, lengths=None), isa)
        np.testing.assert_array_equal(out.y[:length, b], row.y[:, 0])
        np.testing.assert_array_equal(out.h_n[..., b, :], row.h_n[..., 0, :])
        np.testing.assert_array_equal(gradients.dx[:length, b], row_gradients.dx[:, 0])
        np.testing.assert_array_equal(gradients.dh0[..., b, :], row_gradients.dh0[..., 0, :])


@every_cell
@every_isa
@every_direction
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layout_of_memory_changes_no_bit(cell: str, isa: str, reverse: bool, layout: str) -> None:
    """Batch-first views, slices, negative strides and packed sequences have the bits of a dense batch."""
    problem = draw(cell, Case(7, 9, 8, 17, layout="packed", reverse=reverse))
    steps = problem.steps
    out, gradients = run(problem, isa, layout)
    dense, dense_gradients = run(problem, isa)
    if layout == "packed":
        dense = dense._replace(y=dense.y[steps], trace=None if dense.trace is None else dense.trace[steps])
        dense_gradients = dense_gradients._replace(dx=dense_gradients.dx[steps])
    assert_same_bits((out, gradients), (dense, dense_gradients), steps)


@every_cell
@every_isa
def test_pieces_of_a_sequence_equal_the_whole(cell: str, isa: str) -> None:
    """Running on from the final state of one piece gives the bits of the whole, for any cuts."""
    problem = draw(cell, Case(9, 5, 7, 17))
    layer = pack(problem, isa)
    whole = ops.forward(layer, problem.x, problem.h0)
    state, pieces = problem.h0, []
    for piece in np.split(problem.x, [1, 1, 4]):
        y, state, _ = ops.forward(layer, piece, state)
        pieces.append(y)
    np.testing.assert_array_equal(np.concatenate(pieces), whole.y)
    np.testing.assert_array_equal(state, whole.h_n)


@every_cell
@every_isa
@every_direction
@pytest.mark.parametrize("poison", ["x", "h0"])
def test_nan_stays_in_its_row(cell: str, isa: str, reverse: bool, poison: str) -> None:
    """A NaN makes its own row NaN from that step on, and changes no bit of the steps before and of other rows."""
    problem = draw(cell, Case(6, 9, 9, 9, reverse=reverse))
    clean, clean_gradients = run(problem, isa)
    value = getattr(problem, poison).copy()
    value[(3, 4, 5) if poison == "x" else (..., 4, 5)] = np.nan
    out, gradients = run(replace(problem, **{poison: value}), isa)
    after = np.zeros((6, 9), bool)
    after[slice(None) if poison == "h0" else slice(0, 4) if reverse else slice(3, None), 4] = True
    assert np.isnan(out.y[after]).all()
    np.testing.assert_array_equal(out.y[~after], clean.y[~after])
    others = np.arange(9) != 4
    np.testing.assert_array_equal(out.h_n[..., others, :], clean.h_n[..., others, :])
    np.testing.assert_array_equal(gradients.dx[:, others], clean_gradients.dx[:, others])
    np.testing.assert_array_equal(gradients.dh0[..., others, :], clean_gradients.dh0[..., others, :])


@pytest.mark.parametrize("cell", CELLS)
@every_isa
def test_infinite_and_huge_input_reaches_the_limits(cell: str, isa: str) -> None:
    """Input without bound saturates the gates at exactly what float64 says; only a rectifier lets it through."""
    T = 1 if cell == "rnn_relu" else 4
    problem = draw(cell, Case(T, 6, 9, 17))
    for b, value in enumerate((np.inf, -np.inf, 3e38, -3e38, 1e10)):
        problem.x[0, b, b] = value
    with np.errstate(all="ignore"):
        layer = reference.Layer(cell, problem.w_ih, problem.w_hh, problem.b_ih, problem.b_hh)
        expected = layer.forward(problem.x, problem.h0)
    y = ops.forward(pack(problem, isa), problem.x, problem.h0).y
    assert not np.isnan(expected.y).any()
    np.testing.assert_allclose(y, expected.y.astype(np.float32), rtol=1e-6, atol=FORWARD)


def with_gate_bias(problem: Problem, **biases: float) -> Problem:
    """Adds a bias to whole gates, by the letters that their cell gives them: r, z or n of a gru."""
    cell = Cell.of(problem.cell)
    added = np.repeat([biases.get(cell.symbols[block], 0) for block in cell.blocks], len(problem.b_ih) // cell.G)
    return replace(problem, b_ih=problem.b_ih + added.astype(np.float32))


@every_isa
@every_direction
def test_update_gate_one_copies_state_and_gradient(isa: str, reverse: bool) -> None:
    """Where z = 1 the state at every step is h0 exactly, and the gradient at h0 is the sum of those on the way."""
    problem = with_gate_bias(draw("gru", Case(200, 9, 7, 17, reverse=reverse)), z=1000)
    out, gradients = run(problem, isa)
    np.testing.assert_array_equal(out.y, np.broadcast_to(problem.h0, out.y.shape))
    np.testing.assert_array_equal(out.h_n, problem.h0)
    backwards = problem.dy if reverse else problem.dy[::-1]
    np.testing.assert_array_equal(gradients.dh0, sum(backwards, start=problem.dh_n))
    assert not gradients.dx.any()
    assert not gradients.dw_hh.any()


@every_isa
def test_open_reset_and_closed_update_gate_is_the_vanilla_network(isa: str) -> None:
    """Where r = 1 and z = 0 the gru has the outputs of rnn_tanh with the candidate's weights to 1 ulp."""
    problem = with_gate_bias(draw("gru", Case(50, 9, 7, 17)), r=1000, z=-1000)
    candidate = {name: getattr(problem, name)[-17:] for name in ("w_ih", "w_hh", "b_ih", "b_hh")}
    vanilla = replace(problem, cell="rnn_tanh", **candidate)
    np.testing.assert_array_max_ulp(run(problem, isa)[0].y, run(vanilla, isa)[0].y, maxulp=1)


@every_isa
def test_reset_gate_zero_makes_the_candidate_independent_of_the_state(isa: str) -> None:
    """Where r = 0 two different states lead to the same candidate, bit for bit."""
    problem = with_gate_bias(draw("gru", Case(5, 9, 7, 17)), r=-1000)
    one, _ = run(problem, isa)
    other, _ = run(replace(problem, h0=problem.h0 + 1), isa)
    np.testing.assert_array_equal(one.trace[:, :, 2], other.trace[:, :, 2])
    assert (one.trace[:, :, 3] != other.trace[:, :, 3]).all()


@every_isa
@every_direction
def test_forget_gate_one_copies_the_cell_state_and_its_gradient(isa: str, reverse: bool) -> None:
    """Where f = 1 and i = 0 the cell state is c0 exactly; closed output gates keep all but its own gradient out."""
    problem = with_gate_bias(draw("lstm", Case(200, 9, 7, 17, reverse=reverse)), f=1000, i=-1000)
    out, _ = run(problem, isa)
    np.testing.assert_array_equal(out.trace[:, :, 4], np.broadcast_to(problem.h0[1], out.y.shape))
    np.testing.assert_array_equal(out.h_n[1], problem.h0[1])
    out, gradients = run(with_gate_bias(problem, o=-1000), isa)
    assert not out.y.any()
    np.testing.assert_array_equal(gradients.dh0[1], problem.dh_n[1])
    assert not gradients.dx.any()


@every_isa
def test_open_reset_gates_make_no_difference_between_before_and_after(isa: str) -> None:
    """Where r = 1 both places of the reset gate give the same outputs, but for the order of a sum."""
    problem = with_gate_bias(draw("gru", Case(30, 9, 7, 17)), r=1000)
    after, before = (run(replace(problem, cell=cell), isa)[0] for cell in ("gru", "gru reset=before"))
    np.testing.assert_allclose(before.y, after.y, rtol=0, atol=2e-6)


@every_cell
@every_isa
@pytest.mark.parametrize(
    ("case", "lengths"),
    [(Case(0, 4, 3, 9), None), (Case(5, 0, 3, 9), None), (Case(5, 4, 3, 9), [0, 0, 0, 0]), (Case(0, 4, 3, 9), [0] * 4)],
    ids=["no steps", "no rows", "only empty rows", "no steps, with lengths"],
)
def test_nothing_to_do_keeps_the_state(cell: str, isa: str, case: Case, lengths: Any) -> None:
    """Without steps the final state is h0, its gradient passes straight through, and the others are 0."""
    problem = replace(draw(cell, case), lengths=None if lengths is None else np.array(lengths))
    out, gradients = run(problem, isa)
    assert not out.y.any()
    np.testing.assert_array_equal(out.h_n, problem.h0)
    np.testing.assert_array_equal(gradients.dh0, problem.dh_n)
    for name in ("dx", "dw_ih", "dw_hh", "db_ih", "db_hh"):
        assert not getattr(gradients, name).any(), name


@every_cell
@every_isa
def test_absent_output_gradients_are_zeros(cell: str, isa: str) -> None:
    """A missing dy or dh_n has the effect of zeros."""
    problem = draw(cell, Case(5, 9, 3, 17, ragged=True))
    layer, x, h0, lengths = pack(problem, isa), problem.x, problem.h0, problem.lengths
    out = ops.forward(layer, x, h0, lengths=lengths, trace=True)
    for dy, dh_n in ((None, problem.dh_n), (problem.dy, None), (None, None)):
        dy_or_zeros = np.zeros_like(problem.dy) if dy is None else dy
        dh_n_or_zeros = np.zeros_like(problem.dh_n) if dh_n is None else dh_n
        gradients = ops.backward(layer, x, out, dy, dh_n, h0, lengths=lengths)
        expected = ops.backward(layer, x, out, dy_or_zeros, dh_n_or_zeros, h0, lengths=lengths)
        assert_same_bits((out, gradients), (out, expected), problem.steps)


@every_cell
@every_isa
@pytest.mark.parametrize("case", [Case(1, 9, 3, 17), Case(5, 9, 3, 17, ragged=True), *WIDE[:6]], ids=name_of)
def test_gradients_that_are_not_needed_change_no_other(cell: str, isa: str, case: Case) -> None:
    """Without dx or dh0, which are None then, all other gradients have the same bits."""
    problem = draw(cell, case._replace(layout="time first"))
    rows: dict[str, Any] = {"lengths": problem.lengths, "reverse": problem.reverse}
    out = ops.forward(pack(problem, isa), problem.x, problem.h0, trace=True, **rows)
    arguments = (problem.x, out, problem.dy, problem.dh_n, problem.h0)
    expected = ops.backward(pack(problem, isa), *arguments, **rows)
    for need_dx, need_dh0 in ((False, True), (True, False), (False, False)):
        need = ["dx"] * need_dx + ["dh0"] * need_dh0
        found = ops.backward(pack(problem, isa), *arguments, **rows, need=need)
        needed = expected._replace(dx=expected.dx if need_dx else None, dh0=expected.dh0 if need_dh0 else None)
        assert (found.dx is None, found.dh0 is None) == (not need_dx, not need_dh0)
        assert_same_bits((out, found), (out, needed), problem.steps)


@every_cell
@every_isa
def test_keeping_the_trace_changes_no_bit(cell: str, isa: str) -> None:
    """Inference and training have the same outputs; the trace is kept on demand only."""
    problem = draw(cell, Case(5, 9, 3, 17))
    layer = pack(problem, isa)
    kept, bare = (ops.forward(layer, problem.x, problem.h0, trace=trace) for trace in (True, False))
    assert bare.trace is None
    assert kept.trace is not None
    assert kept.trace.shape == (5, 9, len(kept_of(cell)), 17)
    np.testing.assert_array_equal(kept.y, bare.y)
    np.testing.assert_array_equal(kept.h_n, bare.h_n)


@every_cell
def test_arguments_with_gaps_are_as_good_as_contiguous_ones(cell: str) -> None:
    """Slices whose last axis has gaps give the bits of contiguous arrays."""
    problem = draw(cell, Case(5, 4, 3, 9))
    names = ("x", "w_ih", "w_hh", "b_ih", "b_hh", "h0", "dy", "dh_n")
    gaps: dict[str, Any] = {name: np.repeat(getattr(problem, name), 2, axis=-1)[..., ::2] for name in names}
    gappy = replace(problem, **gaps)
    layer = pack(gappy)
    out = ops.forward(layer, gappy.x, gappy.h0, trace=True)
    assert_same_bits((out, ops.backward(layer, gappy.x, out, gappy.dy, gappy.dh_n, gappy.h0)), run(problem))


@every_cell
def test_arguments_are_read_only_and_weights_are_copied(cell: str) -> None:
    """No argument is written to, broadcast ones are fine, and later changes of weights do not reach the layer."""
    problem = draw(cell, Case(5, 4, 3, 9))
    x, dy = (np.broadcast_to(array[0, 0], array.shape) for array in (problem.x, problem.dy))
    problem = replace(problem, x=x, dy=dy)
    for array in (problem.h0, problem.dh_n, problem.w_ih, problem.w_hh, problem.b_ih, problem.b_hh):
        array.flags.writeable = False
    layer = pack(problem)
    out = ops.forward(layer, x, problem.h0, trace=True)
    gradients = ops.backward(layer, x, out, dy, problem.dh_n, problem.h0)
    assert_same_bits((out, gradients), run(problem))
    problem.w_hh.flags.writeable = True
    problem.w_hh[:] = np.nan
    np.testing.assert_array_equal(ops.forward(layer, x, problem.h0).y, out.y)


def test_python_threads_may_call_at_once() -> None:
    """Calls from several Python threads at the same time each give the bits that they give alone."""
    tidegate.set_num_threads(2)
    cases = (Case(20, 16, 9, 65), Case(30, 2, 17, 201, ragged=True), Case(9, 33, 8, 8, reverse=True))
    problems = [draw(cell, case, seed) for cell, case, seed in product(CELLS, cases, range(4))]
    expected = [run(problem) for problem in problems]
    with ThreadPoolExecutor(4) as pool:
        for problem, result, alone in zip(problems, pool.map(run, problems), expected, strict=True):
            assert_same_bits(result, alone, problem.steps)


def test_python_threads_may_share_a_layer() -> None:
    """One packed layer serves several Python threads, also for the first backward pass."""
    problem = draw("gru", Case(20, 9, 9, 65))
    expected = run(problem)
    layer = pack(problem)

    def call(_: int) -> Result:
        out = ops.forward(layer, problem.x, problem.h0, trace=True)
        return out, ops.backward(layer, problem.x, out, problem.dy, problem.dh_n, problem.h0)

    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(call, range(16)):
            assert_same_bits(result, expected)


@pytest.mark.skipif(sys.platform == "win32", reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "while another thread computes"])
def test_a_forked_child_computes_on(busy: bool) -> None:
    """A child forked after, or in the midst of, calls on several threads gives the same bits and does not hang."""
    tidegate.set_num_threads(2)
    problem = draw("gru", Case(20, 16, 9, 65))
    expected = run(problem)
    done = threading.Event()

    def keep_busy() -> None:
        while not done.is_set():
            run(problem)

    def compute_in_child() -> None:
        tidegate.set_num_threads(2)
        assert_same_bits(run(problem), expected)

    worker = threading.Thread(target=keep_busy)
    if busy:
        worker.start()
    try:
        for _ in range(5):
            child = multiprocessing.get_context("fork").Process(target=compute_in_child)
            child.start()
            child.join(600)
            if child.is_alive():
                child.kill()
            assert child.exitcode == 0
    finally:
        done.set()
        if busy:
            worker.join()
    assert_same_bits(run(problem), expected)
