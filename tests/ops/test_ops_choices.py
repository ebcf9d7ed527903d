"""What can be chosen of a GRU, on the native kernels: each choice against the reference, and what follows from them."""

from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import tidegate
from tidegate import ops
from tidegate.ops import reference
from tidegate.ops.cells import GRU, Cell

Array = npt.NDArray[np.float32]

FORWARD, GRADIENT = 5e-6, 2e-5  # as in test_ops
EVERY = [GRU(*chosen) for chosen in product(*GRU.choices.values())]

every_choice = pytest.mark.parametrize("cell", EVERY, ids=str)
every_isa = pytest.mark.parametrize("isa", ops.isas())


def weights(I: int, H: int, gates: int = 3, seed: int = 0) -> list[Array]:
    rng = np.random.default_rng(seed)
    shapes = ((gates * H, I), (gates * H, H), (gates * H,), (gates * H,))
    return [np.asarray(rng.uniform(-1, 1, shape) / np.sqrt(H), np.float32) for shape in shapes]


def normal(*shape: int, seed: int = 1) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def rows(array: Any, *gates: int) -> Any:
    """The rows of some gates: 0 is r, 1 is z, 2 is n."""
    H = len(array) // 3
    return np.concatenate([array[gate * H : (gate + 1) * H] for gate in gates])


def close(found: Any, expected: Any, tolerance: float) -> None:
    assert np.abs(found - expected).max(initial=0) <= tolerance


@every_choice
@every_isa
@pytest.mark.parametrize(("T", "B", "I", "H"), [(6, 5, 7, 17), (31, 33, 16, 40)], ids=["small", "many blocks"])
def test_every_choice_equals_the_reference(cell: Cell, isa: str, T: int, B: int, I: int, H: int) -> None:
    """Values, trace and gradients of ragged rows are those of the specification."""
    parameters, x, h0, dy, dh_n = weights(I, H), normal(T, B, I), normal(B, H), normal(T, B, H), normal(B, H, seed=2)
    lengths = np.random.default_rng(3).permutation(np.r_[0, T, np.arange(B - 2) % T])
    layer = ops.pack(cell, *parameters, isa=isa)
    out = ops.forward(layer, x, h0, lengths=lengths, trace=True)
    gradients = ops.backward(layer, x, out, dy, dh_n, h0, lengths=lengths)
    specified = reference.Layer(cell, *parameters)
    expected = specified.forward(x, h0, lengths)
    expected_gradients = specified.backward(x, expected, dy, dh_n, lengths)

    close(out.y, expected.y, FORWARD)
    close(out.h_n, expected.h_n, FORWARD)
    close(out.trace, np.stack([expected.trace[name] for name in cell.trace], axis=2), FORWARD)
    for found, wanted in zip(gradients, expected_gradients, strict=True):
        assert wanted is not None
        close(found, wanted, GRADIENT * np.abs(wanted).max())
    again = ops.backward(layer, x, out._replace(trace=None), dy, dh_n, h0, lengths=lengths, recompute_every=T)
    for found, kept in zip(again, gradients, strict=True):
        np.testing.assert_array_equal(found, kept)


@every_isa
@pytest.mark.parametrize("off", [{"reset": "off"}, {"update": "off"}, {"reset": "off", "update": "off"}])
def test_the_rows_of_a_gate_that_is_off_are_not_used(isa: str, off: Any) -> None:
    """Whatever stands there, NaN too, changes no bit, and its gradients are exactly 0."""
    gates = [number for number, name in enumerate(("reset", "update")) if name in off]
    plain, x, h0, dy = weights(5, 19), normal(9, 4, 5), normal(4, 19), normal(9, 4, 19)
    spoiled = [array.copy() for array in plain]
    for array in spoiled:
        for gate in gates:
            array[gate * 19 : (gate + 1) * 19] = np.nan
    results = []
    for parameters in (plain, spoiled):
        layer = ops.pack("gru", *parameters, isa=isa, **off)
        out = ops.forward(layer, x, h0, trace=True)
        results.append([*out, *ops.backward(layer, x, out, dy, h0=h0)])
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)
    for gradient in results[0][-4:]:
        assert not rows(gradient, *gates).any()
        assert rows(gradient, 2).any()


@every_isa
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_without_gates_it_is_the_vanilla_network(isa: str, activation: str) -> None:
    """With r = 1 and z = 0 values and gradients are those of the RNN with the candidate's weights, to the bit."""
    parameters, x, h0, dy = weights(7, 33), normal(20, 6, 7), normal(6, 33), normal(20, 6, 33)
    gru = ops.pack("gru", *parameters, isa=isa, reset="off", update="off", candidate=activation)
    rnn = ops.pack(f"rnn_{activation}", *(rows(array, 2) for array in parameters), isa=isa)
    outputs = [ops.forward(layer, x, h0, trace=True) for layer in (gru, rnn)]
    found, expected = (ops.backward(layer, x, out, dy, h0=h0) for layer, out in zip((gru, rnn), outputs, strict=True))
    np.testing.assert_array_equal(outputs[0].y, outputs[1].y)
    for name, array in expected._asdict().items():
        gradient = getattr(found, name)
        wanted = gradient if name in ("dx", "dh0") else rows(gradient, 2)
        close(wanted, array, 2e-6 * np.abs(array).max())


@every_isa
def test_a_closed_update_gate_alone_does_not_forget(isa: str) -> None:
    """With z = 0 the new state still depends on the old one, through the candidate; a reset gate of 0 ends that."""
    parameters, x, h0 = weights(7, 17), normal(1, 3, 7), normal(3, 17)
    layer = ops.pack("gru", *parameters, isa=isa, update="off")
    one, other = ops.forward(layer, x, h0, trace=True), ops.forward(layer, x, h0 + 1)
    assert one.trace is not None
    assert not one.trace[:, :, 1].any()
    assert (np.abs(one.y - other.y) > 1e-3).all()
    parameters[2][:17] = -1000
    layer = ops.pack("gru", *parameters, isa=isa, update="off")
    np.testing.assert_array_equal(ops.forward(layer, x, h0).y, ops.forward(layer, x, h0 + 1).y)


@every_isa
def test_a_rectifier_may_run_off_to_infinity(isa: str) -> None:
    """A state without bound overflows to infinity where the vanilla network does, not to NaN."""
    one, x = np.ones((1, 1), np.float32), np.ones((300, 1, 1), np.float32)
    three = np.concatenate([one, one, 2 * one])
    gru = ops.pack("gru", three, three, isa=isa, reset="off", update="off", candidate="relu")
    rnn = ops.pack("rnn_relu", 2 * one, 2 * one, isa=isa)
    y = ops.forward(gru, x).y
    np.testing.assert_array_equal(y, ops.forward(rnn, x).y)
    assert y[-1] == np.inf


@every_choice
def test_steps_and_packed_rows_make_the_sequence(cell: Cell) -> None:
    """Step by step, and packed, the states are those of the padded batch, to the bit."""
    layer, x = ops.pack(cell, *weights(5, 21)), normal(7, 3, 5)
    lengths = np.array([7, 4, 2])
    whole = ops.forward(layer, x, lengths=lengths, trace=True)
    steps = np.arange(7)[:, None] < lengths
    packed = ops.forward(layer, x[steps], batch_sizes=steps.sum(1), trace=True)
    np.testing.assert_array_equal(packed.y, whole.y[steps])
    assert packed.trace is not None
    assert whole.trace is not None
    np.testing.assert_array_equal(packed.trace, whole.trace[steps])
    h = np.zeros((3, 21), np.float32)
    for t in range(2):
        h = ops.step(layer, x[t], h)
        np.testing.assert_array_equal(h, whole.y[t])


@every_isa
@pytest.mark.parametrize("cell", ["rnn_tanh", "rnn_relu"])
def test_the_trace_of_an_rnn_is_what_its_activation_sees(cell: str, isa: str) -> None:
    """The pre-activation of every step, 0 in padding; tracing changes no bit, on any number of threads."""
    parameters, x, lengths = weights(16, 65, gates=1), normal(40, 9, 16), np.array([40, 0, 7, 40, 3, 2, 1, 39, 8])
    layer = ops.pack(cell, *parameters, isa=isa)
    before = tidegate.get_num_threads()
    try:
        for threads in (1, 3):
            tidegate.set_num_threads(threads)
            out = ops.forward(layer, x, lengths=lengths, trace=True)
            np.testing.assert_array_equal(out.y, ops.forward(layer, x, lengths=lengths).y)
            assert out.trace is not None
            assert out.trace.shape == (40, 9, 1, 65)
            expected = reference.Layer(cell, *parameters).forward(x, lengths=lengths)
            close(out.trace[:, :, 0], expected.trace["preactivation"], FORWARD)
    finally:
        tidegate.set_num_threads(before)
