"""A graph of ONNX whose recurrent nodes run on the kernels, and all others in ONNX Runtime.

The graph is cut at its recurrent nodes. What lies between them is a graph of its own, so nothing has to be built
against ONNX Runtime.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper, shape_inference

from tidegate.convert.certificate import ConversionError
from tidegate.convert.onnx import layer as onnx_layer
from tidegate.convert.onnx.file import read
from tidegate.convert.onnx.graph import attributes_of
from tidegate.convert.onnx.settings import OPERATORS, Settings
from tidegate.convert.onnx.values import Values

Array = npt.NDArray[Any]


class Session:
    """Runs a graph as `onnxruntime.InferenceSession` does.

        session = Session("model.onnx")
        outputs = session.run(None, {"x": x})

    Recurrent nodes whose weights depend on inputs, or that stand in a branch or a loop, stay with ONNX Runtime.

    Attributes:
        inputs: Names of the inputs.
        outputs: Names of the outputs.
        recurrent: How many nodes the kernels run.
    """

    def __init__(self, path: str | os.PathLike[str], threads: int = 1) -> None:
        """Reads a file.

        Args:
            path: The file.
            threads: Those of ONNX Runtime; `tidegate.set_num_threads` sets those of the kernels.

        Raises:
            OSError: The file cannot be read.
            ImportError: ONNX Runtime is not installed.
            ConversionError: It is no file of ONNX, or a part of it cannot be loaded.
        """
        model = read(path)
        constants = {tensor.name for tensor in model.graph.initializer}
        self.inputs = [value.name for value in model.graph.input if value.name not in constants]
        self.outputs = [value.name for value in model.graph.output]
        stages = _stages(model)
        self.recurrent = sum(len(stage.recurrent) for stage in stages)
        if not self.recurrent:
            raise ConversionError("the graph has no recurrent node with constant weights outside of branches and loops")
        self._stages = [(_Part(model, stages, level, threads), stage.recurrent) for level, stage in enumerate(stages)]

    def run(self, names: Sequence[str] | None, given: Mapping[str, Array]) -> list[Array]:
        """Runs the graph.

        Args:
            names: Outputs to return; None for all.
            given: An array for each input by name.

        Raises:
            ValueError: A length or a shape of a recurrent node does not fit.
        """
        values = {"": None, **given}
        for part, recurrent in self._stages:
            part.run(values)
            for node in recurrent:
                node.run(values)
        return [np.asarray(values[name]) for name in (self.outputs if names is None else names)]


class _Recurrent:
    """A recurrent node, its weights packed once."""

    def __init__(self, proto: Any, known: Mapping[str, Array]) -> None:
        self.inputs, self.outputs = [*proto.input], [*proto.output]
        self._settings = Settings.of(proto.op_type, attributes_of(proto))
        self._arrays = {
            slot: known[name] for slot, name in zip(onnx_layer.INPUTS, proto.input, strict=False) if name in known
        }
        self._layers = onnx_layer.layers(self._settings, self._arrays)

    def run(self, values: dict[str, Any]) -> None:
        """Adds its results to the values."""
        arrays = dict(zip(onnx_layer.INPUTS, map(values.get, self.inputs), strict=False))
        found = onnx_layer.run(self._settings, arrays | self._arrays, layers_read=self._layers)
        values |= {name: array for name, array in zip(self.outputs, found, strict=False) if name}


@dataclass
class _Stage:
    """The nodes that need as many recurrent ones before them: others, and then the recurrent ones that read those."""

    others: list[Any] = field(default_factory=list)
    recurrent: list[_Recurrent] = field(default_factory=list)

    def needs(self) -> Iterator[str]:
        """Lists what its nodes read."""
        for node in self.others:
            yield from _reads(node)
        for node in self.recurrent:
            yield from node.inputs


def _stages(model: Any) -> list[_Stage]:
    known = Values(model).known
    level: dict[str, int] = {}
    stages = [_Stage()]
    for node in model.graph.node:
        own = max((level.get(name, 0) for name in _reads(node)), default=0)
        weights = [name for name in (*node.input[1:4], *node.input[7:8]) if name]
        is_cell = node.op_type in OPERATORS and node.domain in {"", "ai.onnx"}
        if is_cell and len(node.input) > 2 and all(name in known for name in weights):
            stages[own].recurrent.append(_Recurrent(node, known))
            own += 1
            if own == len(stages):
                stages.append(_Stage())
        else:
            stages[own].others.append(node)
        level |= dict.fromkeys(node.output, own)
    return stages


def _reads(node: Any) -> Iterator[str]:
    """Lists the values that a node reads, those that graphs inside it read included."""
    yield from filter(None, node.input)
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            own = {name for inner in graph.node for name in inner.output} | {value.name for value in graph.input}
            own |= {tensor.name for tensor in graph.initializer}
            yield from (name for inner in graph.node for name in _reads(inner) if name not in own)
            yield from (value.name for value in graph.output if value.name not in own)


class _Part:
    """The nodes of one stage that are not recurrent, in ONNX Runtime."""

    def __init__(self, model: Any, stages: Sequence[_Stage], level: int, threads: int) -> None:
        nodes, constants = stages[level].others, {tensor.name: tensor for tensor in model.graph.initializer}
        made = {name for node in nodes for name in node.output}
        later = {name for stage in stages[level + 1 :] for name in stage.needs()}
        later |= {value.name for value in model.graph.output}
        later |= {name for node in stages[level].recurrent for name in node.inputs}
        self._outputs = sorted(made & later - {""})
        read_here = {name for node in nodes for name in _reads(node)} - made
        self._inputs = sorted(read_here - constants.keys())
        if not self._outputs:
            return
        types = _types(model)
        graph = helper.make_graph(
            nodes,
            f"part {level}",
            [helper.make_tensor_value_info(name, types.get(name, TensorProto.FLOAT), None) for name in self._inputs],
            [helper.make_empty_tensor_value_info(name) for name in self._outputs],
            [tensor for name, tensor in constants.items() if name in read_here],
        )
        part = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
        self._session = _loaded(part, threads)

    def run(self, values: dict[str, Any]) -> None:
        """Adds its results to the values."""
        if self._outputs:
            found = self._session.run(self._outputs, {name: values[name] for name in self._inputs})
            values |= dict(zip(self._outputs, found, strict=True))


def _types(model: Any) -> dict[str, int]:
    """Returns the types of all values that can be told."""
    graph = shape_inference.infer_shapes(model).graph
    values = (*graph.input, *graph.value_info, *graph.output)
    return {value.name: value.type.tensor_type.elem_type for value in values}


def _loaded(model: Any, threads: int) -> Any:
    try:
        onnxruntime = import_module("onnxruntime")
    except ModuleNotFoundError as error:
        raise ImportError("graphs of ONNX need onnxruntime: pip install 'tidegate[convert]'") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, threads
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - it has errors of its own
        raise ConversionError(f"ONNX Runtime cannot load a part: {' '.join(str(error).split()):.300}") from None
