"""The drop-ins of tidegate.torch, in the place of torch's own layers."""

from collections.abc import Callable
from typing import Any

import torch

import tidegate.torch
from case import Case
from contender import Contender
from peers import arrays, pytorch
from peers.pytorch import Forward


def _with_lengths(module: Callable[..., Any], case: Case) -> Forward:
    return lambda x: module(x, lengths=case.lengths)[0]


def _forward(module: Callable[..., Any], case: Case) -> Forward:
    if case.episode_starts is not None:
        return lambda x: module(x, **{arrays.EPISODE_STARTS: torch.from_numpy(case.episode_starts)})[0]
    return pytorch.whole(module, case) if case.lengths is None else _with_lengths(module, case)


def inference(case: Case, threads: int) -> list[Contender]:
    """Runs forward passes without gradients."""
    module = pytorch.layer(case, tidegate.torch).eval()
    call = pytorch.inference_of(_forward(module, case), case)
    return [Contender(call, pytorch.answer, prepare=lambda: torch.set_num_threads(threads))]


def training(case: Case, threads: int) -> list[Contender]:
    """Runs training steps through autograd."""
    module = pytorch.layer(case, tidegate.torch)
    call = pytorch.training_of(_forward(module, case), module, case)
    return [Contender(call, pytorch.answer, prepare=lambda: torch.set_num_threads(threads))]
