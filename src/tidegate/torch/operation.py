"""One recurrent layer as operations of torch, `tidegate::recurrent_layer` and its backward pass.

torch.compile and torch.export put them into their graphs as they are. The
arguments are time first, as in `function`, which a module calls by itself when nothing transforms it: an
operation of torch costs more per call than a small layer.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from tidegate.ops import EPISODE_STATES, checks
from tidegate.ops._kernels import Array, rows_contiguous
from tidegate.ops.batch import EPISODE_STATES, Batch
from tidegate.ops.cells import Cell
from tidegate.torch.fallback import weights_per_direction
from tidegate.torch.function import Plan, native_gradients, run
from tidegate.torch.weights import PACKED

Outputs = tuple[Tensor, Tensor, Tensor]
Gradients = tuple[Tensor, Tensor, list[Tensor]]


class OperationLayers(NamedTuple):
    """The layers of a module as operations of torch: layer `i` maps x, h0 and its weights to y and h_n."""

    cell: str
    lengths: Tensor | None
    episode_starts: Tensor | None
    episode_state: str
    recompute_every: int | None

    def __call__(self, i: int, x: Tensor, h0: Tensor | None, weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Runs one layer, keeping the gates if gradients will surely be asked for; a graph to export might never."""
        inputs = (*weights, x) if h0 is None else (*weights, x, h0)
        trace = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)
        trace = trace and not torch.compiler.is_exporting()
        y, h_n, _ = recurrent_layer(x, h0, list(weights), *self, trace)
        return y, h_n


@torch.library.custom_op("tidegate::recurrent_layer", mutates_args=(), device_types="cpu")
def recurrent_layer(
    x: Tensor,
    h0: Tensor | None,
    weights: Sequence[Tensor],
    cell: str,
    lengths: Tensor | None,
    episode_starts: Tensor | None,
    episode_state: str,
    recompute_every: int | None,
    trace: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Runs one layer, both directions if there are weights for two.

    Args:
        x: Input, float32 [T, B, I].
        h0: Initial states, float32 [D, B, H]; None for zeros.
        weights: As torch lists them, for each direction w_ih [G·H, I], w_hh [G·H, H] and with bias b_ih, b_hh [G·H].
        cell: The text of the cell, see `cells.Cell`.
        lengths: Steps of each row, integers [B]; None for T everywhere.
        episode_starts: True on the first step of each episode, bool [T, B]; None for one episode a row.
        episode_state: What an episode starts from, "zeros" or "h0".
        recompute_every: Steps of a segment whose gates the backward pass computes again; None for any number.
        trace: Whether to keep the gates for the backward pass, which otherwise computes them again.

    Returns:
        y [T, B, D·H], h_n [D, B, H], and the trace [D, T, B, 4, H] or an empty tensor.

    Raises:
        TypeError: A tensor is not float32, or lengths are no integers.
        ValueError: A shape or a length is wrong.
    """
    plan = _plan(x, h0, weights, cell, lengths, episode_starts, episode_state, recompute_every, {})
    directions = PACKED.get(plan.cell, weights, exactly=trace)
    y, h_n, gates = run(plan, directions, x, h0, K=plan.kept_values if trace else 0, clear=True)
    kept = x.new_empty(0) if gates is None else torch.from_numpy(gates)
    return torch.from_numpy(y), torch.from_numpy(h_n), kept


@torch.library.custom_op("tidegate::recurrent_layer_backward", mutates_args=(), device_types="cpu")
def recurrent_layer_backward(
    x: Tensor,
    h0: Tensor | None,
    weights: Sequence[Tensor],
    cell: str,
    lengths: Tensor | None,
    episode_starts: Tensor | None,
    episode_state: str,
    recompute_every: int | None,
    need_dx: bool,
    y: Tensor,
    trace: Tensor,
    dy: Tensor | None,
    dh_n: Tensor | None,
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Carries gradients back through a layer.

    Args:
        x: As in the forward pass, and so are h0 to recompute_every.
        need_dx: Whether to compute dx; if not, it is empty.
        y: What the forward pass returned, and so is trace.
        dy: Gradient of the loss by y; None for zeros.
        dh_n: Gradient of the loss by h_n; None for zeros.

    Returns:
        dx, dh0 (empty if there is no h0) and the gradients by the weights.
    """
    sizes: checks.Sizes = {}
    plan = _plan(x, h0, weights, cell, lengths, episode_starts, episode_state, recompute_every, sizes)
    directions = PACKED.get(plan.cell, weights, exactly=False)
    kept = _kept(y, trace, sizes)
    for name, gradient, letters in (("dy", dy, "T B D·H"), ("dh_n", dh_n, "D B H")):
        if gradient is not None:
            checks.check(name, gradient.numpy(force=True), letters, sizes)
    found = native_gradients(plan, directions, x, h0, kept, (dy, dh_n), need_dx=need_dx, need_dh0=h0 is not None)
    dx, dh0, *dweights = [x.new_empty(0) if tensor is None else tensor for tensor in found]
    return dx, dh0, dweights


def _plan(
    x: Tensor,
    h0: Tensor | None,
    weights: Sequence[Tensor],
    cell: str,
    lengths: Tensor | None,
    episode_starts: Tensor | None,
    episode_state: str,
    recompute_every: int | None,
    sizes: checks.Sizes,
) -> Plan:
    """Checks what the rest trusts, and fills in the sizes of the letters."""
    checks.check_choice("episode_state", episode_state, EPISODE_STATES)
    checks.check_recompute(recompute_every)
    sizes |= {"I": (weights[0].shape[1], "the weights"), "H": (weights[1].shape[1], "the weights")}
    sizes["D"] = (len(weights) // weights_per_direction(weights), "the weights")
    checks.check("x", x.numpy(force=True), "T B I", sizes)
    steps = None if lengths is None else checks.check_lengths(lengths.numpy(), sizes)
    if h0 is not None:
        checks.check("h0", h0.numpy(force=True), "D B H", sizes)
    marks = None if episode_starts is None else checks.check_episode_starts(episode_starts.numpy(), "T B", sizes)
    batch = Batch(sizes["T"][0], sizes["B"][0], steps, None, marks, episode_state)
    return Plan(Cell.of(cell), batch, recompute_every)


def _kept(y: Tensor, trace: Tensor, sizes: checks.Sizes) -> tuple[Array, Array | None]:
    """Checks what the forward pass has kept."""
    outputs = rows_contiguous(checks.check("y", y.numpy(force=True), "T B D·H", sizes))
    if not trace.numel():
        return outputs, None
    return outputs, np.ascontiguousarray(checks.check("trace", trace.numpy(force=True), "D T B K H", dict(sizes)))


@recurrent_layer.register_fake
def _(
    x: Tensor,
    h0: Tensor | None,
    weights: Sequence[Tensor],
    cell: str,
    lengths: Tensor | None,
    episode_starts: Tensor | None,
    episode_state: str,
    recompute_every: int | None,
    trace: bool,
) -> Outputs:
    rows, H, D = x.shape[:-1], weights[1].shape[1], len(weights) // weights_per_direction(weights)
    B = rows[1] if h0 is None else h0.shape[1]
    K = Plan(Cell.of(cell), Batch(0, 0), recompute_every).kept_values
    kept = (D, *rows, K, H) if trace and K else (0,)
    return x.new_empty(*rows, D * H), x.new_empty(D, B, H), x.new_empty(kept)


@recurrent_layer_backward.register_fake
def _(x: Tensor, h0: Tensor | None, weights: Sequence[Tensor], *others: Any) -> Gradients:
    need_dx = others[-5]
    dx = x.new_empty(x.shape if need_dx else 0)
    return dx, x.new_empty(0 if h0 is None else h0.shape), [x.new_empty(weight.shape) for weight in weights]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Outputs) -> None:
    """Keeps what the backward pass needs."""
    x, h0, weights, cell, lengths, episode_starts, *options, _ = inputs
    y, _, trace = output
    ctx.mark_non_differentiable(trace)
    ctx.set_materialize_grads(False)
    ctx.cell, ctx.options = cell, options
    ctx.save_for_backward(x, h0, lengths, episode_starts, y, trace, *weights)


def _backward(ctx: Any, dy: Tensor | None, dh_n: Tensor | None, _: Any) -> tuple[Any, ...]:
    x, h0, lengths, episode_starts, y, trace, *weights = ctx.saved_tensors
    need_dx = ctx.needs_input_grad[0]
    dx, dh0, dweights = recurrent_layer_backward(
        x, h0, weights, ctx.cell, lengths, episode_starts, *ctx.options, need_dx, y, trace, dy, dh_n
    )
    return dx if need_dx else None, None if h0 is None else dh0, dweights, *[None] * 6


recurrent_layer.register_autograd(_backward, setup_context=_keep)
