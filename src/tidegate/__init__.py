"""Recurrent networks, fast on the CPU you have.

`fit` trains a model, on PyTorch; everything else here needs numpy and the native kernels alone. The drop-ins for
`torch.nn.GRU`, `LSTM` and `RNN` are in `tidegate.torch`, training in all its parts in `tidegate.training`, and the
native kernels on numpy arrays in `tidegate.ops`.
"""

from tidegate._native import __version__ as __version__
from tidegate.inspection.explain import Explanation as Explanation
from tidegate.inspection.gradient_flow import GradientFlow as GradientFlow
from tidegate.inspection.ledger import Ledger as Ledger
from tidegate.inspection.units import Units as Units
from tidegate.models.config import NetworkConfig as NetworkConfig
from tidegate.models.config import SequenceConfig as SequenceConfig
from tidegate.models.config import TextConfig as TextConfig
from tidegate.models.files.model_file import ModelFileError as ModelFileError
from tidegate.models.loading import load as load
from tidegate.models.network import Network as Network
from tidegate.models.sequence_model import SequenceModel as SequenceModel
from tidegate.models.text_model import TextModel as TextModel
from tidegate.ops import isas as isas
from tidegate.ops.threads import get_num_threads as get_num_threads
from tidegate.ops.threads import set_num_threads as set_num_threads
from tidegate.ops.trace import Trace as Trace
from tidegate.sequences.logmel import LogMel as LogMel
from tidegate.sequences.pooling import average as average
from tidegate.sequences.pooling import compound as compound
from tidegate.sequences.recurrent import Recurrent as Recurrent
from tidegate.stream.pool import StreamPool as StreamPool
from tidegate.stream.session import Session as Session
from tidegate.stream.state import StateError as StateError
from tidegate.training.fitting import fit as fit
