"""torch.compile of torch.nn.GRU: by default it runs the layer eagerly, but it can be made to unroll the steps."""

from typing import Any

import torch
import torch._dynamo
import torch._inductor.config

from case import Case, Unable
from contender import Contender
from peers import pytorch

MOST_STEPS = 32
"""Every step becomes code of its own: 29 steps of one layer take 14 s to compile for inference, and 28 s to train."""


def _threads(case: Case, threads: int) -> int:
    """Returns 1 for a single row, whose steps are too short to share out, else all threads."""
    return threads if case.cell.B > 1 else 1


def _compiled(gru: torch.nn.GRU, case: Case, threads: int) -> Any:
    if case.cell.T * case.cell.layers > MOST_STEPS or case.lengths is not None or case.episode_starts is not None:
        raise Unable(
            f"unrolls the steps, minutes of compilation beyond {MOST_STEPS}; by default it leaves nn.GRU to eager"
        )
    torch._dynamo.reset()  # noqa: SLF001 - its public name
    torch._dynamo.config.allow_rnn = True  # noqa: SLF001 - its public name
    torch._inductor.config.cpp.threads = threads  # noqa: SLF001 - its public name
    torch._inductor.config.compile_threads = 1  # noqa: SLF001 - or idle compilers wait beside what is measured
    return torch.compile(gru, dynamic=False)


def inference(case: Case, threads: int) -> list[Contender]:
    """Runs forward passes without gradients."""
    threads, gru = _threads(case, threads), pytorch.layer(case).eval()
    call = pytorch.inference_of(pytorch.whole(_compiled(gru, case, threads), case), case)
    return [Contender(call, pytorch.answer, f"{threads} threads", prepare=lambda: torch.set_num_threads(threads))]


def training(case: Case, threads: int) -> list[Contender]:
    """Runs training steps."""
    threads, gru = _threads(case, threads), pytorch.layer(case)
    call = pytorch.training_of(pytorch.whole(_compiled(gru, case, threads), case), gru, case)
    return [Contender(call, pytorch.answer, f"{threads} threads", prepare=lambda: torch.set_num_threads(threads))]
