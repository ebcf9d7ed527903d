"""The drop-ins: PyTorch's recurrent modules with their parameters and checks, and a forward pass on native kernels."""

from tidegate.torch.modules.cell_module import CellModule as CellModule
from tidegate.torch.modules.drop_in import DropIn as DropIn
from tidegate.torch.modules.gru import GRU as GRU
from tidegate.torch.modules.lstm import LSTM as LSTM
from tidegate.torch.modules.rnn import RNN as RNN
