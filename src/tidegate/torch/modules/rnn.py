"""The drop-in for `torch.nn.RNN`."""

from typing import Any

import torch

from tidegate.torch.modules.drop_in import DropIn


class RNN(DropIn, torch.nn.RNN):
    """`torch.nn.RNN` on native kernels, with tanh or relu: same constructor, `state_dict`, results and gradients.

    Float32 on the CPU runs natively; everything else runs torch's own code, and `route` says which and why.

        >>> layer = RNN(3, 4, nonlinearity="relu", batch_first=True)
        >>> y, h_n = layer(torch.randn(2, 5, 3), lengths=[2, 5])
        >>> bool((y[0, 2:] == 0).all())
        True
    """

    def __init__(self, *args: Any, recompute_every: int | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._choose(recompute_every)
