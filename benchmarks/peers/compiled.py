"""torch.compile of a layer: by default it leaves the layer to eager, but it can be made to unroll the steps.

Only an LSTM without gradients need not be unrolled: it becomes the operation of oneDNN that eager calls too.
"""

from typing import Any

import torch
import torch._dynamo
import torch._inductor.config

from case import Case, Unable
from contender import Contender
from grid import INFERENCE, TRAINING
from peers import pytorch

MOST_STEPS = 32
"""Every step becomes code of its own: 29 steps of one layer take 14 s to compile for inference, and 28 s to train."""

WHOLE = {("lstm", INFERENCE)}
"""What is not unrolled."""


def _threads(case: Case, threads: int) -> int:
    """Returns 1 for a single row, whose steps are too short to share out, else all threads."""
    return threads if case.cell.B > 1 else 1


def _compiled(module: torch.nn.RNNBase, case: Case, kind: str, threads: int) -> Any:
    cell = case.cell
    plain, long = case.lengths is None and case.episode_starts is None, cell.T * cell.layers > MOST_STEPS
    if not plain or (long and (cell.network, kind) not in WHOLE):
        raise Unable(
            f"unrolls the steps, minutes of compilation beyond {MOST_STEPS}; by default it leaves the layer to eager"
        )
    torch._dynamo.reset()  # noqa: SLF001 - its public name
    torch._dynamo.config.allow_rnn = True  # noqa: SLF001 - its public name
    torch._inductor.config.cpp.threads = threads  # noqa: SLF001 - its public name
    torch._inductor.config.compile_threads = 1  # noqa: SLF001 - or idle compilers wait beside what is measured
    return torch.compile(module, dynamic=False)


def inference(case: Case, threads: int) -> list[Contender]:
    """Runs forward passes without gradients."""
    threads, module = _threads(case, threads), pytorch.layer(case).eval()
    call = pytorch.inference_of(pytorch.whole(_compiled(module, case, INFERENCE, threads), case), case)
    return [Contender(call, pytorch.answer, f"{threads} threads", prepare=lambda: torch.set_num_threads(threads))]


def training(case: Case, threads: int) -> list[Contender]:
    """Runs training steps."""
    threads, module = _threads(case, threads), pytorch.layer(case)
    call = pytorch.training_of(pytorch.whole(_compiled(module, case, TRAINING, threads), case), module, case)
    return [Contender(call, pytorch.answer, f"{threads} threads", prepare=lambda: torch.set_num_threads(threads))]
