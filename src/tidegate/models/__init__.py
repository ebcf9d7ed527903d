"""Trained models without PyTorch: what one is made of, its file, its predictions and how good they are."""

from tidegate.models.config import Config as Config
from tidegate.models.file import ModelFileError as ModelFileError
from tidegate.models.metrics import Report as Report
from tidegate.models.metrics import score as score
from tidegate.models.model import Embedded as Embedded
from tidegate.models.model import Model as Model
from tidegate.models.model import load as load
