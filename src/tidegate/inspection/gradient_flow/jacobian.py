"""The derivatives of one step of a recurrent cell, read off its trace, in float64.

A step computes `a = W x + b_ih` and `c = U h + b_hh`, and from both and from the old state h, unit by unit, the new
state h′. So every derivative of a step is a product of the weights with numbers that belong to a unit:

    ∂h′/∂h = diag(carry) + Σ_g diag(by_c of gate g) U_g,        ∂h′/∂x = Σ_g diag(by_a of gate g) W_g,

which for the standard GRU of `tidegate.ops.reference`, with the gates r, z, n, is

    ∂h′/∂h = diag(z) + diag((h − n) ∘ z (1 − z)) U_z
             + diag((1 − z)(1 − n²)) (diag(r) U_n + diag(hn ∘ r (1 − r)) U_r),

and for a vanilla RNN diag(φ′) U. The numbers are those by which the cell's backward pass in the specification
multiplies a gradient of ones: there is no second set of derivatives to keep in step with it.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.ops import reference
from tidegate.ops.trace import Trace

Array = npt.NDArray[np.float64]


class Slopes(NamedTuple):
    """How the new state of each unit answers to what it is computed from, over the n steps of one walk.

    Attributes:
        carry: To the old state where it enters beside the products, z of a GRU, float64 [n, H].
        by_a: To each gate's part of `a`, float64 [n, G, H].
        by_c: To each gate's part of `c`, float64 [n, G, H].
    """

    carry: Array
    by_a: Array
    by_c: Array


def slopes(trace: Trace, row: int = 0) -> Slopes:
    """Reads the slopes of every step of one row off a trace, in the order of the walk.

    Raises:
        FloatingPointError: A state is not finite.
    """
    walk = trace.walk(row)
    values = {
        "h": walk.previous,
        "reset": walk.reset,
        "update": walk.update,
        "candidate": walk.candidate,
        "hn": walk.hn,
    }
    step = {name: np.asarray(value, np.float64) for name, value in values.items() if value is not None}
    hidden = np.asarray(walk.hidden, np.float64)
    if not np.isfinite(hidden).all():
        count = np.count_nonzero(~np.isfinite(hidden))
        raise FloatingPointError(f"the trace holds {count} numbers that are not finite: the network came apart")
    by_a, by_c, carry = reference.CELLS[trace.cell.name].backward(trace.cell, np.ones_like(hidden), hidden, step)
    n, H = hidden.shape
    shape = (n, by_a.shape[1] // H, H)
    return Slopes(carry, by_a.reshape(shape), by_c.reshape(shape))


def each_jacobian(slopes: Slopes, w_hh: npt.NDArray[Any]) -> Iterator[Array]:
    """Yields ∂h_t/∂h_{t−1}, float64 [H, H], from the last step to the first.

    Args:
        slopes: Those of a walk.
        w_hh: State weights, float [G·H, H].
    """
    _, G, H = slopes.by_c.shape
    gates = np.asarray(w_hh, np.float64).reshape(G, H, H)
    for t in reversed(range(len(slopes.carry))):
        jacobian = np.einsum("gi,gij->ij", slopes.by_c[t], gates)
        jacobian.flat[:: H + 1] += slopes.carry[t]
        yield jacobian


def jacobians(trace: Trace, w_hh: npt.NDArray[Any], row: int = 0) -> Array:
    """Computes the Jacobian of every step of one row.

    Example:
        A unit with weights of 0 and z = ½ hands on half of what it held:

        >>> from tidegate.ops.cells import Cell
        >>> half = np.full((3, 1, 1), 0.5)
        >>> facts = {"reset": half, "candidate": half, "hn": half, "h0": np.zeros((1, 1)), "lengths": np.array([3])}
        >>> jacobians(Trace(cell=Cell("gru"), hidden=half, update=half, **facts), np.zeros((3, 1))).ravel()
        array([0.5, 0.5, 0.5])

    Args:
        trace: The trace of one layer in one direction.
        w_hh: Its state weights, `weight_hh_l…`, float [G·H, H].
        row: Which sequence of the batch.

    Returns:
        ∂h_t/∂h_{t−1}, float64 [n, H, H], in the order of the walk: rows belong to the new state.

    Raises:
        FloatingPointError: A state is not finite.
        ValueError: w_hh has another shape.
    """
    found = slopes(trace, row)
    check_state_weights(w_hh, found)
    n, H = found.carry.shape
    result: Array = np.empty((n, H, H))
    for t, jacobian in zip(reversed(range(n)), each_jacobian(found, w_hh), strict=True):
        result[t] = jacobian
    return result


def check_state_weights(w_hh: npt.NDArray[Any], slopes: Slopes) -> None:
    """Checks that state weights are those of the layer that was traced.

    Raises:
        ValueError: They have another shape.
    """
    _, G, H = slopes.by_c.shape
    if np.shape(w_hh) != (G * H, H):
        raise ValueError(f"w_hh has shape {np.shape(w_hh)}, expected [G·H, H] = {(G * H, H)}: it comes from the trace")
