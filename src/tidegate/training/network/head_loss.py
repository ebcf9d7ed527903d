"""The mean cross-entropy of what a linear head makes probable, of a text's every word.

torch would keep the scores of all words, their probabilities and the gradients of both. Here some words at a time are
taken from the scores to the gradients, while little of it has left the caches, and several threads share the work.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tidegate.training.network.threads import Map

_WORDS, _SCORES = 256, 1 << 16  # of a piece at least: fewer are not worth waking a thread for


def head_loss(features: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, shared: Map = map) -> Tensor:
    """Computes the mean of −log softmax(features · weightᵀ + bias)[target], nats.

    Args:
        features: Of each of the N words, float32 [N, F].
        weight: Of the head, float32 [C, F].
        bias: Of the head, float32 [C].
        targets: Classes, int64 [N].
        shared: Python's `map`, or that of `shared_map`; the result has the same bits with either.
    """
    loss: Tensor = _HeadLoss.apply(features, weight, bias, targets, shared)  # type: ignore[no-untyped-call]
    return loss


class _HeadLoss(torch.autograd.Function):
    """Computes the gradients with the loss, which is the end of the graph: what is left to do is to scale them."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, shared: Map) -> Tensor:
        features, weight, bias = features.detach(), weight.detach(), bias.detach()  # a thread has its own no_grad
        of_features = torch.empty_like(features)

        def of_piece(piece: slice) -> tuple[float, Tensor, Tensor]:
            x, classes = features[piece], targets[piece, None]
            scores = torch.addmm(bias, x, weight.T).log_softmax(1)
            loss = -scores.gather(1, classes).sum(dtype=torch.float64).item()
            slopes = scores.exp_().scatter_add_(1, classes, torch.full(classes.shape, -1.0))
            torch.mm(slopes, weight, out=of_features[piece])
            return loss, slopes.T @ x, slopes.sum(0)

        total, of_weight, of_bias = 0.0, torch.zeros_like(weight), torch.zeros_like(bias)
        for loss, of_rows, of_sums in shared(of_piece, _pieces(len(features), len(weight))):
            total += loss
            of_weight += of_rows
            of_bias += of_sums
        ctx.save_for_backward(of_features, of_weight, of_bias)
        return torch.tensor(total / len(features))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        of_features, *_ = ctx.saved_tensors  # of the sum over all words
        share = gradient / len(of_features)
        return (*(each * share for each in ctx.saved_tensors), None, None)


def _pieces(words: int, classes: int) -> list[slice]:
    """Cuts words into pieces, whatever the number of threads is: the order of additions depends on them."""
    count = max(1, words // max(_WORDS, _SCORES // classes))
    return [slice(words * i // count, words * (i + 1) // count) for i in range(count)]
