"""A step of streams in ONNX Runtime: the states of all rows go in and come out, as a server would keep them."""

from collections.abc import Callable

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from case import Array, Case
from peers.onnx_graph import OPERATORS, OPSET, parameters


def model(case: Case) -> bytes:
    """Returns the graph: x [1, rows, I] and the states of each layer go in, the new ones come out."""
    cell, nodes, constants, inputs, outputs = case.cell, [], {}, [], []
    shape = [1, "rows", cell.H]
    inputs.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, "rows", cell.I]))
    operator = OPERATORS[cell.network]
    for layer in range(cell.layers):
        constants |= parameters(case, layer)
        before, after = ([f"{state}{when}{layer}" for state in "hc"[: cell.states]] for when in ("_in", "_out"))
        read = f"h_out{layer - 1}" if layer else "x"
        arguments = [read, *(f"{name}{layer}" for name in "WRB"), "", *before]
        nodes.append(helper.make_node(operator.name, arguments, ["", *after], **operator.attributes(cell)))
        inputs += [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in before]
        outputs += [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in after]
    weights = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, cell.network, inputs, outputs, weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    return made.SerializeToString()


def stepper(case: Case, threads: int) -> Callable[[Array, list[Array]], list[Array]]:
    """Returns a step: of x [rows, I] and the states, L·S arrays [1, rows, H], to the new ones."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(model(case), options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]

    def step(x: Array, states: list[Array]) -> list[Array]:
        results: list[Array] = session.run(None, dict(zip(names, [x[None], *states], strict=True)))
        return results

    return step


def zeros(case: Case, rows: int) -> list[Array]:
    """Returns states to begin with."""
    return [np.zeros((1, rows, case.cell.H), np.float32) for _ in range(case.cell.layers * case.cell.states)]
