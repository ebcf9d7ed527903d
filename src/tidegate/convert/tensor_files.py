"""Files of arrays by name: safetensors of any program, and torch's checkpoints, without anything being executed."""

import json
import os
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors

from tidegate.convert.certificate import ConversionError

Array = npt.NDArray[Any]

_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}
"""What weights may consist of, by the names of safetensors; bfloat16 is read as the upper half of a float32."""

_DEEPEST = 4


def read_safetensors(path: str | os.PathLike[str]) -> dict[str, Array]:
    """Reads the arrays of real numbers of a safetensors file.

    Raises:
        OSError: The file cannot be read.
        ConversionError: It is damaged, or a model of this library.
    """
    with open(path, "rb") as file:
        data = file.read()
    name = os.fsdecode(path)
    try:
        tensors = safetensors.deserialize(data)  # type: ignore[no-untyped-call]
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    except (safetensors.SafetensorError, ValueError, RecursionError) as error:
        raise ConversionError(f"{name} is no safetensors file: {error}") from None
    if "tidegate" in header.get("__metadata__", {}):
        raise ConversionError(f"{name} is a model of tidegate already")
    return {key: _array(facts) for key, facts in tensors if facts["dtype"] in {*_DTYPES, "BF16"}}


def _array(facts: Mapping[str, Any]) -> Array:
    """Makes an array of what the library returns of one."""
    if facts["dtype"] == "BF16":
        bits = np.frombuffer(facts["data"], "<u2").astype(np.uint32) << 16
        return bits.view(np.float32).reshape(facts["shape"])
    return np.frombuffer(facts["data"], _DTYPES[facts["dtype"]]).reshape(facts["shape"])


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Array]:
    """Reads the tensors of a checkpoint of torch: a state_dict, or one inside dictionaries.

    Raises:
        OSError: The file cannot be read.
        ImportError: torch is not installed.
        ConversionError: It holds more than tensors and plain values, or is damaged.
    """
    try:
        import torch  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        raise ImportError("torch's checkpoints need torch: pip install 'tidegate[train]'") from None
    name = os.fsdecode(path)
    _check_archive(name)
    try:
        value = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - torch raises what it meets
        reason = " ".join(str(error).split())
        if "weights_only" in reason or "WeightsUnpickler" in reason:
            raise ConversionError(
                f"{name} holds Python objects beside its tensors, which could run any code and are not loaded: "
                "save model.state_dict() in the program that wrote it"
            ) from None
        raise ConversionError(f"{name} is no checkpoint of torch: {reason:.200}") from None
    found = _state_dict(value, _DEEPEST)
    if found is None:
        raise ConversionError(f"{name} holds no state_dict with recurrent weights (weight_ih_l0)")
    return {
        key: tensor.detach().to(torch.float32 if tensor.dtype == torch.bfloat16 else tensor.dtype).numpy()
        for key, tensor in found.items()
        if isinstance(tensor, torch.Tensor) and tensor.is_floating_point() and tensor.layout == torch.strided
    }


def _check_archive(name: str) -> None:
    """Checks that a zip archive, as torch writes them, is no larger inside than outside.

    Raises:
        ConversionError: It is.
    """
    if not zipfile.is_zipfile(name):
        return
    try:
        with zipfile.ZipFile(name) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise ConversionError(f"{name} is a damaged zip archive: {error}") from None
    if size > os.path.getsize(name):
        raise ConversionError(f"{name} is packed: its {size:,} bytes inside are more than torch would write")


def _state_dict(value: Any, depth: int) -> Mapping[str, Any] | None:
    """Finds the state_dict: the first dictionary with recurrent weights."""
    if not isinstance(value, Mapping) or not depth:
        return None
    if any(isinstance(key, str) and "weight_ih_l0" in key for key in value):
        return {key: inner for key, inner in value.items() if isinstance(key, str)}
    return next((found for inner in value.values() if (found := _state_dict(inner, depth - 1)) is not None), None)
