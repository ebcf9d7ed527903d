"""The derivatives of one step of a recurrent cell by its old states, read off its trace, in float64.

A step maps the old states s, h alone or h and c, to new ones s′. Its Jacobian ∂s′/∂s [S·H, S·H] is what the cell's own
backward pass (`Cell.backward`) makes of unit vectors, so there is no second set of derivatives to keep in step with it.
For the standard GRU, with the gates r, z, n, that is

    ∂h′/∂h = diag(z) + diag((h − n) ∘ z (1 − z)) U_z
             + diag((1 − z)(1 − n²)) (diag(r) U_n + diag(hn ∘ r (1 − r)) U_r),

and for a vanilla RNN diag(φ′) U.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.ops.cells import Cell
from tidegate.ops.trace import Trace

Array = npt.NDArray[np.float64]


class Steps(NamedTuple):
    """The steps of one walk, as their backward passes read them.

    Attributes:
        cell: The cell.
        w_hh: State weights, float64 [G·H, H].
        before: The states that each step read, float64 [S, n, H].
        after: The states that it wrote, float64 [S, n, H].
        values: What the trace keeps, by name, float64 [n, H] each.
    """

    cell: Cell
    w_hh: Array
    before: Array
    after: Array
    values: dict[str, Array]

    def back(self, t: int, dstates: Array) -> tuple[Array, Array]:
        """Carries gradients back through one step.

        Args:
            t: The step, by its place in the walk.
            dstates: K gradients by the states after it, float64 [S, K, H].

        Returns:
            Gradients by a = W x + b_ih, float64 [K, G·H], and by the states before the step, [S, K, H].
        """
        shape = dstates.shape[1:]

        def through(dc: Sequence[Array | None], v: Array) -> Array:
            parts = np.split(self.w_hh, self.cell.G)
            found: Array = sum((d @ part for d, part in zip(dc, parts, strict=True) if d is not None), np.zeros(shape))
            return found

        values = {name: np.broadcast_to(value[t], shape) for name, value in self.values.items()}
        before, after = ([np.broadcast_to(s[t], shape) for s in states] for states in (self.before, self.after))
        da, earlier = self.cell.backward(list(dstates), before, after, values, through)
        return np.concatenate(da, axis=-1), np.stack(earlier)


def steps_of(trace: Trace, w_hh: npt.NDArray[Any], row: int = 0) -> Steps:
    """Reads every step of one row off a trace, in the order of the walk.

    Args:
        trace: The trace of one layer in one direction.
        w_hh: Its state weights, `weight_hh_l…`, float [G·H, H].
        row: Which sequence of the batch.

    Raises:
        FloatingPointError: A state is not finite.
        ValueError: w_hh has another shape.
    """
    cell, walk = trace.cell, trace.walk(row)
    values = {name: np.asarray(value, np.float64) for name, value in walk.values.items()}
    after = np.stack([values[name] for name in cell.states])
    if not np.isfinite(after).all():
        count = np.count_nonzero(~np.isfinite(after))
        raise FloatingPointError(f"the trace holds {count} numbers that are not finite: the network came apart")
    expected = (cell.G * after.shape[-1], after.shape[-1])
    if np.shape(w_hh) != expected:
        raise ValueError(f"w_hh has shape {np.shape(w_hh)}, expected [G·H, H] = {expected}: it comes from the trace")
    before = np.stack([np.asarray(walk.before[name], np.float64) for name in cell.states])
    return Steps(cell, np.asarray(w_hh, np.float64), before, after, values)


def each_jacobian(steps: Steps) -> Iterator[Array]:
    """Yields ∂s_t/∂s_{t−1}, float64 [S·H, S·H], from the last step to the first; rows belong to the new states."""
    S, n, H = steps.after.shape
    units = np.eye(S * H).reshape(S * H, S, H).swapaxes(0, 1)
    for t in reversed(range(n)):
        _, found = steps.back(t, units)
        yield found.swapaxes(0, 1).reshape(S * H, S * H)


def jacobians(trace: Trace, w_hh: npt.NDArray[Any], row: int = 0) -> Array:
    """Computes the Jacobian of every step of one row.

    Example:
        A unit with weights of 0 and z = ½ hands on half of what it held:

        >>> from tidegate.ops.cells import Cell
        >>> half = np.full((3, 1, 1), 0.5)
        >>> facts = {"h0": np.zeros((1, 1)), "lengths": np.array([3])}
        >>> jacobians(Trace.of(Cell.of("gru"), half, [half] * 4, **facts), np.zeros((3, 1))).ravel()
        array([0.5, 0.5, 0.5])

    Args:
        trace: The trace of one layer in one direction.
        w_hh: Its state weights, `weight_hh_l…`, float [G·H, H].
        row: Which sequence of the batch.

    Returns:
        ∂s_t/∂s_{t−1}, float64 [n, S·H, S·H], in the order of the walk: rows belong to the new states, h before c.

    Raises:
        FloatingPointError: A state is not finite.
        ValueError: w_hh has another shape.
    """
    steps = steps_of(trace, w_hh, row)
    S, n, H = steps.after.shape
    result: Array = np.empty((n, S * H, S * H))
    for t, jacobian in zip(reversed(range(n)), each_jacobian(steps), strict=True):
        result[t] = jacobian
    return result
