"""The gradient of a loss by every state and input of a recurrent stack, walked back in float64 without underflow.

The gradient by a state is what its summary asks of it and what the next step hands back,

    dh_{t−1} = dy_{t−1} + carry_t ∘ dh_t + Uᵀ (by_c_t ∘ dh_t),        dx_t = Wᵀ (by_a_t ∘ dh_t).

Each vector is kept as a vector of norm 1 and the logarithm of its size. `Recurrent.input_gradient` computes the same dx
in float32 with the kernels, many rows at a time, as training does; what has shrunk below 1e-38 is 0 there.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.inspection.gradient_flow.jacobian import slopes
from tidegate.inspection.ledger import summary_weights
from tidegate.ops.trace import Trace, Walk
from tidegate.sequences.recurrent import Recurrent

Array = npt.NDArray[np.float64]


class Scaled(NamedTuple):
    """Vectors of any size: vector t is 10^log[t] times values[t].

    Attributes:
        values: float64 [n, F]; norm 1, or 0.
        log: log10 of the norms, float64 [n]; −inf for a vector of zeros.
    """

    values: Array
    log: Array

    @classmethod
    def of(cls, values: Array, log: Array | float = 0.0) -> "Scaled":
        """Scales vectors 10^log · values to norm 1."""
        norms = np.linalg.norm(values, axis=-1)
        with np.errstate(divide="ignore"):
            return cls(values / np.where(norms > 0, norms, 1)[..., None], np.log10(norms) + log)

    def plus(self, other: "Scaled") -> "Scaled":
        """Adds vector by vector."""
        log = np.maximum(self.log, other.log)
        log = np.where(np.isfinite(log), log, 0.0)
        parts = [part.values * (10 ** (part.log - log))[..., None] for part in (self, other)]
        return Scaled.of(parts[0] + parts[1], log)


class Adjoint(NamedTuple):
    """Gradients of one number by the states and inputs of one sequence.

    Attributes:
        by_hidden: For each trace the gradient by each state, t = 0..n in the order of its walk, [n + 1, H].
        by_input: The gradient by each input, in the order of time, [T, I].
    """

    by_hidden: list[Scaled]
    by_input: Scaled


def adjoint(stack: Recurrent, traces: Sequence[Trace], dsummary: Array, summary: str, row: int = 0) -> Adjoint:
    """Carries a gradient from the summary of one sequence back to all states and inputs.

    Args:
        stack: The layers.
        traces: What `stack.trace` returned.
        dsummary: Gradient by the summary vector, float64 [F].
        summary: What became of the outputs, as in `summarize`.
        row: Which sequence of the batch.
    """
    D = 1 + stack.bidirectional
    asked = dsummary.reshape(-1, D, stack.hidden_size)  # one for each part of the summary and each direction
    dys = [_asked(trace.walk(row), summary, asked[:, d]) for d, trace in enumerate(traces[-D:])]
    by_hidden: list[Scaled] = []
    for index in reversed(range(stack.num_layers)):
        layer = list(zip(traces[index * D : (index + 1) * D], dys, strict=True))
        by_input, by_state = zip(*(_layer(stack, trace, dy, row) for trace, dy in layer), strict=True)
        dx = by_input[0].plus(by_input[1]) if D == 2 else by_input[0]
        by_hidden[:0] = by_state
        if index:
            halves = [Scaled.of(half, dx.log) for half in np.split(dx.values, D, axis=1)]
            dys = [_after_start(_in_time(half, d == 1)) for d, half in enumerate(halves)]
    return Adjoint(by_hidden, dx)


def _asked(walk: Walk, summary: str, dparts: Array) -> Scaled:
    """Returns what a summary asks of each state of the last layer by itself, t = 0..n, [n + 1, H]."""
    dy = np.zeros((len(walk.hidden) + 1, dparts.shape[1]))
    for part, dpart in zip(summary.split("+"), dparts, strict=True):
        dy[1:] += summary_weights(walk.hidden, part) * dpart
        if part == "last" and len(dy) == 1:
            dy += dpart  # nothing was read: the summary is the initial state
    return Scaled.of(dy)


def _layer(stack: Recurrent, trace: Trace, dy: Scaled, row: int) -> tuple[Scaled, Scaled]:
    """Carries dy [n + 1, H] through one layer in one direction; returns the gradients by its inputs and states."""
    w_ih, w_hh = (stack.weights[kind + trace.suffix].astype(np.float64) for kind in ("weight_ih", "weight_hh"))
    carry, by_a, by_c = slopes(trace, row)
    states = Scaled(np.zeros_like(dy.values), np.zeros_like(dy.log))
    handed_back = Scaled(np.zeros(dy.values.shape[1]), np.array(-np.inf))
    for t in range(len(carry), -1, -1):
        dh = handed_back.plus(Scaled(dy.values[t], dy.log[t]))
        states.values[t], states.log[t] = dh
        if t:
            handed_back = Scaled.of(carry[t - 1] * dh.values + (by_c[t - 1] * dh.values).ravel() @ w_hh, dh.log)
    da = (by_a * states.values[1:, None]).reshape(len(carry), len(w_ih))
    return _in_time(Scaled.of(da @ w_ih, states.log[1:]), trace.reverse), states


def _in_time(scaled: Scaled, reverse: bool) -> Scaled:
    """Turns the order of a walk into that of time, and back."""
    return Scaled(scaled.values[::-1], scaled.log[::-1]) if reverse else scaled


def _after_start(scaled: Scaled) -> Scaled:
    """Puts zeros for the initial state before the gradients by the outputs."""
    return Scaled(np.pad(scaled.values, ((1, 0), (0, 0))), np.pad(scaled.log, (1, 0), constant_values=-np.inf))
