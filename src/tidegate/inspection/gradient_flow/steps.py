"""What single steps do to a gradient: the factor of each, its bound, and the rates that all of them come to."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.inspection.gradient_flow.jacobian import Steps, each_jacobian, slopes_of, steps_of
from tidegate.ops.trace import Trace

Array = npt.NDArray[np.float64]


class Factors(NamedTuple):
    """What each step does to a gradient at most, in the order of the walk.

    Attributes:
        factor: Spectral norm of ∂s_t/∂s_{t−1}, float64 [n], where s is the whole state, h or h and c; ‖diag(φ′) U‖ in
            a vanilla RNN.
        bound: What it cannot exceed, float64 [n]: max|φ′| ‖U‖ in a vanilla RNN; in a GRU the maximum of z and, for each
            gate, the maximum of its slope times ‖U_g‖, added up. For a cell of two states it is the norm of the 2 × 2
            matrix of the bounds from each state to each.
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

    Along each way from a new state to an old one norms multiply; the norms of all ways are added up. The norm of a
    matrix of S × S blocks is at most that of the matrix of their norms.
    """
    S, n, H = steps.after.shape
    norms = np.linalg.norm(steps.w_hh.reshape(-1, H, H), 2, axis=(1, 2))
    by_state, by_product = slopes_of(steps)
    bounds = np.zeros((n, S, S))
    for s, slopes in enumerate(by_state):
        reached: list[Array] = []  # a bound of the gradient that each product hands back, [n]
        for k, parts in enumerate(slopes.to_products):
            through = [(norm, product.to_products[k]) for norm, product in zip(reached, by_product, strict=False)]
            reached.append(_largest(parts) @ norms + sum(norm * (_largest(other) @ norms) for norm, other in through))
        bounds[:, s] = np.abs(slopes.to_states).max(axis=2).T
        for norm, product in zip(reached, by_product, strict=True):
            bounds[:, s] += norm[:, None] * np.abs(product.to_states).max(axis=2).T
    largest: Array = np.linalg.norm(bounds, 2, axis=(1, 2))
    return largest


def _largest(parts: Sequence[Array | None]) -> Array:
    """Returns the largest factor of each part of a product with U at each step, [n, G]; 0 where a part is not used."""
    n = next(len(part) for part in parts if part is not None)
    return np.stack([np.zeros(n) if part is None else np.abs(part).max(axis=1) for part in parts], axis=1)


def lyapunov(trace: Trace, w_hh: npt.NDArray[Any], row: int = 0, count: int = 4) -> Array:
    """Computes the leading Lyapunov exponents: at which rates a small change grows or fades, direction by direction.

    A frame of orthogonal directions is carried through the steps and made orthogonal again after each (QR; Benettin et
    al. 1980), here from the end to the start. The first quarter of the steps turns the frame and is not counted.

    Args:
        trace: As in `flow`, and so are w_hh and row.
        count: How many exponents, at most S·H: the state is h, or h and c.

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
