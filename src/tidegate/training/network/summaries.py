"""The summaries of `tidegate.sequences.summaries` in torch, on the outputs of a recurrent layer."""

from typing import Any

import torch
from torch import Tensor

from tidegate.sequences.summaries import summary_parts


def summarize(y: Tensor, h_n: Tensor, lengths: Tensor, summary: str) -> Tensor:
    """Reduces the outputs of recurrent layers to one vector for each sequence.

    Args:
        y: Outputs of the last layer, [T, B, D·H], 0 beyond a row's length.
        h_n: Final states, [L·D, B, H].
        lengths: Steps of each row, int64 [B].
        summary: As in `tidegate.sequences.summaries`.

    Returns:
        Summaries [B, F].
    """
    parts, by_part = summary_parts(summary), {}
    if "max" in parts:
        by_part["mean"], by_part["max"] = _mean_and_max(y, lengths)
    elif "mean" in parts:
        by_part["mean"] = mean_over(y, lengths)
    if "last" in parts:
        by_part["last"] = torch.cat(tuple(h_n[-(y.shape[2] // h_n.shape[2]) :]), 1)
    return torch.cat([by_part[part] for part in parts], 1)


def mean_over(y: Tensor, lengths: Tensor) -> Tensor:
    """Mean over each row's own steps, [T, B, F] to [B, F]; needs y = 0 beyond them."""
    return y.sum(0) / lengths.clamp(min=1)[:, None]


def step_weights(lengths: Tensor, T: int, rate: Tensor | None) -> Tensor:
    """Computes how much each step counts in a pooled sequence, float32 [T, B]; 0 beyond its length.

    Args:
        lengths: Steps of each row, int64 [B].
        T: Steps of the padded batch.
        rate: Of compounding, `h = rate·h + x`: step t has earned interest length − 1 − t times. None for the average.
    """
    age = lengths - 1 - torch.arange(T)[:, None]
    counted = 1 / lengths.clamp(min=1).float() if rate is None else rate ** age.clamp(min=0)
    return torch.where(age >= 0, counted, 0.0)


def _mean_and_max(y: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    mean, maximum = _MeanAndMax.apply(y, lengths)  # type: ignore[no-untyped-call]
    return mean, maximum


class _MeanAndMax(torch.autograd.Function):
    """Mean and maximum over each row's own steps, with one pass over [T, B, F] each way.

    Composed of torch's own functions, the masking, the maximum and their gradients take a dozen passes, a third of
    the time of a fast recurrent layer.
    """

    @staticmethod
    def forward(ctx: Any, y: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        shortest = int(lengths.min()) if len(lengths) else 0
        tail = torch.arange(shortest, len(y))[:, None] >= lengths
        parts = [y[:shortest], y[shortest:].masked_fill(tail[..., None], -torch.inf)]
        maximum = torch.stack([part.amax(0) for part in parts if len(part)]).amax(0)
        maximum.masked_fill_((lengths == 0)[:, None], 0.0)
        ctx.save_for_backward(y, lengths, maximum)
        return mean_over(y, lengths), maximum

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Shares the maximum's gradient evenly among the steps that reach it, as `torch.amax` does.

        Beyond a row's length the result is not 0; a recurrent layer reads it up to the length only.
        """
        y, lengths, maximum = ctx.saved_tensors
        of_mean, of_maximum = gradients
        reached = torch.eq(y, maximum, out=torch.empty_like(y))  # as 0 and 1: torch is slow with booleans
        share = of_maximum / reached.sum(0).clamp(min=1)
        return reached.mul_(share).add_(of_mean / lengths.clamp(min=1)[:, None]), None
