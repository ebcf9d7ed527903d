"""Models read from files."""

import os
from typing import TypeVar, overload

import numpy as np

from tidegate.models.architecture import Architecture, CheckedArrays
from tidegate.models.config import NetworkConfig, TextConfig
from tidegate.models.file import TOKENIZER, reading
from tidegate.models.metadata import parse_object
from tidegate.models.network import Network
from tidegate.models.rules import read_tokenizer
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
        kind: What the file must hold: `TextModel` for a model that reads texts.

    Returns:
        The model: a `TextModel` if the file holds a tokenizer, otherwise a `Network`.

    Raises:
        OSError: There is no such file, or it may not be read.
        ModelFileError: The file is no model of this kind, or it is truncated, edited or too large; a ValueError.
    """
    with reading(path) as contents:
        texts = contents.metadata
        reads_texts = TOKENIZER in texts
        if issubclass(kind, TextModel) and not reads_texts:
            raise ValueError("it holds a network that reads vectors, expected a model that reads texts")
        config: Architecture = (TextConfig if reads_texts else NetworkConfig).from_json(texts["config"])
        # Arrays of these shapes that take no memory: the file's own are read only when they fit.
        config.check_arrays({name: np.broadcast_to(np.float32(0), shape) for name, shape in contents.shapes.items()})
        tokenizer = read_tokenizer(texts[TOKENIZER], config.vocab_size) if isinstance(config, TextConfig) else None
        arrays = CheckedArrays(config, contents.arrays())
        facts = [parse_object(name, texts[name]) for name in ("metrics", "versions")]
        if tokenizer and isinstance(config, TextConfig):
            return TextModel(config, tokenizer, arrays, *facts)
        return Network(config, arrays, *facts)
