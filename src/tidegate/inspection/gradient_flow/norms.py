"""How much the end of a walk still depends on each of its steps: norms of ∂h_T/∂h_t, and what they say.

∂h_T/∂h_t is a product of one Jacobian for each step in between. The product is taken from the end, so that it is never
more than one matrix; after each step it is scaled to a norm of 1, and the logarithm of its size is kept beside it.

For a cell of two states, such as an LSTM, h stands here for both: the matrix is ∂(h_T, c_T)/∂(h_t, c_t), [2·H, 2·H].
Both are handed from step to step, and most of what an LSTM remembers is in c: ∂h_T/∂h_t at a fixed c_t would leave out
the very way by which gradients reach far back.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.inspection.gradient_flow.growth import describe, doubling_time, fitted_rate
from tidegate.inspection.gradient_flow.jacobian import each_jacobian, steps_of
from tidegate.inspection.network import Inspectable, Source, read, stack_of
from tidegate.ops.trace import Trace

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GradientFlow:
    """The norms of ∂h_T/∂h_t along one walk of n steps, and what they say.

    Example:
        >>> distances = np.arange(300)[::-1]
        >>> flow = GradientFlow(distances * np.log10(0.83))
        >>> flow.verdict
        'vanishes: a factor 0.83 a step, half gone after 4 steps, 1e-9 after 112'

    Attributes:
        log_frobenius: log10 of the Frobenius norm for t = 0..n in the order of the walk, float64 [n + 1]: the first is
            that of the initial state, the last, of the last state by itself, is log10 √(S·H). −inf where nothing
            arrives at all.
        log_spectral: log10 of the spectral norm, the most that any direction passes on, float64 [n + 1]; the last is
            0. None if it was not asked for.
    """

    log_frobenius: Array
    log_spectral: Array | None = None

    @property
    def by_distance(self) -> Array:
        """log10 of the norm (spectral if it is there) at the distances 0..n, over that at distance 0."""
        norms = self.log_frobenius if self.log_spectral is None else self.log_spectral
        curve: Array = norms[::-1] - norms[-1]
        return curve

    @cached_property
    def rate(self) -> float:
        """Growth per step, fitted on the log norms (see `fitted_rate`): 0.83 is a factor of 0.83 a step."""
        return fitted_rate(self.by_distance)

    @property
    def half_life(self) -> float:
        """Steps in which the fitted norm halves, or doubles where it grows; inf where it stays."""
        return doubling_time(self.rate)

    @property
    def verdict(self) -> str:
        """Whether gradients vanish, explode or hold along this walk, in words and figures."""
        return describe(self.by_distance, self.rate)


def flow(trace: Trace, w_hh: npt.NDArray[Any], row: int = 0, *, spectral: bool = True) -> GradientFlow:
    """Computes ‖∂h_T/∂h_t‖ for every t of one row; with two states ‖∂(h_T, c_T)/∂(h_t, c_t)‖.

    Args:
        trace: The trace of one layer in one direction.
        w_hh: Its state weights, `weight_hh_l…`, float [G·H, H].
        row: Which sequence of the batch.
        spectral: Whether to compute spectral norms too, which takes most of the time: 1 ms a step at H = 128.

    Raises:
        FloatingPointError: A state is not finite.
        ValueError: w_hh has another shape.
    """
    found = steps_of(trace, w_hh, row)
    S, n, H = found.after.shape
    frobenius, largest = np.full((2, n + 1), -np.inf)
    product, log = np.eye(S * H), 0.0
    jacobians = each_jacobian(found)
    for t in range(n, -1, -1):
        size = float(np.linalg.norm(product))
        if size == 0:
            break  # and so are all products before it
        log += np.log10(size)
        product /= size
        frobenius[t] = log
        if spectral:
            # The root of the largest eigenvalue of MᵀM is as exact as the largest singular value, and sooner there.
            largest[t] = log + np.log10(np.linalg.eigvalsh(product.T @ product)[-1]) / 2
        if t:
            product = product @ next(jacobians)
    return GradientFlow(frobenius, largest if spectral else None)


def flows(model: Inspectable, source: Source, *, spectral: bool = True) -> list[GradientFlow]:
    """Computes the gradient flow of each layer's own recurrence, in each direction, for one text.

    Args:
        model: A model with recurrent layers.
        source: A text, or vectors [T, E] in the place of its words; or what `read` returned for it.
        spectral: As in `flow`.

    Returns:
        As many as the model has traces, in their order.

    Raises:
        FloatingPointError: A state is not finite.
        TypeError: The source is neither.
        ValueError: The model has no recurrent layer, or the vectors do not fit.
    """
    stack_of(model)
    return [flow(trace, state_weights(model, trace), spectral=spectral) for trace in read(model, source).traces]


def state_weights(model: Inspectable, trace: Trace) -> npt.NDArray[np.float32]:
    """Returns the state weights of the layer and direction that a trace of the model belongs to, [G·H, H]."""
    return stack_of(model).weights[f"weight_hh{trace.suffix}"]
