"""Trained models without PyTorch: what one is made of, its file, its predictions and how good they are."""

from tidegate.models.config import NetworkConfig as NetworkConfig
from tidegate.models.config import SequenceConfig as SequenceConfig
from tidegate.models.config import TextConfig as TextConfig
from tidegate.models.files.model_file import ModelFileError as ModelFileError
from tidegate.models.loading import load as load
from tidegate.models.metrics.reports import Report as Report
from tidegate.models.metrics.reports import score as score
from tidegate.models.network import Network as Network
from tidegate.models.sequence_model import SequenceModel as SequenceModel
from tidegate.models.text_model import TextModel as TextModel
