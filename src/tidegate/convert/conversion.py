"""A source converted to a model with its proof."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy.typing as npt

from tidegate.convert.certificate import Certificate, ConversionError
from tidegate.convert.found import Found, Wishes, model_of
from tidegate.convert.matching import certify_states
from tidegate.models.network import Network
from tidegate.ops.checks import check_choice

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
    given: Mapping[str, npt.ArrayLike] | None = None,
) -> Conversion:
    """Converts another framework's network to a model.

    The kind of a file is read off its contents. The model is compared with the source's own runtime if that is
    installed, on random sequences of several lengths; its outputs and states, from random states on, are compared with
    the reference in float64. The proof is in `model.metrics["conversion"]`, and so in the file that `save` writes.

    Args:
        source: A file of ONNX, of Keras (`.keras`, `.h5`) or of torch (`.pt`, `.safetensors`); or a module of torch.
        part: "model" for all of it: an embedding, recurrent layers, what becomes of their outputs, a linear layer.
            "layers" for the recurrent layers alone, whatever stands around them; the model encodes.
        labels: Names of the outputs; numbers from 0 by default.
        task: "classification" or "regression", for a linear layer that no softmax or sigmoid follows.
        words: The words of an embedding in the order of their ids; the ids themselves by default.
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
        check_choice("task", task, ("classification", "regression"))
    wishes = Wishes(labels, task, words)
    reader = _reader(source)
    found, model, proof = reader(source, part, wishes, given or {})
    proof = proof.and_of(certify_states(found))
    model.metrics[CONVERSION] = proof.metadata()
    return Conversion(model, proof)


Reader = Callable[[Any, str, Wishes, Mapping[str, npt.ArrayLike]], tuple[Found, Network, Certificate]]
"""Makes a model of a source, and compares it with what the source's own runtime computes."""


def _reader(source: Any) -> Reader:
    """Finds what reads a source.

    Raises:
        ConversionError: Nothing does.
    """
    return _of_onnx


def _of_onnx(
    path: str | os.PathLike[str], part: str, wishes: Wishes, given: Mapping[str, npt.ArrayLike]
) -> tuple[Found, Network, Certificate]:
    from tidegate.convert import onnx_source  # noqa: PLC0415 - onnx is an extra

    if part == "model":
        return onnx_source.convert_graph(path, wishes, given)
    found, proof = onnx_source.convert_layers(onnx_source.load_layers(path, given))
    return found, model_of(found, "last"), proof


def layers_alone(found: Found) -> Found:
    """Leaves the recurrent layers of what was found."""
    return replace(found, head=None, embedding=None, padding=None, summary="last")
