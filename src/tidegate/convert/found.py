"""What was found in a source, in this library's order of weights, and the model that is made of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.convert.certificate import ConversionError
from tidegate.convert.words import text_parts
from tidegate.models.config import NetworkConfig, SequenceConfig, TextConfig
from tidegate.models.network import Network
from tidegate.models.sequence_model import SequenceModel
from tidegate.models.text_model import TextModel
from tidegate.ops.cells import Cell
from tidegate.ops.layouts import Weights
from tidegate.ops.names import parameter_names

Array = npt.NDArray[Any]

ACTIVATIONS = ("", "softmax", "log_softmax", "sigmoid")
"""What may follow a head."""


class Layer(NamedTuple):
    """One recurrent layer of a source.

    Attributes:
        cell: Its cell.
        forward: Its weights forward; None for a layer that walks backwards alone.
        reverse: Its weights backwards, or None.
    """

    cell: Cell
    forward: Weights | None
    reverse: Weights | None = None

    @property
    def directions(self) -> tuple[Weights, ...]:
        """The weights of each direction that it has."""
        return tuple(weights for weights in (self.forward, self.reverse) if weights is not None)


class Head(NamedTuple):
    """A linear layer after the summary: weight [C, F], bias [C], and one of `ACTIVATIONS`."""

    weight: Array
    bias: Array
    activation: str = ""


@dataclass(frozen=True)
class Found:
    """A network as a source holds it.

    Attributes:
        layers: The recurrent layers, from the input on.
        head: What reads the summary, or None.
        summary: What becomes of the outputs; None if the source does not say.
        embedding: The vectors of ids [V, E]; None for a network that reads vectors.
        padding: The id whose steps are left out; None without one.
        every: Whether the head is applied to every step: "last" is the summary then.
        scaled: What is taken from each number of a step, and what the rest is divided by, [I] each; None where numbers
            are read as they are.
        assumed: What the source does not say and was not found by comparing, a line each.
    """

    layers: tuple[Layer, ...]
    head: Head | None = None
    summary: str | None = None
    embedding: Array | None = None
    padding: int | None = None
    every: bool = False
    scaled: tuple[Array, Array] | None = None
    assumed: tuple[str, ...] = ()

    @property
    def input_size(self) -> int:
        """I of the first layer."""
        return int(self.layers[0].directions[0].w_ih.shape[1])


def stack(found: Found) -> tuple[Cell, dict[str, Array], npt.NDArray[np.intp]]:
    """Makes one stack of layers that may differ in width, directions and biases.

    All layers of a stack have the same sizes, so narrower ones get units whose weights are 0. Such a unit stays 0
    whatever it reads, in every cell, and nothing reads it.

    Returns:
        The cell, the weights by torch's names, float32, and the places of the last layer's real outputs among the D·H.

    Raises:
        ConversionError: The layers have different cells, or do not fit each other.
    """
    cells = dict.fromkeys(layer.cell for layer in found.layers)
    if len(cells) != 1:
        raise ConversionError(
            f"the layers have the cells {', '.join(str(cell) or cell.title for cell in cells)}, expected one"
        )
    (cell,) = cells
    every = [weights for layer in found.layers for weights in layer.directions]
    H = max(weights.w_hh.shape[1] for weights in every)
    both = any(layer.reverse is not None for layer in found.layers)
    bias = any(weights.b_ih is not None for weights in every)
    width = found.input_size
    places, inputs = np.arange(width), width
    result: dict[str, Array] = {}
    for index, layer in enumerate(found.layers):
        outputs: list[npt.NDArray[np.intp]] = []
        for d, weights in enumerate((layer.forward, layer.reverse)[: 1 + both]):
            if weights is not None:
                if weights.w_ih.shape[1] != len(places):
                    raise ConversionError(
                        f"layer {index} reads {weights.w_ih.shape[1]} numbers, but what comes before has {len(places)}"
                    )
                outputs.append(d * H + np.arange(weights.w_hh.shape[1]))
            arrays = _widened(cell, weights, H, places, inputs)
            result |= dict(zip(parameter_names(index, d == 1, bias), arrays, strict=False))
        places, inputs = np.concatenate(outputs), (1 + both) * H
    return cell, result, places


def _widened(
    cell: Cell, weights: Weights | None, H: int, places: npt.NDArray[np.intp], inputs: int
) -> tuple[Array, Array, Array, Array]:
    """Returns the weights of H units, float32, that read some of the numbers before them."""
    G = cell.G
    w_ih, w_hh = np.zeros((G, H, inputs), np.float32), np.zeros((G, H, H), np.float32)
    biases = np.zeros((2, G, H), np.float32)
    if weights is not None:
        h = weights.w_hh.shape[1]
        w_ih[:, :h, places] = weights.w_ih.reshape(G, h, -1)
        w_hh[:, :h, :h] = weights.w_hh.reshape(G, h, h)
        for own, bias in zip(biases, weights[2:], strict=True):
            if bias is not None:
                own[:, :h] = bias.reshape(G, h)
    return w_ih.reshape(G * H, inputs), w_hh.reshape(G * H, H), biases[0].ravel(), biases[1].ravel()


@dataclass(frozen=True)
class Wishes:
    """What the user says of a model that its source does not.

    Attributes:
        labels: Names of the outputs; numbers from 0 by default.
        task: "classification", "multi-label" or "regression", for a head that no activation follows.
        words: The words of an embedding in the order of their ids; the ids themselves by default.
    """

    labels: Sequence[str] | None = None
    task: str | None = None
    words: Sequence[str] | None = None


def model_of(found: Found, summary: str, wishes: Wishes = Wishes()) -> Network:
    """Makes a model.

    Args:
        found: What was found.
        summary: What becomes of the outputs.
        wishes: What the source does not say.

    Returns:
        A `TextModel` if there is an embedding, a `SequenceModel` if numbers are scaled, else a `Network`; without a
        head it encodes.

    Raises:
        ConversionError: No model of this library has such layers, or such a head.
        ValueError: A wish is wrong.
    """
    cell, weights, places = stack(found)
    arrays: dict[str, Array] = {f"rnn.{name}": array for name, array in weights.items()}
    D, H = 1 + ("weight_ih_l0_reverse" in weights), weights["weight_hh_l0"].shape[1]
    parts = summary.count("+") + 1
    size = parts * D * H
    columns = np.concatenate([part * D * H + places for part in range(parts)])
    head, task = found.head, "encoding"
    labels: tuple[str, ...] = ()
    if head is not None:
        weight, bias = _rows(head)
        if weight.shape[1] != len(columns):
            raise ConversionError(f"the head reads {weight.shape[1]} numbers, but the summary has {len(columns)}")
        arrays["head.weight"] = np.zeros((len(weight), size), np.float32)
        arrays["head.weight"][:, columns] = weight
        arrays["head.bias"] = bias.astype(np.float32)
        task = _task(head, wishes)
        labels = tuple(map(str, range(len(weight)) if wishes.labels is None else wishes.labels))
    elif len(columns) != size:
        raise ConversionError(
            "the layers differ in units or directions, which takes units that stay 0; without a head they would show: "
            "convert the layers one by one"
        )
    facts: dict[str, Any] = {
        "cell": str(cell),
        "labels": labels,
        "hidden_size": H,
        "num_layers": len(found.layers),
        "bidirectional": D == 2,
        "bias": "bias_ih_l0" in weights,
        "summary": summary,
        "task": task,
    }
    if found.scaled is not None:
        arrays |= {f"features.{name}": array for name, array in zip(("center", "scale"), found.scaled, strict=True)}
        return SequenceModel(SequenceConfig(features=found.input_size, **facts), arrays)
    if found.embedding is None:
        return Network(NetworkConfig(input_size=found.input_size, **facts), arrays)
    tokenizer, table = text_parts(found.embedding, wishes.words, found.padding)
    config = TextConfig(vocab_size=len(tokenizer), embedding_size=table.shape[1], **facts)
    return TextModel(config, tokenizer, arrays | {"embedding.weight": table})


def _rows(head: Head) -> tuple[Array, Array]:
    """Returns weight and bias of a head that computes what the source does, a sigmoid of one score as two classes.

    Raises:
        ConversionError: Something else follows.
    """
    if head.activation not in ACTIVATIONS:
        raise ConversionError(f"the head ends in {head.activation!r}, expected softmax, sigmoid or nothing")
    if head.activation != "sigmoid":
        return head.weight, head.bias
    if len(head.weight) > 1:  # a label each
        return head.weight, head.bias
    return np.vstack([np.zeros_like(head.weight), head.weight]), np.concatenate(
        [[0], head.bias]
    )  # σ(s) = softmax(0, s)


def _task(head: Head, wishes: Wishes) -> str:
    if head.activation == "sigmoid" and len(head.weight) > 1:
        return "multi-label"
    if head.activation:
        return "classification"
    return wishes.task or ("classification" if len(head.weight) > 1 else "regression")
