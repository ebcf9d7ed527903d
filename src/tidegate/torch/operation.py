"""One recurrent layer as operations of torch, `tidegate::recurrent_layer` and its backward pass.

torch.compile and torch.export put them into their graphs as they are. The arguments are time first, as in `native`. A
module that nothing transforms calls the kernels by itself: an operation of torch costs more than a small layer.
"""

import sys
from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from tidegate.ops import checks
from tidegate.ops._kernels import traced_values
from tidegate.ops.batch import Batch, check_batch
from tidegate.ops.cells import Cell
from tidegate.ops.layer import check_weights
from tidegate.torch.cells import States, weights_per_direction
from tidegate.torch.native import NativeLayer, Plan, sizes_of
from tidegate.torch.options import Options


class OperationLayers(NamedTuple):
    """The layers of a module as operations of torch: layer `i` maps x, its states and weights to y and final states.

    Attributes:
        options: What the layers share.
        batch: The rows; its lengths and episode starts are tensors.
    """

    options: Options
    batch: Batch

    def __call__(self, i: int, x: Tensor, states: States | None, weights: Sequence[Tensor]) -> tuple[Tensor, States]:
        """Runs one layer, keeping the gates if gradients will surely be asked for; a graph to export might never."""
        given = () if states is None else states
        keep = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (*weights, x, *given))
        options = self.options._replace(keep=keep and not torch.compiler.is_exporting())
        batch = self.batch
        rows: tuple[Any, Any] = (batch.lengths, batch.episode_starts)
        y, finals, _ = recurrent_layer(x, list(given), list(weights), *rows, options.text)
        return y, tuple(finals)


@torch.library.custom_op("tidegate::recurrent_layer", mutates_args=(), device_types="cpu")
def recurrent_layer(
    x: Tensor,
    states: Sequence[Tensor],
    weights: Sequence[Tensor],
    lengths: Tensor | None,
    episode_starts: Tensor | None,
    options: str,
) -> tuple[Tensor, list[Tensor], Tensor]:
    """Runs one layer, both directions if there are weights for two.

    Args:
        x: Input, float32 [T, B, I].
        states: The S initial states, float32 [D, B, H]; none for zeros.
        weights: As torch lists them, for each direction w_ih [G·H, I], w_hh [G·H, H] and with bias b_ih, b_hh [G·H].
        lengths: Steps of each row, integers [B]; None for T everywhere.
        episode_starts: True on the first step of each episode, bool [T, B]; None for one episode a row.
        options: The text of the cell and what else there is to say, see `Options`.

    Returns:
        y [T, B, D·H], the S final states [D, B, H], and what is saved [D, T, B, K, H] or an empty tensor.

    Raises:
        TypeError: A tensor is not float32, lengths are no integers, or episode starts no booleans.
        ValueError: A shape, a length or an option is wrong.
    """
    given = Options.read(options)
    layer, _ = _layer(given, weights, (x, states), (lengths, episode_starts))
    y, *finals, saved = layer.run((x, *states, *weights), layer.K if given.keep else 0)
    return y, finals, x.new_empty(0) if saved is None else saved


@torch.library.custom_op("tidegate::recurrent_layer_backward", mutates_args=(), device_types="cpu")
def recurrent_layer_backward(
    x: Tensor,
    states: Sequence[Tensor],
    weights: Sequence[Tensor],
    lengths: Tensor | None,
    episode_starts: Tensor | None,
    options: str,
    outputs: Sequence[Tensor],
    output_gradients: Sequence[Tensor | None],
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Carries gradients back through a layer.

    Args:
        x: As in the forward pass, and so are states to options.
        outputs: Of what the forward pass returned, y and what was saved.
        output_gradients: Gradients of the loss by y and by the S final states; None for zeros.

    Returns:
        dx (empty if it is not needed), the gradients by the states that are given (none if they are not needed), and
        those by the weights.
    """
    given = Options.read(options)
    layer, sizes = _layer(given, weights, (x, states), (lengths, episode_starts))
    inputs, (y, saved), cell = (x, *states, *weights), outputs, layer.plan.cell
    K = layer.K if given.keep else traced_values(cell, gates=False)
    if K and not given.keep:  # nothing was saved, and states after the first can't be done without
        *_, saved = layer.run(inputs, K)
    _check_saved(y, saved, K, sizes)
    names = ("dy", *[f"dstates[{s}]" for s in range(cell.S)])
    for name, gradient in zip(names, output_gradients, strict=True):
        if gradient is not None:
            checks.check(name, gradient.numpy(force=True), "T B D·H" if name == "dy" else "D B H", sizes)
    held, needed = (*inputs, y, saved if saved.numel() else None), (given.need_dx, *[given.need_dstates] * len(states))
    dx, *rest = layer.gradients(held, output_gradients, needed)
    dstates = rest[: len(states)] if given.need_dstates else []
    return x.new_empty(0) if dx is None else dx, dstates, rest[len(states) :]


def _layer(
    options: Options,
    weights: Sequence[Tensor],
    inputs: tuple[Tensor, Sequence[Tensor]],
    rows: tuple[Tensor | None, Tensor | None],
) -> tuple[NativeLayer, checks.Sizes]:
    """Checks what the rest trusts, and returns the sizes of the letters too."""
    (x, states), (lengths, episode_starts), cell = inputs, rows, Cell.of(options.cell)
    step = weights_per_direction(weights)
    if len(weights) not in {step, 2 * step}:
        raise ValueError(f"weights are {len(weights)}, expected those of one or two directions, {step} each")
    parts = [[weight.numpy(force=True) for weight in weights[i : i + step]] for i in range(0, len(weights), step)]
    I, H = check_weights(cell, *parts[0])
    if check_weights(cell, *parts[-1]) != (I, H):
        raise ValueError("the weights of the two directions have different shapes, expected the same")
    numbers = {"I": I, "H": H, "D": len(parts)}
    sizes: checks.Sizes = {letter: (size, "the weights") for letter, size in numbers.items()}
    checks.check("x", x.numpy(force=True), "T B I", sizes)
    if len(states) not in {0, cell.S}:
        raise ValueError(f"states are {len(states)}, expected the {cell.S} of the cell {cell.name!r}, or none")
    for s, state in enumerate(states):
        checks.check(f"states[{s}]", state.numpy(force=True), "D B H", sizes)
    batch = check_batch(
        sizes,
        lengths=None if lengths is None else lengths.numpy(),
        episode_starts=None if episode_starts is None else episode_starts.numpy(),
        episode_state=options.episode_state,
    )
    plan = Plan(cell, batch, options.recompute_every, options.bfloat16)
    return NativeLayer(plan, sizes_of(weights), len(states)), sizes


def _check_saved(y: Tensor, saved: Tensor, K: int, sizes: checks.Sizes) -> None:
    """Checks what the forward pass has saved."""
    checks.check("y", y.numpy(force=True), "T B D·H", sizes)
    if saved.numel():
        checks.check("saved", saved.numpy(force=True), "D T B K H", sizes | {"K": (K, "the cell")})


@recurrent_layer.register_fake
def shapes_of_layer(
    x: Tensor,
    states: Sequence[Tensor],
    weights: Sequence[Tensor],
    lengths: Tensor | None,
    episode_starts: Tensor | None,
    options: str,
) -> tuple[Tensor, list[Tensor], Tensor]:
    """Returns what `recurrent_layer` returns, without its numbers."""
    _stay_as_it_is()
    given, H, D = Options.read(options), weights[1].shape[1], len(weights) // weights_per_direction(weights)
    T, B = x.shape[0], states[0].shape[1] if states else x.shape[1]
    cell = Cell.of(given.cell)
    K = Plan(cell, Batch(0, 0), given.recompute_every).saved_values if given.keep else 0
    finals = [x.new_empty(D, B, H) for _ in range(cell.S)]
    return x.new_empty(T, B, D * H), finals, x.new_empty((D, T, B, K, H) if K else 0)


def _stay_as_it_is() -> None:
    """Tells torch's compiler to leave the operation in its graph, although ONNX has another form of it.

    Where the environment says `CI`, it refuses any operation in torch's table of decompositions that it was not told to
    leave, and it can be told only once it is imported: while it makes a graph, when sizes are asked for.
    """
    if (lowering := sys.modules.get("torch._inductor.lowering")) is not None:
        lowering.FALLBACK_ALLOW_LIST.add("tidegate::recurrent_layer")


@recurrent_layer_backward.register_fake
def _(
    x: Tensor,
    states: Sequence[Tensor],
    weights: Sequence[Tensor],
    lengths: Tensor | None,
    episode_starts: Tensor | None,
    options: str,
    outputs: Sequence[Tensor],
    output_gradients: Sequence[Tensor | None],
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    given = Options.read(options)
    dx, starts = x.new_empty(x.shape if given.need_dx else 0), states if given.need_dstates else ()
    return dx, [x.new_empty(state.shape) for state in starts], [x.new_empty(weight.shape) for weight in weights]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
    """Keeps what the backward pass needs."""
    x, states, weights, lengths, episode_starts, options = inputs
    y, _, saved = output
    ctx.mark_non_differentiable(saved)
    ctx.set_materialize_grads(False)
    ctx.options, ctx.given = options, len(states)
    ctx.save_for_backward(x, lengths, episode_starts, y, saved, *states, *weights)


def _backward(ctx: Any, dy: Tensor | None, dfinals: Sequence[Tensor | None], _: Any) -> tuple[Any, ...]:
    x, lengths, episode_starts, y, saved, *tensors = ctx.saved_tensors
    states, weights = tensors[: ctx.given], tensors[ctx.given :]
    need_dx, need_dstates = ctx.needs_input_grad[:2]
    options = Options.read(ctx.options)._replace(need_dx=need_dx, need_dstates=not states or any(need_dstates))
    dx, dstates, dweights = recurrent_layer_backward(
        *(x, states, weights, lengths, episode_starts, options.text), [y, saved], [dy, *dfinals]
    )
    return dx if options.need_dx else None, dstates or [None] * ctx.given, dweights, None, None, None


recurrent_layer.register_autograd(_backward, setup_context=_keep)


def _products(weights: Any) -> tuple[int, int]:
    """Counts the multiplications and additions of W x and U h, for one step of one row."""
    numbers = [2 * prod(weight) for weight in weights if len(weight) == 2]
    return sum(numbers[::2]), sum(numbers[1::2])


@register_flop_formula(torch.ops.tidegate.recurrent_layer)
def _forward_flops(x: Any, states: Any, weights: Any, *others: Any, **options: Any) -> int:
    """Tells `torch.utils.flop_counter` what a layer costs."""
    rows: int = prod(x[:-1])
    return rows * sum(_products(weights))


@register_flop_formula(torch.ops.tidegate.recurrent_layer_backward)
def _backward_flops(
    x: Any, states: Any, weights: Any, lengths: Any, episode_starts: Any, options: str, *others: Any, **rest: Any
) -> int:
    """The same for the backward pass: gradients by the weights, by x if needed, and by the states before each step.

    Those by the initial states are left out where nobody needs them, as in torch's own layers.
    """
    (T, B, _), (by_x, by_h), given = x, _products(weights), Options.read(options)
    dx, dh = T * by_x if given.need_dx else 0, (T if states and given.need_dstates else T - 1) * by_h
    products: int = B * (T * (by_x + by_h) + dx + dh)
    return products
