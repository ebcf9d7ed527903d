"""What a state_dict of torch holds: every tensor has a place in the model, or is an error."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.convert.arrays import SCALE, layers_of_torch, scaled_in, stacks_of_torch
from tidegate.convert.certificate import ConversionError
from tidegate.convert.found import Found, Head, Layer
from tidegate.ops.cells import TanhRNN

Array = npt.NDArray[Any]

_LAYERS_ALONE = "the recurrent layers alone can be converted (part='layers', --part layers)"
_MOST_NAMES = 8


@dataclass(frozen=True)
class Said:
    """What the user says of weights alone; None where nothing is said.

    Attributes:
        cell: The cell; else torch's standard one with as many blocks.
        summary: What becomes of the outputs; else "last".
        task: "classification", "multi-label" or "regression"; else by the number of outputs.
    """

    cell: str | None = None
    summary: str | None = None
    task: str | None = None


def found_in_torch(arrays: Mapping[str, Array], said: Said = Said()) -> Found:
    """Reads what a state_dict holds: an embedding, the layers of one recurrent module, and a linear layer as a head.

    An embedding is a matrix without bias as wide as the first layer's input, a head one as wide as the summary.

    Args:
        arrays: The arrays by name.
        said: What the user says of them.

    Raises:
        ConversionError: There are no recurrent weights, or those of several modules, or several matrices could be the
            embedding or the head, or an array is left over.
    """
    stacks = stacks_of_torch(arrays)
    if len(stacks) > 1:
        raise ConversionError(
            f"there are recurrent weights of {len(stacks)} modules, {_listed(_name(prefix) for prefix in stacks)}, and "
            f"nothing says what reads what: convert the module of torch itself; {_LAYERS_ALONE}, one reading the other"
        )
    layers = layers_of_torch(arrays, said.cell)
    table, matrix = _matrices(arrays, layers, said.summary or "last")
    scaled = scaled_in(arrays, layers)
    used = {prefix + name for prefix, own in stacks.items() for name in own} | {table, matrix, _bias(matrix)}
    used |= set(SCALE if scaled else ())
    if left := [name for name in arrays if name not in used]:
        raise ConversionError(
            f"{_listed(left)} would be left out: a model is an embedding, recurrent layers and a linear layer, and no "
            f"part of it computes with {'this' if len(left) == 1 else 'these'}; {_LAYERS_ALONE}"
        )
    head = None
    if matrix:
        weight = arrays[matrix]
        # A class of two has one score, of which torch's programs take the sigmoid.
        sigmoid = len(weight) == 1 and said.task == "classification"
        bias = arrays.get(_bias(matrix), np.zeros(len(weight), weight.dtype))
        head = Head(weight, bias, "sigmoid" if sigmoid else "")
    assumed = (*_assumed_of_layers(layers, said), *_assumed_around(arrays, table, matrix, said))
    return Found(layers, head, said.summary or "last", arrays.get(table), scaled=scaled, assumed=assumed)


def layers_alone(arrays: Mapping[str, Array], said: Said = Said()) -> Found:
    """Reads the recurrent layers of a state_dict, whatever else it holds; of several modules one reads the other.

    Args:
        arrays: The arrays by name.
        said: What the user says of them.

    Raises:
        ConversionError: As `layers_of_torch`.
    """
    layers, modules = layers_of_torch(arrays, said.cell), [*map(_name, stacks_of_torch(arrays))]
    order = [f"{later} reads the outputs of {first}" for first, later in itertools.pairwise(modules)]
    return Found(layers, summary=said.summary or "last", assumed=(*order, *_assumed_of_layers(layers, said)))


def _matrices(arrays: Mapping[str, Array], layers: tuple[Layer, ...], summary: str) -> tuple[str, str]:
    """Returns the names of the embedding and of the head's weight, "" where there is none.

    Raises:
        ConversionError: Several could be one of them.
    """
    size = sum(weights.w_hh.shape[1] for weights in layers[-1].directions) * (summary.count("+") + 1)
    width = layers[0].directions[0].w_ih.shape[1]
    matrices = {n: a for n, a in arrays.items() if a.ndim == 2 and a.dtype.kind == "f" and n.endswith("weight")}
    with_bias = {n: a for n, a in matrices.items() if _bias(n) in arrays}
    tables = {n: a for n, a in matrices.items() if n not in with_bias and a.shape[1] == width}
    heads = {n: a for n, a in matrices.items() if n not in tables and a.shape[1] == size} or with_bias
    for what, some in (("an embedding", tables), ("a head", heads)):
        if len(some) > 1:
            raise ConversionError(f"{_listed(some)} could each be {what}: {_LAYERS_ALONE}")
    return next(iter(tables), ""), next(iter(heads), "")


def _assumed_of_layers(layers: tuple[Layer, ...], said: Said) -> Iterator[str]:
    if said.cell is None and isinstance(layers[0].cell, TanhRNN):
        yield "the RNN is one of tanh; --cell rnn_relu says otherwise"
    if said.summary is None:
        yield "what follows the layers reads their last states; --summary mean, max or mean+max says otherwise"


def _assumed_around(arrays: Mapping[str, Array], table: str, matrix: str, said: Said) -> Iterator[str]:
    if table:
        yield f"{table} is an embedding, of {len(arrays[table])} ids"
    if matrix and said.task is None:
        count = len(arrays[matrix])
        meant = (
            "the output is a number; --task classification says that it is the score of a sigmoid"
            if count == 1
            else f"the {count} outputs are scores of classes, for a softmax; "
            "--task regression or multi-label says otherwise"
        )
        yield f"{matrix}: {meant}"
    yield "nothing without weights of its own, such as a relu, stands before, between or behind the layers"


def _bias(weight: str) -> str:
    return weight.removesuffix("weight") + "bias" if weight else ""


def _name(prefix: str) -> str:
    return prefix.removesuffix(".") or "the one without a name"


def _listed(names: Iterable[str]) -> str:
    """Lists names: "a, b and c", and how many more there are of many."""
    every = [*names]
    if len(every) > _MOST_NAMES:
        every[_MOST_NAMES:] = [f"{len(every) - _MOST_NAMES} more"]
    return " and ".join(filter(None, (", ".join(every[:-1]), every[-1])))
