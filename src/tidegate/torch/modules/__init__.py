"""The drop-ins: PyTorch's recurrent modules with their parameters and checks, and a forward pass on native kernels."""

from collections.abc import Callable
from functools import partial

from tidegate.torch.modules.cell_module import CellModule as CellModule
from tidegate.torch.modules.drop_in import DropIn as DropIn
from tidegate.torch.modules.gru import GRU as GRU
from tidegate.torch.modules.lstm import LSTM as LSTM
from tidegate.torch.modules.rnn import RNN as RNN

MODULES: dict[str, Callable[..., DropIn]] = {
    "gru": GRU,
    "lstm": LSTM,
    "rnn_tanh": partial(RNN, nonlinearity="tanh"),
    "rnn_relu": partial(RNN, nonlinearity="relu"),
}
"""What makes a drop-in, by the name of its cell; the cell's options are keywords."""
