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
    """Runs forward passes: of a single layer by `ops`, of a stack by `Recurrent`."""
    single = case.cell.layers == case.cell.directions == 1
    call = _single(case) if single else _stack(case)
    return [Contender(call, lambda y: {"y": y})]


def _single(case: Case) -> Callable[[], Array]:
    layer = _layers(case)[0][0]
    # PLACE FOR ops.step: the way of a single step of a single row
    return lambda: ops.forward(layer, case.x, lengths=case.lengths).y


def _stack(case: Case) -> Callable[[], Array]:
    stack = tidegate.Recurrent(case.weights)
    return lambda: stack.outputs(case.x, case.lengths)[0]


class _Step:
    """A training step of a stack, written out: pack, forward with trace, backward."""

    def __init__(self, case: Case) -> None:
        self.case = case
        # PLACE FOR resets=: {"resets": case.resets}, and the reordering in __call__ goes
        self.rows: dict[str, Any] = {"lengths": case.lengths}
        if case.resets is not None:
            self.rows = {"batch_sizes": case.episodes.batch_sizes}

    def __call__(self) -> Mapping[str, Array]:
        """Returns the gradients of the input and of the first layer's weights."""
        case = self.case
        if case.resets is None:
            return self.gradients(case.x, case.dy)
        cut, T, B = case.episodes, case.cell.T, case.cell.B
        x, dy = (array.reshape(T * B, -1)[cut.order] for array in (case.x, case.dy))
        found = self.gradients(x, dy)
        return found | {"dx": found["dx"][cut.back].reshape(case.x.shape)}

    def gradients(self, x: Array, dy: Array) -> dict[str, Array]:
        """Runs all layers forward and back."""
        H, layers, inputs, outs = self.case.cell.H, _layers(self.case), [x], []
        for directions in layers:
            y = np.empty((*x.shape[:-1], 2 * H), np.float32) if self.case.cell.bidirectional else None
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
