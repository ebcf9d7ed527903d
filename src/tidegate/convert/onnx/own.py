"""A file of ONNX that this library wrote: its metadata say what the model is, its graph holds the weights."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tidegate.convert import own
from tidegate.convert.arrays import SCALE
from tidegate.convert.certificate import ConversionError
from tidegate.convert.found import Found, Wishes, stack
from tidegate.convert.onnx.compared import Pair, compared, states_of
from tidegate.convert.onnx.values import Values
from tidegate.convert.onnx.writer import PRODUCER
from tidegate.models.config import TextConfig
from tidegate.models.network import Network


def own_texts(proto: Any) -> dict[str, str]:
    """Returns what the metadata of a file say of the model; nothing if this library did not write it."""
    texts = {entry.key: entry.value for entry in proto.metadata_props}
    return texts if proto.producer_name == PRODUCER and "config" in texts else {}


def own_model(texts: dict[str, str], found: Found, values: Values, wishes: Wishes) -> Network:
    """Makes the model again.

    Args:
        texts: The metadata.
        found: What its graph holds.
        values: The constants of the graph.
        wishes: What the user says, which must be what the file says, but for the labels.

    Raises:
        ConversionError: The metadata are damaged, do not fit the graph, or say something else than the user; or the
            graph holds n-grams, which are not read.
    """
    with own.fitting("its graph"):
        config = own.config_of(texts, wishes)
        if isinstance(config, TextConfig) and config.ngrams:
            raise ConversionError("the file holds n-grams, which are not read from ONNX: keep the model's own file")
        cell, weights, _ = stack(found)
        # A gate that is off is written as one that its bias holds: the cell is the one that the graph has.
        config = replace(config, cell=str(cell), bias="bias_ih_l0" in weights)
        arrays = {f"rnn.{name}": array for name, array in weights.items()}
        if found.head is not None:
            arrays |= {"head.weight": found.head.weight, "head.bias": found.head.bias}
        if found.embedding is not None:
            arrays["embedding.weight"] = found.embedding
        arrays |= {name: values.known[name] for name in SCALE if name in values.known}
        return own.made(config, texts, arrays, wishes)


def own_pairs(run: Callable[..., Any], proto: Any, model: Network) -> list[Pair]:
    """Computes all that the model and its file give for ragged batches: probabilities, scores, vectors.

    Raises:
        ConversionError: The file does not give what such a model does.
    """
    states = states_of(proto.graph)
    has = {output.name for output in proto.graph.output} - {f"next_{name}" for name in states}
    gives = {
        "probabilities": model.config.aim.has_probabilities,
        "scores": model.config.has_head,
        "vectors": model.config.summary_size > 0,
    }
    if has != {name for name, given in gives.items() if given}:
        raise ConversionError(
            f"the file gives {', '.join(sorted(has)):.80}, which is not what its metadata say, {model.config.task}"
        )
    try:
        return [*compared(run, model, states)]
    except ConversionError:
        raise
    except Exception as error:  # noqa: BLE001 - runtimes have errors of their own
        raise ConversionError(f"the file cannot be run: {' '.join(str(error).split()):.300}") from None
