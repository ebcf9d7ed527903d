"""What a file that this library wrote for another program says itself of the model: its metadata."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from tidegate.convert.certificate import REFERENCE, Certificate, ConversionError
from tidegate.convert.found import Found, Wishes, model_of
from tidegate.convert.matching import certify_states
from tidegate.convert.torch.state_dict import Said, layers_alone
from tidegate.models.config import NetworkConfig, SequenceConfig, TextConfig
from tidegate.models.files.rules import read_tokenizer
from tidegate.models.loading import kind_of
from tidegate.models.network import Network
from tidegate.models.sequence_model import SequenceModel
from tidegate.models.text_model import TextModel

Config = NetworkConfig | SequenceConfig | TextConfig


def metadata(model: Network) -> dict[str, str]:
    """Returns what a file of another program says of a model: its configuration, labels and tokenizer, as JSON."""
    texts = {"config": model.config.to_json(), "labels": json.dumps(list(model.labels), ensure_ascii=False)}
    return texts | ({"tokenizer": model.tokenizer.to_json()} if model.tokenizer else {})


@contextmanager
def fitting(what: str) -> Iterator[None]:
    """Turns errors about metadata into those of a conversion.

    Args:
        what: What they should fit, such as "its graph".

    Raises:
        ConversionError: They do not.
    """
    try:
        yield
    except ConversionError:
        raise
    except (ValueError, TypeError, KeyError) as error:
        raise ConversionError(f"the metadata of the file do not fit {what}: {error}") from None


def config_of(texts: Mapping[str, str], wishes: Wishes) -> Config:
    """Reads the configuration of a model, with the labels that the user says.

    Raises:
        ValueError: It is none, or the user says of its task something else.
    """
    _, configured = kind_of(texts)
    config = cast("Config", configured.from_json(texts["config"]))
    if wishes.task not in {None, config.task}:
        raise ConversionError(f"task is {wishes.task!r}, but the file holds a model for {config.task}")
    return config if wishes.labels is None else replace(config, labels=tuple(map(str, wishes.labels)))


def made(config: Config, texts: Mapping[str, str], arrays: Mapping[str, npt.NDArray[Any]], wishes: Wishes) -> Network:
    """Makes the model again.

    Args:
        config: Its configuration.
        texts: The metadata.
        arrays: Its arrays by name.
        wishes: What the user says, which must be what the file says.

    Raises:
        ValueError: The arrays do not fit, or the file holds other words than those that are given.
    """
    numbers = {name: np.asarray(array, np.float32) for name, array in arrays.items()}
    if isinstance(config, TextConfig):
        model = TextModel(config, read_tokenizer(texts["tokenizer"], config.vocab_size), numbers)
        if wishes.words is not None and [*wishes.words] != model.tokenizer.vocab:
            raise ConversionError("the file holds its vocabulary, and the words that are given are others")
        return model
    return SequenceModel(config, numbers) if isinstance(config, SequenceConfig) else Network(config, numbers)


def found_of(model: Network) -> Found:
    """Returns the recurrent layers of a model; none of one that averages or compounds."""
    if model.stack is None:
        return Found((), summary=model.summary)
    return layers_alone(model.arrays, Said(model.config.cell, model.summary))


def part_of(part: str, model: Network, found: Found) -> Network:
    """Returns the model, or one of its recurrent layers alone, "layers".

    Raises:
        ConversionError: It has none.
    """
    if part == "model":
        return model
    if not found.layers:
        raise ConversionError(f"the file holds a model without recurrent layers: {model!r}")
    return model_of(found, model.summary)


def arithmetic_alone(found: Found, missing: str) -> Certificate:
    """Proves a model by the reference alone.

    Args:
        found: Its layers.
        missing: Why its program was not asked.

    Raises:
        ConversionError: It has no recurrent layers, so nothing can be compared.
    """
    if not found.layers:
        raise ConversionError(f"nothing of a model without recurrent layers can be compared: {missing}")
    return replace(certify_states(found), against=f"{REFERENCE} alone", missing=missing)
