"""Weights and modules of torch as a source: what they hold, and what torch computes with them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tidegate.convert.arrays import layers_of_torch, scaled_in
from tidegate.convert.certificate import Certificate, ConversionError
from tidegate.convert.found import ACTIVATIONS, Found, Head, Layer, Wishes
from tidegate.convert.matching import Runtime, match, rows_of
from tidegate.convert.samples import sequences
from tidegate.models.network import Network
from tidegate.ops.cells import GRU, LSTM, Cell, ReluRNN, TanhRNN
from tidegate.ops.names import parameter_names
from tidegate.sequences.recurrent import Recurrent
from tidegate.torch.cells import recurrence
from tidegate.torch.modules import DropIn

Array = npt.NDArray[Any]

NAME = f"torch {torch.__version__}"

CELLS: dict[str, type[Cell]] = {"GRU": GRU, "LSTM": LSTM, "RNN_TANH": TanhRNN, "RNN_RELU": ReluRNN}
"""The cells by what torch's modules call their mode."""


def certify_layers(layers: tuple[Layer, ...]) -> Certificate:
    """Compares each layer with what torch computes with its weights, from random states on, ragged.

    Cells that torch has not run step by step on its operations.
    """
    pairs: list[tuple[str, Array, Array]] = []
    for layer in layers:
        D, bias = len(layer.directions), layer.directions[0].b_ih is not None
        names = [name for d in range(D) for name in parameter_names(0, d == 1, bias)]
        arrays = [np.asarray(w, np.float32) for weights in layer.directions for w in weights if w is not None]
        own = Recurrent(dict(zip(names, arrays, strict=True)), layer.cell)
        run = recurrence(layer.cell, [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays])
        rng = np.random.default_rng(1)
        for x in sequences(own.input_size):
            if not len(x):
                continue
            shape = (D, 1, own.hidden_size)
            h0 = rng.standard_normal((layer.cell.S, *shape)).astype(np.float32)
            y, *finals = _flat(run(torch.from_numpy(x)[:, None], None, tuple(torch.from_numpy(state) for state in h0)))
            ours, h_n = own.outputs(x[:, None], None, h0[0] if layer.cell.S == 1 else h0)
            pairs.append(("outputs", ours, y))
            pairs += [("states", o, t) for o, t in zip(h_n.reshape(-1, *shape), finals, strict=True)]
    return Certificate.of(pairs, f"layers rebuilt in {NAME} from the same weights")


def _flat(value: Any) -> list[Array]:
    """Lists the tensors in nested tuples, as arrays."""
    if isinstance(value, torch.Tensor):
        return [value.detach().numpy()]
    if isinstance(value, Mapping):
        value = [*value.values()]
    return [array for inner in value for array in _flat(inner)] if isinstance(value, list | tuple) else []


def convert_module(
    module: torch.nn.Module, wishes: Wishes, summary: str | None = None
) -> tuple[Found, Network, Certificate]:
    """Converts a whole module that holds an embedding, recurrent layers and a linear layer.

    Its `forward` is called with a batch of one sequence, ids or vectors, in evaluation mode. What becomes of the
    outputs, and whether a softmax or a sigmoid follows, is found by comparing.

    Raises:
        ConversionError: It has other parts, or no model computes the same.
    """
    found, batch_first = found_in_module(module)
    found = replace(found, summary=summary)
    training = {each: each.training for each in module.modules()}
    module.eval()
    failures: list[ConversionError] = []
    try:
        for candidate, runtime in _ways(module, found, batch_first):
            try:
                return candidate, *match(candidate, runtime, wishes)
            except ConversionError as error:
                failures.append(error)
    finally:
        for each, mode in training.items():
            each.training = mode
    raise failures[0]


def found_in_module(module: torch.nn.Module) -> tuple[Found, bool]:
    """Reads the parts of a module in the order of their definition, and whether the batch is the first axis.

    Raises:
        ConversionError: There is no recurrent layer, or several embeddings or linear layers.
    """
    parts = [*module.modules()]
    stacks = [part for part in parts if isinstance(part, torch.nn.RNNBase)]
    tables = [part for part in parts if isinstance(part, torch.nn.Embedding)]
    heads = [part for part in parts if isinstance(part, torch.nn.Linear)]
    if not stacks:
        raise ConversionError(f"{type(module).__name__} holds no GRU, LSTM or RNN of torch")
    for what, some in (("embeddings", tables), ("linear layers", heads)):
        if len(some) > 1:
            raise ConversionError(
                f"{type(module).__name__} holds {len(some)} {what}, expected one; its recurrent layers alone can be "
                "converted (part='layers')"
            )
    layers = tuple(layer for part in stacks for layer in layers_of_torch(_arrays(part), cell_of(part)))
    head = None
    if heads:
        weight = heads[0].weight.detach().numpy()
        bias = np.zeros(len(weight), np.float32) if heads[0].bias is None else heads[0].bias.detach().numpy()
        head = Head(weight, bias)
    embedding = tables[0].weight.detach().numpy() if tables else None
    scaled = scaled_in(_arrays(module), layers)
    return Found(layers, head, embedding=embedding, scaled=scaled), bool(stacks[0].batch_first)


def cell_of(module: torch.nn.RNNBase) -> Cell:
    """Returns the cell of a module of torch, or of one of this library's."""
    if isinstance(module, DropIn):
        return module.cell
    return CELLS[module.mode]()


def _arrays(module: torch.nn.Module) -> dict[str, Array]:
    return {name: tensor.detach().float().numpy() for name, tensor in module.state_dict().items()}


def _ways(module: torch.nn.Module, found: Found, batch_first: bool) -> Iterator[tuple[Found, Runtime]]:
    """Lists the ways in which a module may be meant: which result it returns, and what it does with the scores."""
    width = len(found.head.weight) if found.head else sum(w.w_hh.shape[1] for w in found.layers[-1].directions)
    results = len(_flat(_call(module, _example(found), batch_first)))
    for place, activation in product(range(results), ACTIVATIONS if found.head else ("",)):
        head = None if found.head is None else found.head._replace(activation=activation)
        yield replace(found, head=head), Runtime(NAME, _run(module, place, batch_first, width))


def _example(found: Found) -> Array:
    return np.zeros(3, np.int64) if found.embedding is not None else np.zeros((3, found.input_size), np.float32)


def _run(module: torch.nn.Module, place: int, batch_first: bool, width: int) -> Callable[[Array], Array | None]:
    def run(sequence: Array) -> Array | None:
        if not len(sequence):  # torch's layers refuse it
            return None
        found = _flat(_call(module, sequence, batch_first))
        return rows_of(found[place], len(sequence), width) if place < len(found) else None

    return run


def _call(module: torch.nn.Module, sequence: Array, batch_first: bool) -> Any:
    """Calls a module with one sequence; with its length too, if it asks for that.

    Raises:
        ConversionError: It cannot be called so.
    """
    x = torch.from_numpy(np.ascontiguousarray(sequence))
    x = x[None] if batch_first else x[:, None]
    with torch.no_grad():
        try:
            try:
                return module(x)
            except TypeError:
                return module(x, torch.tensor([len(sequence)]))
        except Exception as error:  # noqa: BLE001 - the module is the user's
            raise ConversionError(
                f"{type(module).__name__} cannot be called with a batch of one sequence {tuple(x.shape)}, nor with its "
                f"length besides: {' '.join(str(error).split()):.200}"
            ) from None
