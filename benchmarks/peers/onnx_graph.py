"""A stack of layers as an ONNX graph, built by hand: what ONNX Runtime and OpenVINO both read."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from case import Array, Case, Unable
from grid import Cell

OPSET = 17


class Operator(NamedTuple):
    """How ONNX has a network.

    Attributes:
        name: Of the operator.
        order: Where each gate of ONNX stands among torch's.
        options: Attributes of its nodes that say the same for both directions.
        activation: The one of an RNN.
    """

    name: str
    order: tuple[int, ...]
    options: Mapping[str, int] = MappingProxyType({})
    activation: str = ""

    def attributes(self, cell: Cell) -> dict[str, Any]:
        """Returns the attributes of a layer's node."""
        direction = "bidirectional" if cell.bidirectional else "forward"
        activations = {"activations": [self.activation] * cell.directions} if self.activation else {}
        return {"hidden_size": cell.H, "direction": direction} | activations | dict(self.options)


OPERATORS = {
    "gru": Operator("GRU", (1, 0, 2), {"linear_before_reset": 1}),  # z, r, h
    "lstm": Operator("LSTM", (0, 3, 1, 2)),  # i, o, f, c
    "rnn_tanh": Operator("RNN", (0,), activation="Tanh"),
    "rnn_relu": Operator("RNN", (0,), activation="Relu"),
}


def _reordered(rows: Array, cell: Cell) -> Array:
    """Reorders the gates of a weight or bias from torch's order to that of ONNX."""
    gates = rows.reshape(cell.gates, cell.H, *rows.shape[1:])
    return np.concatenate([gates[place] for place in OPERATORS[cell.network].order])


def parameters(case: Case, layer: int) -> dict[str, Array]:
    """Returns W [D, G·H, I], R [D, G·H, H] and B [D, 2·G·H] of a layer."""
    cell, found = case.cell, {}
    suffixes = (f"l{layer}", f"l{layer}_reverse")[: cell.directions]
    for name, torch_names in {"W": ["weight_ih"], "R": ["weight_hh"], "B": ["bias_ih", "bias_hh"]}.items():
        found[f"{name}{layer}"] = np.stack(
            [
                np.concatenate([_reordered(case.weights[f"{one}_{suffix}"], cell) for one in torch_names])
                for suffix in suffixes
            ]
        )
    return found


def model(case: Case) -> bytes:
    """Returns the graph: inputs x [T, B, I], lengths int32 [B] if the rows are ragged; output y [T, B, D·H].

    Raises:
        Unable: The case has episodes, which ONNX does not know.
    """
    if case.episode_starts is not None:
        raise Unable("ONNX has no episodes")
    cell, nodes = case.cell, []
    constants = {"shape": np.array([cell.T, cell.B, cell.directions * cell.H])}
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, case.x.shape)]
    if case.lengths is not None:
        inputs.append(helper.make_tensor_value_info("lengths", TensorProto.INT32, case.lengths.shape))
    operator = OPERATORS[cell.network]
    for layer in range(cell.layers):
        constants |= parameters(case, layer)
        last, lengths = layer == cell.layers - 1, "" if case.lengths is None else "lengths"
        arguments = [f"y{layer - 1}" if layer else "x", *(f"{name}{layer}" for name in "WRB"), lengths]
        nodes.append(helper.make_node(operator.name, arguments, [f"s{layer}"], **operator.attributes(cell)))
        nodes.append(helper.make_node("Transpose", [f"s{layer}"], [f"t{layer}"], perm=[0, 2, 1, 3]))
        nodes.append(helper.make_node("Reshape", [f"t{layer}", "shape"], ["y" if last else f"y{layer}"]))
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, (cell.T, cell.B, cell.directions * cell.H))]
    weights = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, cell.network, inputs, outputs, weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    return made.SerializeToString()


def feed(case: Case) -> dict[str, Array]:
    """Returns the inputs by name."""
    lengths = {} if case.lengths is None else {"lengths": case.lengths.astype(np.int32)}
    return {"x": case.x, **lengths}
