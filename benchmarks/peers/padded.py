"""The layers of torch.nn over ragged rows as if all were the longest: more steps than packed, but faster ones.

The outputs beyond a row's length are cleared; they are of no consequence in one forward direction, and only there.
"""

import torch

from case import Case
from contender import Contender
from peers import pytorch
from peers.pytorch import Forward


def _forward(module: torch.nn.RNNBase, case: Case) -> Forward:
    live = torch.arange(case.cell.T).unsqueeze(1) < torch.from_numpy(case.lengths)
    mask = live.float().unsqueeze(2)
    return lambda x: module(x)[0] * mask


def _applies(case: Case) -> bool:
    return case.lengths is not None and not case.cell.bidirectional


def inference(case: Case, threads: int) -> list[Contender]:
    """Runs forward passes without gradients."""
    if not _applies(case):
        return []
    module = pytorch.layer(case).eval()
    return pytorch.at_its_best(pytorch.inference_of(_forward(module, case), case), case, threads)


def training(case: Case, threads: int) -> list[Contender]:
    """Runs training steps."""
    if not _applies(case):
        return []
    module = pytorch.layer(case)
    return pytorch.at_its_best(pytorch.training_of(_forward(module, case), module, case), case, threads)
