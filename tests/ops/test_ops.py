"""Tests of the native kernels: their numbers against the reference, their identities, their promises about bits."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import tidegate
from tidegate import ops
from tidegate.ops import reference
from tidegate.ops.cells import Cell

from .problems import (  # noqa: TID252 - pytest takes tests by their paths
    CELLS,
    FORWARD,
    LAYOUTS,
    OTHERS,
    WIDE,
    Case,
    Problem,
    assert_same_bits,
    draw,
    every_cell,
    every_direction,
    every_isa,
    name_of,
    pack,
    run,
)

GRADIENT = 2e-5  # largest error of a gradient, relative to the largest magnitude in its array

SIZES = (1, 7, 8, 9, 15, 16, 17, 33)  # around the widths of vectors and register tiles


def table() -> Iterator[Case]:
    """Lists all pairs of sizes of B, I and H (a Latin square) with options by a fixed seed, and some wide layers."""
    random = np.random.default_rng(0)
    for (i, H), (j, B) in product(enumerate(SIZES), enumerate(SIZES)):
        T, threads = (int(random.choice(values)) for values in ((1, 2, 5, 11), (1, 2, 3)))
        bias, h0, ragged, reverse = random.random(4) < 0.5
        layout = str(random.choice(LAYOUTS))
        yield Case(T, B, SIZES[(i + j) % len(SIZES)], H, bias, h0, ragged, reverse, layout, threads)
    yield from WIDE


def kept_of(cell: str) -> tuple[str, ...]:
    """What a trace holds of each step, in the order of the kernels."""
    return (*Cell.of(cell).trace, *Cell.of(cell).states[1:])


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


def assert_close(array: Any, expected: reference.Array, tolerance: float, name: str) -> None:
    """Compares with a tolerance for the largest error; NaN on either side is an error."""
    assert array.shape == expected.shape, name
    assert array.dtype == np.float32, name
    error = np.abs(array - expected).max(initial=0)
    assert error <= tolerance, f"{name} has an error of {error:.2g}, allowed are {tolerance:.2g}"


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
