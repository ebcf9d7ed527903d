"""What `torch.autocast` asks of a layer on the CPU: products in bfloat16, and the rest in float32.

torch's own layers return, under autocast, float32 or bfloat16 as the cell, the lengths and the input have it, and keep
an LSTM's memory in bfloat16, where it stops to grow: 256 + 1 is 256 there. Native kernels round only what is
multiplied, to bfloat16, and sum in float32; every state, output and gradient is float32.
"""

import os
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from tidegate.ops._kernels import BFLOAT16_ISAS, ISAS

_MULTIPLIES = (os.environ.get("TIDEGATE_ISA") or ISAS[0]) in BFLOAT16_ISAS  # a constant, for torch.compile


def autocasts() -> bool:
    """Returns whether autocast is active, and native kernels do what it asks for."""
    return _MULTIPLIES and torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") is torch.bfloat16


def unfit_autocast() -> str | None:
    """Returns what autocast asks for that native kernels do not do, or None."""
    if not torch.is_autocast_enabled("cpu") or autocasts():
        return None
    dtype = torch.get_autocast_dtype("cpu")
    if dtype is not torch.bfloat16:
        return f"autocast is active in {str(dtype).removeprefix('torch.')}"
    return "autocast is active, and this processor does not multiply bfloat16"


def as_float32(value: Any) -> Any:
    """Returns an input or initial states in float32 if they are bfloat16, as operations under autocast return them."""
    if isinstance(value, PackedSequence):
        return value.to(torch.float32) if value.data.dtype is torch.bfloat16 else value
    if isinstance(value, tuple | list):
        return tuple([as_float32(each) for each in value])
    return value.float() if isinstance(value, Tensor) and value.dtype is torch.bfloat16 else value
