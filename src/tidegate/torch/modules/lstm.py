"""The drop-in for `torch.nn.LSTM`."""

from typing import Any

import torch

from tidegate.torch.modules.drop_in import DropIn


class LSTM(DropIn, torch.nn.LSTM):
    """`torch.nn.LSTM` on native kernels: same constructor, `state_dict`, results and gradients.

    Float32 on the CPU runs natively; everything else runs torch's own code, a layer with `proj_size` too, and `route`
    says which and why. `lengths`, `episode_starts`, `ids`, `recompute_every` and traces are those of `GRU`.

        >>> layer = LSTM(3, 4)
        >>> y, (h_n, c_n) = layer(torch.randn(5, 2, 3), lengths=[5, 0])
        >>> y.shape, c_n.shape
        (torch.Size([5, 2, 4]), torch.Size([1, 2, 4]))
        >>> layer.load_state_dict(torch.nn.LSTM(3, 4).state_dict())
        <All keys matched successfully>

    `chrono=T`, a number ≥ 2, starts the units with memories of 2 to T steps (Tallec & Ollivier 2018): the bias of the
    forget gate is log u, u drawn evenly from 1..T−1, and that of the input gate −log u, so that 1/(1 − f) is 1 + u
    where input and state are 0.

        >>> f = LSTM(3, 1000, chrono=50).bias_ih_l0[1000:2000].sigmoid()
        >>> bool((1 / (1 - f)).max() < 50.01)
        True
    """

    def __init__(
        self, *args: Any, recompute_every: int | None = None, chrono: float | None = None, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self._choose(recompute_every, chrono)
