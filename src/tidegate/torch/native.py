"""One recurrent layer on the native kernels, all its directions, from tensors to tensors.

All tensors here are time first: `x` float32 [T, B, I], `y` [T, B, D·H], and S states [D, B, H] with D directions. In
packed sequences N stands for the two axes T, B, in the order of `torch.nn.utils.rnn.PackedSequence`.
"""

from collections.abc import Sequence
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
from tidegate.torch.tensors import TENSORS, read, with_rows

Sizes = tuple[int, int, int, int, bool]
"""L, D, I, H, and whether there are biases: of a layer, whose L is 1, or of a stack."""


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


def sizes_of(weights: Sequence[Tensor]) -> Sizes:
    """Returns the sizes of a layer with these weights."""
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
    inputs, fixed = (x, *(states or ())), (plan.native_cell, sizes_of(weights), plan.batch.native(False))
    y, *finals, saved = read(
        lambda tensors: TENSORS.forward(*fixed, tensors, K, clear, get_num_threads()),
        (*inputs, *weights),
        range(len(inputs), len(inputs) + len(weights)),
    )
    return Done(y, tuple(finals), saved)


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
) -> Gradients:
    """Walks a layer backwards.

    Args:
        plan: As in the forward pass.
        inputs: x and the initial states.
        weights: As in the forward pass; their memory may be elsewhere by now.
        outputs: What is known of the outputs.
        need_dx: Whether to compute the gradient by x.
        need_dstates: Whether to compute the gradients by the initial states.

    Raises:
        RuntimeError: A tensor has no memory, or is not what the layer had.
    """
    x, states = inputs[0], inputs[1] or ()
    fixed, needed = (plan.native_cell, sizes_of(weights), plan.batch.native(False)), (need_dx, need_dstates)
    S, dy, every = len(states), outputs.gradients[0], plan.recompute_every or 0
    saved = (outputs.y, outputs.saved, None if dy is None else with_rows(dy), *outputs.gradients[1:])
    dx, *rest = read(
        lambda tensors: TENSORS.backward(*fixed, tensors, needed, every, get_num_threads()),
        (x, *states, *weights, *saved),
        range(1 + S, 1 + S + len(weights)),
    )
    return Gradients(dx, tuple(rest[:S]) if need_dstates else (), rest[S:])
