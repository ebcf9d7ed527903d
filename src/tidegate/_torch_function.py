"""One recurrent layer as a node of torch's graph: native kernels in both passes, torch's own for second derivatives.

All tensors here are time first: `x` float32 [T, B, I], `y` [T, B, D·H], `h0` and `h_n` [D, B, H] with D directions.
In packed sequences N stands for the two axes T, B, in the order of `torch.nn.utils.rnn.PackedSequence`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch._C import (
    _are_functorch_transforms_active,
    _dispatch_tls_is_dispatch_key_included,
    _is_tracing,
    _len_torch_dispatch_stack,
)
from torch.autograd import forward_ad
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from tidegate import ops

Array = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Pair = tuple[Tensor | None, Tensor | None]

_NOT_READ = np.empty(0, np.float32)  # stands for h_n, which the native backward pass does not look at


class Plan(NamedTuple):
    """What the call of one layer needs beside its tensors.

    Attributes:
        cell: "gru", "rnn_tanh" or "rnn_relu".
        directions: Packed weights of the D directions, the second of which walks in reverse.
        lengths: Steps of each row [B] of a padded batch; None for T everywhere.
        batch_sizes: Rows at each step [T] of a packed sequence; None for a padded batch.
    """

    cell: str
    directions: Sequence[ops.Layer]
    lengths: Integers | None
    batch_sizes: Integers | None

    def columns(self, array: Array, direction: int) -> Array:
        """Returns the columns [T, B, H] of one direction in an array [T, B, D·H], as a view."""
        H = self.directions[0].hidden_size
        return array[..., direction * H : (direction + 1) * H]


class RecurrentLayer(torch.autograd.Function):
    """One recurrent layer, native in both passes: `apply(plan, x, h0, *weights)` gives `(y, h_n)`.

    The weights come as torch lists them, for each direction w_ih, w_hh and with bias b_ih, b_hh. The forward pass reads
    the packed ones in the plan. None of the tensors may change before the backward pass: torch checks that.
    """

    @staticmethod
    def forward(ctx: Any, plan: Plan, x: Tensor, h0: Tensor | None, *weights: Tensor) -> tuple[Tensor, Tensor]:
        y, h_n, traces = run(plan, x, h0, trace=any(ctx.needs_input_grad))
        output = torch.from_numpy(y)
        # A second tensor on the memory of y: its version counter is its own, so that users may change y in place.
        saved = [None if array is None else torch.from_numpy(array) for array in (y, *traces)]
        ctx.plan = plan
        ctx.output_version = _version_counter(output)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, h0, *saved, *weights)
        return output, torch.from_numpy(h_n)

    @staticmethod
    def backward(ctx: Any, dy: Tensor | None, dh_n: Tensor | None) -> tuple[Tensor | None, ...]:
        plan: Plan = ctx.plan
        D = len(plan.directions)
        x, h0, y, *others = ctx.saved_tensors
        needed = ctx.needs_input_grad[1:]
        if torch.is_grad_enabled() or active_transform():
            return None, *torch_gradients(plan, (x, h0, *others[D:]), (dy, dh_n), needed)

        changed = ctx.output_version._version > 0  # noqa: SLF001 - torch's public name for it
        states = run(plan, x, h0, trace=False)[0] if changed else y.numpy()
        gradients = native_gradients(plan, x, h0, states, others[:D], (dy, dh_n), need_dx=needed[0])
        found = zip(gradients, needed, strict=True)
        return None, *(torch.from_numpy(array) if need and array is not None else None for array, need in found)


def run(plan: Plan, x: Tensor, h0: Tensor | None, *, trace: bool) -> tuple[Array, Array, list[Array | None]]:
    """Runs all directions of a layer natively.

    Returns:
        y, h_n, and for each direction the trace that the backward pass needs beside y, if asked for and if any.
    """
    inputs = x.numpy(force=True)
    starts = [None] * 2 if h0 is None else h0.numpy(force=True)
    two = len(plan.directions) == 2
    y = np.empty((*inputs.shape[:-1], 2 * plan.directions[0].hidden_size), np.float32) if two else None
    outs = [
        ops.forward(
            layer,
            inputs,
            starts[d],
            lengths=plan.lengths,
            batch_sizes=plan.batch_sizes,
            reverse=d == 1,
            trace=trace,
            y=None if y is None else plan.columns(y, d),
        )
        for d, layer in enumerate(plan.directions)
    ]
    traces = [out.trace for out in outs]
    if y is None:
        return outs[0].y, outs[0].h_n[None], traces
    return y, np.stack([out.h_n for out in outs]), traces


def native_gradients(
    plan: Plan,
    x: Tensor,
    h0: Tensor | None,
    y: Array,
    traces: Sequence[Tensor | None],
    output_gradients: Pair,
    *,
    need_dx: bool,
) -> list[Array | None]:
    """Walks all directions of a layer backwards natively.

    Args:
        plan: The plan of the forward pass, and so are x and h0.
        y: Output of the forward pass.
        traces: What the forward pass kept of each direction.
        output_gradients: Gradients of the loss by y and by h_n; None for 0.
        need_dx: Whether to compute the gradient by x.

    Returns:
        Gradients by x, by h0, and by the weights of each direction in torch's order.
    """
    inputs = x.numpy(force=True)
    starts = [None] * 2 if h0 is None else h0.numpy(force=True)
    dy, dh_n = (None if tensor is None else tensor.numpy(force=True) for tensor in output_gradients)
    results = []
    for d, (layer, trace) in enumerate(zip(plan.directions, traces, strict=True)):
        out = ops.Forward(plan.columns(y, d), _NOT_READ, None if trace is None else trace.numpy())
        results.append(
            ops.backward(
                layer,
                inputs,
                out,
                None if dy is None else plan.columns(dy, d),
                None if dh_n is None else dh_n[d],
                starts[d],
                lengths=plan.lengths,
                batch_sizes=plan.batch_sizes,
                reverse=d == 1,
                need_dx=need_dx,
            )
        )
    dxs = [result.dx for result in results if result.dx is not None]
    for other in dxs[1:]:
        dxs[0] += other
    dh0 = None if h0 is None else np.stack([result.dh0 for result in results])
    # The fields after dx and dh0 are those of the weights; without bias the last two are None.
    return [
        dxs[0] if dxs else None,
        dh0,
        *(dw for result in results for dw in (result[2:] if plan.directions[0].bias else result[2:4])),
    ]


def torch_gradients(
    plan: Plan, inputs: Sequence[Tensor], output_gradients: Pair, needed: Sequence[bool]
) -> list[Tensor | None]:
    """Computes gradients by torch's own operations, which can be differentiated again, batched or traced.

    Args:
        plan: The plan of the forward pass.
        inputs: x, h0 (may be None) and the weights.
        output_gradients: Gradients of the loss by y and by h_n; None for 0.
        needed: For each input, whether its gradient is wanted.

    Returns:
        A gradient for each input that needs one, None for the others.
    """
    again = torch.is_grad_enabled()
    x, h0, *weights = inputs
    with torch.enable_grad():
        outputs = torch_layer(plan, x, h0, weights)
    wanted = [tensor for tensor, need in zip(inputs, needed, strict=True) if need]
    pairs = [(output, dout) for output, dout in zip(outputs, output_gradients, strict=True) if dout is not None]
    known, given = zip(*pairs, strict=True)
    found = iter(torch.autograd.grad(known, wanted, given, create_graph=again, allow_unused=True))
    return [next(found) if need else None for need in needed]


def torch_layer(plan: Plan, x: Tensor, h0: Tensor | None, weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Runs one layer by torch's own operations, with arguments and results as `RecurrentLayer`."""
    D, layer = len(plan.directions), plan.directions[0]
    recurrence: Callable[..., tuple[Tensor, Tensor]] = getattr(torch, plan.cell)
    options = (weights, layer.bias, 1, 0.0, False, D == 2)  # layers, dropout, training, bidirectional
    if h0 is None:
        B = x.shape[1] if plan.batch_sizes is None else int(plan.batch_sizes[0])
        h0 = x.new_zeros(D, B, layer.hidden_size)
    if plan.batch_sizes is not None:
        return recurrence(x, torch.from_numpy(plan.batch_sizes), h0, *options)
    if plan.lengths is not None:
        features = D * layer.hidden_size
        return torch_ragged(lambda *packed: recurrence(*packed, *options), x, h0, plan.lengths, features)
    batch_first = False
    return recurrence(x, h0, *options, batch_first)


def torch_ragged(
    recurrence: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]],
    x: Tensor,
    h0: Tensor,
    lengths: Integers,
    features: int,
) -> tuple[Tensor, Tensor]:
    """Runs padded rows of any length by a recurrence of torch, which wants them packed, sorted and no row empty.

    Args:
        recurrence: Maps packed input [N, I], batch_sizes [T] and h0 to packed outputs [N, features] and h_n.
        x: Input [T, B, I].
        h0: Initial states [K, B, H], whatever K.
        lengths: Steps of each row [B], in any order.
        features: Size of an output.

    Returns:
        Outputs [T, B, features], 0 beyond a row's length, and h_n [K, B, H], which is h0 for rows of length 0.
    """
    T, B = x.shape[:2]
    order = np.argsort(-lengths, kind="stable")[: np.count_nonzero(lengths)]
    if not order.size:
        return x.new_zeros(T, B, features), h0
    rows = torch.from_numpy(order).to(x.device)
    packed = pack_padded_sequence(x.index_select(1, rows), torch.from_numpy(lengths[order]))
    data, h_n = recurrence(packed.data, packed.batch_sizes, h0.index_select(1, rows))
    y, _ = pad_packed_sequence(PackedSequence(data, packed.batch_sizes), total_length=T)
    all_y = y.new_zeros(T, B, features).index_copy(1, rows, y)
    return all_y, h0.to(h_n.dtype).index_copy(1, rows, h_n)


def active_transform() -> str | None:
    """Returns what transforms, records or replaces the operations of torch at the moment, or None."""
    if torch.compiler.is_compiling():
        return "torch.compile or torch.export is tracing"
    if _is_tracing():
        return "torch.jit is tracing"
    if _are_functorch_transforms_active() or _dispatch_tls_is_dispatch_key_included("VmapMode"):
        return "a transform of torch.func is active"
    if _len_torch_dispatch_stack():
        return "a dispatch mode of torch is active"
    if forward_ad._current_level >= 0:  # noqa: SLF001 - there is no public name
        return "forward-mode differentiation is active"
    return None


def _version_counter(tensor: Tensor) -> Tensor:
    """Returns an empty tensor that counts the changes of another one in place, and holds none of its memory."""
    counter = tensor.detach()
    counter.data = tensor.new_empty(0)
    return counter
