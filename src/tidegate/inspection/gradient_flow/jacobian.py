"""The derivatives of one step of a recurrent cell by its old states, read off its trace, in float64.

A step maps the old states s, which are h, or h and c, to new ones s′. Its Jacobian ∂s′/∂s [S·H, S·H] follows from the
cell's own backward pass (`Cell.backward`), so that there is no second set of derivatives. That pass multiplies
gradients unit by unit, and by U wherever the step has multiplied by U; `Slopes` holds these factors for all steps at
once. For the standard GRU, with the gates r, z, n, they are those of

    ∂h′/∂h = diag(z) + diag((h − n) ∘ z (1 − z)) U_z
             + diag((1 − z)(1 − n²)) (diag(r) U_n + diag(hn ∘ r (1 − r)) U_r),

for a vanilla RNN those of diag(φ′) U, and for an LSTM those of the four blocks ∂h′/∂h, ∂h′/∂c, ∂c′/∂h = diag(·) U
and ∂c′/∂c = diag(f).
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


class Product(NamedTuple):
    """A vector that steps multiply by U.

    Attributes:
        v: What is multiplied, float64 [n, H].
        used: The places of the parts of U v + b_hh that the steps use, in 0..G−1.
    """

    v: Array
    used: list[int]


def products_of(steps: Steps) -> list[Product]:
    """Lists what steps multiply by U, in the order of the backward pass: the old output h, or r ∘ h, or both."""
    products: list[Product] = []

    def through(dc: Sequence[Array | None], v: Array) -> Array:
        products.append(Product(v, [g for g, part in enumerate(dc) if part is not None]))
        return np.zeros_like(v)

    zeros = list(np.zeros_like(steps.after))
    steps.cell.backward(zeros, list(steps.before), list(steps.after), steps.values, through)
    return products


class Slopes(NamedTuple):
    """The factors by which the backward pass of steps multiplies the gradient of one source, unit by unit.

    A source is a state after the step, or what a product with U hands back.

    Attributes:
        to_products: For each product with U, in the order of the backward pass, the factors of its G parts, [n, H]
            each; None for a part that the step does not use.
        to_states: The factors on the way to the states before the step, float64 [S, n, H].
    """

    to_products: list[list[Array | None]]
    to_states: Array


def slopes_of(steps: Steps) -> tuple[list[Slopes], list[Slopes]]:
    """Computes the slopes of all steps at once: one source is set to 1 and all others to 0, one after another.

    Returns:
        Those of the S states after a step, and those of its products with U.
    """
    S, n, H = steps.after.shape

    def answer(state: int | None, product: int | None) -> Slopes:
        parts: list[list[Array | None]] = []

        def through(dc: Sequence[Array | None], v: Array) -> Array:
            parts.append([None if part is None else np.broadcast_to(part, (n, H)) for part in dc])
            return np.full((n, H), float(product == len(parts) - 1))

        ones = [np.full((n, H), float(state == s)) for s in range(S)]
        _, earlier = steps.cell.backward(ones, list(steps.before), list(steps.after), steps.values, through)
        return Slopes(parts, np.stack([np.broadcast_to(gradient, (n, H)) for gradient in earlier]))

    by_state = [answer(s, None) for s in range(S)]
    return by_state, [answer(None, k) for k in range(len(by_state[0].to_products))]


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
    by_state, by_product = slopes_of(steps)
    blocks, diagonal = steps.w_hh.reshape(-1, H, H), np.arange(H)
    from_states = [[_chosen(parts, blocks, n) for parts in slopes.to_products] for slopes in by_state]
    from_products = [[_chosen(parts, blocks, n) for parts in slopes.to_products] for slopes in by_product]
    handing_on = [[bool(factors.any()) for factors in slopes.to_states] for slopes in by_product]
    for t in reversed(range(n)):
        jacobian = np.zeros((S, H, S, H))
        for s, slopes in enumerate(by_state):
            handed_back: list[Array] = []  # derivatives of the new state by what U multiplies, product by product
            for k, (factors, chosen) in enumerate(from_states[s]):
                found = np.einsum("gi,gij->ij", factors[t], chosen)
                for earlier, further in zip(handed_back, from_products, strict=False):
                    for between, block in zip(further[k][0][t], further[k][1], strict=True):
                        found += (earlier * between) @ block
                handed_back.append(found)
            for before in range(S):
                block = jacobian[s, :, before]
                for found, product, hands_on in zip(handed_back, by_product, handing_on, strict=True):
                    if hands_on[before]:
                        block += found * product.to_states[before, t]
                block[diagonal, diagonal] += slopes.to_states[before, t]
        yield jacobian.reshape(S * H, S * H)


def _chosen(parts: Sequence[Array | None], blocks: Array, n: int) -> tuple[Array, Array]:
    """Stacks the factors of the parts of a product that count, [n, G′, H], beside their blocks of U, [G′, H, H]."""
    used = {g: part for g, part in enumerate(parts) if part is not None and part.any()}
    factors = np.stack(list(used.values()), axis=1) if used else np.zeros((n, 0, blocks.shape[-1]))
    return factors, blocks[list(used)]


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
        ∂s_t/∂s_{t−1}, float64 [n, S·H, S·H], in the order of the walk: rows belong to the new states, h before c. The
        state of a cell with two, such as an LSTM, is both together.

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
