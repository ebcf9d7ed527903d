"""What layers of Keras hold: their arrays, their activations, and recurrent ones as layers of this library."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy.typing as npt

from tidegate.convert.arrays import with_gates_times
from tidegate.convert.certificate import ConversionError
from tidegate.convert.found import Layer
from tidegate.convert.keras.code import NAMES
from tidegate.convert.keras.file import KerasLayer
from tidegate.ops.cells import GRU, LSTM, Cell, ReluRNN, TanhRNN
from tidegate.ops.layouts import LAYOUTS, Weights

Array = npt.NDArray[Any]

RECURRENT = ("GRU", "LSTM", "SimpleRNN")
"""The recurrent layers that are read."""

_OLD_SIGMOID = 1.2  # 0.2·a + 0.5 of Keras 2 is the a/6 + 0.5 of Keras 3 of 1.2·a


class _Direction(NamedTuple):
    """One direction of a recurrent layer: where its arrays are, its class, and its configuration."""

    place: str
    kind: str
    config: Mapping[str, Any]


def recurrent_layer(layer: KerasLayer, version: tuple[int, ...]) -> tuple[Layer, bool]:
    """Reads a recurrent layer, or the two of a Bidirectional, which may differ in units and biases.

    Args:
        layer: The layer.
        version: Of the Keras that wrote it.

    Returns:
        The layer, and whether it returns its outputs at every step.

    Raises:
        ConversionError: No layer of this library computes the same.
    """
    directions = _both(layer) if layer.kind == "Bidirectional" else [_alone(layer)]
    cells = [_cell(layer, direction, version) for direction in directions]
    if len(set(cells)) > 1:
        names = " and ".join(str(cell) or cell.title for cell in cells)
        raise ConversionError(f"the layer {layer.title} has the cells {names}, expected one")
    weights = [_weights(layer, each, cell, version) for each, cell in zip(directions, cells, strict=True)]
    config = directions[0].config
    every = bool(config.get("return_sequences"))
    if not config.get("go_backwards"):
        return Layer(cells[0], *weights), every
    if every:
        raise ConversionError(
            f"the layer {layer.title} returns its outputs from the end to the start (go_backwards), "
            "which no layer here does"
        )
    return Layer(cells[0], None, weights[0]), every


def _alone(layer: KerasLayer) -> _Direction:
    return _Direction("cell" if "cell" in layer.arrays else "", layer.kind, layer.config)


def _both(layer: KerasLayer) -> list[_Direction]:
    """Reads what a Bidirectional wraps: a layer that walks forward, and one that walks backwards, of its own or a copy.

    Raises:
        ConversionError: They are not recurrent, or do not walk so, or their outputs are not joined.
    """
    if layer.config.get("merge_mode", "concat") != "concat":
        raise ConversionError(
            f"the layer {layer.title} has merge_mode={layer.config['merge_mode']!r}, expected 'concat'"
        )
    forward = _wrapped(layer, "layer")
    if forward.config.get("go_backwards"):  # its outputs would come first, and from the end to the start
        raise ConversionError(f"the layer {layer.title} wraps a layer with go_backwards=True, expected False")
    if layer.config.get("backward_layer") is None:
        return [forward, forward._replace(place="backward_layer/cell")]
    backward = _wrapped(layer, "backward_layer")
    if not backward.config.get("go_backwards"):
        raise ConversionError(f"the layer {layer.title} has a backward_layer with go_backwards=False, expected True")
    if bool(forward.config.get("return_sequences")) != bool(backward.config.get("return_sequences")):
        raise ConversionError(f"the layer {layer.title} has return_sequences=True in one direction alone")
    return [forward, backward]


def _wrapped(layer: KerasLayer, name: str) -> _Direction:
    inner = layer.config.get(name)
    if isinstance(inner, Mapping) and inner.get("class_name") in RECURRENT and isinstance(inner.get("config"), Mapping):
        place = "forward_layer/cell" if name == "layer" else "backward_layer/cell"
        return _Direction(place, str(inner["class_name"]), inner["config"])
    raise ConversionError(f"the layer {layer.title} wraps no GRU, LSTM or SimpleRNN")


def _weights(layer: KerasLayer, direction: _Direction, cell: Cell, version: tuple[int, ...]) -> Weights:
    """Returns the weights of a direction in torch's order.

    Raises:
        ConversionError: Arrays are missing, or have other shapes.
    """
    arrays = arrays_of(layer, direction.place, 3 if direction.config.get("use_bias", True) else 2)
    after = getattr(cell, "reset", "after") == "after"
    layout = LAYOUTS["keras"][direction.kind if after else f"{direction.kind} reset_after=False"]
    try:
        weights = layout.read(cell, dict(zip(NAMES, arrays, strict=False)))
    except ValueError as error:
        raise ConversionError(f"the layer {layer.title}: {error}") from None
    if version[0] < 3 and getattr(cell, "gate", None) == "hard_sigmoid":
        return with_gates_times(weights, cell, _OLD_SIGMOID)
    return weights


def arrays_of(layer: KerasLayer, way: str, count: int) -> tuple[Array, ...]:
    """Returns the arrays of a layer, or of what it wraps.

    Raises:
        ConversionError: There are not as many as expected.
    """
    arrays = layer.arrays.get(way, ())
    if len(arrays) != count or any(array.ndim not in {1, 2} for array in arrays):
        shapes = [array.shape for array in arrays]
        raise ConversionError(f"the layer {layer.title} has arrays {shapes}, expected {count}")
    return arrays


def activation_of(value: Any) -> str:
    """Returns the name of an activation, however it is written."""
    if isinstance(value, Mapping):
        inner = value.get("config")
        value = inner if isinstance(inner, str) else value.get("class_name")
    return "linear" if value is None else str(value)[:60].lower()


def _cell(layer: KerasLayer, direction: _Direction, version: tuple[int, ...]) -> Cell:
    """Returns the cell of a direction.

    Raises:
        ConversionError: It has activations that the cell has not.
    """
    kind, config = direction.kind, direction.config
    activation = activation_of(config.get("activation", "tanh"))
    old = "hard_sigmoid" if version < (2, 3) else "sigmoid"
    gate = activation_of(config.get("recurrent_activation", old))
    own = {"linear": "identity"}.get(activation, activation)
    if kind == "GRU" and own in GRU.choices["candidate"] and gate in GRU.choices["gate"]:
        return GRU("after" if config.get("reset_after") else "before", "on", own, gate)
    if kind == "LSTM" and (activation, gate) == ("tanh", "sigmoid"):
        return LSTM()
    if kind == "SimpleRNN" and activation in {"tanh", "relu"}:
        return TanhRNN() if activation == "tanh" else ReluRNN()
    raise ConversionError(f"the layer {layer.title} has the activations {activation!r} and {gate!r}, which no cell has")
