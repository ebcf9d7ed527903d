"""One recurrent layer on the native kernels, all its directions, from tensors to tensors.

All tensors here are time first: `x` float32 [T, B, I], `y` [T, B, D·H], and S states [D, B, H] with D directions. In
packed sequences N stands for the two axes T, B, in the order of `torch.nn.utils.rnn.PackedSequence`.
"""

from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import embedding

from tidegate.ops import _kernels
from tidegate.ops.batch import Batch
from tidegate.ops.cells import Cell
from tidegate.torch.cells import States
from tidegate.torch.fallback import torch_layer
from tidegate.torch.weights import check_memory

Array = npt.NDArray[np.float32]
Directions = Sequence[_kernels.Layer]
"""The weights of a layer, one value for each direction."""


class Plan(NamedTuple):
    """What the call of a layer needs beside its tensors; all layers of a module share it.

    Attributes:
        cell: The cell.
        batch: The rows.
        recompute_every: Steps of a segment whose gates the backward pass computes again; None keeps them all.
    """

    cell: Cell
    batch: Batch
    recompute_every: int | None = None

    @property
    def saved_values(self) -> int:
        """K, how many values of a step the backward pass reads beside the outputs."""
        return _kernels.traced_values(self.cell, gates=self.cell.needs_trace and self.recompute_every is None)

    def torch_layer(self, x: Tensor, states: States, weights: Sequence[Tensor]) -> tuple[Tensor, States]:
        """Runs one layer by torch's own operations; no states stand for zeros."""
        batch = self.batch
        if batch.ids is not None:
            x = embedding(torch.from_numpy(batch.ids.reshape(batch.T, batch.B)), x)
        return torch_layer(self.cell, x, states or None, weights, batch)


class Done(NamedTuple):
    """What a layer has computed.

    Attributes:
        y: Outputs [T, B, D·H].
        finals: Final states [D, B, H].
        saved: K values of each step [D, T, B, K, H], or None for none.
    """

    y: Tensor
    finals: States
    saved: Tensor | None


def run(
    plan: Plan, directions: Directions, x: Tensor, states: States | None, *, K: int = 0, clear: bool = False
) -> Done:
    """Runs a layer.

    Args:
        plan: The cell and the rows.
        directions: The weights.
        x: Input.
        states: Initial states; None for zeros.
        K: How many values of each step to keep, see `_kernels.traced_values`.
        clear: As in `_kernels.run_forward`.
    """
    batch, cell, D, H = plan.batch, plan.cell, len(directions), directions[0].hidden_size
    for tensor in (x, *(states or ())):
        check_memory("an input or a state", tensor)
    inputs, starts = _kernels.rows_contiguous(x.numpy(force=True)), _by_direction(states, D)
    leading, B = batch.leading, batch.B
    y = _kernels.empty(*leading, D * H)
    finals = [np.empty((D, B, H), np.float32) for _ in range(cell.S)]
    saved = _kernels.empty(D, *leading, K, H) if K else None
    for d, layer in enumerate(directions):
        call = _kernels.Call(batch, d == 1, inputs, starts[d])
        y_d, saved_d = y if D == 1 else _columns(y, d), None if saved is None else saved[d]
        _kernels.run_forward(layer, call, y_d, [final[d] for final in finals], saved_d, clear=clear)
    tensors = tuple([torch.from_numpy(final) for final in finals])
    return Done(torch.from_numpy(y), tensors, None if saved is None else torch.from_numpy(saved))


class Gradients(NamedTuple):
    """Gradients of the loss by what a layer was given.

    Attributes:
        dx: By x, None if not needed.
        dstates: By the initial states; empty if not needed.
        dweights: By the weights, in torch's order.
    """

    dx: Tensor | None
    dstates: States
    dweights: list[Tensor]


def gradients(
    plan: Plan,
    directions: Directions,
    inputs: tuple[Tensor, States | None],
    saved: tuple[Array, Array | None],
    output_gradients: Sequence[Tensor | None],
    *,
    need_dx: bool,
    need_dstates: bool,
) -> Gradients:
    """Walks a layer backwards.

    Args:
        plan: As in the forward pass.
        directions: Likewise.
        inputs: x and the initial states.
        saved: y and what was saved of each step; gates that are not there are computed again.
        output_gradients: Gradients of the loss by y and by the S final states; None for 0.
        need_dx: Whether to compute the gradient by x.
        need_dstates: Whether to compute the gradients by the initial states.
    """
    (x, states), (y, values), (dy, *dfinals) = inputs, saved, output_gradients
    D, S, H, results = len(directions), plan.cell.S, directions[0].hidden_size, []
    x_rows, dys = _kernels.rows_contiguous(x.numpy(force=True)), None if dy is None else dy.numpy(force=True)
    starts, ends = _by_direction(states, D), _by_direction(dfinals, D)
    dstates = [np.empty((D, plan.batch.B, H), np.float32) for _ in range(S if need_dstates else 0)]
    for d, layer in enumerate(directions):
        y_d, dy_d = (y, dys) if D == 1 else (_columns(y, d), None if dys is None else _columns(dys, d))
        dy_d = None if dy_d is None else _kernels.rows_contiguous(dy_d)
        call = _kernels.Call(plan.batch, d == 1, x_rows, starts[d])
        results.append(
            _kernels.run_backward(
                *(layer, call, (y_d, None if values is None else values[d]), (dy_d, ends[d])),
                need_dx=need_dx,
                dh0=[dstate[d] for dstate in dstates],
                recompute_every=plan.recompute_every,
            )
        )
    dx = results[0].dx
    if dx is not None:
        for other in results[1:]:
            dx += cast("Array", other.dx)
    # The fields after dx and dh0 are those of the weights; without bias the last two are None.
    dweights = [torch.from_numpy(dw) for result in results for dw in result[2:] if dw is not None]
    return Gradients(
        None if dx is None else torch.from_numpy(dx), tuple([torch.from_numpy(dstate) for dstate in dstates]), dweights
    )


def _by_direction(states: Sequence[Tensor | None] | None, D: int) -> list[_kernels.States]:
    """Returns the states of each direction from S states [D, B, H], of which some may be None for zeros."""
    if not states:
        return [()] * D
    arrays = [None if state is None else np.ascontiguousarray(state.numpy(force=True)) for state in states]
    return [[None if array is None else array[d] for array in arrays] for d in range(D)]


def _columns(array: Array, direction: int) -> Array:
    """Returns the columns [T, B, H] of one of two directions in an array [T, B, 2·H], as a view."""
    H = array.shape[-1] // 2
    return array[..., direction * H : (direction + 1) * H]
