"""What tests of tools for PyTorch share: the layers in pairs with torch's own, sizes, a model and its input."""

from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor, nn

from tidegate.torch import GRU, LSTM, RNN

T, B, I, H = 6, 4, 3, 5
KINDS: dict[Any, Any] = {GRU: nn.GRU, LSTM: nn.LSTM, RNN: nn.RNN}

every_kind = pytest.mark.parametrize("kind", KINDS)


class Model(nn.Module):
    """A model that holds a recurrent layer."""

    def __init__(self, rnn: nn.Module) -> None:
        super().__init__()
        self.rnn: Any = rnn
        self.head = nn.Linear(H, 2)

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.rnn(x)
        scores: Tensor = self.head(y)
        return scores


def inputs() -> Tensor:
    """Three features of four rows over six steps, always the same."""
    return torch.randn(T, B, I, generator=torch.Generator().manual_seed(1))
