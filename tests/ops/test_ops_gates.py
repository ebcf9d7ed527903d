"""What gates that are open or closed, and inputs without bound, make of a state."""

from dataclasses import replace

import numpy as np
import pytest

from tidegate import ops
from tidegate.ops import reference
from tidegate.ops.cells import Cell

from .problems import CELLS, FORWARD, Case, Problem, draw, every_direction, every_isa, pack, run  # noqa: TID252 - pytest takes tests by their paths


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
