"""How a batch is shared out among processes, so that they come to what one process comes to.

The rows of a batch are dealt out in turn, which gives everyone long and short ones. Each process draws what chance
decides for the whole batch, from a generator that is in the same state everywhere, and takes the part of its rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from tidegate.training.data.corpus import Integers
from tidegate.training.group import Group

_CHANCES = 1 << 16


@dataclass(frozen=True, eq=False)
class Share:
    """The rows of a batch that this process reads.

    Attributes:
        lengths: Steps of all rows of the batch, int64 [B].
        group: The processes among which they are dealt out.
    """

    lengths: Integers
    group: Group

    @property
    def rows(self) -> slice:
        """Which rows these are; none if there are fewer rows than processes."""
        return slice(self.group.rank, None, self.group.size)

    def mask(self, shape: Sequence[int], dropout: float, axis: int) -> Tensor:
        """Draws what dropout multiplies with for the whole batch, and returns the part of the own rows.

        Args:
            shape: Of the part.
            dropout: Probability of 0.
            axis: The one that counts rows.
        """
        if self.group.size == 1:
            return dropout_mask(shape, dropout)
        whole = dropout_mask((*shape[:axis], len(self.lengths), *shape[axis + 1 :]), dropout)
        return whole[(slice(None),) * axis + (self.rows,)].contiguous()  # autograd keeps no more than these rows

    def laid_out(self, own: Tensor, axis: int) -> Tensor:
        """Lays what this process has of its rows out among all rows of the batch, 0 in the place of the others.

        Args:
            own: Of the own rows, float32.
            axis: The one that counts rows.
        """
        if self.group.size == 1:
            return own
        found = torch.zeros(*own.shape[:axis], len(self.lengths), *own.shape[axis + 1 :])
        found[(slice(None),) * axis + (self.rows,)] = own
        return found


def dropout_mask(shape: Sequence[int], dropout: float) -> Tensor:
    """Draws what dropout multiplies features with: 0 for those that drop out, and so much more for the others.

    It takes 16 bits of torch's generator a feature. torch's own dropout takes 53 bits and six times as long, on one
    thread, which counts between layers, where every step has its own.

    Args:
        shape: Of the mask.
        dropout: Probability of 0, below 1, to the nearest of 65,536 steps.

    Returns:
        float32, of mean 1.
    """
    count, dropped = prod(shape), min(round(dropout * _CHANCES), _CHANCES - 1)
    bits = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(1 << 63), None).view(torch.int16)[:count]
    kept = bits >= dropped - _CHANCES // 2
    return kept.float().mul_(_CHANCES / (_CHANCES - dropped)).view(tuple(shape))


def sum_gradients(
    group: Group,
    parameters: Sequence[Tensor],
    loss: float,
    touched: Mapping[Tensor, Tensor],
    others: Sequence[Tensor] = (),
) -> float:
    """Puts the sums over all processes in the place of gradients, in one message, and returns the sum of the losses.

    Args:
        group: The processes.
        parameters: Those whose gradients are added up.
        loss: The own part of the loss.
        touched: Rows of a parameter outside of which its gradient is 0 in every process, int64: only they are sent.
        others: What else is added up in the same message, float32.
    """
    if group.size == 1:
        return loss
    sent = [(_gradient(parameter), touched.get(parameter, slice(None))) for parameter in parameters]
    sent += [(other, slice(None)) for other in others]
    parts = [array[rows] for array, rows in sent]
    flat = torch.cat([*[part.reshape(-1) for part in parts], torch.tensor([loss])])
    group.sum(flat.numpy())
    sums = torch.split(flat[:-1], [part.numel() for part in parts])
    for (array, rows), part, total in zip(sent, parts, sums, strict=True):
        array[rows] = total.view_as(part)
    return flat[-1].item()


def _gradient(parameter: Tensor) -> Tensor:
    """Returns the gradient of a parameter; that of an empty batch is 0 and may be missing."""
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad
