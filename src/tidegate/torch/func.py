"""One recurrent layer for torch.func: differentiated and batched at any depth, on native kernels where it can be.

A batch over inputs alone runs as rows of one native call; one over weights, and a backward pass, whose gradients by
the weights belong to one sample each, runs sample by sample.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import vjp

from tidegate.ops.batch import Batch
from tidegate.ops.cells import Cell
from tidegate.torch.cells import States
from tidegate.torch.fallback import torch_layer, twice_differentiable
from tidegate.torch.operation import OperationLayers, recurrent_layer, recurrent_layer_backward
from tidegate.torch.options import Options

Dims = tuple[int | None, ...]


@dataclass(frozen=True)
class _Call:  # no tuple: functorch would take it apart
    """What a call needs beside its tensors.

    Attributes:
        options: As text, see `Options`.
        given: How many states are given, S or 0.
    """

    options: str
    given: int

    @property
    def cell(self) -> Cell:
        """The cell."""
        return Cell.of(Options.read(self.options).cell)

    def split(self, tensors: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Takes states and weights apart."""
        return list(tensors[: self.given]), list(tensors[self.given :])


class TransformedLayers(OperationLayers):
    """The layers of a module under torch.func, which needs rules for batches around the operations."""

    def __call__(self, i: int, x: Tensor, states: States | None, weights: Sequence[Tensor]) -> tuple[Tensor, States]:
        """Runs one layer."""
        given = states or ()
        call = _Call(self.options._replace(keep=True).text, len(given))
        y, *finals, _ = _layer(call, self.batch.lengths, self.batch.episode_starts, x, *given, *weights)
        return y, tuple(finals)


class _Layer(torch.autograd.Function):
    """`apply(call, lengths, episode_starts, x, *states, *weights)` gives `(y, *finals, saved)`."""

    @staticmethod
    def forward(call: _Call, lengths: Any, episode_starts: Any, x: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        y, finals, saved = recurrent_layer(x, *call.split(tensors), lengths, episode_starts, call.options)
        return y, *finals, saved

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        call, lengths, episode_starts, *tensors = inputs
        y, saved = output[0], output[-1]
        ctx.mark_non_differentiable(saved)
        ctx.call = call
        ctx.save_for_backward(lengths, episode_starts, y, saved, *tensors)

    @staticmethod
    def backward(ctx: Any, *output_gradients: Tensor) -> tuple[Tensor | None, ...]:
        lengths, episode_starts, y, saved, *tensors = ctx.saved_tensors
        found = _layer_backward(ctx.call, lengths, episode_starts, y, saved, *output_gradients[:-1], *tensors)
        return None, None, None, *found

    @staticmethod
    def vmap(info: Any, in_dims: Dims, *args: Any) -> tuple[Any, Any]:
        call, lengths, episode_starts, x, *tensors = args
        weights_from = 4 + call.given
        if any(dim is not None for dim in in_dims[weights_from:]):
            return _one_by_one(_layer, info.batch_size, in_dims, args)
        N = info.batch_size
        lengths = None if lengths is None else _rows(lengths, in_dims[1], 0, N)
        episode_starts = None if episode_starts is None else _rows(episode_starts, in_dims[2], 1, N)
        states, weights = call.split(tensors)
        states = [_rows(state, dim, 1, N) for state, dim in zip(states, in_dims[4:weights_from], strict=True)]
        y, *finals, saved = _layer(call, lengths, episode_starts, _rows(x, in_dims[3], 1, N), *states, *weights)
        outputs = [output.unflatten(1, (N, output.shape[1] // N)) for output in (y, *finals)]
        if not saved.numel():
            return (*outputs, saved), (*(1 for _ in outputs), None)
        return (*outputs, saved.unflatten(2, (N, saved.shape[2] // N))), (*(1 for _ in outputs), 2)


class _Backward(torch.autograd.Function):
    """The backward pass, which has derivatives too.

    `apply(call, lengths, episode_starts, y, saved, dy, *dfinals, x, *states, *weights)` gives gradients by the last.
    """

    @staticmethod
    def forward(
        call: _Call, lengths: Any, episode_starts: Any, y: Tensor, saved: Tensor, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        output_gradients, (x, *others) = _split_gradients(call, tensors)
        states, weights = call.split(others)
        dx, dstates, dweights = recurrent_layer_backward(
            *(x, states, weights, lengths, episode_starts, call.options), [y, saved], output_gradients
        )
        return dx, *dstates, *dweights

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.call, lengths, episode_starts, _, _, *tensors = inputs
        ctx.save_for_backward(lengths, episode_starts, *tensors)

    @staticmethod
    def backward(ctx: Any, *ddinputs: Tensor) -> tuple[Tensor | None, ...]:
        """Differentiates the backward pass, computed by torch's own operations."""
        lengths, episode_starts, *tensors = ctx.saved_tensors
        call: _Call = ctx.call
        steps = None if lengths is None else np.array(lengths.tolist())
        marks = None if episode_starts is None else np.array(episode_starts.tolist(), np.uint8)
        output_gradients, inputs = _split_gradients(call, tensors)

        def layer(x: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
            states, weights = call.split(others)
            T, B, _ = x.shape
            batch = Batch(T, B, steps, None, marks, Options.read(call.options).episode_state)
            y, finals = torch_layer(call.cell, x, tuple(states) or None, weights, batch)
            return y, *finals

        def gradients(*tensors: Tensor) -> Any:
            output_gradients, inputs = _split_gradients(call, tensors)
            return vjp(layer, *inputs)[1](tuple(output_gradients))

        with twice_differentiable():
            found = vjp(gradients, *output_gradients, *inputs)[1](ddinputs)
        return *[None] * 5, *found

    @staticmethod
    def vmap(info: Any, in_dims: Dims, *args: Any) -> tuple[Any, Any]:
        return _one_by_one(_layer_backward, info.batch_size, in_dims, args)


_layer: Callable[..., Any] = _Layer.apply
_layer_backward: Callable[..., Any] = _Backward.apply


def _split_gradients(call: _Call, tensors: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Takes the gradients by y and the final states apart from x, states and weights."""
    outputs = 1 + call.cell.S
    return list(tensors[:outputs]), list(tensors[outputs:])


def _rows(tensor: Tensor, dim: int | None, axis: int, N: int) -> Tensor:
    """Puts the samples next to the axis of the rows, and makes one axis of both."""
    moved = tensor.unsqueeze(axis) if dim is None else tensor.movedim(dim, axis)
    return moved.expand(*moved.shape[:axis], N, *moved.shape[axis + 1 :]).flatten(axis, axis + 1)


def _one_by_one(function: Callable[..., Any], N: int, in_dims: Dims, args: Sequence[Any]) -> tuple[Any, Any]:
    """Calls a function for each of N samples, and stacks what it returns."""
    pairs = list(zip(args, in_dims, strict=True))
    results = [function(*[arg if dim is None else arg.select(dim, n) for arg, dim in pairs]) for n in range(N)]
    outputs = tuple(torch.stack(samples) for samples in zip(*results, strict=True))
    return outputs, (0,) * len(outputs)
