"""A file of ONNX, read with suspicion."""

import os
from collections.abc import Iterator
from math import prod
from typing import Any

import numpy.typing as npt

from tidegate.convert.certificate import ConversionError

try:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from onnx import external_data_helper, inliner, numpy_helper
except ModuleNotFoundError as error:
    raise ImportError(f"ONNX files need {error.name}: pip install 'tidegate[convert]'") from error

Array = npt.NDArray[Any]

MOST_BYTES = 2**31
"""The largest file, as protobuf has it."""

MOST_NUMBERS = 2**28
"""The largest constant that is computed, in numbers: 1 GB of float32."""


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
