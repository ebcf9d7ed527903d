"""A file of Keras that this library wrote: its own entry says what the model is, its layers hold the weights."""

import os
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.convert import own
from tidegate.convert.certificate import Certificate
from tidegate.convert.found import Found, Wishes
from tidegate.convert.keras.code import APART, ARCHIVE, NAMES, apart, keras_code, keras_form
from tidegate.convert.keras.compared import compared, loaded
from tidegate.convert.keras.file import KerasModel
from tidegate.convert.keras.runtime import import_keras, name_of
from tidegate.models.config import TextConfig
from tidegate.models.files.metadata import parse_object
from tidegate.models.network import Network
from tidegate.ops.names import parameter_names

Array = npt.NDArray[Any]


def convert_own(
    path: str | os.PathLike[str], read: KerasModel, part: str, wishes: Wishes
) -> tuple[Found, Network, Certificate]:
    """Makes the model again, and compares it with what Keras makes of the file.

    Raises:
        ConversionError: What the file says of the model is damaged, does not fit its weights, or is something else than
            the user says; or Keras computes something else.
    """
    with own.fitting("its weights"):
        config = own.config_of(read.texts, wishes)
        model = own.made(config, read.texts, own_arrays(config, read), wishes)
    found = own.found_of(model)
    return found, own.part_of(part, model, found), _certificate(path, found, model)


def own_arrays(config: own.Config, read: KerasModel) -> dict[str, Array]:
    """Returns the arrays of a model by their names, out of the folders where `to_keras` has put them.

    Raises:
        ValueError: One is missing, or of another shape.
    """
    folders = {layer.kind: layer.arrays for layer in read.layers}
    arrays: dict[str, Array] = {}
    if isinstance(config, TextConfig):
        (arrays["embedding.weight"],) = _held(folders, "embedding", "")
    for layer in range(config.num_layers if config.recurrent else 0):
        form = keras_form(config)
        for reverse, place in enumerate(form.places):
            held = dict(zip(NAMES, _held(folders, form.folder(layer), f"{place}cell"), strict=False))
            weights = form.layout.read(config.recurrent_cell, held)
            names = parameter_names(layer, bool(reverse), config.bias)
            arrays |= {f"rnn.{name}": array for name, array in zip(names, weights, strict=False) if array is not None}
    if config.has_head:
        weight, bias = _held(folders, "dense", "")
        arrays |= {"head.weight": weight.T, "head.bias": bias}
    said = parse_object("arrays", read.texts[APART])
    return arrays | {name: np.array(said[name], np.float32) for name in apart(config)}


def _held(folders: Mapping[str, Mapping[str, tuple[Array, ...]]], folder: str, place: str) -> tuple[Array, ...]:
    arrays = folders.get(folder, {}).get(place)
    if arrays is None:
        raise ValueError(f"there are no weights in layers/{folder}/{place}")
    return arrays


def _certificate(path: str | os.PathLike[str], found: Found, model: Network) -> Certificate:
    """Compares a model with what Keras makes of its file, or with the reference where Keras cannot be asked."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Keras, which uses what torch and numpy will drop
        try:
            keras = import_keras()
        except ModuleNotFoundError as error:
            return own.arithmetic_alone(found, f"not compared with {error}")
        try:
            if os.fsdecode(path).lower().endswith(ARCHIVE):
                theirs = keras.saving.load_model(path, compile=False)
            else:
                with open(path, "rb") as file:
                    theirs = loaded(keras_code(model), file.read())
        except Exception as error:  # noqa: BLE001 - it has many, as of files of other versions
            reason = f"{type(error).__name__}: {' '.join(str(error).split()):.100}"
            return own.arithmetic_alone(found, f"not compared with Keras, which does not load the file ({reason})")
        return Certificate.of(compared(keras, theirs, model), name_of(keras))
