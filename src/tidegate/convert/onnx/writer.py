"""A graph of ONNX as it is written: nodes, one after the other, and the constants that they read."""

from collections.abc import Sequence
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

try:
    import onnx
    from onnx import helper, numpy_helper
except ModuleNotFoundError as error:
    raise ImportError(f"ONNX files need {error.name}: pip install 'tidegate[convert]'") from error

OPSET, IR_VERSION = 18, 8
"""Of the files that are written: ONNX Runtime 1.14 and later read them."""

PRODUCER = "tidegate"
"""Who wrote a file, as it says."""


class Graph:
    """Nodes and constants; values are known by their names.

    Example:
        >>> graph = Graph()
        >>> graph.input("x", np.float32, ["rows", 3])
        'x'
        >>> graph.output("doubled", graph("Add", "x", "x"), np.float32, ["rows", 3])
        >>> [node.op_type for node in graph.model({}).graph.node]
        ['Add', 'Identity']
    """

    def __init__(self, prefix: str = "") -> None:
        """Begins an empty graph.

        Args:
            prefix: What the names of its values begin with; one of its own for a graph inside another.
        """
        self._prefix, self._numbers = prefix, count()
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def __call__(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node with one output, and returns its name; "" stands for an input that is left out."""
        [name] = self.several(operator, 1, *inputs, **attributes)
        return name

    def several(self, operator: str, outputs: int, *inputs: str, **attributes: Any) -> list[str]:
        """Adds a node with so many outputs."""
        names = [f"{self._prefix}{operator.lower()}_{next(self._numbers)}" for _ in range(outputs)]
        self._nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names

    def constant(self, value: npt.ArrayLike, dtype: npt.DTypeLike, name: str | None = None) -> str:
        """Adds a constant."""
        name = name or f"{self._prefix}constant_{next(self._numbers)}"
        self._constants.append(numpy_helper.from_array(np.array(value, dtype), name))
        return name

    def input(self, name: str, dtype: npt.DTypeLike, shape: Sequence[str | int] | None) -> str:
        """Adds an input of the graph; sizes that change are letters or words."""
        self._inputs.append(_described(name, dtype, shape))
        return name

    def output(self, name: str, value: str, dtype: npt.DTypeLike, shape: Sequence[str | int] | None) -> None:
        """Makes a value an output of the graph."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(_described(name, dtype, shape))

    def scan(self, body: "Graph", states: Sequence[str], steps: Sequence[str]) -> list[str]:
        """Adds a loop over the first axis of some values.

        Args:
            body: Its inputs are the states, then a step of each value; its outputs the new states, then results. It may
                read values of this graph.
            states: Those before the first step.
            steps: The values that are walked along.

        Returns:
            The last states, then all results.
        """
        graph = body._graph("body")  # noqa: SLF001 - of its own class
        return self.several("Scan", len(graph.output), *states, *steps, body=graph, num_scan_inputs=len(steps))

    def model(self, metadata: dict[str, str]) -> Any:
        """Returns the model, checked by onnx.

        Raises:
            ValueError: It is larger than a file of ONNX can be.
        """
        try:
            opsets = [helper.make_opsetid("", OPSET)]
            model = helper.make_model(
                self._graph(PRODUCER), opset_imports=opsets, ir_version=IR_VERSION, producer_name=PRODUCER
            )
            helper.set_model_props(model, metadata)
            onnx.checker.check_model(model, full_check=True)
        except (onnx.checker.ValidationError, ValueError) as error:
            if sum(len(constant.raw_data) for constant in self._constants) < 2**31:
                raise
            raise ValueError("the weights take more than the 2 GB that a file of ONNX may have") from error
        return model

    def _graph(self, name: str) -> Any:
        """Puts together what the outputs need, and nothing else."""
        needed, nodes = {output.name for output in self._outputs}, []
        for node in reversed(self._nodes):
            if needed.intersection(node.output):
                nodes.append(node)
                needed.update(node.input)
                inner = (attribute.g.node for attribute in node.attribute)  # reads values of this graph too
                needed.update(name for body in inner for step in body for name in step.input)
        constants = [constant for constant in self._constants if constant.name in needed]
        return helper.make_graph(nodes[::-1], name, self._inputs, self._outputs, constants)


def _described(name: str, dtype: npt.DTypeLike, shape: Sequence[str | int] | None) -> Any:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
