"""The recurrent layers of a graph of ONNX, with the embedding before them and the head behind."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper, numpy_helper

from tidegate.convert.arrays import scaled_in, with_gates_times
from tidegate.convert.certificate import ConversionError
from tidegate.convert.found import Found, Head, Layer
from tidegate.convert.onnx import layer as onnx_layer
from tidegate.convert.onnx.settings import OPERATORS, Settings
from tidegate.convert.onnx.values import Values, readers, sources
from tidegate.ops.cells import CELLS

Array = npt.NDArray[Any]

_ACTIVATIONS = {"Softmax": "softmax", "LogSoftmax": "log_softmax", "Sigmoid": "sigmoid"}
_THROUGH = frozenset(
    ["Identity", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Dropout", "Cast", "Flatten", "Gather", "Slice"]
)
"""What may stand between a linear layer and its bias or its activation."""


class Node(NamedTuple):
    """A recurrent node: what it is in ONNX, its settings, its constants by the names of its inputs, its layers."""

    proto: Any
    settings: Settings
    arrays: dict[str, Array]
    layers: list[onnx_layer.Layer]


def nodes_of(values: Values) -> list[Node]:
    """Lists the recurrent nodes in their order; of two that are the same, as in two branches, the first.

    Raises:
        ConversionError: There is none, one has weights that are no constants or do not fit, or they form no chain.
    """
    found: list[Node] = []
    for proto in values.nodes:
        if proto.op_type not in OPERATORS or proto.domain not in {"", "ai.onnx"}:
            continue
        named = dict(zip(onnx_layer.INPUTS, proto.input, strict=False))
        arrays = {name: values.known[value] for name, value in named.items() if value in values.known}
        unknown = [name for name in "WRBP" if named.get(name) and name not in arrays]
        who = f"the node {proto.name or proto.output[0]!r:.60} ({proto.op_type})"
        if unknown:
            raise ConversionError(f"{who} has {unknown[0]} that depends on inputs of the graph, expected constants")
        try:
            settings = Settings.of(proto.op_type, attributes_of(proto))
            node = Node(proto, settings, arrays, _of_kernels(settings, onnx_layer.layers(settings, arrays)))
        except ValueError as error:
            raise ConversionError(f"{who}: {error}") from None
        if not any(_is_same(node, other) for other in found):
            found.append(node)
    if not found:
        integers = "; it has a DynamicQuantizeLSTM, whose weights are integers: convert the file that was quantized"
        quantized = any(proto.op_type == "DynamicQuantizeLSTM" for proto in values.nodes)
        raise ConversionError("the graph has no recurrent node: no GRU, LSTM or RNN" + integers * quantized)
    _check_chain(found, values)
    return found


def _of_kernels(settings: Settings, layers: list[onnx_layer.Layer]) -> list[onnx_layer.Layer]:
    """Gives a GRU with a hard sigmoid of another slope, such as the standard 0.2, the kernels' slope 1/6."""
    found = list(layers)
    for d, (weights, reverse) in enumerate((layer.weights, layer.reverse) for layer in layers):
        gate, *rest = settings.activations[d]
        if settings.operator != "GRU" or gate.name != "HardSigmoid" or gate.beta != 0.5 or not gate.alpha:
            continue
        own = (replace(gate, alpha=1 / 6), *rest)
        cell = replace(settings, activations=(own,) * len(layers)).cell(d)
        if cell.name in CELLS and gate.own_name is None:
            found[d] = onnx_layer.Layer(cell, with_gates_times(weights, cell, 6 * gate.alpha), reverse)
    return found


def _is_same(node: Node, other: Node) -> bool:
    """Whether two nodes have the same settings and weights."""
    pairs = [(node.arrays.get(name), other.arrays.get(name)) for name in "WRBP"]
    same = (a is b if a is None or b is None else np.array_equal(a, b) for a, b in pairs)
    return node.settings == other.settings and all(same)


def _check_chain(nodes: Sequence[Node], values: Values) -> None:
    """Checks that each node reads what the one before has computed, or what that one reads.

    Raises:
        ConversionError: It does not.
    """
    for before, node in pairwise(nodes):
        read = sources(values.nodes, node.proto.input[0])
        if not read & {name for name in before.proto.output if name} and before.proto.input[0] != node.proto.input[0]:
            raise ConversionError(
                f"the node {node.proto.name or node.proto.output[0]!r:.60} does not read what "
                f"{before.proto.name or before.proto.output[0]!r:.60} computes: they are no chain of layers"
            )


def attributes_of(proto: Any) -> dict[str, Any]:
    """Returns the attributes of a node by name."""
    found: dict[str, Any] = {}
    for attribute in proto.attribute:
        value = helper.get_attribute_value(attribute)
        if isinstance(value, bytes):
            value = value.decode(errors="replace")
        elif isinstance(value, list | tuple):
            value = [part.decode(errors="replace") if isinstance(part, bytes) else part for part in value]
        found[attribute.name] = value
    return found


def layers_of(nodes: Sequence[Node]) -> tuple[Layer, ...]:
    """Makes layers of nodes; two that read the same, one from each end, are one layer.

    Raises:
        ConversionError: The kernels have not the cell of a node.
    """
    found: list[Layer] = []
    read: list[str] = []
    for node in nodes:
        cells = {layer.cell for layer in node.layers}
        if len(cells) > 1 or next(iter(cells)).name not in CELLS:
            raise ConversionError(
                f"the node {node.proto.name or node.proto.output[0]!r:.60} ({node.settings.operator}) has clip, "
                "peepholes, coupled gates, or activations that no model of this library has: "
                "tidegate.convert.onnx.backend runs it"
            )
        ways = {layer.reverse: layer.weights for layer in node.layers}
        layer = Layer(cells.pop(), ways.get(False), ways.get(True))
        last = found[-1] if found and read[-1] == node.proto.input[0] and found[-1].cell == layer.cell else None
        lone = last is not None and len(last.directions) == len(layer.directions) == 1
        if last is not None and lone and (last.forward is None) != (layer.forward is None):
            found[-1] = Layer(layer.cell, last.forward or layer.forward, last.reverse or layer.reverse)
            continue
        found.append(layer)
        read.append(node.proto.input[0])
    return tuple(found)


def found_in(values: Values, *, scaled: bool = True) -> Found:
    """Reads what a graph holds: an embedding, recurrent layers, and one linear layer as a head.

    What else there is, is not looked at: the proof says whether it changes anything.

    Args:
        values: The graph.
        scaled: Whether to read how numbers are scaled.

    Raises:
        ConversionError: There is no recurrent node, or one that no model has, or several linear layers follow.
    """
    nodes = nodes_of(values)
    places = {id(node): i for i, node in enumerate(values.nodes)}
    first, last = places[id(nodes[0].proto)], places[id(nodes[-1].proto)]
    tables = [
        values.known[node.input[0]]
        for node in values.nodes[:first]
        if node.op_type == "Gather" and node.input[0] in values.known and values.known[node.input[0]].ndim == 2
    ]
    heads = [head for node in values.nodes[last:] if (head := _head(node, values)) is not None]
    if len(heads) > 1:
        raise ConversionError(
            f"{len(heads)} linear layers follow the recurrent ones, expected one; the recurrent layers alone can be "
            "converted (part='layers')"
        )
    layers = layers_of(nodes)
    embedding, scale = tables[0] if tables else None, scaled_in(values.known, layers) if scaled else None
    return Found(layers, heads[0] if heads else None, embedding=embedding, scaled=scale)


def _head(node: Any, values: Values) -> Head | None:
    """Returns the linear layer that a node is, with the bias and the activation that follow it."""
    constants = [values.known.get(name) for name in node.input]
    if node.op_type == "Gemm" and len(constants) > 1 and constants[1] is not None and constants[0] is None:
        given = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0} | attributes_of(node)
        weight = constants[1] if given["transB"] else constants[1].T
        bias = constants[2] if len(constants) > 2 and constants[2] is not None else np.zeros(1)
        weight, bias = given["alpha"] * weight, given["beta"] * bias
    elif node.op_type == "MatMul" and constants[0] is None and constants[1] is not None and constants[1].ndim == 2:
        weight, bias = constants[1].T, np.zeros(1)
    else:
        return None
    if weight.ndim != 2 or bias.size not in {1, len(weight)}:
        return None
    following = readers(values.nodes)
    activation, output = "", node.output[0]
    for _ in range(16):
        after = following.get(output, [])
        if len(after) > 1:  # scores are an output, too
            kinds = {_ACTIVATIONS[each.op_type] for each in after if each.op_type in _ACTIVATIONS}
            activation = kinds.pop() if len(kinds) == 1 else ""
        if len(after) != 1:
            break
        (node,) = after
        terms = [values.known[name] for name in node.input if name in values.known]
        if node.op_type == "Add" and len(terms) == 1 and terms[0].size in {1, len(weight)}:
            bias = bias + terms[0].ravel()
        elif node.op_type in _ACTIVATIONS:
            activation = _ACTIVATIONS[node.op_type]
            break
        elif node.op_type not in _THROUGH:
            break
        output = node.output[0]
    bias = np.broadcast_to(bias.ravel(), (len(weight),))
    return Head(np.asarray(weight, np.float32), np.array(bias, np.float32), activation)


def one_node_model(node: Node) -> Any:
    """Makes a model of one node with its weights inside; X, sequence_lens and the initial states are inputs.

    The batch is the second axis whatever the node's layout is, because ONNX Runtime reads no other.
    """
    H, D, I = node.arrays["R"].shape[2], len(node.settings.reverse), node.arrays["W"].shape[2]
    states = ["initial_h", "initial_c"][: node.layers[0].cell.S]
    shapes: dict[str, Sequence[Any]] = {"X": ["T", "B", I], "sequence_lens": ["B"]} | {n: [D, "B", H] for n in states}
    constants = {name: array for name, array in node.arrays.items() if name in "WRBP"}
    given = [name if name in shapes or name in constants else "" for name in onnx_layer.INPUTS]
    while not given[-1]:
        given.pop()
    outputs = {"Y": ["T", D, "B", H], "Y_h": [D, "B", H], "Y_c": [D, "B", H]}
    proto = helper.make_node(node.proto.op_type, given, list(outputs)[: 1 + len(states)])
    proto.attribute.extend(attribute for attribute in node.proto.attribute if attribute.name != "layout")
    graph = helper.make_graph(
        [proto],
        "node",
        [_value(name, shape, TensorProto.INT32 if name == "sequence_lens" else 1) for name, shape in shapes.items()],
        [_value(name, outputs[name]) for name in proto.output],
        [numpy_helper.from_array(np.asarray(array, np.float32), name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)


def _value(name: str, shape: Sequence[Any], kind: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)
