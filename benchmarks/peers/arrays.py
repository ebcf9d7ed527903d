"""tidegate on numpy arrays, without torch: as a model is deployed, and as a functional training step."""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

import tidegate
from case import Array, Case
from contender import Contender
from tidegate import ops

EPISODE_STARTS, GRADIENTS = "episode_starts", {"need": ("dx",)}
"""Keywords of `ops`; older builds have others, see `before_worker`."""

Weights = Sequence[Sequence[Sequence[Array]]]
"""The arrays of each layer of a stack, in each of its directions, as `ops.pack` takes them."""


def _weights(case: Case) -> Weights:
    cell, arrays = case.cell, iter(case.weights.values())
    return [[list(islice(arrays, 4)) for _ in range(cell.directions)] for _ in range(cell.layers)]


def _layers(case: Case, weights: Weights) -> list[list[ops.Layer]]:
    return [[ops.pack(case.cell.network, *arrays) for arrays in directions] for directions in weights]


def inference(case: Case, threads: int) -> list[Contender]:
    """Runs forward passes: a single step and sequences of a layer by `ops`, sequences of a stack by `Recurrent`."""
    cell = case.cell
    if cell.T == cell.B == cell.directions == 1:
        call = _step(case)
    elif cell.layers == cell.directions == 1:
        call = _single(case)
    else:
        call = _stack(case)
    return [Contender(call, lambda y: {"y": y})]


def _step(case: Case) -> Callable[[], Array]:
    """Returns a step of all layers; of its states [L, 1, H] or [S, L, 1, H], h of the last layer is the output."""
    layers = [directions[0] for directions in _layers(case, _weights(case))]
    x, H, L = case.x[0], case.cell.H, len(layers)
    S = case.cell.states
    start, states = np.zeros((2, *[S] * (S > 1), *[L] * (L > 1), 1, H), np.float32)
    y = states.reshape(S, L, 1, H)[0, -1:]
    stack = layers if L > 1 else layers[0]

    def call() -> Array:
        ops.step(stack, x, start, out=states)
        return y

    return call


def _single(case: Case) -> Callable[[], Array]:
    layer = _layers(case, _weights(case))[0][0]
    rows = _rows(case)
    return lambda: ops.forward(layer, case.x, **rows).y


def _stack(case: Case) -> Callable[[], Array]:
    stack = tidegate.Recurrent(case.weights, cell=case.cell.network)
    return lambda: stack.outputs(case.x, case.lengths)[0]


def _rows(case: Case) -> dict[str, Any]:
    """Returns what there is to say of the rows."""
    rows = {"lengths": case.lengths, EPISODE_STARTS: case.episode_starts}
    return {name: value for name, value in rows.items() if value is not None}


def _single_step(case: Case) -> Callable[[], Mapping[str, Array]]:
    """Returns a training step of one layer: pack, forward with trace, backward."""
    network, weights, x, dy, rows = case.cell.network, _weights(case)[0][0], case.x, case.dy, _rows(case)

    def call() -> Mapping[str, Array]:
        layer = ops.pack(network, *weights)
        out = ops.forward(layer, x, trace=True, **rows)
        found = ops.backward(layer, x, out, dy, **GRADIENTS, **rows)
        return {"dx": found.dx, "weight_ih_l0": found.dw_ih, "weight_hh_l0": found.dw_hh}

    return call


class _StackStep:
    """A training step of a stack, written out in the same way."""

    def __init__(self, case: Case) -> None:
        self.case, self.weights = case, _weights(case)
        self.rows = _rows(case)

    def __call__(self) -> Mapping[str, Array]:
        """Returns the gradients of the input and of the first layer's weights."""
        dy, H = self.case.dy, self.case.cell.H
        layers, inputs, outs = _layers(self.case, self.weights), [self.case.x], []
        for directions in layers:
            y = np.empty((*inputs[-1].shape[:-1], 2 * H), np.float32) if self.case.cell.bidirectional else None
            outs.append([self.forward(layer, inputs[-1], y, d) for d, layer in enumerate(directions)])
            inputs.append(outs[-1][0].y if y is None else y)
        for directions, x, outs_ in zip(layers[::-1], inputs[-2::-1], outs[::-1], strict=True):
            pairs = enumerate(zip(directions, outs_, strict=True))
            found = [self.backward(layer, x, out, dy[..., d * H : (d + 1) * H], d) for d, (layer, out) in pairs]
            dy = sum((each.dx for each in found[1:]), found[0].dx)
        return {"dx": dy, "weight_ih_l0": found[0].dw_ih, "weight_hh_l0": found[0].dw_hh}

    def forward(self, layer: ops.Layer, x: Array, y: Array | None, direction: int) -> ops.Forward:
        """Runs one direction of a layer, into its columns of y if there are two."""
        H = layer.hidden_size
        part = None if y is None else y[..., direction * H : (direction + 1) * H]
        return ops.forward(layer, x, y=part, reverse=direction == 1, trace=True, **self.rows)

    def backward(self, layer: ops.Layer, x: Array, out: ops.Forward, dy: Array, direction: int) -> ops.Gradients:
        """Carries gradients back through one direction of a layer."""
        return ops.backward(layer, x, out, dy, reverse=direction == 1, **GRADIENTS, **self.rows)


def training(case: Case, threads: int) -> list[Contender]:
    """Runs training steps; weights are packed anew in each, for the optimiser has changed them."""
    step = _single_step(case) if case.cell.layers == case.cell.directions == 1 else _StackStep(case)
    return [Contender(step, lambda named: named)]
