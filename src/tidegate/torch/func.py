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
from tidegate.torch.fallback import torch_layer
from tidegate.torch.operation import OperationLayers, recurrent_layer, recurrent_layer_backward

Dims = tuple[int | None, ...]


@dataclass(frozen=True)
class _Options:  # no tuple: functorch would take it apart
    """What a call needs beside its tensors, as the operation takes it."""

    cell: str
    episode_state: str
    recompute_every: int | None

    def arguments(self, lengths: Tensor | None, episode_starts: Tensor | None) -> tuple[Any, ...]:
        """Returns the arguments of the operation from `cell` to `recompute_every`."""
        return self.cell, lengths, episode_starts, self.episode_state, self.recompute_every


class TransformedLayers(OperationLayers):
    """The layers of a module under torch.func, which needs rules for batches around the operations."""

    def __call__(self, i: int, x: Tensor, h0: Tensor | None, weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Runs one layer."""
        options = _Options(self.cell, self.episode_state, self.recompute_every)
        y, h_n, _ = _layer(options, self.lengths, self.episode_starts, x, h0, *weights)
        return y, h_n


class _Layer(torch.autograd.Function):
    """`apply(options, lengths, episode_starts, x, h0, *weights)` gives `(y, h_n, trace)`."""

    @staticmethod
    def forward(options: _Options, lengths: Any, episode_starts: Any, x: Tensor, h0: Any, *weights: Tensor) -> Any:
        return recurrent_layer(x, h0, list(weights), *options.arguments(lengths, episode_starts), True)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
        options, lengths, episode_starts, *tensors = inputs
        y, _, trace = output
        ctx.mark_non_differentiable(trace)
        ctx.options = options
        ctx.save_for_backward(lengths, episode_starts, y, trace, *tensors)

    @staticmethod
    def backward(ctx: Any, dy: Tensor, dh_n: Tensor, _: Any) -> tuple[Tensor | None, ...]:
        lengths, episode_starts, y, trace, *tensors = ctx.saved_tensors
        dx, dh0, *dweights = _layer_backward(ctx.options, lengths, episode_starts, y, trace, dy, dh_n, *tensors)
        return None, None, None, dx, None if tensors[1] is None else dh0, *dweights

    @staticmethod
    def vmap(info: Any, in_dims: Dims, *args: Any) -> tuple[Any, Any]:
        if any(dim is not None for dim in in_dims[5:]):
            return _one_by_one(_layer, info.batch_size, in_dims, args)
        N = info.batch_size
        options, lengths, episode_starts, x, h0, *weights = args
        lengths = None if lengths is None else _rows(lengths, in_dims[1], 0, N)
        episode_starts = None if episode_starts is None else _rows(episode_starts, in_dims[2], 1, N)
        h0 = None if h0 is None else _rows(h0, in_dims[4], 1, N)
        y, h_n, trace = _layer(options, lengths, episode_starts, _rows(x, in_dims[3], 1, N), h0, *weights)
        y, h_n = (output.unflatten(1, (N, output.shape[1] // N)) for output in (y, h_n))
        if not trace.numel():
            return (y, h_n, trace), (1, 1, None)
        return (y, h_n, trace.unflatten(2, (N, trace.shape[2] // N))), (1, 1, 2)


class _Backward(torch.autograd.Function):
    """`apply(options, lengths, episode_starts, y, trace, dy, dh_n, x, h0, *weights)` gives gradients by the last."""

    @staticmethod
    def forward(
        options: _Options,
        lengths: Any,
        episode_starts: Any,
        y: Tensor,
        trace: Tensor,
        dy: Tensor,
        dh_n: Tensor,
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        x, h0, *weights = tensors
        arguments = options.arguments(lengths, episode_starts)
        dx, dh0, dweights = recurrent_layer_backward(x, h0, weights, *arguments, True, y, trace, dy, dh_n)
        return dx, dh0, *dweights

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.options, lengths, episode_starts, _, _, *tensors = inputs
        ctx.save_for_backward(lengths, episode_starts, *tensors)

    @staticmethod
    def backward(ctx: Any, *ddinputs: Tensor) -> tuple[Tensor | None, ...]:
        """Differentiates the backward pass, computed by torch's own operations."""
        lengths, episode_starts, dy, dh_n, x, h0, *weights = ctx.saved_tensors
        steps = None if lengths is None else np.array(lengths.tolist())
        marks = None if episode_starts is None else np.array(episode_starts.tolist(), np.uint8)
        states = [] if h0 is None else [h0]

        def layer(*inputs: Tensor) -> Any:
            x, *others = inputs
            h0 = others.pop(0) if states else None
            batch = Batch(*x.shape[:2], steps, None, marks, ctx.options.episode_state)
            return torch_layer(Cell.of(ctx.options.cell), x, h0, others, batch)

        def gradients(dy: Tensor, dh_n: Tensor, *inputs: Tensor) -> Any:
            return vjp(layer, *inputs)[1]((dy, dh_n))

        ddx, ddh0, *ddweights = ddinputs
        pull_back = vjp(gradients, dy, dh_n, x, *states, *weights)[1]
        ddy, ddh_n, dx, *others = pull_back((ddx, *[ddh0 for _ in states], *ddweights))
        return *[None] * 5, ddy, ddh_n, dx, others.pop(0) if states else None, *others

    @staticmethod
    def vmap(info: Any, in_dims: Dims, *args: Any) -> tuple[Any, Any]:
        return _one_by_one(_layer_backward, info.batch_size, in_dims, args)


_layer: Callable[..., Any] = _Layer.apply
_layer_backward: Callable[..., Any] = _Backward.apply


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
