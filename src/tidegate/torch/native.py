"""One recurrent layer on the native kernels, all its directions, from tensors to tensors.

All tensors here are time first: `x` float32 [T, B, I], `y` [T, B, D·H], and S states [D, B, H] with D directions. In
packed sequences N stands for the two axes T, B, in the order of `torch.nn.utils.rnn.PackedSequence`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding

from tidegate.ops import _kernels
from tidegate.ops.batch import Batch
from tidegate.ops.cells import Cell
from tidegate.ops.layer import default_isa
from tidegate.ops.threads import get_num_threads
from tidegate.torch.cells import States, weights_per_direction
from tidegate.torch.fallback import torch_layer
from tidegate.torch.tensors import TENSORS, Inputs, new, read, with_rows


class Plan(NamedTuple):
    """What the call of a layer needs beside its tensors; all layers of a module share it.

    Attributes:
        cell: The cell.
        batch: The rows.
        recompute_every: Steps of a segment whose gates the backward pass computes again; None keeps them all.
        bfloat16: Whether what is multiplied is rounded to bfloat16, where the processor multiplies that.
    """

    cell: Cell
    batch: Batch
    recompute_every: int | None = None
    bfloat16: bool = False

    @property
    def saved_values(self) -> int:
        """K, how many values of a step the backward pass reads beside the outputs."""
        return _kernels.traced_values(self.cell, gates=self.cell.needs_trace and self.recompute_every is None)

    @property
    def native_cell(self) -> tuple[str, list[int], str, bool]:
        """The cell, the instruction set and the products, as native code calls them."""
        return self.cell.name, self.cell.places, default_isa(), self.bfloat16

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


def _sizes(weights: Sequence[Tensor]) -> tuple[int, int, int, int, bool]:
    """Returns L = 1, D, I, H, and whether there are biases."""
    (_, I), (_, H), step = weights[0].shape, weights[1].shape, weights_per_direction(weights)
    return 1, len(weights) // step, I, H, step == 4


def run(
    plan: Plan, x: Tensor, states: States | None, weights: Sequence[Tensor], *, K: int = 0, clear: bool = False
) -> Done:
    """Runs a layer.

    Args:
        plan: The cell and the rows.
        x: Input.
        states: Initial states; None for zeros.
        weights: As torch lists them, for each direction w_ih [G·H, I], w_hh [G·H, H] and with bias b_ih, b_hh [G·H].
        K: How many values of each step to keep, see `_kernels.traced_values`.
        clear: As in `_kernels.run_forward`.

    Raises:
        RuntimeError: A tensor has no memory.
    """
    batch, leading, sizes = plan.batch, plan.batch.leading, _sizes(weights)
    _, D, _, H, _ = sizes
    y, saved = new(*leading, D * H), new(D, *leading, K, H) if K else None
    finals = tuple([new(D, batch.B, H) for _ in range(plan.cell.S)])

    def call(inputs: Inputs) -> bool:
        rows, results = batch.native(False), (y, *finals, saved)
        return TENSORS.forward(plan.native_cell, sizes, rows, inputs, results, clear, get_num_threads())

    read(call, (x, *(states or ())), weights)
    return Done(y, finals, saved)


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


class Outputs(NamedTuple):
    """What a backward pass knows of the outputs.

    Attributes:
        y: The outputs.
        saved: What was saved of each step; gates that are not there are computed again.
        gradients: Gradients of the loss by y and by the S final states; None for 0.
    """

    y: Tensor
    saved: Tensor | None
    gradients: Sequence[Tensor | None]


def gradients(
    plan: Plan,
    inputs: tuple[Tensor, States | None],
    weights: Sequence[Tensor],
    outputs: Outputs,
    *,
    need_dx: bool,
    need_dstates: bool,
    check: Callable[[], None] | None = None,
) -> Gradients:
    """Walks a layer backwards.

    Args:
        plan: As in the forward pass.
        inputs: x and the initial states.
        weights: As in the forward pass; their memory may be elsewhere by now.
        outputs: What is known of the outputs.
        need_dx: Whether to compute the gradient by x.
        need_dstates: Whether to compute the gradients by the initial states.
        check: Called first where not all of the tensors can be read as they are.

    Raises:
        RuntimeError: A tensor has no memory, or is not what the layer had.
    """
    (x, states), sizes, shapes = inputs, _sizes(weights), [weight.shape for weight in weights]
    _, D, _, H, _ = sizes
    dx = new(*x.shape) if need_dx else None
    dstates = tuple([new(D, plan.batch.B, H) for _ in range(plan.cell.S if need_dstates else 0)])
    dweights = [new(*shape) for shape in shapes]

    def call(tensors: Inputs) -> bool:
        rows, results, every = plan.batch.native(False), (dx, *dstates, *dweights), plan.recompute_every or 0
        return TENSORS.backward(plan.native_cell, sizes, rows, tensors, results, every, get_num_threads())

    dy, *dfinals = outputs.gradients
    given = (outputs.y, outputs.saved, None if dy is None else with_rows(dy), *dfinals)
    read(call, (x, *(states or ())), weights, given, check)
    return Gradients(dx, dstates, dweights)
