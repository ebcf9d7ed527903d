"""A model's weights in a file of Keras 3, and the model that loads it."""

import io
import os
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.convert.certificate import Certificate
from tidegate.convert.keras.code import keras_code, keras_layers
from tidegate.convert.keras.runtime import import_keras
from tidegate.convert.samples import batches_for, expanded, padded, results_of
from tidegate.files.writing import replacing
from tidegate.models.network import Network
from tidegate.models.text_model import TextModel

SUFFIX = ".weights.h5"


@dataclass(frozen=True)
class KerasFile:
    """A file of weights for Keras.

    Attributes:
        code: A Python program that makes `model`, whose `load_weights` takes them.
        certificate: How it was compared with the model; None where Keras is not installed.
    """

    code: str
    certificate: Certificate | None


def to_keras(model: Network, path: str | os.PathLike[str]) -> KerasFile:
    """Writes a model's weights for Keras 3, and compares a model of Keras that has loaded them with the model.

    Weights in fewer bits are written as the float32 numbers that they stand for.

    Args:
        model: The model; it must have no n-grams, no compounding, and no features that may be missing.
        path: Where to write the file, which ends in .weights.h5; an old one is replaced.

    Raises:
        ImportError: h5py is not installed.
        OSError: The file cannot be written.
        ValueError: Keras has no such layer, the suffix is another, or the results differ by more than 1e-5; nothing is
            written.
    """
    if not os.fsdecode(path).lower().endswith(SUFFIX):
        raise ValueError(f"the file is {os.fsdecode(path)!r:.80}, expected one that ends in {SUFFIX}")
    _check(model)
    model = expanded(model)
    code, data = keras_code(model), _file(model)
    certificate = _certificate(code, data, model)
    with replacing(path) as file:
        file.write(data)
    return KerasFile(code, certificate)


def _certificate(code: str, data: bytes, model: Network) -> Certificate | None:
    """Compares a model with Keras; None where that, or what it computes with, is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Keras, which uses what torch and numpy will drop
        try:
            keras = import_keras()
        except ModuleNotFoundError:
            return None
        against = f"keras {keras.__version__} on {keras.backend.backend()}"
        return Certificate.of(_compared(keras, code, data, model), against)


def _check(model: Network) -> None:
    """Checks that Keras has the layers of a model.

    Raises:
        ValueError: It has not.
    """
    without = "export one without them, as `tidegate train --parts network` makes"
    if isinstance(model, TextModel) and model.ngrams is not None:
        raise ValueError(f"this model has n-grams, of which Keras has no layer: {without}")
    if model.rate is not None:
        raise ValueError("this model compounds, of which Keras has no layer: export it to ONNX, PyTorch or C")
    if getattr(model.config, "missing", ()):
        raise ValueError(
            "this model fills gaps of features, of which Keras has no layer: export it to ONNX, PyTorch or C"
        )


def _file(model: Network) -> bytes:
    """Writes the weights where Keras looks for them: layers are numbered by class, and so are weights."""
    try:
        import h5py  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise ImportError("files of Keras need h5py: pip install 'tidegate[convert]'") from error
    data, seen = io.BytesIO(), Counter[str]()
    with h5py.File(data, "w") as file:
        for layer in keras_layers(model):
            number = f"_{seen[layer.folder]}" if seen[layer.folder] else ""
            seen[layer.folder] += 1
            for place, array in layer.weights.items():
                file[f"layers/{layer.folder}{number}/{place}"] = np.ascontiguousarray(array, np.float32)
    return data.getvalue()


def _compared(
    keras: Any, code: str, data: bytes, model: Network
) -> Iterator[tuple[str, npt.NDArray[Any], npt.NDArray[Any]]]:
    """Yields results of the model, and those of Keras."""
    program = ModuleType("program")
    exec(compile(code, "model.py", "exec"), program.__dict__)  # noqa: S102 - our own, without a text of the model's
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"model{SUFFIX}"
        file.write_bytes(data)
        program.model.load_weights(file)
    name = "scores" if model.config.has_head else "vectors"
    for sequences in batches_for(model):
        x, lengths = padded(sequences, 0)
        given = x.astype(np.int32) if isinstance(model, TextModel) else x
        found = program.model([given, lengths.astype(np.int32)])
        yield name, results_of(model, sequences)[name], keras.ops.convert_to_numpy(found)
