"""How strongly a loss, or a score, depends on each state and each word of a text."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tidegate.inspection.gradient_flow.adjoint import adjoint
from tidegate.inspection.ledger import draw_ledger
from tidegate.inspection.network import Inspectable, Source, beside, read, stack_of
from tidegate.ops.checks import check_choice

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LossGradients:
    """How strongly one number, a loss or a logit, depends on each state and each word of a text.

    Attributes:
        label: The class whose loss or logit it is.
        value: The loss, nats, or the logit.
        log_hidden: For each layer and direction, in the order of the traces, log10 ‖∂loss/∂h_t‖ for t = 0..n in the
            order of its walk, float64 [n + 1]; of a cell with two states log10 ‖∂loss/∂(h_t, c_t)‖.
        log_input: log10 ‖∂loss/∂x_t‖ in the order of time, float64 [T].
    """

    label: str
    value: float
    log_hidden: list[Array]
    log_input: Array


def loss_gradients(
    model: Inspectable, source: Source, label: str | int | None = None, *, of: str = "loss"
) -> LossGradients:
    """Computes the norms of ∂loss/∂h_t and ∂loss/∂x_t along one text, through all layers and directions.

    Args:
        model: A model with recurrent layers.
        source: A text, or vectors [T, E] in the place of its words; or what `read` returned for it.
        label: A class by name or index; None for the one that is predicted.
        of: "loss", the cross entropy −log p of the class, or "logit", its score.

    Raises:
        FloatingPointError: A state is not finite.
        TypeError: The source is neither.
        ValueError: There is no such class, `of` is another word, the model has no recurrent layer, or the vectors do
            not fit.
    """
    check_choice("of", of, ("loss", "logit"))
    stack, reading = stack_of(model), read(model, source)
    traces = reading.traces
    weight, bias = model.head_weight.astype(np.float64), model.head_bias.astype(np.float64)
    logits = weight @ draw_ledger(traces, model.summary).summary + bias + beside(model, reading.embedded)[0]
    c = int(logits.argmax()) if label is None else _class(model, label)
    best = int(logits.argmax())
    powers = np.exp(logits - logits[best])
    rest = float(np.delete(powers, best).sum())
    value = float(logits[best] - logits[c] + np.log1p(rest))
    by_logits = powers / (1 + rest)
    by_logits[c] = -np.delete(by_logits, c).sum()  # p − 1, but added up: it would be lost in rounding if p is near 1
    if of == "logit":
        by_logits, value = np.eye(len(logits))[c], float(logits[c])
    found = adjoint(stack, traces, by_logits @ weight, model.summary)
    return LossGradients(model.labels[c], value, [states.log for states in found.by_hidden], found.by_input.log)


def _class(model: Inspectable, label: str | int) -> int:
    """Returns the index of a class.

    Raises:
        ValueError: There is none of this name or index.
    """
    labels = model.labels
    if label in labels:
        return labels.index(str(label))
    if isinstance(label, int) and 0 <= label < len(labels):
        return label
    raise ValueError(f"label is {label!r}, expected 0..{len(labels) - 1} or one of {', '.join(map(repr, labels[:8]))}")
