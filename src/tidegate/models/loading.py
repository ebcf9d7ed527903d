"""Models read from files."""

import os
from collections.abc import Mapping
from typing import TypeVar, overload

import numpy as np

from tidegate.models.architecture import Architecture, CheckedArrays
from tidegate.models.config import NetworkConfig, SequenceConfig, TextConfig
from tidegate.models.files.metadata import parse_object
from tidegate.models.files.model_file import TOKENIZER, reading
from tidegate.models.files.rules import read_tokenizer
from tidegate.models.network import Network
from tidegate.models.sequence_model import SequenceModel
from tidegate.models.text_model import TextModel

M = TypeVar("M", bound=Network)


@overload
def load(path: str | os.PathLike[str]) -> Network: ...
@overload
def load(path: str | os.PathLike[str], kind: type[M]) -> M: ...
def load(path: str | os.PathLike[str], kind: type[Network] = Network) -> Network:
    """Reads a model that `Network.save` wrote; nothing in the file is executed.

    Args:
        path: A safetensors file.
        kind: What the file must hold: `TextModel` for a model that reads texts, `SequenceModel` for one that reads
            sequences of numbers as they are measured.

    Returns:
        The model, as it was saved: a `TextModel`, a `SequenceModel` or a plain `Network`.

    Raises:
        OSError: There is no such file, or it may not be read.
        ModelFileError: The file is no model of this kind, or it is truncated, edited or too large; a ValueError.
    """
    with reading(path) as contents:
        texts = contents.metadata
        found, configured = kind_of(texts)
        if kind not in found.__mro__:
            raise ValueError(f"it holds {found.described}, expected {kind.described}")
        config = configured.from_json(texts["config"])
        # Arrays of these shapes that take no memory: the file's own are read only when they fit.
        config.check_arrays({name: np.broadcast_to(np.float32(0), shape) for name, shape in contents.shapes.items()})
        tokenizer = read_tokenizer(texts[TOKENIZER], config.vocab_size) if isinstance(config, TextConfig) else None
        arrays = CheckedArrays(config, contents.arrays())
        facts = [parse_object(name, texts[name]) for name in ("metrics", "versions")]
        if tokenizer and isinstance(config, TextConfig):
            model: Network = TextModel(config, tokenizer, arrays, *facts)
        else:
            model = found(config, arrays, *facts)
        model.sha256 = texts["sha256"]
        return model


def kind_of(texts: Mapping[str, str]) -> tuple[type[Network], type[Architecture]]:
    """Tells from the metadata of a file which model it holds, and which configuration that has."""
    if TOKENIZER in texts:
        return TextModel, TextConfig
    if "features" in parse_object("config", texts["config"]):
        return SequenceModel, SequenceConfig
    return Network, NetworkConfig
