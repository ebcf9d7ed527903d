"""A model of Keras that has loaded our weights, and its results beside ours."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.convert.keras.code import SUFFIX
from tidegate.convert.samples import batches_for, padded, results_of
from tidegate.models.network import Network
from tidegate.models.text_model import TextModel


def loaded(code: str, data: bytes) -> Any:
    """Makes the model of Keras that has loaded a file of weights."""
    program = ModuleType("program")
    exec(compile(code, "model.py", "exec"), program.__dict__)  # noqa: S102 - our own, without a text of the model's
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"model{SUFFIX}"
        file.write_bytes(data)
        program.model.load_weights(file)
    return program.model


def compared(keras: Any, theirs: Any, model: Network) -> Iterator[tuple[str, npt.NDArray[Any], npt.NDArray[Any]]]:
    """Yields results of a model, and those of one of Keras."""
    name = "scores" if model.config.has_head else "vectors"
    for sequences in batches_for(model):
        x, lengths = padded(sequences, 0)
        given = x.astype(np.int32) if isinstance(model, TextModel) else x
        found = theirs([given, lengths.astype(np.int32)])
        yield name, results_of(model, sequences)[name], keras.ops.convert_to_numpy(found)
