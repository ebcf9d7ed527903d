"""The losses of the tasks in torch, and what their scores mean, as `tidegate.models.tasks` says without torch."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from tidegate.models.metrics.quantiles import read_labels
from tidegate.training.settings import HUBER

Weights = Tensor | None


def _of_class(scores: Tensor, targets: Tensor, weights: Weights, importance: Weights) -> Tensor:
    """Computes cross-entropy, nats; targets are classes, integers [B]."""
    targets = targets.long()
    if weights is None:
        return nn.functional.cross_entropy(scores, targets, importance)
    loss = nn.functional.cross_entropy(scores, targets, importance, reduction="none")
    total = len(targets) if importance is None else importance[targets].sum()
    return (loss * weights).sum() / total  # as torch's mean, which is over the weights of the classes


def _of_labels(scores: Tensor, targets: Tensor, weights: Weights, importance: Weights) -> Tensor:
    """Computes binary cross-entropy, nats; targets are 1 and 0, float32 [B, C]."""
    return _mean(nn.functional.binary_cross_entropy_with_logits(scores, targets, reduction="none"), weights)


def _of_numbers(scores: Tensor, targets: Tensor, weights: Weights, importance: Weights) -> Tensor:
    """Computes squared errors; targets are float32 [B, C]."""
    return _mean(nn.functional.mse_loss(scores, targets, reduction="none"), weights)


def _by_huber(scores: Tensor, targets: Tensor, weights: Weights, importance: Weights) -> Tensor:
    """Computes Huber's loss (1964): half the square of an error up to 1, and from there on as steep as at 1."""
    return _mean(nn.functional.huber_loss(scores, targets, reduction="none"), weights)


def _of_quantiles(scores: Tensor, targets: Tensor, weights: Weights, levels: Weights) -> Tensor:
    """Computes pinball losses (Koenker & Bassett 1978) of outputs with `levels` [C]; targets are float32 [B, C]."""
    assert levels is not None  # noqa: S101 - for mypy: a network of quantiles has them
    over = targets - scores
    return _mean(torch.maximum(levels * over, (levels - 1) * over), weights)


def _of_binary_steps(scores: Tensor, targets: Tensor, weights: Weights, importance: Weights) -> Tensor:
    """Computes −log of the probability of a step, nats, the sum over what is 0 or 1 in it, float32 [N, C]."""
    loss = nn.functional.binary_cross_entropy_with_logits(scores, targets, reduction="none")
    return _mean(loss, weights) * scores.shape[1]


def _mean(loss: Tensor, weights: Weights) -> Tensor:
    return loss.mean() if weights is None else (loss.mean(1) * weights).mean()


LOSSES: dict[str, Callable[[Tensor, Tensor, Weights, Weights], Tensor]] = {
    "classification": _of_class,
    "multi-label": _of_labels,
    "labelling": _of_class,
    "regression": _of_numbers,
    "quantiles": _of_quantiles,
    "next": _of_numbers,
    "next-binary": _of_binary_steps,
    HUBER: _by_huber,
    "next-token": _of_class,
}
"""The mean loss of a batch, of scores [B, C], targets, weights of sequences [B], and weights or levels [C].

They are named by their tasks, one for numbers by itself.

Where steps are foreseen or labelled, they are those of all steps of a batch, [N, C].
"""


def _ordered(scores: Tensor, labels: Sequence[str]) -> Tensor:
    names, levels = read_labels(labels)
    return scores.reshape(-1, len(names), len(levels)).sort(2).values.reshape(scores.shape)


ACTIVATIONS: dict[str, Callable[[Tensor, Sequence[str]], Tensor]] = {
    "softmax": lambda scores, labels: scores.softmax(1),
    "sigmoid": lambda scores, labels: scores.sigmoid(),
    "sorted": _ordered,
    "": lambda scores, labels: scores,
}
"""What `tidegate.models.tasks.ACTIVATIONS` are, on tensors."""
