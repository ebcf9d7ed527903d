"""If only one file of tests is run, it is this one: wheels are tested with it, on numpy alone."""

import numpy as np
import pytest

import tidegate
from tidegate import ops
from tidegate.ops import reference

GATES = {"gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
T, B, I, H = 7, 3, 5, 9


def test_the_package_names_its_instruction_sets() -> None:
    """Every build can run its baseline kernels, and lists them last."""
    assert tidegate.isas()[-1] == "baseline"


@pytest.mark.parametrize("isa", tidegate.isas())
@pytest.mark.parametrize("cell", GATES)
def test_kernels_equal_the_reference(cell: str, isa: str) -> None:
    """Each cell gives the reference's outputs and final states on every instruction set, for rows of any length."""
    rng = np.random.default_rng(0)
    rows = GATES[cell] * H
    w_ih, w_hh, b_ih, b_hh = (
        rng.uniform(-0.5, 0.5, shape).astype(np.float32) for shape in ((rows, I), (rows, H), (rows,), (rows,))
    )
    x, h0 = rng.standard_normal((T, B, I), np.float32), rng.standard_normal((B, H), np.float32)
    lengths = np.array([4, 0, T])

    out = ops.forward(ops.pack(cell, w_ih, w_hh, b_ih, b_hh, isa=isa), x, h0, lengths=lengths)

    expected = reference.Layer(cell, w_ih, w_hh, b_ih, b_hh).forward(x, h0, lengths)
    np.testing.assert_allclose(out.y, expected.y, rtol=0, atol=5e-6)
    np.testing.assert_allclose(out.h_n, expected.h_n, rtol=0, atol=5e-6)
