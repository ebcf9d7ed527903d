"""The contenders, one file each: `inference(case, threads)` and `training(case, threads)` return ways to compute it.

Of several ways the fastest takes part, so that each library is seen at its best. A library that can do only one of
the two has one function; one that cannot do a case raises `Unable` with the reason, and one to which it does not apply
returns nothing.
"""

from collections.abc import Callable
from importlib import import_module
from types import ModuleType

from case import Case
from contender import Contender

Ways = Callable[[Case, int], list[Contender]]

OURS = {"tidegate": "arrays", "tidegate.torch": "drop_in"}
PEERS = {
    "torch": "pytorch",
    "torch padded": "padded",
    "torch.compile": "compiled",
    "ONNX Runtime": "onnx_runtime",
    "OpenVINO": "openvino_graph",
    "JAX": "xla",
    "TorchRL": "torchrl_module",
}

ANSWERED_BY = dict.fromkeys(["torch", "torch padded", "torch.compile", "TorchRL"], "tidegate.torch")
"""Which interface of ours a peer is compared with: the one that takes what it takes, tensors here and arrays else."""


NETWORKS = ("gru", "lstm", "rnn_tanh", "rnn_relu")
"""What all of them can run."""


def path(name: str) -> Callable[[Callable[[], object]], str] | None:
    """Returns what says by which code a contender's call is run, None for a library that has one way."""
    found: Callable[[Callable[[], object]], str] | None = getattr(_module(name), "path", None)
    return found


def ways(name: str, kind: str) -> Ways | None:
    """Returns the function of a contender for inference or training, None if it has no such thing.

    Raises:
        ImportError: Its library is not installed.
    """
    found: Ways | None = getattr(_module(name), kind, None)
    return found


def _module(name: str) -> ModuleType:
    return import_module(f"peers.{(OURS | PEERS)[name]}")
