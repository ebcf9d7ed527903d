"""One recurrent layer as a node of torch's graph: native kernels in both passes, torch's own for second derivatives.

All tensors here are time first: `x` float32 [T, B, I], `y` [T, B, D·H], `h0` and `h_n` [D, B, H] with D directions.
In packed sequences N stands for the two axes T, B, in the order of `torch.nn.utils.rnn.PackedSequence`.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Self, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch._C import _are_functorch_transforms_active
from torch._C._functorch import is_legacy_batchedtensor
from torch.nn.functional import embedding

from tidegate.ops import _kernels
from tidegate.ops.batch import Batch, check_batch
from tidegate.ops.cells import Cell
from tidegate.ops.trace import Trace
from tidegate.torch.fallback import torch_gradients, torch_layer

Array = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Pair = tuple[Tensor | None, Tensor | None]


_NO_MEMORY = torch.empty(0, dtype=torch.float32)


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

    @classmethod
    def packed(cls, cell: Cell, batch_sizes: Tensor, N: int, recompute_every: int | None) -> Self:
        """Returns the plan for a packed sequence of N rows.

        Raises:
            ValueError: The batch sizes increase or do not sum to N.
        """
        return cls(cell, check_batch({"N": (N, "input")}, batch_sizes=batch_sizes.numpy()), recompute_every)

    @property
    def keeps_gates(self) -> bool:
        """Whether the backward pass reads the gates of the forward pass."""
        return self.cell.needs_trace and self.recompute_every is None

    @property
    def kept_values(self) -> int:
        """K, how many values of a step the backward pass reads beside the outputs."""
        return _kernels.traced_values(self.cell, gates=self.keeps_gates)

    def torch_layer(self, x: Tensor, h0: Tensor | None, weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Runs one layer by torch's own operations."""
        batch = self.batch
        if batch.ids is not None:
            x = embedding(torch.from_numpy(batch.ids.reshape(batch.T, batch.B)), x)
        return torch_layer(self.cell, x, h0, weights, batch)


class DirectLayers(NamedTuple):
    """The layers of a module, called directly: layer `i` maps x, h0 and its weights to y and h_n.

    Attributes:
        plan: What the layers share; only the first one looks up its inputs in a table.
        packed: For each layer, the packed weights of its directions.
        traces: A list to which the traces of a padded batch are appended; None if nobody wants them.
    """

    plan: Plan
    packed: Sequence[Sequence[_kernels.Layer]]
    traces: list[Trace] | None = None

    def __call__(self, i: int, x: Tensor, h0: Tensor | None, weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Runs one layer, and records it if gradients are to reach one of its tensors."""
        recorded = torch.is_grad_enabled() and (
            x.requires_grad
            or weights[0].requires_grad
            or (h0 is not None and h0.requires_grad)
            or any(weight.requires_grad for weight in weights)
        )
        done = None
        plan = self.plan if i == 0 or self.plan.batch.ids is None else self.plan._replace(batch=self.plan.batch.without_ids())
        if self.traces is not None or not recorded:
            done = _tensors(run(plan, self.packed[i], x, h0, K=self._kept_values, clear=True))
        if self.traces is not None and done is not None:
            self.traces.extend(self._traces(i, done, h0))
        if done is not None and not recorded:
            return done.y, done.h_n
        outputs: tuple[Tensor, Tensor] = RecurrentLayer.apply(  # type: ignore[no-untyped-call]
            plan, self.packed[i], done, x, h0, *weights
        )
        return outputs

    @property
    def _kept_values(self) -> int:
        return 0 if self.traces is None else _kernels.traced_values(self.plan.cell, gates=True)

    def _traces(self, i: int, done: "_Done", h0: Tensor | None) -> Iterator[Trace]:
        """Takes apart what a layer has kept, without a copy."""
        plan, D = self.plan, len(done.h_n)
        start = torch.zeros_like(done.h_n) if h0 is None else h0.detach()
        lengths = plan.batch.row_lengths()
        assert done.trace is not None  # noqa: S101 - for mypy: it was asked for
        for d, (hidden, kept) in enumerate(zip(done.y.chunk(D, 2), done.trace, strict=True)):
            facts = {"h0": start[d], "lengths": lengths, "layer": i, "reverse": d == 1}
            yield Trace.of(plan.cell, hidden, kept.unbind(2), **facts)


class _Done(NamedTuple):
    """What a layer has computed, before it is recorded.

    Attributes:
        y: Outputs [T, B, D·H].
        h_n: Final states [D, B, H].
        trace: What was kept of each step [D, T, B, K, H], or None.
    """

    y: Tensor
    h_n: Tensor
    trace: Tensor | None


class RecurrentLayer(torch.autograd.Function):
    """One recurrent layer, native in both passes: `apply(plan, directions, done, x, h0, *weights)` gives `(y, h_n)`.

    What is `done` already is not computed again; it may be None. The weights come as torch lists them, for each
    direction w_ih, w_hh and with bias b_ih, b_hh; `directions` are the same ones packed, and what is read. None of the
    tensors may change before the backward pass: torch checks that.
    """

    @staticmethod
    def forward(
        ctx: Any,
        plan: Plan,
        directions: Sequence[_kernels.Layer],
        done: _Done | None,
        x: Tensor,
        h0: Tensor | None,
        *weights: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Runs the layer natively, and keeps what the backward pass reads."""
        y, h_n, trace = done or _tensors(run(plan, directions, x, h0, K=plan.kept_values))
        # A second tensor on the memory of y: its version counter is its own, so that users may change y in place.
        output = torch.from_numpy(y.numpy())
        ctx.plan = plan
        ctx.directions = directions
        ctx.output_version = _version_counter(output)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, h0, y, trace if plan.kept_values else None, *weights)
        return output, h_n

    @staticmethod
    def backward(ctx: Any, dy: Tensor | None, dh_n: Tensor | None) -> tuple[Tensor | None, ...]:
        """Returns the gradients of what `apply` took; by torch's operations where they are to have derivatives too."""
        plan: Plan = ctx.plan
        x, h0, y, trace, *weights = ctx.saved_tensors
        needed = ctx.needs_input_grad[3:]
        if torch.is_grad_enabled() or _batched(dy, dh_n):
            return None, None, None, *torch_gradients(plan.torch_layer, (x, h0, *weights), (dy, dh_n), needed)

        changed = ctx.output_version._version > 0  # noqa: SLF001 - torch's public name for it
        y = run(plan, ctx.directions, x, h0)[0] if changed else y.numpy()
        kept = (y, None if trace is None else trace.numpy())
        gradients = native_gradients(
            plan, ctx.directions, x, h0, kept, (dy, dh_n), need_dx=needed[0], need_dh0=needed[1]
        )
        return None, None, None, *[tensor if need else None for tensor, need in zip(gradients, needed, strict=True)]


class _Joined(torch.autograd.Function):
    """`apply(*finals)` joins the final states [D, B, H] of L layers to [L·D, B, H]."""

    @staticmethod
    def forward(ctx: Any, *finals: Tensor) -> Tensor:
        """Copies the states."""
        ctx.layers = len(finals)
        return _copied([h_n.detach() for h_n in finals])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        """Takes the gradient apart."""
        return tuple(gradient.chunk(ctx.layers))


def joined(finals: Sequence[Tensor]) -> Tensor:
    """Returns the final states [D, B, H] of all layers in one tensor [L·D, B, H], copied by this thread alone.

    torch.cat shares a large copy with the threads of OpenMP, and those then wait for more on processors that the next
    native call wants: a training step of two layers of 64 units and 800 rows took a fifth longer.
    """
    if not any(h_n.requires_grad for h_n in finals):
        return _copied(finals)
    joint: Tensor = _Joined.apply(*finals)  # type: ignore[no-untyped-call]
    return joint


def _copied(finals: Sequence[Tensor]) -> Tensor:
    return torch.from_numpy(np.concatenate([h_n.numpy() for h_n in finals]))


def run(
    plan: Plan, directions: Sequence[_kernels.Layer], x: Tensor, h0: Tensor | None, *, K: int = 0, clear: bool = False
) -> tuple[Array, Array, Array | None]:
    """Runs all directions of a layer natively; `clear` as in `_kernels.run_forward`.

    Returns:
        y, h_n, and K values of each step [D, T, B, K, H]; None for none.
    """
    inputs, states = _inputs(x, h0)
    batch, cell, D, H = plan.batch, plan.cell, len(directions), directions[0].hidden_size
    leading = batch.leading
    states_n = () if cell.S == 1 else (cell.S,)
    y, h_n = _kernels.empty(*leading, D * H), np.empty((D, *states_n, batch.B, H), np.float32)
    kept = _kernels.empty(D, *leading, K, H) if K else None
    for d, layer in enumerate(directions):
        call = _kernels.Call(batch, d == 1, inputs, None if states is None else states[d])
        y_d, kept_d = y if D == 1 else _columns(y, d), None if kept is None else kept[d]
        _kernels.run_forward(layer, call, y_d, h_n[d], kept_d, clear=clear)
    return y, h_n, kept


def _tensors(arrays: tuple[Array, Array, Array | None]) -> _Done:
    y, h_n, trace = arrays
    return _Done(torch.from_numpy(y), torch.from_numpy(h_n), None if trace is None else torch.from_numpy(trace))


def native_gradients(
    plan: Plan,
    directions: Sequence[_kernels.Layer],
    x: Tensor,
    h0: Tensor | None,
    kept: tuple[Array, Array | None],
    output_gradients: Pair,
    *,
    need_dx: bool,
    need_dh0: bool,
) -> list[Tensor | None]:
    """Walks all directions of a layer backwards natively.

    Args:
        plan: The plan of the forward pass, and so are directions, x and h0.
        kept: y and the trace of the forward pass; without a trace, the gates of a GRU are computed again.
        output_gradients: Gradients of the loss by y and by h_n; None for 0.
        need_dx: Whether to compute the gradient by x.
        need_dh0: Whether to compute the gradient by h0.

    Returns:
        Gradients by x and by h0 (None if not needed), and by the weights in torch's order.
    """
    y, trace = kept
    inputs, states = _inputs(x, h0)
    dy, dh_n = output_gradients
    dys = None if dy is None else dy.numpy(force=True)
    dstates = None if dh_n is None else np.ascontiguousarray(dh_n.numpy(force=True))
    D, results = len(directions), []
    for d, layer in enumerate(directions):
        state = None if states is None else states[d]
        y_d, dy_d = (y, dys) if D == 1 else (_columns(y, d), None if dys is None else _columns(dys, d))
        dy_d = None if dy_d is None else _kernels.rows_contiguous(dy_d)
        dh_n_d = None if dstates is None else dstates[d]
        gates = None if trace is None else trace[d]
        results.append(
            _kernels.run_backward(
                *(layer, _kernels.Call(plan.batch, d == 1, inputs, state), (y_d, gates), (dy_d, dh_n_d)),
                need_dx=need_dx,
                need_dh0=need_dh0,
                recompute_every=plan.recompute_every,
            )
        )
    dx = results[0].dx
    if dx is not None:
        for other in results[1:]:
            dx += cast("Array", other.dx)
    dh0 = np.stack([cast("Array", result.dh0) for result in results]) if need_dh0 else None
    # The fields after dx and dh0 are those of the weights; without bias the last two are None.
    dweights = [torch.from_numpy(dw) for result in results for dw in result[2:] if dw is not None]
    dinputs = [None if array is None else torch.from_numpy(array) for array in (dx, dh0)]
    return [*dinputs, *dweights]


def _inputs(x: Tensor, h0: Tensor | None) -> tuple[Array, Array | None]:
    """Returns the arrays of x and h0, laid out as the kernels read them."""
    states = None if h0 is None else np.ascontiguousarray(h0.numpy(force=True))
    return _kernels.rows_contiguous(x.numpy(force=True)), states


def _columns(array: Array, direction: int) -> Array:
    """Returns the columns [T, B, H] of one of two directions in an array [T, B, 2·H], as a view."""
    H = array.shape[-1] // 2
    return array[..., direction * H : (direction + 1) * H]


def _batched(*gradients: Tensor | None) -> bool:
    """Says whether the backward pass carries many gradients at once, or is itself transformed."""
    if _are_functorch_transforms_active():
        return True
    return any(gradient is not None and is_legacy_batchedtensor(gradient) for gradient in gradients)


def _version_counter(tensor: Tensor) -> Tensor:
    """Returns an empty tensor that counts the changes of another one in place, and holds none of its memory."""
    counter = tensor.detach()
    counter.data = _NO_MEMORY
    return counter
