"""A model's weights as a `state_dict` of PyTorch, and the module that loads it."""

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy.typing as npt

from tidegate.convert.certificate import Certificate
from tidegate.convert.samples import batches_for, expanded, padded, results_of
from tidegate.convert.torch.code import torch_code
from tidegate.files.writing import replacing
from tidegate.models.files.metadata import format_object
from tidegate.models.files.model_file import FORMAT, write
from tidegate.models.network import Network
from tidegate.models.text_model import TextModel

SUFFIXES = (".pt", ".safetensors")

EXPORT = "export"
"""The name under which the metrics of an exported model hold its certificate."""


@dataclass(frozen=True)
class TorchFile:
    """A file of weights for PyTorch.

    Attributes:
        code: A Python program with the class `Model`, whose `load_state_dict` takes them.
        certificate: How `Model` was compared with the model; None where PyTorch is not installed.
    """

    code: str
    certificate: Certificate | None


def to_torch(model: Network, path: str | os.PathLike[str]) -> TorchFile:
    """Writes a model's weights for PyTorch, and compares a module that has loaded them with the model.

    The names and numbers are those of `model.arrays`; weights in fewer bits are written as the float32 numbers that
    they stand for. A .safetensors is a model file too, which `tidegate.load` reads: it says what the model is. A .pt
    holds weights alone, so cell, summary, task, labels and words are lost.

    Args:
        model: The model; it must have no n-grams.
        path: Where to write the file, which ends in .pt or .safetensors; an old one is replaced.

    Raises:
        ImportError: The file is a .pt, and PyTorch is not installed.
        OSError: The file cannot be written.
        ValueError: The model has n-grams, the suffix is another, or the results differ by more than 1e-5; nothing is
            written.
    """
    suffix = os.path.splitext(os.fsdecode(path))[1].lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"the file is {os.fsdecode(path)!r:.80}, expected one that ends in {' or '.join(SUFFIXES)}")
    if isinstance(model, TextModel) and model.ngrams is not None:
        raise ValueError(
            "this model has n-grams, of which PyTorch has no layer: export one without them, as "
            "`tidegate train --parts network` makes"
        )
    model, torch = expanded(model), _torch(needed=suffix == ".pt")
    certificate = Certificate.of(compared(torch, model), f"torch {torch.__version__}") if torch else None
    if suffix == ".pt":
        with replacing(path) as file:
            file.write(_checkpoint(torch, model))
    else:
        metrics = model.metrics | ({EXPORT: certificate.metadata()} if certificate else {})
        write(path, model.arrays, model.metadata() | {"metrics": format_object(metrics), FORMAT: "pt"})
    return TorchFile(torch_code(model), certificate)


def _torch(*, needed: bool) -> Any:
    """Returns PyTorch, or None if it is not installed and not needed."""
    try:
        import torch  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        if needed:
            raise ImportError("a .pt file needs PyTorch: pip install 'tidegate[train]', or use .safetensors") from error
        return None
    return torch


def _checkpoint(torch: Any, model: Network) -> bytes:
    file = io.BytesIO()
    torch.save({name: torch.from_numpy(array.copy()) for name, array in model.arrays.items()}, file)
    return file.getvalue()


def compared(torch: Any, model: Network) -> Iterator[tuple[str, npt.NDArray[Any], npt.NDArray[Any]]]:
    """Yields results of a model, and those of the module that loads its weights."""
    program = ModuleType("model")
    exec(compile(torch_code(model), "model.py", "exec"), program.__dict__)  # noqa: S102 - our own, without a text of the model's
    module = program.Model().eval()
    module.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in model.arrays.items()})
    name = "scores" if model.config.has_head else "vectors"
    for sequences in batches_for(model):
        x, lengths = (torch.from_numpy(array) for array in padded(sequences, 0))
        with torch.no_grad():
            yield name, results_of(model, sequences)[name], module(x, lengths).numpy()
