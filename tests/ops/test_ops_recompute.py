"""Gates that are computed again in the backward pass; that it changes no bit is a property in test_ops_bits.py."""

import numpy as np
import numpy.typing as npt
import pytest

from tidegate import ops
from tidegate.ops.cells import Cell

Array = npt.NDArray[np.float32]


def layer_of(cell: str, I: int, H: int) -> ops.Layer:
    rng, gates = np.random.default_rng(0), Cell.of(cell).G * H
    shapes = ((gates, I), (gates, H), (gates,), (gates,))
    return ops.pack(cell, *(rng.uniform(-0.3, 0.3, shape).astype(np.float32) for shape in shapes))


@pytest.mark.parametrize("cell", ["gru", "lstm", "gru reset=before"])
@pytest.mark.parametrize("every", [1, 2, 7])
def test_short_segments_give_the_same_gradients(cell: str, every: int) -> None:
    """Segments of any length add up to the same gradients, but for rounding."""
    layer = layer_of(cell, 5, 33)
    x = np.random.default_rng(4).standard_normal((50, 4, 5)).astype(np.float32)
    out = ops.forward(layer, x, trace=True)
    expected = ops.backward(layer, x, out, out.y)
    states = ops.forward(layer, x, trace="states")
    for one, other in zip(expected, ops.backward(layer, x, states, out.y, recompute_every=every), strict=True):
        assert one is not None
        assert other is not None
        assert np.abs(one - other).max() <= 2e-6 * max(1, np.abs(one).max())


def test_segments_without_a_step_are_refused() -> None:
    """A segment has at least one step."""
    layer, x = layer_of("gru", 5, 6), np.zeros((3, 2, 5), np.float32)
    with pytest.raises(ValueError, match="recompute_every is 0, expected 1 or more"):
        ops.backward(layer, x, ops.forward(layer, x), recompute_every=0)
    for wrong in (2.5, True):
        with pytest.raises(TypeError, match=r"recompute_every is .*, expected an integer or None"):
            ops.backward(layer, x, ops.forward(layer, x), recompute_every=wrong)  # type: ignore[arg-type]


def test_cell_states_that_were_not_kept_are_asked_for() -> None:
    """The gates of an LSTM follow from its cell states, which do not follow from its outputs."""
    layer, x = layer_of("lstm", 5, 6), np.zeros((3, 2, 5), np.float32)
    out = ops.forward(layer, x)
    with pytest.raises(ValueError, match='out has no trace: call forward with trace=True, or "states" with recompute'):
        ops.backward(layer, x, out, recompute_every=1)
    assert ops.forward(layer, x, trace="states").trace.shape == (3, 2, 1, 6)  # type: ignore[union-attr]
