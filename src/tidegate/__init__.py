"""Recurrent networks, fast on the CPU you have.

This page is the API without PyTorch. The drop-ins for `torch.nn.GRU` and `torch.nn.RNN` are in `tidegate.torch`,
training is in `tidegate.training`, and the native kernels on numpy arrays are in `tidegate.ops`.
"""

from tidegate._native import __version__ as __version__
from tidegate.config import Config as Config
from tidegate.explain import Explanation as Explanation
from tidegate.gradient_flow import GradientFlow as GradientFlow
from tidegate.ledger import Ledger as Ledger
from tidegate.model import Model as Model
from tidegate.model import load as load
from tidegate.model_file import ModelFileError as ModelFileError
from tidegate.ops import isas as isas
from tidegate.recurrent import Recurrent as Recurrent
from tidegate.summaries import average as average
from tidegate.summaries import compound as compound
from tidegate.threads import get_num_threads as get_num_threads
from tidegate.threads import set_num_threads as set_num_threads
from tidegate.trace import Trace as Trace
from tidegate.units import Units as Units
