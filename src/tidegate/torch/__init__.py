"""Drop-in replacements for `torch.nn.GRU`, `LSTM` and `RNN` that run on native kernels, in training and in inference.

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

A drop-in is an instance of the module of torch that it stands for, so that code which goes by types takes it for one.
`convert` swaps the recurrent modules of a model:

>>> model = torch.nn.Sequential(torch.nn.GRU(3, 4))
>>> convert(model)[0].route(torch.randn(5, 2, 3))
Route(native=True, reason='float32 on the CPU')
>>> isinstance(model[0], torch.nn.GRU)
True

Compiled and exported models (`torch.compile(fullgraph=True)`, `torch.export`) hold a layer as one operation,
`tidegate::recurrent_layer`; `torch.func.grad`, `vmap` and per-sample gradients run natively too, forward-mode
derivatives by torch's own code. `torch.onnx.export` writes a layer as one operator of ONNX. `torch.fx.symbolic_trace`
keeps a layer as one step. What compiles modules by their type, `torch.jit.script` above all, gets torch's own module in
the place of a drop-in, with the same parameters; so does the model that was given to it, which `convert` turns back.
Quantisation looks for exact types and leaves drop-ins as they are: call `convert(model, to="torch")` before it.

Weights are read where they are at every call, so a change is seen by the next one, however it was made. `freeze` packs
them once, for those who promise not to change them.
"""

try:
    import torch as _torch  # noqa: F401 - only to say what is missing
except ImportError as error:
    raise ImportError("tidegate.torch needs PyTorch: pip install 'tidegate[train]'") from error

from tidegate.torch.compiler import admit_drop_ins as _admit_drop_ins
from tidegate.torch.conversion import convert
from tidegate.torch.freezing import freeze
from tidegate.torch.modules import GRU, LSTM, RNN
from tidegate.torch.onnx import write_layer as _write_layer  # noqa: F401 - torch.onnx.export finds it
from tidegate.torch.routing import Route

__all__ = ["GRU", "LSTM", "RNN", "Route", "convert", "freeze"]

_admit_drop_ins()
