"""A model of Keras as a source: what its layers become, and what Keras computes with them."""

import os
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.convert.certificate import Certificate, ConversionError
from tidegate.convert.found import Found, Head, Layer, Wishes, model_of
from tidegate.convert.keras_file import KerasLayer, KerasModel, read
from tidegate.convert.matching import Runtime, match, reference_runtime, rows_of
from tidegate.models.network import Network
from tidegate.ops.cells import GRU, LSTM, Cell, ReluRNN, TanhRNN
from tidegate.ops.layouts import LAYOUTS, Weights

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

_NAMES = ("kernel", "recurrent_kernel", "bias")
_BACKENDS = ("torch", "tensorflow", "jax")  # those without a compiler first
_OLD_SIGMOID = 1.2  # 0.2·a + 0.5 of Keras 2 is the a/6 + 0.5 of Keras 3 of 1.2·a


def convert_keras(path: str | os.PathLike[str], part: str, wishes: Wishes) -> tuple[Found, Network, Certificate]:
    """Converts a `.keras` or `.h5` file.

    Raises:
        OSError: The file cannot be read.
        ConversionError: It is damaged, has layers that no model has, or computes something else.
    """
    found = found_in(read(path))
    runtime = _keras_runtime(path, found) or reference_runtime(found)
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
            raise ConversionError(f"the layer {self._name(layer)} is nothing that a model of this library has")
        if self.head is not None and kind not in {"Activation", "Softmax"}:
            raise ConversionError(f"the layer {self._name(layer)} follows a Dense layer, which is the last of a model")
        if kind in POOLINGS and not (self.layers and self.over_time):
            raise ConversionError(f"the layer {self._name(layer)} has no outputs of a recurrent layer to reduce")
        adding(self, layer)

    def _name(self, layer: KerasLayer) -> str:
        return f"{str(layer.config.get('name'))!r:.60} ({layer.kind:.60})"

    def add_embedding(self, layer: KerasLayer) -> None:
        """Adds the vectors of ids."""
        if self.layers or self.embedding is not None:
            raise ConversionError(f"the layer {self._name(layer)} follows others, expected it first")
        self.embedding = _only(layer, "", 1)[0]
        self.padding = 0 if layer.config.get("mask_zero") else None

    def add_recurrent(self, layer: KerasLayer) -> None:
        """Adds a recurrent layer, or two in a Bidirectional."""
        kind, config, both = layer.kind, layer.config, layer.kind == "Bidirectional"
        if both:
            inner = config.get("layer")
            if not isinstance(inner, Mapping) or inner.get("class_name") not in RECURRENT:
                raise ConversionError(f"the layer {self._name(layer)} wraps no GRU, LSTM or SimpleRNN")
            kind, config = str(inner["class_name"]), inner["config"]
            if layer.config.get("merge_mode", "concat") != "concat":
                raise ConversionError(
                    f"the layer {self._name(layer)} has merge_mode={layer.config['merge_mode']!r}, expected 'concat'"
                )
        if not self.over_time or self.summary:
            raise ConversionError(f"the layer {self._name(layer)} reads no sequence: the one before returns one vector")
        ways = ("forward_layer/cell", "backward_layer/cell") if both else ("cell" if "cell" in layer.arrays else "",)
        cell = _cell(kind, config, self.version, self._name(layer))
        weights = [self._weights(layer, way, kind, config, cell) for way in ways]
        self.over_time = bool(config.get("return_sequences"))
        if config.get("go_backwards") and not both:
            if self.over_time:
                raise ConversionError(
                    f"the layer {self._name(layer)} returns its outputs from the end to the start (go_backwards), "
                    "which no layer here does"
                )
            self.layers.append(Layer(cell, None, weights[0]))
        else:
            self.layers.append(Layer(cell, *weights))
        if not self.over_time:
            self.summary = "last"

    def _weights(self, layer: KerasLayer, way: str, kind: str, config: Mapping[str, Any], cell: Cell) -> Weights:
        arrays = _only(layer, way, 3 if config.get("use_bias", True) else 2)
        after = getattr(cell, "reset", "after") == "after"
        layout = LAYOUTS["keras"][kind if after else f"{kind} reset_after=False"]
        try:
            weights = layout.read(cell, dict(zip(_NAMES, arrays, strict=False)))
        except ValueError as error:
            raise ConversionError(f"the layer {self._name(layer)}: {error}") from None
        if self.version[0] < 3 and getattr(cell, "gate", None) == "hard_sigmoid":
            return _scaled(weights, cell)
        return weights

    def add_pooling(self, layer: KerasLayer) -> None:
        """Adds what reduces outputs over time."""
        self.summary, self.over_time = POOLINGS[layer.kind], False

    def add_dense(self, layer: KerasLayer) -> None:
        """Adds a linear layer, after a summary or at every step."""
        config, way = layer.config, ""
        if layer.kind == "TimeDistributed":
            inner = config.get("layer")
            if not isinstance(inner, Mapping) or inner.get("class_name") != "Dense":
                raise ConversionError(f"the layer {self._name(layer)} wraps no Dense")
            config, way = inner["config"], "layer" if "layer" in layer.arrays else ""
        if not self.layers:
            raise ConversionError(f"the layer {self._name(layer)} comes before the recurrent ones")
        weight, *bias = _only(layer, way, 2 if config.get("use_bias", True) else 1)
        self.head = Head(weight.T, bias[0] if bias else np.zeros(weight.shape[1], np.float32))
        self._follow(config.get("activation"), layer)

    def add_activation(self, layer: KerasLayer) -> None:
        """Adds a softmax or a sigmoid after a linear layer."""
        self._follow("softmax" if layer.kind == "Softmax" else layer.config.get("activation"), layer)

    def _follow(self, activation: Any, layer: KerasLayer) -> None:
        name = _function(activation)
        if self.head is None or name not in {"linear", "softmax", "log_softmax", "sigmoid"}:
            raise ConversionError(f"the layer {self._name(layer)} has activation {name!r}, which no model has there")
        self.head = self.head._replace(activation="" if name == "linear" else name)


RECURRENT = ("GRU", "LSTM", "SimpleRNN")

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


def _only(layer: KerasLayer, way: str, count: int) -> tuple[Array, ...]:
    """Returns the arrays of a layer.

    Raises:
        ConversionError: There are not as many as expected.
    """
    arrays = layer.arrays.get(way, ())
    if len(arrays) != count or any(array.ndim not in {1, 2} for array in arrays):
        shapes = [array.shape for array in arrays]
        raise ConversionError(f"the layer {str(layer.config.get('name'))!r:.60} has arrays {shapes}, expected {count}")
    return arrays


def _function(value: Any) -> str:
    """Returns the name of an activation, however it is written."""
    if isinstance(value, Mapping):
        inner = value.get("config")
        value = inner if isinstance(inner, str) else value.get("class_name")
    return "linear" if value is None else str(value)[:60].lower()


def _cell(kind: str, config: Mapping[str, Any], version: tuple[int, ...], name: str) -> Cell:
    """Returns the cell of a layer.

    Raises:
        ConversionError: It has activations that the cell has not.
    """
    activation = _function(config.get("activation", "tanh"))
    old = "hard_sigmoid" if version < (2, 3) else "sigmoid"
    gate = _function(config.get("recurrent_activation", old))
    own = {"linear": "identity"}.get(activation, activation)
    if kind == "GRU" and own in GRU.choices["candidate"] and gate in GRU.choices["gate"]:
        return GRU("after" if config.get("reset_after") else "before", "on", own, gate)
    if kind == "LSTM" and (activation, gate) == ("tanh", "sigmoid"):
        return LSTM()
    if kind == "SimpleRNN" and activation in {"tanh", "relu"}:
        return TanhRNN() if activation == "tanh" else ReluRNN()
    raise ConversionError(f"the layer {name} has the activations {activation!r} and {gate!r}, which no cell has")


def _scaled(weights: Weights, cell: Cell) -> Weights:
    """Scales the gates of a GRU, so that the sigmoid of Keras 3 is that of Keras 2."""
    factors = np.array([_OLD_SIGMOID if block in cell.gates else 1.0 for block in cell.blocks], np.float32)
    H = weights.w_hh.shape[1]
    rows = np.repeat(factors, H)
    parts = [None if part is None else part * (rows[:, None] if part.ndim == 2 else rows) for part in weights]
    return Weights(*parts)  # type: ignore[arg-type]


def _keras_runtime(path: str | os.PathLike[str], found: Found) -> Runtime | None:
    """Loads a file in Keras; None if that is not installed, or does not read the file, as of Keras 2's many."""
    backend = next((name for name in _BACKENDS if find_spec(name)), None)
    if find_spec("keras") is None or backend is None:
        return None
    if "keras" not in sys.modules:
        os.environ.setdefault("KERAS_BACKEND", backend)
    width = len(found.head.weight) if found.head else sum(w.w_hh.shape[1] for w in found.layers[-1].directions)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import keras  # noqa: PLC0415 - an extra

            model = keras.saving.load_model(path, compile=False)
        except Exception:  # noqa: BLE001 - it has many
            return None

    def run(sequence: Array) -> Array | None:
        if not len(sequence):
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            out = keras.ops.convert_to_numpy(model(keras.ops.convert_to_tensor(sequence[None]), training=False))
        return rows_of(out, len(sequence), width)

    return Runtime(f"keras {keras.__version__} on {keras.backend.backend()}", run)
