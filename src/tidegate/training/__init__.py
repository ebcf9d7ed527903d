"""Training on PyTorch: texts made ready in `examples`, `settings`, the network in `classifier`, the `loop`.

Only `classifier` and `loop` import PyTorch, and this page imports neither.
"""

from tidegate.training.examples import Examples as Examples
from tidegate.training.examples import prepare as prepare
from tidegate.training.settings import Epoch as Epoch
from tidegate.training.settings import Settings as Settings
from tidegate.training.settings import Step as Step
