"""Drop-in replacements for `torch.nn.GRU` and `torch.nn.RNN` that run on native kernels, in training and in inference.

>>> import torch
>>> from tidegate.torch import GRU
>>> layer = GRU(3, 4, bidirectional=True)
>>> y, h_n = layer(torch.randn(5, 2, 3), lengths=[5, 0])
>>> y.shape, h_n.shape
(torch.Size([5, 2, 8]), torch.Size([2, 2, 4]))
>>> layer.route(torch.randn(5, 2, 3))
Route(native=True, reason='float32 on the CPU')
>>> layer.route(torch.randn(5, 2, 3, dtype=torch.float64))
Route(native=False, reason='input has dtype float64, native kernels compute in float32')

Compiled and exported models (`torch.compile(fullgraph=True)`, `torch.export`) hold a layer as one operation,
`tidegate::recurrent_layer`; `torch.func.grad`, `vmap` and per-sample gradients run natively too, forward-mode
derivatives by torch's own code. As torch.compile refuses every `torch.nn.GRU`, the drop-ins are no subclasses of it but
of `torch.nn.RNNBase`. `convert` swaps the recurrent modules of a model:

>>> model = torch.nn.Sequential(torch.nn.GRU(3, 4))
>>> convert(model)[0].route(torch.randn(5, 2, 3))
Route(native=True, reason='float32 on the CPU')

Weights are packed for the kernels when they have changed, once for all who use them. In eval mode and without
gradients, where they are taken to rest, a change of single numbers that torch does not count (through `weight.data` or
a numpy view) may go unseen until the next call of `train` or `eval`; any other change is seen at once.
"""

try:
    import torch as _torch  # noqa: F401 - only to say what is missing
except ImportError as error:
    raise ImportError("tidegate.torch needs PyTorch: pip install 'tidegate[train]'") from error

from tidegate.torch.conversion import convert
from tidegate.torch.modules import GRU, RNN, Route

__all__ = ["GRU", "RNN", "Route", "convert"]
