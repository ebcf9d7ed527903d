"""A model as a file of Keras 3: its weights beside the program that loads them, or the whole."""

import io
import json
import os
import tempfile
import warnings
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.convert import own
from tidegate.convert.certificate import Certificate
from tidegate.convert.keras.code import (
    APART,
    ARCHIVE,
    OWN_ARRAY,
    OWN_MEMBER,
    SUFFIX,
    SUFFIXES,
    apart,
    keras_code,
    keras_layers,
)
from tidegate.convert.keras.compared import compared, loaded
from tidegate.convert.keras.runtime import import_keras, name_of
from tidegate.convert.samples import expanded
from tidegate.files.writing import replacing
from tidegate.models.network import Network
from tidegate.models.text_model import TextModel


@dataclass(frozen=True)
class KerasFile:
    """A file of Keras.

    Attributes:
        code: A Python program that makes `model`: one whose `load_weights` takes the weights, or the one in the file.
        certificate: How it was compared with the model; None where Keras is not installed.
    """

    code: str
    certificate: Certificate | None


def to_keras(model: Network, path: str | os.PathLike[str]) -> KerasFile:
    """Writes a model for Keras 3, and compares the model of Keras that has loaded the file with it.

    Weights in fewer bits are written as the float32 numbers that they stand for.

    Args:
        model: The model; it must have no n-grams, no compounding, and no features that may be missing.
        path: Where to write the file; an old one is replaced. One that ends in .weights.h5 gets the weights alone, one
            that ends in .keras the whole model, which Keras writes itself.

    Raises:
        ImportError: h5py is not installed; or, for a .keras, Keras.
        OSError: The file cannot be written.
        ValueError: Keras has no such layer, the suffix is another, or the results differ by more than 1e-5; nothing is
            written.
    """
    name = os.fsdecode(path)
    if not name.lower().endswith(SUFFIXES):
        raise ValueError(f"the file is {name!r:.80}, expected one that ends in {' or '.join(SUFFIXES)}")
    _check(model)
    model, whole = expanded(model), name.lower().endswith(ARCHIVE)
    code, data = keras_code(model), keras_weights(model)
    certificate = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Keras, which uses what torch and numpy will drop
        try:
            keras = import_keras()
        except ModuleNotFoundError as error:
            if whole:
                raise ImportError(f"a .keras file needs {error}; a {SUFFIX} does not") from error
        else:
            theirs = loaded(code, data)
            if whole:
                code = f"import keras\n\nmodel = keras.saving.load_model({os.path.basename(name)!r})\n"
                data, theirs = _archive(keras, theirs)
            certificate = Certificate.of(compared(keras, theirs, model), name_of(keras))
    with replacing(path) as file:
        file.write(_with_texts(data, keras_texts(model, certificate), whole=whole))
    return KerasFile(code, certificate)


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


def keras_weights(model: Network) -> bytes:
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


def keras_texts(model: Network, certificate: Certificate | None = None) -> dict[str, str]:
    """Returns what the file says of the model, so that it can be converted back."""
    texts = own.metadata(model)
    texts[APART] = json.dumps({name: model.arrays[name].tolist() for name in apart(model.config)})
    return texts | ({"certificate": json.dumps(certificate.metadata())} if certificate else {})


def _with_texts(data: bytes, texts: dict[str, str], *, whole: bool) -> bytes:
    """Adds texts to a file, in a place that Keras does not look at."""
    import h5py  # noqa: PLC0415 - an extra

    written, text = io.BytesIO(data), json.dumps(texts, ensure_ascii=False).encode()
    if whole:
        with zipfile.ZipFile(written, "a") as archive:
            archive.writestr(OWN_MEMBER, text)
    else:
        with h5py.File(written, "a") as file:
            file[OWN_ARRAY] = np.frombuffer(text, np.uint8)
    return written.getvalue()


def _archive(keras: Any, model: Any) -> tuple[bytes, Any]:
    """Lets Keras write a whole model; returns the file, and the model that Keras makes of it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"model{ARCHIVE}"
        model.save(file)
        return file.read_bytes(), keras.saving.load_model(file)
