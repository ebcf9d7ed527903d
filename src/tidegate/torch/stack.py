"""The layers of a module, one after another, over an input of any form that torch's modules take."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from tidegate.torch.cells import State, States, as_hx, as_states
from tidegate.torch.function import DirectLayers, joined
from tidegate.torch.operation import OperationLayers
from tidegate.torch.trace import TorchLayers

Input = Tensor | PackedSequence
Layers = DirectLayers | OperationLayers | TorchLayers


def run_stack(
    module: Any,
    data: Input,
    hx: State | None,
    weights: Sequence[Tensor],
    layers: Layers,
    table: Tensor | None = None,
) -> tuple[Input, State]:
    """Runs all layers of a module.

    Args:
        module: A `DropIn`, whose numbers of layers and directions, layout and dropout count.
        data: The input: [T, B, I], [B, T, I] with `batch_first`, [T, I], or packed.
        hx: The initial states.
        weights: The weights of all layers.
        layers: What runs a layer.
        table: Rows that are read in the place of the input, which has their form only.

    Returns:
        Outputs in the form of the input, and final states.
    """
    states = None if hx is None else as_states(hx)
    if isinstance(data, PackedSequence):
        y, finals = _run_layers(module, data.data, _permuted(states, data.sorted_indices), weights, layers)
        return data._replace(data=y), as_hx(_permuted(finals, data.unsorted_indices) or ())
    single = data.dim() == 2
    flipped = module.batch_first and not single
    x = table if table is not None else data.unsqueeze(1) if single else data.transpose(0, 1) if flipped else data
    if not single:
        y, finals = _run_layers(module, x, states, weights, layers)
        return (y.transpose(0, 1) if flipped else y), as_hx(finals)
    states = None if states is None else tuple([state.unsqueeze(1) for state in states])
    y, finals = _run_layers(module, x, states, weights, layers)
    return y.squeeze(1), as_hx(tuple([state.squeeze(1) for state in finals]))


def _run_layers(
    module: Any, x: Tensor, states: States | None, weights: Sequence[Tensor], layers: Layers
) -> tuple[Tensor, States]:
    """Runs all layers over x [T, B, I], or packed [N, I], from states [L·D, B, H]."""
    L, D = module.num_layers, 2 if module.bidirectional else 1
    if L == 1:
        return layers(0, x, states, weights)
    per_layer, finals = len(weights) // L, []
    for i in range(L):
        own = None if states is None else tuple([state[i * D : (i + 1) * D] for state in states])
        x, final = layers(i, x, own, weights[i * per_layer : (i + 1) * per_layer])
        finals.append(final)
        if module.dropout and module.training and i + 1 < L:
            x = module.dropped(x)
    join = joined if isinstance(layers, DirectLayers) else torch.cat  # the latter in the sight of transforms
    return x, tuple([join(state) for state in zip(*finals, strict=True)])


def _permuted(states: States | None, permutation: Tensor | None) -> States | None:
    """Puts the rows of states [L·D, B, H] in another order."""
    if states is None or permutation is None:
        return states
    return tuple([state.index_select(1, permutation) for state in states])
