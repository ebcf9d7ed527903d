"""tidegate.torch.GRU, in the place of torch's own."""

from collections.abc import Callable
from typing import Any

import torch

from case import Case
from contender import Contender
from peers import pytorch
from peers.pytorch import Forward
from tidegate.torch import GRU


def _with_lengths(gru: Callable[..., Any], case: Case) -> Forward:
    return lambda x: gru(x, lengths=case.lengths)[0]


def _forward(gru: GRU, case: Case) -> Forward:
    if case.episode_starts is not None:
        return lambda x: gru(x, episode_starts=torch.from_numpy(case.episode_starts))[0]
    return pytorch.whole(gru, case) if case.lengths is None else _with_lengths(gru, case)


def inference(case: Case, threads: int) -> list[Contender]:
    """Runs forward passes without gradients."""
    gru = pytorch.layer(case, GRU).eval()
    call = pytorch.inference_of(_forward(gru, case), case)
    return [Contender(call, pytorch.answer, prepare=lambda: torch.set_num_threads(threads))]


def training(case: Case, threads: int) -> list[Contender]:
    """Runs training steps through autograd."""
    gru = pytorch.layer(case, GRU)
    call = pytorch.training_of(_forward(gru, case), gru, case)
    return [Contender(call, pytorch.answer, prepare=lambda: torch.set_num_threads(threads))]
