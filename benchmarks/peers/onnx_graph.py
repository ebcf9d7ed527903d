"""A stack of GRU layers as an ONNX graph, built by hand: what ONNX Runtime and OpenVINO both read."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from case import Array, Case, Unable

OPSET = 17


def _zrn(rows: Array, H: int) -> Array:
    """Reorders the gates of a weight or bias from torch's r, z, n to ONNX's z, r, h."""
    r, z, n = rows.reshape(3, H, *rows.shape[1:])
    return np.concatenate([z, r, n])


def _parameters(case: Case, layer: int) -> dict[str, Array]:
    """Returns W [D, 3H, I], R [D, 3H, H] and B [D, 6H] of a layer."""
    cell, found = case.cell, {}
    suffixes = (f"l{layer}", f"l{layer}_reverse")[: cell.directions]
    for name, torch_names in {"W": ["weight_ih"], "R": ["weight_hh"], "B": ["bias_ih", "bias_hh"]}.items():
        found[f"{name}{layer}"] = np.stack(
            [
                np.concatenate([_zrn(case.weights[f"{one}_{suffix}"], cell.H) for one in torch_names])
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
    direction = "bidirectional" if cell.bidirectional else "forward"
    for layer in range(cell.layers):
        constants |= _parameters(case, layer)
        last, lengths = layer == cell.layers - 1, "" if case.lengths is None else "lengths"
        arguments = [f"y{layer - 1}" if layer else "x", *(f"{name}{layer}" for name in "WRB"), lengths]
        options = {"hidden_size": cell.H, "linear_before_reset": 1, "direction": direction}
        nodes.append(helper.make_node("GRU", arguments, [f"s{layer}"], **options))
        nodes.append(helper.make_node("Transpose", [f"s{layer}"], [f"t{layer}"], perm=[0, 2, 1, 3]))
        nodes.append(helper.make_node("Reshape", [f"t{layer}", "shape"], ["y" if last else f"y{layer}"]))
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, (cell.T, cell.B, cell.directions * cell.H))]
    weights = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "gru", inputs, outputs, weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    return made.SerializeToString()


def feed(case: Case) -> dict[str, Array]:
    """Returns the inputs by name."""
    lengths = {} if case.lengths is None else {"lengths": case.lengths.astype(np.int32)}
    return {"x": case.x, **lengths}
