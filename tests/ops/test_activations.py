"""The vector forms of sigmoid and tanh, for every instruction set."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

import tidegate
from tidegate import _native

Exact = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]
SMALLEST_NORMAL = float(np.finfo(np.float32).tiny)


def native(isa: str, which: str, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Applies one activation of one instruction set."""
    result = np.empty_like(x)
    _native.activation(isa, which, x, result)
    return result


def sigmoid(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The logistic function in float64, without overflow."""
    small = np.exp(-np.abs(x))
    result: npt.NDArray[np.float64] = np.where(x < 0, small / (1 + small), 1 / (1 + small))
    return result


def everywhere(low: float, high: float) -> npt.NDArray[np.float32]:
    """A million numbers from low to high, and both signs of magnitudes down to the smallest normal number; not 0."""
    tiny = np.logspace(np.log10(2 * SMALLEST_NORMAL), 0, 50_001)
    x = np.concatenate([np.linspace(low, high, 1_000_003), np.linspace(-1, 1, 200_001), tiny, -tiny])
    result: npt.NDArray[np.float32] = x[x != 0].astype(np.float32)
    return result


@pytest.mark.parametrize("isa", tidegate.isas())
@pytest.mark.parametrize(
    ("which", "exact", "low", "high"),
    [("sigmoid", sigmoid, -87.2, 88.3), ("tanh", np.tanh, -12.0, 12.0)],
)
def test_accuracy(isa: str, which: str, exact: Exact, low: float, high: float) -> None:
    """Activations are within 2e-7 relative and 4 units in the last place of float64, where e^-x is normal."""
    x = everywhere(low, high)
    expected = exact(x.astype(np.float64))
    error = np.abs(native(isa, which, x) - expected)
    assert (error / np.abs(expected)).max() <= 2e-7
    assert (error / np.spacing(np.abs(expected).astype(np.float32))).max() <= 4


@pytest.mark.parametrize("isa", tidegate.isas())
def test_limits(isa: str) -> None:
    """Infinities and large numbers give the limits exactly."""
    x = np.array([np.inf, 3e38, 100, -100, -3e38, -np.inf, 0, -0.0], np.float32)
    np.testing.assert_array_equal(native(isa, "sigmoid", x), np.array([1, 1, 1, 0, 0, 0, 0.5, 0.5], np.float32))
    np.testing.assert_array_equal(native(isa, "tanh", x), np.array([1, 1, 1, -1, -1, -1, 0, -0.0], np.float32))
    np.testing.assert_array_equal(native(isa, "hard_sigmoid", x), np.array([1, 1, 1, 0, 0, 0, 0.5, 0.5], np.float32))
    np.testing.assert_array_equal(native(isa, "identity", x), x)
    np.testing.assert_array_equal(native(isa, "relu", x), np.array([np.inf, 3e38, 100, 0, 0, 0, 0, 0], np.float32))


@pytest.mark.parametrize("isa", tidegate.isas())
def test_the_hard_sigmoid_has_three_pieces(isa: str) -> None:
    """It is a/6 + 1/2 between -3 and 3, within 1e-7, and 0 or 1 beyond."""
    x = np.linspace(-4, 4, 100_001, dtype=np.float32)
    expected = np.clip(x.astype(np.float64) / 6 + 0.5, 0, 1)
    assert np.abs(native(isa, "hard_sigmoid", x) - expected).max() <= 1e-7


@pytest.mark.parametrize("isa", tidegate.isas())
@pytest.mark.parametrize("which", ["sigmoid", "tanh", "relu", "hard_sigmoid", "identity"])
def test_nan_stays_nan(isa: str, which: str) -> None:
    """NaN gives NaN in its own lane and leaves the other lanes alone."""
    x = np.linspace(-3, 3, 33, dtype=np.float32)
    clean = native(isa, which, x)
    for lane in (0, 7, 16, 32):
        poisoned = x.copy()
        poisoned[lane] = np.nan
        expected = clean.copy()
        expected[lane] = np.nan
        np.testing.assert_array_equal(native(isa, which, poisoned), expected)


@pytest.mark.parametrize("isa", tidegate.isas())
def test_saturated_gates_are_exact(isa: str) -> None:
    """A gate far open is exactly 1 and far shut exactly 0, so that a GRU can copy its state without error."""
    far = np.linspace(17.4, 1e4, 100_001, dtype=np.float32)
    assert (native(isa, "sigmoid", far) == 1).all()
    assert (native(isa, "sigmoid", -far[far > 88.5]) == 0).all()
    assert (np.abs(native(isa, "tanh", np.concatenate([far, -far]))) == 1).all()


@pytest.mark.parametrize("isa", tidegate.isas())
def test_odd_symmetry(isa: str) -> None:
    """tanh(−x) is −tanh(x), to the bit."""
    x = everywhere(-12, 12)
    np.testing.assert_array_equal(native(isa, "tanh", -x), -native(isa, "tanh", x))
