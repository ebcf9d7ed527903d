"""A model of Keras as a source: what its layers become."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.convert.certificate import Certificate, ConversionError
from tidegate.convert.found import Found, Head, Layer, Wishes, model_of
from tidegate.convert.keras.file import KerasLayer, KerasModel
from tidegate.convert.keras.layers import RECURRENT, activation_of, arrays_of, recurrent_layer
from tidegate.convert.keras.own import convert_own
from tidegate.convert.keras.process import read
from tidegate.convert.keras.runtime import runtime_of
from tidegate.convert.matching import match
from tidegate.models.network import Network

Array = npt.NDArray[Any]

IDLE = frozenset(
    [
        "InputLayer",
        "Masking",
        "Dropout",
        "SpatialDropout1D",
        "GaussianDropout",
        "GaussianNoise",
        "AlphaDropout",
        "ActivityRegularization",
    ]
)
"""Layers that do nothing in a model that is used, or tell which steps there are: here a sequence has no others."""

POOLINGS = {"GlobalAveragePooling1D": "mean", "GlobalMaxPooling1D": "max"}
"""Layers that reduce outputs over time, and our words for that."""


def convert_keras(path: str | os.PathLike[str], part: str, wishes: Wishes) -> tuple[Found, Network, Certificate]:
    """Converts a `.keras` or `.h5` file.

    Raises:
        OSError: The file cannot be read.
        ConversionError: It is damaged, has layers that no model has, or computes something else.
    """
    model = read(path)
    if model.texts:
        return convert_own(path, model, part, wishes)
    found = found_in(model)
    runtime = runtime_of(path, found)
    if part == "layers":
        alone = replace(found, head=None, embedding=None, padding=None)
        return alone, model_of(alone, found.summary or "last", wishes), match(found, runtime, wishes)[1]
    return found, *match(found, runtime, wishes)


@dataclass
class _Reading:
    """What has been read of a chain of layers, from the input on."""

    version: tuple[int, ...]
    layers: list[Layer]
    embedding: Array | None = None
    padding: int | None = None
    summary: str | None = None
    head: Head | None = None
    over_time: bool = True

    def add(self, layer: KerasLayer) -> None:
        """Adds a layer.

        Raises:
            ConversionError: No model of this library has it at this place.
        """
        kind = layer.kind
        adding = _ADDING.get(kind)
        if kind in IDLE:
            return
        if adding is None:
            raise ConversionError(f"the layer {layer.title} is nothing that a model of this library has")
        if self.head is not None and kind not in {"Activation", "Softmax"}:
            raise ConversionError(f"the layer {layer.title} follows a Dense layer, which is the last of a model")
        if kind in POOLINGS and not (self.layers and self.over_time):
            raise ConversionError(f"the layer {layer.title} has no outputs of a recurrent layer to reduce")
        adding(self, layer)

    def add_embedding(self, layer: KerasLayer) -> None:
        """Adds the vectors of ids."""
        if self.layers or self.embedding is not None:
            raise ConversionError(f"the layer {layer.title} follows others, expected it first")
        self.embedding = arrays_of(layer, "", 1)[0]
        self.padding = 0 if layer.config.get("mask_zero") else None

    def add_recurrent(self, layer: KerasLayer) -> None:
        """Adds a recurrent layer, or two in a Bidirectional."""
        if not self.over_time or self.summary:
            raise ConversionError(f"the layer {layer.title} reads no sequence: the one before returns one vector")
        read, self.over_time = recurrent_layer(layer, self.version)
        self.layers.append(read)
        if not self.over_time:
            self.summary = "last"

    def add_pooling(self, layer: KerasLayer) -> None:
        """Adds what reduces outputs over time.

        Raises:
            ConversionError: It reduces them over the units, or leaves an axis of one step.
        """
        for option, expected in (("data_format", "channels_last"), ("keepdims", False)):
            value = layer.config.get(option, expected)
            if value != expected:
                raise ConversionError(f"the layer {layer.title} has {option}={value!r:.60}, expected {expected!r}")
        self.summary, self.over_time = POOLINGS[layer.kind], False

    def add_dense(self, layer: KerasLayer) -> None:
        """Adds a linear layer, after a summary or at every step."""
        config, way = layer.config, ""
        if layer.kind == "TimeDistributed":
            inner = config.get("layer")
            if not isinstance(inner, Mapping) or inner.get("class_name") != "Dense":
                raise ConversionError(f"the layer {layer.title} wraps no Dense")
            config, way = inner["config"], "layer" if "layer" in layer.arrays else ""
        if not self.layers:
            raise ConversionError(f"the layer {layer.title} comes before the recurrent ones")
        weight, *bias = arrays_of(layer, way, 2 if config.get("use_bias", True) else 1)
        self.head = Head(weight.T, bias[0] if bias else np.zeros(weight.shape[1], np.float32))
        self._follow(config.get("activation"), layer)

    def add_activation(self, layer: KerasLayer) -> None:
        """Adds a softmax or a sigmoid after a linear layer."""
        self._follow("softmax" if layer.kind == "Softmax" else layer.config.get("activation"), layer)

    def _follow(self, activation: Any, layer: KerasLayer) -> None:
        name = activation_of(activation)
        if self.head is None or name not in {"linear", "softmax", "log_softmax", "sigmoid"}:
            raise ConversionError(f"the layer {layer.title} has activation {name!r}, which no model has there")
        self.head = self.head._replace(activation="" if name == "linear" else name)


_ADDING: dict[str, Callable[[_Reading, KerasLayer], None]] = {
    "Embedding": _Reading.add_embedding,
    **dict.fromkeys((*RECURRENT, "Bidirectional"), _Reading.add_recurrent),
    **dict.fromkeys(POOLINGS, _Reading.add_pooling),
    **dict.fromkeys(("Dense", "TimeDistributed"), _Reading.add_dense),
    **dict.fromkeys(("Activation", "Softmax"), _Reading.add_activation),
}


def found_in(model: KerasModel) -> Found:
    """Reads what a model holds.

    Raises:
        ConversionError: It has a layer that no model of this library has, or none that is recurrent.
    """
    reading = _Reading(model.version, [])
    for layer in model.layers:
        reading.add(layer)
    if not reading.layers:
        raise ConversionError("the model has no GRU, LSTM or SimpleRNN")
    every = reading.over_time
    return Found(
        tuple(reading.layers), reading.head, reading.summary or "last", reading.embedding, reading.padding, every
    )
