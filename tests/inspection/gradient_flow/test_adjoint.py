"""Gradients by states and inputs, walked back without underflow."""

import itertools

import numpy as np
import pytest

from tidegate import Recurrent
from tidegate.inspection.gradient_flow.adjoint import Scaled, adjoint
from tidegate.ops.cells import Cell
from tidegate.ops.names import parameter_letters
from tidegate.sequences.summaries import SUMMARIES

I, H, T, B = 5, 6, 12, 3
LENGTHS = np.array([12, 1, 7])


def stack(cell: str, layers: int, directions: int) -> Recurrent:
    """A stack with random weights."""
    rng = np.random.default_rng(layers)
    sizes = {"G·H": Cell.of(cell).G * H, "I": I, "H": H, "D·H": directions * H}
    letters = parameter_letters(layers, directions == 2, bias=True)
    weights = {name: rng.standard_normal([sizes[axis] for axis in axes.split()]) / 2 for name, axes in letters.items()}
    return Recurrent(weights, cell)


@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn_tanh", "rnn_relu", "gru reset=before"])
@pytest.mark.parametrize(("layers", "directions"), list(itertools.product([1, 2], [1, 2])))
def test_it_equals_the_kernels(cell: str, layers: int, directions: int) -> None:
    """The gradient by the inputs is that of `input_gradient`, for every stack and for rows of any length."""
    rng, model = np.random.default_rng(0), stack(cell, layers, directions)
    x = rng.standard_normal((T, B, I)).astype(np.float32)
    dsummary = rng.standard_normal(directions * H)
    traces = model.trace(x, LENGTHS)
    for row, length in enumerate(LENGTHS):
        S = (model.cell.S,) if model.cell.S > 1 else ()
        dh_n, dy = np.zeros((*S, layers * directions, B, H), np.float32), np.zeros((T, B, directions * H), np.float32)
        dh_n.reshape(-1, layers * directions, B, H)[0, -directions:, row] = dsummary.reshape(directions, H)
        expected = model.input_gradient(x, traces, dh_n=dh_n)[:length, row]
        found = adjoint(model, traces, dsummary, "last", row).by_input
        np.testing.assert_allclose(found.values * 10 ** found.log[:, None], expected, atol=2e-5)
        dy[:length, row] = dsummary / length
        found = adjoint(model, traces, dsummary, "mean", row).by_input
        expected = model.input_gradient(x, traces, dy=dy)[:length, row]
        np.testing.assert_allclose(found.values * 10 ** found.log[:, None], expected, atol=2e-5)


@pytest.mark.parametrize("summary", SUMMARIES)
def test_it_is_linear_in_what_the_summary_asks(summary: str) -> None:
    """Twice the gradient by the summary is twice the gradient by every state."""
    rng, model = np.random.default_rng(0), stack("gru", 2, 2)
    traces = model.trace(rng.standard_normal((T, 1, I)).astype(np.float32))
    dsummary = rng.standard_normal(2 * H * (1 + ("+" in summary)))
    once, twice = (adjoint(model, traces, factor * dsummary, summary) for factor in (1, 2))
    for one, two in zip(once.by_hidden, twice.by_hidden, strict=True):
        np.testing.assert_allclose(one.values, two.values, atol=1e-12)
        np.testing.assert_allclose(one.log + np.log10(2), two.log)


def test_scaled_vectors_add_up() -> None:
    """Vectors of any size add up; what is 300 decades below another vanishes beside it, zeros change nothing."""
    ones = Scaled.of(np.ones((4, 2)), np.array([0, -400.0, 500, -np.inf]))
    more = Scaled.of(np.array([[1.0, 0], [0, 1], [1, 1], [0, 0]]), np.array([0, -400.0, 0, 3]))
    total = ones.plus(more)
    np.testing.assert_allclose(total.log, [np.log10(5) / 2, np.log10(5) / 2 - 400, np.log10(2) / 2 + 500, -np.inf])
    np.testing.assert_allclose(np.linalg.norm(total.values, axis=1), [1, 1, 1, 0])
