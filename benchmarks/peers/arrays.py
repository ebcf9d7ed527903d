"""tidegate on numpy arrays, without torch: as a model is deployed, and as a functional training step."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import tidegate
from case import Array, Case
from contender import Contender
from tidegate import ops
from tidegate.ops.names import parameter_names

Weights = Sequence[Sequence[Sequence[Array]]]
"""The arrays of each layer of a stack, in each of its directions, as `ops.pack` takes them."""


def _weights(case: Case) -> Weights:
    cell = case.cell
    return [
        [
            [case.weights[name] for name in parameter_names(layer, reverse, bias=True)]
            for reverse in (False, True)[: cell.directions]
        ]
        for layer in range(cell.layers)
    ]


def _layers(weights: Weights) -> list[list[ops.Layer]]:
    return [[ops.pack("gru", *arrays) for arrays in directions] for directions in weights]


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
    layers = [directions[0] for directions in _layers(_weights(case))]
    start, states = np.zeros((2, len(layers), 1, case.cell.H), np.float32)
    if len(layers) == 1:
        return lambda: ops.step(layers[0], case.x[0], start[0], out=states[0])[None]
    return lambda: ops.step(layers, case.x[0], start, out=states)[-1:]


def _single(case: Case) -> Callable[[], Array]:
    layer = _layers(_weights(case))[0][0]
    return lambda: ops.forward(layer, case.x, lengths=case.lengths).y


def _stack(case: Case) -> Callable[[], Array]:
    stack = tidegate.Recurrent(case.weights)
    return lambda: stack.outputs(case.x, case.lengths)[0]


def _single_step(case: Case) -> Callable[[], Mapping[str, Array]]:
    """Returns a training step of one layer: pack, forward with trace, backward."""
    weights, x, dy = _weights(case)[0][0], case.x, case.dy
    rows: dict[str, Any] = {"lengths": case.lengths, "episode_starts": case.episode_starts}

    def call() -> Mapping[str, Array]:
        layer = ops.pack("gru", *weights)
        out = ops.forward(layer, x, trace=True, **rows)
        found = ops.backward(layer, x, out, dy, need_dh0=False, **rows)
        return {"dx": found.dx, "weight_ih_l0": found.dw_ih, "weight_hh_l0": found.dw_hh}

    return call


class _StackStep:
    """A training step of a stack, written out in the same way."""

    def __init__(self, case: Case) -> None:
        self.case, self.weights = case, _weights(case)
        self.rows: dict[str, Any] = {"lengths": case.lengths, "episode_starts": case.episode_starts}

    def __call__(self) -> Mapping[str, Array]:
        """Returns the gradients of the input and of the first layer's weights."""
        dy, H = self.case.dy, self.case.cell.H
        layers, inputs, outs = _layers(self.weights), [self.case.x], []
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
        return ops.backward(layer, x, out, dy, reverse=direction == 1, need_dh0=False, **self.rows)


def training(case: Case, threads: int) -> list[Contender]:
    """Runs training steps; weights are packed anew in each, for the optimiser has changed them."""
    step = _single_step(case) if case.cell.layers == case.cell.directions == 1 else _StackStep(case)
    return [Contender(step, lambda named: named)]
