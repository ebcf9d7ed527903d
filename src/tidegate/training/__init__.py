"""Training on PyTorch: `fit` for everyday use; `examples`, `settings` and the `loop` for everything else.

Only `modules`, `layers`, `summaries`, `starts`, `shares`, `optimizer`, `state`, `loop` and `workers` import PyTorch,
and this page imports none of them.
"""

from tidegate.training.checkpoints import CheckpointError as CheckpointError
from tidegate.training.checkpoints import Checkpoints as Checkpoints
from tidegate.training.data.examples import SequenceExamples as SequenceExamples
from tidegate.training.data.examples import TextExamples as TextExamples
from tidegate.training.data.examples import prepare_sequences as prepare_sequences
from tidegate.training.data.examples import prepare_texts as prepare_texts
from tidegate.training.events import DivergedError as DivergedError
from tidegate.training.events import Epoch as Epoch
from tidegate.training.events import Resumed as Resumed
from tidegate.training.events import Step as Step
from tidegate.training.fingerprint import fingerprint as fingerprint
from tidegate.training.fitting import fit as fit
from tidegate.training.settings import Settings as Settings
