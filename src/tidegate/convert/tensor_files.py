"""Files of arrays by name: safetensors of any program, and torch's checkpoints, without anything being executed."""

import json
import os
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors

from tidegate.convert.certificate import ConversionError
from tidegate.files import signatures

Array = npt.NDArray[Any]

_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}
"""What weights may consist of, by the names of safetensors; bfloat16 is read as the upper half of a float32."""

UNREAD = np.zeros(0, np.bool_)
"""Stands for a tensor of anything but such numbers: what holds it must know that it is there."""

_DEEPEST = 4


def read_safetensors(path: str | os.PathLike[str]) -> dict[str, Array]:
    """Reads the arrays of a safetensors file, those of other than real numbers as `UNREAD`.

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
        raise ConversionError(f"{name} is a model of tidegate already, which every command reads as it is")
    return {key: _array(facts) for key, facts in tensors}


def _array(facts: Mapping[str, Any]) -> Array:
    """Makes an array of what the library returns of one."""
    if facts["dtype"] == "BF16":
        bits = np.frombuffer(facts["data"], "<u2").astype(np.uint32) << 16
        return bits.view(np.float32).reshape(facts["shape"])
    if facts["dtype"] not in _DTYPES:
        return UNREAD
    return np.frombuffer(facts["data"], _DTYPES[facts["dtype"]]).reshape(facts["shape"])


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Array]:
    """Reads the tensors of a checkpoint of torch, a state_dict or one inside dictionaries, as `read_safetensors` does.

    Raises:
        OSError: The file cannot be read.
        ImportError: torch is not installed.
        ConversionError: It holds more than tensors and plain values, or several state_dicts, or is damaged.
    """
    name = os.fsdecode(path)
    _check_archive(name)
    try:
        import torch  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        raise ImportError("torch's checkpoints need torch: pip install 'tidegate[train]'") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the protocol of a pickle, whose contents are checked below
            value = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError) as error:  # torch looks for what a damaged file promises
        raise ConversionError(f"{name} is cut off or damaged: {error}") from None
    except Exception as error:  # noqa: BLE001 - torch raises what it meets
        reason = " ".join(str(error).split())
        if "weights_only" in reason or "WeightsUnpickler" in reason:
            raise ConversionError(
                f"{name} holds Python objects beside its tensors, which could run any code and are not loaded: "
                "save model.state_dict() in the program that wrote it"
            ) from None
        raise ConversionError(f"{name} is no checkpoint of torch: {reason:.200}") from None
    found = dict(_state_dicts(value, "", _DEEPEST))
    if not any("weight_ih_l0" in key for own in found.values() for key in own):
        raise ConversionError(f"{name} holds no state_dict with recurrent weights (weight_ih_l0)")
    if len(found) > 1:
        raise ConversionError(
            f"{name} holds {len(found)} state_dicts, {', '.join(found)}: save the one of the whole network alone"
        )
    (own,) = found.values()
    return {key: _numbers(tensor) for key, tensor in own.items() if isinstance(tensor, torch.Tensor)}


def _numbers(tensor: Any) -> Array:
    import torch  # noqa: PLC0415 - an extra

    if tensor.layout != torch.strided or tensor.dtype not in {
        torch.float16,
        torch.bfloat16,
        torch.float32,
        torch.float64,
    }:
        return UNREAD
    array: Array = tensor.detach().to(torch.float32 if tensor.dtype == torch.bfloat16 else tensor.dtype).numpy()
    return array


def _check_archive(name: str) -> None:
    """Checks that a zip archive, as torch writes them, is whole, and no larger inside than outside.

    Raises:
        OSError: The file cannot be read.
        ConversionError: It is not.
    """
    with open(name, "rb") as file:
        begins = signatures.name_of(file.read(512)) == signatures.ZIP
    if not zipfile.is_zipfile(name):
        if begins:
            raise ConversionError(f"{name} is cut off or damaged: it begins as a zip archive, but has no end of one")
        return
    try:
        with zipfile.ZipFile(name) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise ConversionError(f"{name} is cut off or damaged: {error}") from None
    # torch.jit.save and torch.export.save write programs beside the weights
    programs = [
        entry for entry in entries if re.search(r"(^|/)(code/|constants\.pkl$|archive_format$)", entry.filename)
    ]
    if programs:
        raise ConversionError(
            f"{name} holds a program of TorchScript or torch.export, which is not run: load it in torch and save its "
            f"state_dict(), as torch.save(torch.jit.load(file).state_dict(), other) does"
        )
    size = sum(entry.file_size for entry in entries)
    if size > os.path.getsize(name):
        raise ConversionError(f"{name} is packed: its {size:,} bytes inside are more than torch would write")


def _state_dicts(value: Any, place: str, depth: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Finds the dictionaries that hold weights, with their places, outermost first."""
    if not isinstance(value, Mapping) or not depth:
        return
    own = {key: inner for key, inner in value.items() if isinstance(key, str)}
    if any(key.rpartition(".")[2].startswith("weight_ih_l") or key.endswith("weight") for key in own):
        yield place, own
        return
    for key, inner in own.items():
        yield from _state_dicts(inner, f"{place}.{key}".removeprefix("."), depth - 1)
