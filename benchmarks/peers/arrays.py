"""tidegate on numpy arrays, without torch: as a model is deployed, and as a functional training step."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import tidegate
from case import Array, Case
from contender import Contender
from tidegate import ops
from tidegate.stacks import parameter_names


def _layers(case: Case) -> list[list[ops.Layer]]:
    """Packs each layer of the stack, in each of its directions."""
    return [
        [
            ops.pack("gru", *(case.weights[name] for name in parameter_names(layer, reverse, bias=True)))
            for reverse in (False, True)[: case.cell.directions]
        ]
        for layer in range(case.cell.layers)
    ]


def inference(case: Case, threads: int) -> list[Contender]:
    """Runs forward passes: a single step layer by layer, sequences of a layer by `ops`, of a stack by `Recurrent`."""
    cell = case.cell
    if cell.T == cell.B == cell.directions == 1:
        call = _step(case)
    elif cell.layers == cell.directions == 1:
        call = _single(case)
    else:
        call = _stack(case)
    return [Contender(call, lambda y: {"y": y})]


def _step(case: Case) -> Callable[[], Array]:
    layers = [directions[0] for directions in _layers(case)]
    states, start = np.zeros((len(layers), 1, case.cell.H), np.float32), np.zeros((1, case.cell.H), np.float32)

    def call() -> Array:
        x = case.x[0]
        for layer, state in zip(layers, states, strict=True):
            x = ops.step(layer, x, start, out=state)
        return x[None]

    return call


def _single(case: Case) -> Callable[[], Array]:
    layer = _layers(case)[0][0]
    return lambda: ops.forward(layer, case.x, lengths=case.lengths).y


def _stack(case: Case) -> Callable[[], Array]:
    stack = tidegate.Recurrent(case.weights)
    return lambda: stack.outputs(case.x, case.lengths)[0]


class _Step:
    """A training step of a stack, written out: pack, forward with trace, backward."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.rows: dict[str, Any] = {"lengths": case.lengths, "resets": case.resets}

    def __call__(self) -> Mapping[str, Array]:
        """Returns the gradients of the input and of the first layer's weights."""
        dy, H = self.case.dy, self.case.cell.H
        layers, inputs, outs = _layers(self.case), [self.case.x], []
        for directions in layers:
            y = np.empty((*inputs[-1].shape[:-1], 2 * H), np.float32) if self.case.cell.bidirectional else None
            outs.append([self.forward(layer, inputs[-1], y, d) for d, layer in enumerate(directions)])
            inputs.append(outs[-1][0].y if y is None else y)
        for directions, x_, outs_ in zip(layers[::-1], inputs[-2::-1], outs[::-1], strict=True):
            found = [
                ops.backward(layer, x_, out, dy[..., d * H : (d + 1) * H], reverse=d == 1, **self.rows)
                for d, (layer, out) in enumerate(zip(directions, outs_, strict=True))
            ]
            dy = sum((each.dx for each in found[1:]), found[0].dx)
        return {"dx": dy, "weight_ih_l0": found[0].dw_ih, "weight_hh_l0": found[0].dw_hh}

    def forward(self, layer: ops.Layer, x: Array, y: Array | None, direction: int) -> ops.Forward:
        """Runs one direction of a layer, into its columns of y if there are two."""
        H = layer.hidden_size
        part = None if y is None else y[..., direction * H : (direction + 1) * H]
        return ops.forward(layer, x, y=part, reverse=direction == 1, trace=True, **self.rows)


def training(case: Case, threads: int) -> list[Contender]:
    """Runs training steps; weights are packed anew in each, for the optimiser has changed them."""
    return [Contender(_Step(case), lambda named: named)]
