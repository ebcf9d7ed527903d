"""A file of ONNX, read with suspicion, and the values in its graph that do not depend on inputs."""

import os
from collections.abc import Iterable, Iterator, Mapping
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.convert.certificate import ConversionError

try:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from onnx import external_data_helper, inliner, numpy_helper
    from onnx.reference import ReferenceEvaluator
except ModuleNotFoundError as error:
    raise ImportError(f"ONNX files need {error.name}: pip install 'tidegate[convert]'") from error

Array = npt.NDArray[Any]

MOST_BYTES = 2**31
"""The largest file, as protobuf has it."""

MOST_NUMBERS = 2**28
"""The largest constant that is computed, in numbers: 1 GB of float32."""

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


def read(path: str | os.PathLike[str]) -> Any:
    """Reads a model, a `ModelProto`, with its external data.

    Raises:
        OSError: The file or its external data cannot be read.
        ConversionError: It is no file of ONNX, or its external data is outside its folder or shorter than it says.
    """
    name = os.fsdecode(path)
    if os.path.getsize(name) > MOST_BYTES:
        raise ConversionError(f"{name} has {os.path.getsize(name):,} bytes, more than a file of ONNX can have")
    with open(name, "rb") as file:
        data = file.read()
    try:
        model = onnx.load_model_from_string(data)
    except (DecodeError, ValueError, RecursionError):
        raise ConversionError(f"{name} is no file of ONNX: protobuf does not read it") from None
    if not model.graph.node:
        raise ConversionError(f"{name} is no file of ONNX: it has no node")
    folder = os.path.dirname(os.path.abspath(name))
    outside = [tensor for tensor in _tensors(model) if external_data_helper.uses_external_data(tensor)]
    for tensor in outside:
        _check_external(tensor, folder)
    try:
        for tensor in outside:
            external_data_helper.load_external_data_for_tensor(tensor, folder)
            tensor.data_location = onnx.TensorProto.DEFAULT  # which onnx does itself from 1.23.2 on
            del tensor.external_data[:]
        return inliner.inline_local_functions(model) if model.functions else model
    except (ValueError, RuntimeError, onnx.checker.ValidationError) as error:
        raise ConversionError(f"{name}: {' '.join(str(error).split())[:300]}") from None


def _tensors(model: Any) -> Iterator[Any]:
    """Lists all tensors of a model, those of nodes and of graphs inside included."""
    graphs = [model.graph]
    while graphs:
        graph = graphs.pop()
        yield from graph.initializer
        for attribute in (attribute for node in graph.node for attribute in node.attribute):
            yield from [attribute.t, *attribute.tensors]
            graphs += [inner for inner in (attribute.g, *attribute.graphs) if inner.node]


def _check_external(tensor: Any, folder: str) -> None:
    """Checks that the numbers of a tensor are in a file of the same folder or below, and that it is long enough.

    Raises:
        ConversionError: They are not.
    """
    facts = {entry.key: entry.value for entry in tensor.external_data}
    place, who = facts.get("location", ""), f"the external data of {tensor.name!r:.60}"
    real = os.path.realpath(os.path.join(folder, place))
    if not place or os.path.isabs(place) or not real.startswith(os.path.realpath(folder) + os.sep):
        raise ConversionError(f"{who} is at {place!r:.100}, outside the folder of the model")
    if not os.path.isfile(real):
        raise ConversionError(f"{who} is missing: there is no file {place!r:.100} beside the model")
    try:
        offset, length = (int(facts.get(key) or 0) for key in ("offset", "length"))
    except ValueError:
        raise ConversionError(f"{who} has no numbers for offset and length") from None
    if offset < 0 or length < 0 or offset + length > os.path.getsize(real):
        raise ConversionError(f"{who} ends at byte {offset + length}, but the file has {os.path.getsize(real)}")


def array_of(tensor: Any) -> Array:
    """Returns the numbers of a tensor.

    Raises:
        ConversionError: They are not as many as its shape says, or of no type that numpy knows.
    """
    size = prod(tensor.dims)
    if min(tensor.dims, default=1) < 0 or size > MOST_NUMBERS:
        raise ConversionError(f"the tensor {tensor.name!r:.60} has the shape {list(tensor.dims)!s:.60}")
    try:
        array: Array = numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError) as error:
        raise ConversionError(f"the tensor {tensor.name!r:.60} is damaged: {error!s:.100}") from None
    if array.shape != tuple(tensor.dims):
        raise ConversionError(f"the tensor {tensor.name!r:.60} has {array.size} numbers, expected {size}")
    return array


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
            if not node.output or len(node.input) < _FEWEST_INPUTS.get(node.op_type, 0):
                found = f"{len(node.input)} inputs and {len(node.output)} outputs"
                raise ConversionError(f"a node ({node.op_type}) has {found}: the file is damaged")
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
            self.nodes.append(onnx.helper.make_node("Identity", [inner], [outer]))

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
