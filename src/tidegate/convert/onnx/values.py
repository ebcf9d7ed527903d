"""The values in a graph of ONNX that do not depend on its inputs, computed, and the nodes that are left."""

from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import helper
from onnx.reference import ReferenceEvaluator

from tidegate.convert.certificate import ConversionError
from tidegate.convert.onnx.file import MOST_NUMBERS, array_of

Array = npt.NDArray[Any]

FOLDED = frozenset(
    [
        "Add",
        "Cast",
        "Concat",
        "Constant",
        "ConstantOfShape",
        "DequantizeLinear",
        "Div",
        "Equal",
        "Expand",
        "Flatten",
        "Gather",
        "Identity",
        "Mul",
        "Neg",
        "Not",
        "Reshape",
        "Shape",
        "Slice",
        "Split",
        "Sqrt",
        "Squeeze",
        "Sub",
        "Transpose",
        "Unsqueeze",
        "Where",
    ]
)
"""The operators of which constants are computed; none grows without a shape that is looked at first."""

_MOST_NODES = 200_000
_DEEPEST = 16
_FEWEST_INPUTS = {"MatMul": 2, "Gemm": 2, "Gather": 2, "RNN": 3, "GRU": 3, "LSTM": 3}


class Values:
    """The nodes of a graph in order, and the constants that they read.

    The branch of an `If` that is taken is part of the graph; both are where that depends on inputs.

    Attributes:
        nodes: The nodes that are no constants.
        known: The constants by name.
    """

    def __init__(self, model: Any, given: Mapping[str, npt.ArrayLike] | None = None) -> None:
        """Computes what can be computed.

        Args:
            model: A `ModelProto`.
            given: Inputs of the graph that are taken for constants, by name.

        Raises:
            ConversionError: A tensor or a node is damaged, or there are too many nodes.
        """
        self.nodes: list[Any] = []
        self.known: dict[str, Array] = {name: np.asarray(value) for name, value in (given or {}).items()}
        self._opsets = {opset.domain: opset.version for opset in model.opset_import} or {"": 22}
        self._count = 0
        self._read(model.graph, 0)

    def _read(self, graph: Any, depth: int) -> None:
        self.known |= {tensor.name: array_of(tensor) for tensor in graph.initializer}
        for node in graph.node:
            self._count += 1
            if self._count > _MOST_NODES or depth > _DEEPEST:
                raise ConversionError(f"the graph has more than {_MOST_NODES} nodes, or graphs in graphs in graphs")
            if not any(node.output) or len(node.input) < _FEWEST_INPUTS.get(node.op_type, 0):
                found = f"{len(node.input)} inputs and {sum(map(bool, node.output))} outputs"
                raise ConversionError(
                    f"the node {node.name!r:.60} ({node.op_type!s:.60}) has {found}: the file is damaged"
                )
            if node.op_type == "If":
                for branch in self._branches(node):
                    self._read(branch, depth + 1)
                    for inner, outer in zip(branch.output, node.output, strict=False):
                        self._rename(inner.name, outer)
            elif not self._fold(node):
                self.nodes.append(node)

    def _branches(self, node: Any) -> list[Any]:
        """Returns the branch of an `If` that is taken, or both if that depends on inputs."""
        known = self.known.get(node.input[0]) if node.input else None
        taken = ("then_branch", "else_branch") if known is None else ("then_branch" if known.any() else "else_branch",)
        return [attribute.g for attribute in node.attribute if attribute.name in taken]

    def _rename(self, inner: str, outer: str) -> None:
        """Makes a value of a branch known by the name that it has outside; of two branches it is no constant."""
        if inner in self.known and outer not in self.known:
            self.known[outer] = self.known[inner]
        else:
            self.known.pop(outer, None)
            self.nodes.append(helper.make_node("Identity", [inner], [outer]))

    def _fold(self, node: Any) -> bool:
        """Computes a node that reads constants only, and says whether that was done."""
        names = [name for name in node.input if name]
        if node.op_type not in FOLDED or node.domain not in {"", "ai.onnx"}:
            return False
        if any(name not in self.known for name in names):
            return False
        inputs = {name: self.known[name] for name in names}
        if _largest(node.op_type, [*inputs.values()]) > MOST_NUMBERS:
            raise ConversionError(f"the node {node.name!r:.60} makes a constant of more than {MOST_NUMBERS:,} numbers")
        try:
            found = ReferenceEvaluator(node, opsets=self._opsets).run(None, inputs)
        except Exception as error:  # noqa: BLE001 - onnx raises all kinds
            raise ConversionError(
                f"the constant of the node {node.name!r:.60} ({node.op_type}) cannot be computed: {error!s:.200}"
            ) from None
        self.known |= dict(zip(node.output, map(np.asarray, found), strict=False))
        return True


def _largest(operator: str, inputs: list[Array]) -> int:
    """Returns about how many numbers a node makes."""
    if operator in {"ConstantOfShape", "Expand"}:
        return prod(int(size) for size in inputs[-1].ravel()[:64])
    if operator == "Gather":
        return inputs[0].size // max(1, min(inputs[0].shape, default=1)) * inputs[1].size
    if operator in {"Add", "Sub", "Mul", "Div", "Equal", "Where", "DequantizeLinear"}:
        try:
            return prod(np.broadcast_shapes(*(array.shape for array in inputs)))
        except ValueError:
            return 0  # the node itself will say so
    return sum(array.size for array in inputs)


def readers(nodes: Iterable[Any]) -> dict[str, list[Any]]:
    """Lists the nodes that read each value."""
    found: dict[str, list[Any]] = {}
    for node in nodes:
        for name in node.input:
            found.setdefault(name, []).append(node)
    return found


def sources(nodes: Iterable[Any], name: str) -> set[str]:
    """Lists all values that a value is computed of, itself included."""
    inputs: dict[str, list[str]] = {}
    for node in nodes:
        for output in node.output:
            inputs.setdefault(output, []).extend(node.input)
    found, pending = set[str](), [name]
    while pending:
        value = pending.pop()
        if value not in found:
            found.add(value)
            pending += inputs.get(value, [])
    return found
