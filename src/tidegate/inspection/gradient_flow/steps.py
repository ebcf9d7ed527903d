"""What single steps do to a gradient: the factor of each, its bound, and the rates that all of them come to."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.inspection.gradient_flow.jacobian import check_state_weights, each_jacobian, slopes
from tidegate.ops.trace import Trace

Array = npt.NDArray[np.float64]


class Factors(NamedTuple):
    """What each step does to a gradient at most, in the order of the walk.

    Attributes:
        factor: Spectral norm of ∂h_t/∂h_{t−1}, float64 [n]; ‖diag(φ′) U‖ in a vanilla RNN.
        bound: What it cannot exceed, max carry + Σ_g max|by_c of gate g| ‖U_g‖, float64 [n]; max|φ′| ‖U‖ in a vanilla
            RNN.
    """

    factor: Array
    bound: Array


def factors(trace: Trace, w_hh: npt.NDArray[Any], row: int = 0) -> Factors:
    """Computes the norm of each step's Jacobian, and its bound.

    The norm of a product is at most the product of the norms: factors below 1 all along make gradients vanish, whatever
    the directions; factors above 1 only allow them to explode (Pascanu, Mikolov & Bengio 2013).

    Args:
        trace: As in `flow`, and so are w_hh and row.

    Raises:
        FloatingPointError: A state is not finite.
        ValueError: w_hh has another shape.
    """
    found = slopes(trace, row)
    check_state_weights(w_hh, found)
    factor = np.array([np.linalg.norm(jacobian, 2) for jacobian in each_jacobian(found, w_hh)][::-1])
    gates = np.asarray(w_hh, np.float64).reshape(found.by_c.shape[1], -1, found.by_c.shape[2])
    norms = np.linalg.norm(gates, 2, axis=(1, 2))
    return Factors(factor, found.carry.max(axis=1) + np.abs(found.by_c).max(axis=2) @ norms)


def lyapunov(trace: Trace, w_hh: npt.NDArray[Any], row: int = 0, count: int = 4) -> Array:
    """Computes the leading Lyapunov exponents: at which rates a small change grows or fades, direction by direction.

    A frame of orthogonal directions is carried through the steps and made orthogonal again after each (QR; Benettin et
    al. 1980), here from the end to the start. The first quarter of the steps turns the frame and is not counted.

    Args:
        trace: As in `flow`, and so are w_hh and row.
        count: How many exponents, at most H.

    Returns:
        Exponents, the largest first, nats a step, float64 [count]: exp of the first is the rate in the long run. −inf
        where nothing is passed on, NaN without a step.

    Raises:
        FloatingPointError: A state is not finite.
        ValueError: w_hh has another shape.
    """
    found = slopes(trace, row)
    check_state_weights(w_hh, found)
    n, H = found.carry.shape
    frame = np.linalg.qr(np.random.default_rng(0).standard_normal((H, min(count, H))))[0]
    growth = np.zeros(frame.shape[1])
    for step, jacobian in enumerate(each_jacobian(found, w_hh)):
        frame, scales = np.linalg.qr(jacobian.T @ frame)
        if step >= n // 4:
            with np.errstate(divide="ignore"):
                growth += np.log(np.abs(np.diag(scales)))
    return np.sort(growth / (n - n // 4))[::-1] if n else np.full_like(growth, np.nan)
