"""The drop-in for `torch.nn.GRU`."""

from typing import Any

import torch

from tidegate.ops.cells import CELLS, Cell
from tidegate.torch.cells import cell_of
from tidegate.torch.modules.drop_in import DropIn


class GRU(DropIn, torch.nn.GRU):
    """`torch.nn.GRU` on native kernels: same constructor, `state_dict`, results and gradients.

    Float32 on the CPU runs natively; everything else runs torch's own code, and `route` says which and why. For very
    long sequences, `recompute_every=1000` (or any number of steps, as an argument or an attribute) keeps no gates for
    the backward pass, which computes them again that many steps at a time at most: a fifth of what the layer keeps, for
    at most a third more time.

        >>> layer = GRU(3, 4)
        >>> y, h_n = layer(torch.randn(5, 2, 3))
        >>> y.shape, h_n.shape
        (torch.Size([5, 2, 4]), torch.Size([1, 2, 4]))
        >>> layer.load_state_dict(torch.nn.GRU(3, 4).state_dict())
        <All keys matched successfully>

    Where steps read rows of a table, as texts read words of an embedding, `layer(table, ids=ids)` is
    `layer(table[ids])`: the same states to the bit, but each row is multiplied with the weights once, however many
    steps read it. Like every input the table must not change before the backward pass. It is a tensor, so what an
    embedding does beside looking up (`padding_idx`, `max_norm`, `scale_grad_by_freq`, `sparse`) is not done.

        >>> layer, embedding, ids = GRU(3, 4), torch.nn.Embedding(9, 3), torch.randint(9, (5, 2))
        >>> torch.equal(layer(embedding.weight, ids=ids)[0], layer(embedding(ids))[0])
        True

    What torch has not: `reset="before"` the product (Cho et al. 2014, Keras' `reset_after=False`) or `reset="off"`
    (r = 1), `update="off"` (z = 0), `candidate="relu"` or `"identity"` instead of tanh, `gate="hard_sigmoid"`. The
    parameters stay the same; those of a gate that is off are not used.

        >>> GRU(3, 4, reset="off", candidate="relu")
        GRU(3, 4, reset='off', candidate='relu')

    `chrono=T`, a number ≥ 2, starts the units with memories of 2 to T steps, for what depends on things that far back
    (Tallec & Ollivier 2018): the bias of the update gate is log u, u drawn evenly from 1..T−1, so that 1/(1 − z) is
    1 + u where input and state are 0. z is the share of the old state that is *kept*.

        >>> z = GRU(3, 1000, chrono=50).bias_ih_l0[1000:2000].sigmoid()
        >>> bool((1 / (1 - z)).max() < 50.01)
        True
    """

    # A module that `convert` has turned into this one has no others.
    reset, update, candidate, gate = CELLS["gru"]().options.values()

    def __init__(
        self,
        *args: Any,
        recompute_every: int | None = None,
        reset: str = "after",
        update: str = "on",
        candidate: str = "tanh",
        gate: str = "sigmoid",
        chrono: float | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        chosen = Cell.of("gru", reset=reset, update=update, candidate=candidate, gate=gate)
        self.reset, self.update, self.candidate, self.gate = chosen.options.values()
        self._choose(recompute_every, chrono)

    @property
    def cell(self) -> Cell:
        """The cell, with what was chosen of it."""
        return cell_of("gru", self.reset, self.update, self.candidate, self.gate)
