"""What single steps do to a gradient: the factor of each, its bound, and the rates that all of them come to."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.inspection.gradient_flow.jacobian import Steps, each_jacobian, steps_of
from tidegate.ops.trace import Trace

Array = npt.NDArray[np.float64]


class Factors(NamedTuple):
    """What each step does to a gradient at most, in the order of the walk.

    Attributes:
        factor: Spectral norm of ∂h_t/∂h_{t−1}, float64 [n]; ‖diag(φ′) U‖ in a vanilla RNN.
        bound: What it cannot exceed, float64 [n]: max|φ′| ‖U‖ in a vanilla RNN; in a GRU the maximum of z and, for each
            gate, the maximum of its slope times ‖U_g‖, added up.
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
    found = steps_of(trace, w_hh, row)
    factor = np.array([np.linalg.norm(jacobian, 2) for jacobian in each_jacobian(found)][::-1])
    return Factors(factor, _bounds(found))


def _bounds(steps: Steps) -> Array:
    """Bounds the norm of each Jacobian by the norms of the diagonal matrices and of the blocks of U that it is made of.

    A backward pass is linear, unit by unit, in the gradients by the new states and in what each product with U hands
    back. So each of these sources in turn is set to 1 and the others to 0; norms multiply along the way.
    """
    S, n, H = steps.after.shape
    norms = np.linalg.norm(steps.w_hh.reshape(-1, H, H), 2, axis=(1, 2))

    def answer(source: int, state: bool) -> tuple[list[Array], Array]:
        """Returns bounds of what each product gets, [n] each, and of the gradients by the old states, [S, n]."""
        got: list[Array] = []

        def through(dc: Sequence[Array | None], v: Array) -> Array:
            largest = [np.zeros(n) if part is None else np.abs(part).max(axis=1) for part in dc]
            got.append(norms @ np.stack(largest))
            return np.full((n, H), float(not state and source == len(got) - 1))

        ones = [np.full((n, H), float(state and source == s)) for s in range(S)]
        _, earlier = steps.cell.backward(ones, list(steps.before), list(steps.after), steps.values, through)
        return got, np.stack([np.abs(gradient).max(axis=1) for gradient in earlier])

    by_state = [answer(s, True) for s in range(S)]
    products = [answer(k, False) for k in range(len(by_state[0][0]))]
    bounds = np.zeros((n, S, S))
    for s, (got, earlier) in enumerate(by_state):
        reached = [np.array(first) for first in got]  # a bound of what each product hands back
        for k, (further, _) in enumerate(products):
            for later in range(k + 1, len(products)):
                reached[later] += reached[k] * further[later]
        bounds[:, s] = (earlier + sum(r * own for r, (_, own) in zip(reached, products, strict=True))).T
    return np.linalg.norm(bounds, 2, axis=(1, 2))


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
    found = steps_of(trace, w_hh, row)
    S, n, H = found.after.shape
    frame = np.linalg.qr(np.random.default_rng(0).standard_normal((S * H, min(count, S * H))))[0]
    growth = np.zeros(frame.shape[1])
    for step, jacobian in enumerate(each_jacobian(found)):
        frame, scales = np.linalg.qr(jacobian.T @ frame)
        if step >= n // 4:
            with np.errstate(divide="ignore"):
                growth += np.log(np.abs(np.diag(scales)))
    return np.sort(growth / (n - n // 4))[::-1] if n else np.full_like(growth, np.nan)
