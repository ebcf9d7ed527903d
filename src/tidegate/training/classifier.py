"""The text classifier in torch: embedding, recurrent stack, summary, linear head."""

from typing import Any

import torch
from torch import Tensor, nn

from tidegate.models.config import Config
from tidegate.torch import GRU, RNN
from tidegate.torch.chrono import check_chrono
from tidegate.training.corpus import PADDING

# torch starts embeddings with a standard deviation of 1, which drowns what a few epochs can add.
EMBEDDING_SPREAD = 0.1


class TextClassifier(nn.Module):
    """A network that reads word ids and scores C classes.

    The `state_dict` holds the tensors of the model file: `embedding.weight` [V, E], `rnn.weight_ih_l0` and the others
    of the recurrent stack, or `rate` [1] of the compound summary, and `head.weight` [C, F], `head.bias` [C].

    Args:
        config: What to build (cell, sizes, summary, labels).
        dropout: Probability of zeroing a feature, of the words (the same features all along a text, so that the mask is
            small, Gal & Ghahramani 2016; a recurrent layer has one mask for all texts of a batch, so that it still
            multiplies a word once, however many of them read it), between layers, and of the summary.
        chrono: Longest memory in steps that the units of a GRU start with, see `tidegate.torch.GRU`; None for torch's
            own start.

    Raises:
        ValueError: There are no update gates that chrono could set.
    """

    def __init__(self, config: Config, dropout: float = 0.0, chrono: float | None = None) -> None:
        super().__init__()
        if chrono is not None:
            check_chrono(chrono, config.recurrent_cell, config.bias)
        self.config, self.dropout = config, dropout
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_size, padding_idx=PADDING)
        with torch.no_grad():
            self.embedding.weight.mul_(EMBEDDING_SPREAD)
        if config.cell == "compound":
            self.rate = nn.Parameter(torch.tensor([0.98 if config.rate is None else config.rate]))
            self.rate.requires_grad_(config.rate is None)
        elif config.recurrent:
            self.rnn = _recurrent(config, dropout, chrono)
        self.head = nn.Linear(config.summary_size, len(config.labels))

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Scores the classes.

        Args:
            ids: Word ids, int [T, B], `PADDING` beyond a text's end.
            lengths: Words in each text, int64 [B].

        Returns:
            Logits, float32 [B, C].
        """
        logits: Tensor = self.head(nn.functional.dropout(self.encode(ids, lengths), self.dropout, self.training))
        return logits

    def encode(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Summarises each text by one vector, float32 [B, F]; the arguments are those of `forward`."""
        drops = self.training and self.dropout > 0
        if not self.config.recurrent:
            x = self.embedding(ids)
            if drops:
                x.mul_(self._mask(1, *x.shape[1:]))  # an embedding keeps no output
            return _mean(x, lengths) if self.config.cell == "average" else self._compound(x, lengths)
        words = self.embedding.weight
        if drops:
            words = words * self._mask(words.shape[1])
        y, h_n = self.rnn(words, ids=ids, lengths=lengths)
        match self.config.summary:
            case "last":
                return torch.cat(tuple(h_n[-2 if self.config.bidirectional else -1 :]), 1)
            case "mean":
                return _mean(y, lengths)
            case "max":
                return _mean_and_max(y, lengths)[1]
        return torch.cat(_mean_and_max(y, lengths), 1)

    def _mask(self, *shape: int) -> Tensor:
        """Draws what inputs are multiplied with: 0 for the features that drop out, and so much more for the others."""
        return nn.functional.dropout(torch.ones(shape), self.dropout)

    def _compound(self, x: Tensor, lengths: Tensor) -> Tensor:
        """`h = rate·h + x` over each text, as one sum: word t has earned interest length − 1 − t times."""
        if self.rate.requires_grad:
            with torch.no_grad():
                self.rate.clamp_(0, 1)  # a learned rate above 1 would overflow on long texts
        age = lengths - 1 - torch.arange(len(x))[:, None]
        interest = torch.where(age >= 0, self.rate ** age.clamp(min=0), 0.0)
        return torch.einsum("tb,tbe->be", interest, x)


def _recurrent(config: Config, dropout: float, chrono: float | None) -> GRU | RNN:
    between = dropout if config.num_layers > 1 else 0.0
    options: dict[str, Any] = {"bias": config.bias, "bidirectional": config.bidirectional, "dropout": between}
    sizes = (config.embedding_size, config.hidden_size, config.num_layers)
    if config.recurrent_cell.gates:
        return GRU(*sizes, **options, **config.choices, chrono=chrono)
    return RNN(*sizes, nonlinearity=config.cell.removeprefix("rnn_"), **options)


def _mean(y: Tensor, lengths: Tensor) -> Tensor:
    """Mean over each row's own steps, [T, B, F] to [B, F]; needs y = 0 beyond them."""
    return y.sum(0) / lengths.clamp(min=1)[:, None]


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
        shortest = int(lengths.min())
        tail = torch.arange(shortest, len(y))[:, None] >= lengths
        parts = [y[:shortest], y[shortest:].masked_fill(tail[..., None], -torch.inf)]
        maximum = torch.stack([part.amax(0) for part in parts if len(part)]).amax(0)
        maximum.masked_fill_((lengths == 0)[:, None], 0.0)
        ctx.save_for_backward(y, lengths, maximum)
        return _mean(y, lengths), maximum

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
