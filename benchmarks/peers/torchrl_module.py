"""TorchRL's GRUModule and LSTMModule, which know where episodes begin; whole sequences, by the backend "scan".

That is torch's loop over the steps as one operation, in torch.compile. The backend "pad", which cuts a batch into
episodes and pads them, takes five times as long for a training step of 128 rows and 128 steps. A state for each step is
computed too, which nobody asks for here.
"""

from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor
from torchrl.modules import GRUModule, LSTMModule, set_recurrent_mode

from case import Case, Unable
from contender import Contender
from peers import pytorch
from peers.pytorch import Forward

KINDS = {"gru": (GRUModule, ["h"]), "lstm": (LSTMModule, ["h", "c"])}
"""The module of each network, and what its states are called here."""


def _forward(layer: torch.nn.RNNBase, case: Case) -> Forward:
    cell = case.cell
    if cell.network not in KINDS or cell.bidirectional:
        raise Unable("TorchRL has a GRU and an LSTM, which read forward")
    kind, states = KINDS[cell.network]
    layer.batch_first = True
    named: dict[str, Any] = {cell.network: layer}
    results = ["y", *(("next", state) for state in states)]
    module = kind(**named, in_keys=["x", *states], out_keys=results, recurrent_backend="scan")
    first = torch.from_numpy(case.episode_starts).T.unsqueeze(2)
    zeros = dict.fromkeys(states, torch.zeros(cell.B, cell.T, cell.layers, cell.H))

    def forward(x: Tensor) -> Tensor:
        batch = TensorDict({"x": x.transpose(0, 1), "is_init": first} | zeros, [cell.B, cell.T])
        with set_recurrent_mode(True):
            return module(batch)["y"].transpose(0, 1)  # type: ignore[no-any-return]

    return torch.compile(forward)


def inference(case: Case, threads: int) -> list[Contender]:
    """Runs forward passes without gradients."""
    if not case.cell.episode:
        return []
    forward = _forward(pytorch.layer(case).eval(), case)
    return pytorch.at_its_best(pytorch.inference_of(forward, case), case, threads)


def training(case: Case, threads: int) -> list[Contender]:
    """Runs training steps."""
    if not case.cell.episode:
        return []
    layer = pytorch.layer(case)
    return pytorch.at_its_best(pytorch.training_of(_forward(layer, case), layer, case), case, threads)
