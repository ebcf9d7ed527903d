"""The gradient of a loss by every state and input of a recurrent stack, walked back in float64 without underflow.

The gradient by a state is what its summary asks of it and what the next step hands back,

    ds_{t−1} = (dy_{t−1}, 0) + (∂s_t/∂s_{t−1})ᵀ ds_t,        dx_t = Wᵀ (∂s_t/∂a_t)ᵀ ds_t,        a_t = W x_t + b.

Each vector is kept as a vector of norm 1 and the logarithm of its size. `Recurrent.input_gradient` computes the same dx
in float32 with the kernels, many rows at a time, as training does; what has shrunk below 1e-38 is 0 there.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.inspection.gradient_flow.jacobian import steps_of
from tidegate.ops.trace import Trace, Walk
from tidegate.sequences.recurrent import Recurrent
from tidegate.sequences.summaries import summary_weights

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
        by_hidden: For each trace the gradient by its states, h before c, t = 0..n in the order of its walk,
            [n + 1, S·H].
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
    dy = np.zeros((len(walk.y) + 1, dparts.shape[1]))
    for part, dpart in zip(summary.split("+"), dparts, strict=True):
        dy[1:] += summary_weights(walk.y, part) * dpart
        if part == "last" and len(dy) == 1:
            dy += dpart  # nothing was read: the summary is the initial state
    return Scaled.of(dy)


def _layer(stack: Recurrent, trace: Trace, dy: Scaled, row: int) -> tuple[Scaled, Scaled]:
    """Carries dy [n + 1, H] through one layer in one direction; returns the gradients by its inputs and states."""
    w_ih, w_hh = (stack.weights[kind + trace.suffix].astype(np.float64) for kind in ("weight_ih", "weight_hh"))
    steps = steps_of(trace, w_hh, row)
    S, n, H = steps.after.shape
    asked = Scaled(np.pad(dy.values, ((0, 0), (0, (S - 1) * H))), dy.log)  # of h alone
    states = Scaled(np.zeros_like(asked.values), np.zeros_like(dy.log))
    handed_back, da = Scaled(np.zeros(S * H), np.array(-np.inf)), np.zeros((n, len(w_ih)))
    for t in range(n, -1, -1):
        ds = handed_back.plus(Scaled(asked.values[t], asked.log[t]))
        states.values[t], states.log[t] = ds
        if t:
            (da[t - 1],), earlier = steps.back(t - 1, ds.values.reshape(S, 1, H))
            handed_back = Scaled.of(earlier.ravel(), ds.log)
    return _in_time(Scaled.of(da @ w_ih, states.log[1:]), trace.reverse), states


def _in_time(scaled: Scaled, reverse: bool) -> Scaled:
    """Turns the order of a walk into that of time, and back."""
    return Scaled(scaled.values[::-1], scaled.log[::-1]) if reverse else scaled


def _after_start(scaled: Scaled) -> Scaled:
    """Puts zeros for the initial state before the gradients by the outputs."""
    return Scaled(np.pad(scaled.values, ((1, 0), (0, 0))), np.pad(scaled.log, (1, 0), constant_values=-np.inf))
