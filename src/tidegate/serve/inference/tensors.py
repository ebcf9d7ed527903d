"""Tensors of the Open Inference Protocol: as JSON, and as bytes behind it.

The protocol: https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol, its binary extension:
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from math import prod
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from tidegate.serve.refusals import Refusal

DTYPES: dict[str, np.dtype[Any]] = {"FP32": np.dtype("<f4"), "INT32": np.dtype("<i4"), "INT64": np.dtype("<i8")}
BYTES = "BYTES"
SIZE = "binary_data_size"
_GAPPY = (int, float, type(None))


class InputTensor(BaseModel):
    """A tensor of a request: its elements in `data`, or behind the JSON if `binary_data_size` is a parameter."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": True})

    name: str
    shape: list[Annotated[int, Field(ge=0, lt=2**63)]] = Field(max_length=8)
    datatype: str
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None


def decode(tensor: InputTensor, binary: memoryview | None) -> npt.NDArray[Any] | list[str]:
    """Returns the numbers of a tensor in its shape, or its texts one after another.

    Raises:
        Refusal: The datatype is unknown, or there are more or fewer elements than the shape says, or others.
    """
    if tensor.datatype != BYTES and tensor.datatype not in DTYPES:
        expected = ", ".join([BYTES, *DTYPES])
        raise _wrong(tensor, f"has the datatype {tensor.datatype!r:.40}, expected one of {expected}")
    if tensor.datatype == BYTES:
        texts = list(_flat(tensor) if binary is None else _split(tensor, binary))
        _check(tensor, len(texts))
        return texts
    dtype = DTYPES[tensor.datatype]
    if binary is None:
        array = _numbers(tensor, dtype)
    elif len(binary) % dtype.itemsize:
        raise _wrong(tensor, f"has {len(binary)} bytes, expected {dtype.itemsize} for each element")
    else:
        array = np.frombuffer(binary, dtype)
    _check(tensor, array.size)
    try:
        return array.reshape(tensor.shape)
    except (ValueError, OverflowError):  # without elements an axis may be of any length
        raise _wrong(tensor, f"has the shape {tensor.shape!s:.80}, expected axes that an array can have") from None


def encode(datatype: str, values: Sequence[Any] | npt.NDArray[Any], binary: bool) -> tuple[list[Any], bytes]:
    """Returns the data of a tensor of an answer: for its JSON, or as bytes; the other one is empty."""
    if datatype == BYTES:
        if not binary:
            return list(values), b""
        encoded = [str(value).encode() for value in values]
        return [], b"".join(len(each).to_bytes(4, "little") + each for each in encoded)
    array = np.ascontiguousarray(values, DTYPES[datatype])
    return ([], array.tobytes()) if binary else (array.ravel().tolist(), b"")


def _numbers(tensor: InputTensor, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Makes an array of numbers in JSON, flat or nested as the shape; null among them is NaN."""
    try:
        array = np.asarray(tensor.data or [])
    except ValueError:
        raise _wrong(tensor, "has lists of different lengths, expected numbers in its shape") from None
    if dtype.kind == "f" and array.dtype == object and all(type(each) in _GAPPY for each in array.flat):
        with suppress(OverflowError):  # it stays without a type, and is refused
            array = array.astype(np.float64)  # null is missing, NaN
    kinds = "iu" if dtype.kind == "i" else "iuf"
    if array.size and array.dtype.kind not in kinds:
        raise _wrong(tensor, f"has data that are no numbers of the datatype {tensor.datatype}")
    if dtype.kind == "i" and array.size and not np.can_cast(dtype, array.dtype):
        limits = np.iinfo(dtype)
        if array.min() < limits.min or array.max() > limits.max:
            raise _wrong(tensor, f"has numbers beyond {tensor.datatype}")
    with np.errstate(over="ignore"):
        return array.astype(dtype)


def _flat(tensor: InputTensor) -> Iterator[str]:
    """Yields the texts of nested lists in order."""
    remaining: list[Any] = [iter(tensor.data or [])]
    while remaining:
        for value in remaining[-1]:
            if isinstance(value, list) and len(remaining) < 8:
                remaining.append(iter(value))
                break
            if not isinstance(value, str):
                raise _wrong(tensor, f"has {value!r:.40} in its data, expected texts")
            yield value
        else:
            remaining.pop()


def _split(tensor: InputTensor, binary: memoryview) -> Iterator[str]:
    """Yields the texts of bytes: each has its length before it, in 4 bytes, little-endian."""
    start = 0
    while start < len(binary):
        size = int.from_bytes(binary[start : start + 4], "little")
        start, end = start + 4, start + 4 + size
        if end > len(binary):
            raise _wrong(tensor, f"ends within a text: it has {len(binary)} bytes, expected {end}")
        try:
            yield str(binary[start:end], "utf-8")
        except UnicodeDecodeError as error:
            raise _wrong(tensor, f"has a text that is not UTF-8: {error.reason}") from None
        start = end


def _check(tensor: InputTensor, size: int) -> None:
    if size != prod(tensor.shape):
        raise _wrong(tensor, f"has {size} elements, expected {prod(tensor.shape)} for its shape {tensor.shape}")


def _wrong(tensor: InputTensor, what: str) -> Refusal:
    return Refusal(400, f"the input {tensor.name!r:.80} {what}")
