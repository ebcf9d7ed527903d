"""A source converted to a model with its proof."""

import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.convert import own, rnnoise
from tidegate.convert.certificate import Certificate, ConversionError
from tidegate.convert.found import Found, Wishes, model_of
from tidegate.convert.matching import certify_states, match, reference_runtime
from tidegate.convert.tensor_files import read_checkpoint, read_safetensors
from tidegate.convert.to_torch import compared
from tidegate.convert.torch.state_dict import Said, found_in_torch, layers_alone
from tidegate.files import signatures
from tidegate.models.files.model_file import FORMAT, ModelFileError, metadata_of
from tidegate.models.loading import load
from tidegate.models.network import Network
from tidegate.ops.checks import check_choice
from tidegate.text.tokenizer import PAD, UNK

CONVERSION = "conversion"
"""The name under which the metrics of a model hold its certificate."""

PARTS = ("model", "layers")
"""What can be taken of a source: all of it, or its recurrent layers alone."""


class Conversion(NamedTuple):
    """A model, and the proof that it computes what its source computes."""

    model: Network
    certificate: Certificate


def convert(
    source: Any,
    *,
    part: str = "model",
    labels: Sequence[str] | None = None,
    task: str | None = None,
    words: Sequence[str] | None = None,
    cell: str | None = None,
    summary: str | None = None,
    given: Mapping[str, npt.ArrayLike] | None = None,
) -> Conversion:
    """Converts another framework's network to a model.

    The kind of a file is read off its contents. The model is compared with the source's own runtime if that is
    installed, on random sequences of several lengths; its outputs and states, from random states on, are compared with
    the reference in float64. Without that runtime the proof is one of arithmetic alone, as `Certificate.missing` says.
    The proof is in `model.metrics["conversion"]`, and so in the file that `save` writes; what a source of weights alone
    does not say is assumed, and listed there as "assumed".

    Args:
        source: A file of ONNX, of Keras (`.keras`, `.h5`), of torch (`.pt`, `.safetensors`) or of RNNoise
            (`weights_blob.bin`); a module of torch; or arrays by torch's names. A file that this library exported says
            itself what the model is, but for a .pt.
        part: "model" for all of it: an embedding, recurrent layers, what becomes of their outputs, a linear layer.
            "layers" for the recurrent layers alone, whatever stands around them; the model encodes.
        labels: Names of the outputs; numbers from 0 by default.
        task: "classification", "multi-label" or "regression", for a linear layer that no softmax or sigmoid follows;
            else several outputs are classes, and one is a number. Of arrays alone with one output, "classification"
            says that a sigmoid follows.
        words: The words of an embedding in the order of their ids; the ids themselves by default.
        cell: Of arrays alone, the cell, such as "rnn_relu"; by default torch's standard one with as many blocks.
        summary: What becomes of the outputs, where the source does not say and nothing could tell: "last" by default
            for arrays alone.
        given: Inputs of an ONNX graph that are the same in every call, by name.

    Returns:
        The model, a `TextModel` if there is an embedding, and its certificate.

    Raises:
        OSError: A file cannot be read.
        ImportError: What reads such a file is not installed.
        ConversionError: The source is damaged, or no model has its parts, or the results differ; a ValueError.
    """
    check_choice("part", part, PARTS)
    if task is not None:
        check_choice("task", task, ("classification", "multi-label", "regression"))
    asked = Asked(part, Wishes(labels, task, words), cell, summary, dict(given or {}))
    found, model, proof = _reader(source)(source, asked)
    proof = proof.and_of(certify_states(found)) if found.layers else proof
    assumed = [*found.assumed, *_assumed_words(found, model)]
    model.metrics[CONVERSION] = proof.metadata() | ({"assumed": assumed} if assumed else {})
    return Conversion(model, proof)


def _assumed_words(found: Found, model: Network) -> Iterator[str]:
    """Says that texts are not read as its source reads them, where a model's words are ids."""
    if found.embedding is None or not model.tokenizer:
        return
    if {*model.tokenizer.vocab} <= {PAD, UNK, *map(str, range(len(found.embedding)))}:
        yield 'the words are the ids, as in "3 14 15": plain texts need the vocabulary (words=, --vocabulary)'


@dataclass(frozen=True)
class Asked:
    """What `convert` was asked, see there."""

    part: str
    wishes: Wishes
    cell: str | None
    summary: str | None
    given: Mapping[str, npt.ArrayLike]


_NO_TORCH = "not compared with torch, which is not installed: pip install torch"

Made = tuple[Found, Network, Certificate]


def _reader(source: Any) -> Callable[[Any, Asked], Made]:
    """Finds what reads a source.

    Raises:
        OSError: A file cannot be read.
        ConversionError: Nothing does.
    """
    if isinstance(source, Mapping):
        return _of_arrays
    if not isinstance(source, str | os.PathLike):
        if any(base.__module__.startswith("torch.nn.") for base in type(source).__mro__):
            return _of_module
        raise TypeError(f"source is of type {type(source).__name__}, expected a path, a module of torch, or arrays")
    with open(source, "rb") as file:
        start = file.read(512)
    if start.startswith(rnnoise.MAGIC):
        return _of_rnnoise
    name = signatures.name_of(start)
    if name == signatures.SAFETENSORS:
        return _of_exported if FORMAT in metadata_of(source) else _of_safetensors
    if name == signatures.HDF5:
        return _of_keras
    if name == signatures.ZIP:
        return _of_keras if _has_member(source, "config.json") else _of_checkpoint
    if name == signatures.PICKLE:
        return _of_checkpoint
    if name is not None or signatures.name_of_text(start):
        what = name or signatures.name_of_text(start)
        raise ConversionError(f"{os.fsdecode(source)} is {what}, expected a file of ONNX, Keras or torch")
    if expected := _EXPECTED.get(os.path.splitext(os.fsdecode(source))[1].lower()):
        raise ConversionError(f"{os.fsdecode(source)} does not begin as its suffix says, expected {expected}")
    return _of_onnx


_CHECKPOINT = "a checkpoint of torch, such as torch.save(model.state_dict(), file) writes"
_EXPECTED = {
    **dict.fromkeys((".pt", ".pth", ".ckpt"), _CHECKPOINT),
    ".safetensors": "a safetensors file",
    ".keras": "a file of Keras",
    ".h5": "a file of Keras",
}
"""What the files are that end so; those of ONNX cannot be told from others by how they begin."""


def _has_member(path: str | os.PathLike[str], name: str) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return name in archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return False


def _of_onnx(path: str | os.PathLike[str], asked: Asked) -> Made:
    from tidegate.convert.onnx import source as onnx_source  # noqa: PLC0415 - onnx is an extra

    if asked.part == "model":
        return onnx_source.convert_graph(path, asked.wishes, asked.given)
    found, proof = onnx_source.convert_layers(onnx_source.load_layers(path, asked.given))
    return found, model_of(found, "last"), proof


def _of_rnnoise(path: str | os.PathLike[str], asked: Asked) -> Made:
    if asked.part == "model":
        raise ConversionError(
            f"{os.fsdecode(path)} is a network of RNNoise, with convolutions before its layers and outputs that read "
            "all of them: its recurrent layers alone can be converted (part='layers')"
        )
    found = rnnoise.found_in_rnnoise(rnnoise.read_weights(path))
    return found, *match(found, reference_runtime(found, "not compared with RNNoise's own program"), asked.wishes)


def _of_keras(path: str | os.PathLike[str], asked: Asked) -> Made:
    from tidegate.convert.keras.source import convert_keras  # noqa: PLC0415 - h5py is an extra

    return convert_keras(path, asked.part, asked.wishes)


def _of_checkpoint(path: str | os.PathLike[str], asked: Asked) -> Made:
    return _of_arrays(read_checkpoint(path), asked)


def _of_safetensors(path: str | os.PathLike[str], asked: Asked) -> Made:
    return _of_arrays(read_safetensors(path), asked)


def _of_exported(path: str | os.PathLike[str], asked: Asked) -> Made:
    """Reads a model that was exported for PyTorch, whose file says itself what it is, and compares it with torch."""
    try:
        stored = load(path)
    except ModelFileError as error:
        raise ConversionError(str(error)) from None
    with own.fitting("its arrays"):
        said = {"cell": asked.cell, "summary": asked.summary}
        if wrong := [name for name, value in said.items() if value not in {None, getattr(stored.config, name)}]:
            raise ConversionError(f"{wrong[0]} is {said[wrong[0]]!r}, but the file says otherwise: {stored!r}")
        texts = stored.metadata()
        model = own.made(own.config_of(texts, asked.wishes), texts, stored.arrays, asked.wishes)
    found = own.found_of(model)
    if find_spec("torch") is None:
        proof = own.arithmetic_alone(found, _NO_TORCH)
    else:
        import torch  # noqa: PLC0415 - an extra

        proof = Certificate.of(compared(torch, model), f"torch {torch.__version__}")
    return found, own.part_of(asked.part, model, found), proof


def _of_arrays(arrays: Mapping[str, Any], asked: Asked) -> Made:
    """Makes a model of arrays by torch's names, and compares its layers with torch's."""
    given = {name: np.asarray(array) for name, array in arrays.items()}
    read = layers_alone if asked.part == "layers" else found_in_torch
    found = read(given, Said(asked.cell, asked.summary, asked.wishes.task))
    missing = _NO_TORCH if find_spec("torch") is None else ""
    model, proof = match(found, reference_runtime(found, missing), asked.wishes)
    if not missing:
        from tidegate.convert.torch.source import certify_layers  # noqa: PLC0415 - torch is an extra

        proof = certify_layers(found.layers).and_of(proof)
    return found, model, proof


def _of_module(module: Any, asked: Asked) -> Made:
    from tidegate.convert.torch.source import cell_of, convert_module  # noqa: PLC0415 - torch is an extra

    stacks = {name: each for name, each in module.named_modules() if hasattr(each, "flatten_parameters")}
    if asked.part == "layers" or [*stacks.values()] == [module]:
        arrays = {
            f"{stack}.{name}".removeprefix("."): tensor.detach().cpu()
            for stack, each in stacks.items()
            for name, tensor in each.state_dict().items()
        }
        cells = {str(cell_of(each)) for each in stacks.values()}
        if len(cells) > 1:
            raise ConversionError(f"the module has the cells {', '.join(sorted(cells))}, expected one")
        return _of_arrays(arrays, replace(asked, part="layers", cell=next(iter(cells), None)))
    return convert_module(module, asked.wishes, asked.summary)
