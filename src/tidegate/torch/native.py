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
from tidegate.torch.tensors import TENSORS, Results, Tensors, read, with_rows
from tidegate.torch.transforms import are_plain

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


def sizes_of(weights: Sequence[Tensor]) -> Sizes:
    """Returns the sizes of a layer with these weights."""
    (_, I), (_, H), step = weights[0].shape, weights[1].shape, weights_per_direction(weights)
    return 1, len(weights) // step, I, H, step == 4


class NativeLayer:
    """A layer as native code calls it: what it needs beside its tensors, computed once; not to be changed.

    Attributes:
        plan: The cell and the rows.
        sizes: Those of the layer.
        given: How many states are given, S or 0.
        K: How many values of each step the backward pass reads beside the outputs.
        weights: The places of the weights among the tensors of a pass: x, states, weights, and others. The weights come
            as torch lists them, for each direction w_ih [G·H, I], w_hh [G·H, H] and with bias b_ih, b_hh [G·H].
    """

    __slots__ = ("K", "_fixed", "given", "plan", "sizes", "weights")

    def __init__(self, plan: Plan, sizes: Sizes, given: int) -> None:
        _, D, _, _, bias = sizes
        self.plan, self.sizes, self.given, self.K = plan, sizes, given, plan.saved_values
        self.weights = range(1 + given, 1 + given + D * (4 if bias else 2))
        self._fixed = plan.native_cell, sizes, plan.batch.native(False)

    def forward(self, tensors: Tensors) -> Results | None:
        """Runs the layer on x, states and weights as they are: y, final states, K values; None if one is unfit."""
        return TENSORS.forward(*self._fixed, tensors, self.K, False, get_num_threads())

    def backward(self, tensors: Tensors, needed: Sequence[bool]) -> Results | None:
        """Walks the layer backwards, likewise, on these, y, what was saved, and gradients by y and final states.

        Returns:
            The gradients by x, states and weights; None for those by x and by states if `needed` says so of them.
        """
        which, every = (needed[0], any(needed[1 : 1 + self.given])), self.plan.recompute_every or 0
        return TENSORS.backward(*self._fixed, tensors, which, every, get_num_threads())

    def run(self, tensors: Tensors, K: int | None = None) -> Results:
        """Runs the layer, on copies of the tensors that native code can't read.

        Args:
            tensors: x [T, B, I], states [D, B, H] and weights.
            K: How many values of each step to save, 0 beyond the ends of rows; None for those that the backward pass
                reads, whatever they are there.

        Returns:
            y [T, B, D·H], final states [D, B, H], and what is saved [D, T, B, K, H] or None.

        Raises:
            RuntimeError: A tensor has no memory.
        """
        if K is None:
            return read(self.forward, tensors, self.weights)
        return read(lambda each: TENSORS.forward(*self._fixed, each, K, True, get_num_threads()), tensors, self.weights)

    def gradients(self, held: Tensors, output_gradients: Sequence[Tensor | None], needed: Sequence[bool]) -> Results:
        """Walks the layer backwards, on copies of the tensors that native code can't read.

        Args:
            held: What the forward pass read, whose memory may be elsewhere by now, y, and what it saved.
            output_gradients: Gradients of the loss by y and by the S final states; None for 0.
            needed: As in `backward`.

        Returns:
            As `backward`.

        Raises:
            RuntimeError: A tensor has no memory, or is not what the layer had.
        """
        dy, *dfinals = output_gradients
        tensors = (*held, None if dy is None else with_rows(dy), *dfinals)
        if (found := self.backward(tensors, needed)) is not None:
            return found
        self.check(held)
        return read(lambda each: self.backward(each, needed), tensors, self.weights)

    def check(self, held: Sequence[Tensor | None]) -> None:
        """Checks what was saved: hooks may hand back other tensors, whose memory must not be read.

        Raises:
            RuntimeError: A tensor is not what was saved.
        """
        cell, saved, K = self.plan.cell, held[-1], self.K
        if saved is not None and saved.shape[-2:-1] in {(cell.K,), (_kernels.traced_values(cell, gates=False),)}:
            K = saved.shape[-2]  # all values where a trace was wanted too, the states alone where gates were not kept
        for tensor, shape in zip(held, self._shapes(K), strict=True):
            if tensor is not None and (not are_plain([tensor]) or tensor.shape != shape):
                raise RuntimeError(
                    f"a tensor that was saved for the backward pass as float32 {list(shape)} on the CPU came back as "
                    f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)} on {tensor.device}"
                )

    def with_outputs(self, held: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Returns what was saved with outputs that are computed again, where those have been changed."""
        self.check(held)
        *inputs, _, saved = held
        y, *_ = self.run(tuple(inputs))
        return *inputs, y, saved

    def _shapes(self, K: int) -> list[tuple[int, ...]]:
        """Returns the shapes of x, states, weights, y and K values of each step."""
        (_, D, I, H, _), batch, rows = self.sizes, self.plan.batch, self.plan.cell.G * self.sizes[3]
        own: list[tuple[int, ...]] = [(rows, I), (rows, H), (rows,), (rows,)]
        per_direction = own[: len(self.weights) // D]
        x = (*batch.leading, I) if batch.ids is None else (batch.V, I)
        saved = (D, *batch.leading, K, H)
        return [x, *[(D, batch.B, H)] * self.given, *per_direction * D, (*batch.leading, D * H), saved]
