"""One recurrent layer in one direction on numpy arrays: pack its weights, run it forward, run it backward.

Everything is checked here, once; the kernels trust what they are given. `tidegate.torch` checks its tensors itself.

    >>> import numpy as np
    >>> from tidegate import ops
    >>> w_ih, w_hh = np.full((3, 2), 0.5, np.float32), np.full((3, 1), 0.1, np.float32)
    >>> layer = ops.pack("gru", w_ih, w_hh)
    >>> x = np.ones((4, 1, 2), np.float32)
    >>> ops.forward(layer, x).h_n.round(3)
    array([[0.545]], dtype=float32)

Beside it stand the cells (`cells`), the specification in plain numpy (`reference`), the record of a walk (`trace`),
the checks of arguments (`checks`), the threads of a native call (`threads`), torch's parameter names (`names`) and the
name of the processor (`processor`).
"""

from tidegate.ops._kernels import Forward as Forward
from tidegate.ops._kernels import Gradients as Gradients
from tidegate.ops._kernels import Layer as Layer
from tidegate.ops._kernels import isas as isas
from tidegate.ops.batch import EPISODE_STATES as EPISODE_STATES
from tidegate.ops.batch import Batch as Batch
from tidegate.ops.cells import CELLS as CELLS
from tidegate.ops.cells import Cell as Cell
from tidegate.ops.compressed import Compressed as Compressed
from tidegate.ops.compressed import compress as compress
from tidegate.ops.layer import RowOptions as RowOptions
from tidegate.ops.layer import backward as backward
from tidegate.ops.layer import forward as forward
from tidegate.ops.layer import pack as pack
from tidegate.ops.streaming import step as step
