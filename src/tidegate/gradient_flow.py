"""How much the end of a sequence still depends on each of its steps: do gradients vanish, explode, or hold?

∂h_T/∂h_t is a product of one Jacobian for each step in between. It is taken from the end, is never longer than one
matrix, and is scaled to a norm of 1 after each step, with the logarithm of what was taken off kept beside it: norms are
exact over thousands of steps, however small or large they become. Everything is in float64.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.adjoint import adjoint
from tidegate.growth import describe, doubling_time, fitted_rate
from tidegate.jacobian import check_state_weights, each_jacobian, jacobians, slopes
from tidegate.ledger import settle
from tidegate.model import Model
from tidegate.shapes import check_choice
from tidegate.spectrum import LargestSingularValue
from tidegate.trace import Trace

__all__ = [
    "Factors",
    "GradientFlow",
    "LossGradients",
    "factors",
    "flow",
    "flows",
    "jacobians",
    "loss_gradients",
    "lyapunov",
    "state_weights",
]

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
            that of the initial state, the last, of h_n by itself, is log10 √H. −inf where nothing arrives at all.
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
    """Computes ‖∂h_T/∂h_t‖ for every t of one row.

    Args:
        trace: The trace of one layer in one direction.
        w_hh: Its state weights, `weight_hh_l…`, float [G·H, H].
        row: Which sequence of the batch.
        spectral: Whether to compute spectral norms too, which takes about as long again.

    Raises:
        FloatingPointError: A state is not finite.
        ValueError: w_hh has another shape.
    """
    found = slopes(trace, row)
    check_state_weights(w_hh, found)
    n, H = found.carry.shape
    frobenius, largest = np.full((2, n + 1), -np.inf)
    product, log, norm = np.eye(H), 0.0, LargestSingularValue()
    steps = each_jacobian(found, w_hh)
    for t in range(n, -1, -1):
        size = float(np.linalg.norm(product))
        if size == 0:
            break  # and so are all products before it
        log += np.log10(size)
        product /= size
        frobenius[t] = log
        if spectral:
            largest[t] = log + np.log10(norm(product))
        if t:
            product = product @ next(steps)
    return GradientFlow(frobenius, largest if spectral else None)


def flows(model: Model, source: str | npt.NDArray[Any], *, spectral: bool = True) -> list[GradientFlow]:
    """Computes the gradient flow of each layer's own recurrence, in each direction, for one text.

    Args:
        model: A model with recurrent layers.
        source: A text, or vectors [T, E] in the place of its words.
        spectral: As in `flow`.

    Returns:
        As many as the model has traces, in their order.

    Raises:
        FloatingPointError: A state is not finite.
        TypeError: The source is neither.
        ValueError: The model has no recurrent layer, or the vectors do not fit.
    """
    return [flow(trace, state_weights(model, trace), spectral=spectral) for trace in model.trace(source)]


def state_weights(model: Model, trace: Trace) -> npt.NDArray[np.float32]:
    """Returns the state weights of the layer and direction that a trace of the model belongs to, [G·H, H]."""
    return model.arrays[f"rnn.weight_hh_l{trace.layer}" + "_reverse" * trace.reverse]


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


@dataclass(frozen=True, eq=False)
class LossGradients:
    """How strongly one number, a loss or a logit, depends on each state and each word of a text.

    Attributes:
        label: The class whose loss or logit it is.
        value: The loss, nats, or the logit.
        log_hidden: For each layer and direction, in the order of `Model.trace`, log10 ‖∂loss/∂h_t‖ for t = 0..n in the
            order of its walk, float64 [n + 1].
        log_input: log10 ‖∂loss/∂x_t‖ in the order of time, float64 [T].
    """

    label: str
    value: float
    log_hidden: list[Array]
    log_input: Array


def loss_gradients(
    model: Model, source: str | npt.NDArray[Any], label: str | int | None = None, *, of: str = "loss"
) -> LossGradients:
    """Computes the norms of ∂loss/∂h_t and ∂loss/∂x_t along one text, through all layers and directions.

    Args:
        model: A model with recurrent layers.
        source: A text, or vectors [T, E] in the place of its words.
        label: A class by name or index; None for the one that is predicted.
        of: "loss", the cross entropy −log p of the class, or "logit", its score.

    Raises:
        FloatingPointError: A state is not finite.
        TypeError: The source is neither.
        ValueError: There is no such class, `of` is another word, the model has no recurrent layer, or the vectors do
            not fit.
    """
    check_choice("of", of, ("loss", "logit"))
    traces = model.trace(source)
    weight, bias = (model.arrays[f"head.{name}"].astype(np.float64) for name in ("weight", "bias"))
    logits = weight @ settle(traces, model.summary).summary + bias
    c = int(logits.argmax()) if label is None else _class(model, label)
    best = int(logits.argmax())
    powers = np.exp(logits - logits[best])
    rest = float(np.delete(powers, best).sum())
    value = float(logits[best] - logits[c] + np.log1p(rest))
    by_logits = powers / (1 + rest)
    by_logits[c] = -np.delete(by_logits, c).sum()  # p − 1, but added up: it would be lost in rounding if p is near 1
    if of == "logit":
        by_logits, value = np.eye(len(logits))[c], float(logits[c])
    assert model.stack is not None  # noqa: S101 - for mypy: it was traced
    found = adjoint(model.stack, traces, by_logits @ weight, model.summary)
    return LossGradients(model.config.labels[c], value, [states.log for states in found.by_hidden], found.by_input.log)


def _class(model: Model, label: str | int) -> int:
    """Returns the index of a class.

    Raises:
        ValueError: There is none of this name or index.
    """
    labels = model.config.labels
    if label in labels:
        return labels.index(str(label))
    if isinstance(label, int) and 0 <= label < len(labels):
        return label
    raise ValueError(f"label is {label!r}, expected 0..{len(labels) - 1} or one of {', '.join(map(repr, labels[:8]))}")
