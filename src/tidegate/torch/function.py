"""One recurrent layer as a node of torch's graph: native kernels in both passes, torch's own for second derivatives."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch._C import _are_functorch_transforms_active
from torch._C._functorch import is_legacy_batchedtensor

from tidegate.ops import _kernels
from tidegate.ops.trace import Trace
from tidegate.torch.cells import States
from tidegate.torch.fallback import torch_gradients
from tidegate.torch.native import NativeLayer, Plan, sizes_of
from tidegate.torch.tensors import Results

_NO_MEMORY = torch.empty(0, dtype=torch.float32)


class DirectLayers(NamedTuple):
    """The layers of a module, called directly: layer `i` maps x, its states and its weights to y and final states.

    Attributes:
        plan: What the layers share; only the first one looks up its inputs in a table.
        traces: A list to which the traces of a padded batch are appended; None if nobody wants them.
    """

    plan: Plan
    traces: list[Trace] | None = None

    def __call__(self, i: int, x: Tensor, states: States | None, weights: Sequence[Tensor]) -> tuple[Tensor, States]:
        """Runs one layer, and records it if gradients are to reach one of its tensors."""
        given, plan, results = states or (), self.plan, None
        recorded = is_recorded((*weights, x, *given))
        if i > 0 and plan.batch.ids is not None:
            plan = plan._replace(batch=plan.batch.without_ids())
        layer, tensors = NativeLayer(plan, sizes_of(weights), len(given)), (x, *given, *weights)
        if self.traces is not None:
            results = layer.run(tensors, _kernels.traced_values(plan.cell, gates=True))
            self.traces.extend(_traces(plan, i, results, states))
        elif not recorded:
            results = layer.run(tensors, 0)
        if results is not None and not recorded:
            y, *finals, _ = results
        else:
            y, *finals = RecurrentLayer.apply(layer, results, *tensors)  # type: ignore[no-untyped-call]
        return y, tuple(finals)


def is_recorded(tensors: Iterable[Any]) -> bool:
    """Returns whether autograd records what is computed of these; what is no tensor does not count."""
    if torch.is_grad_enabled():
        for each in tensors:  # faster than any() over a generator
            if isinstance(each, Tensor) and each.requires_grad:
                return True
    return False


def _traces(plan: Plan, i: int, results: Results, states: States | None) -> Iterator[Trace]:
    """Takes apart what a layer has computed and saved, without a copy."""
    y, *finals, values = results
    D, cell = len(finals[0]), plan.cell
    starts = tuple(map(torch.zeros_like, finals)) if states is None else states
    for d, (hidden, saved) in enumerate(zip(y.chunk(D, 2), values, strict=True)):
        h0 = [state[d].detach() for state in starts]
        facts = {"h0": h0[0] if cell.S == 1 else torch.stack(h0), "lengths": plan.batch.row_lengths()}
        episodes = plan.batch.episode_starts is not None
        yield Trace.of(cell, hidden, saved.unbind(2), **facts, episodes=episodes, layer=i, reverse=d == 1)


class RecurrentLayer(torch.autograd.Function):
    """One recurrent layer, native in both passes: `apply(layer, results, x, *states, *weights)` gives `(y, *finals)`.

    The results are those of `NativeLayer.run`, or None to compute them. None of the tensors may change before the
    backward pass: torch checks that.
    """

    @staticmethod
    def forward(ctx: Any, layer: NativeLayer, results: Results | None, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Runs the layer natively, and keeps what the backward pass reads."""
        y, *finals, saved = results or layer.run(tensors)
        output = y.data  # its version counter is its own, so that users may change it in place
        ctx.kept = layer, _version_counter(output)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors, y, saved if layer.K else None)
        return output, *finals

    @staticmethod
    def backward(ctx: Any, *output_gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        """Returns the gradients of what `apply` took; by torch's operations where they are to have derivatives too."""
        layer: NativeLayer
        layer, counter = ctx.kept
        held: tuple[Tensor, ...] = ctx.saved_tensors  # once: hooks may refuse a second time
        needed = ctx.needs_input_grad[2:]
        if torch.is_grad_enabled() or _batched(output_gradients):
            layer.check(held)
            by_torch = layer.plan.torch_layer
            return None, None, *torch_gradients(by_torch, held[:-2], layer.given, output_gradients, needed)
        if counter._version > 0:  # noqa: SLF001 - torch's public name for it
            held = layer.with_outputs(held)
        return None, None, *layer.gradients(held, output_gradients, needed)


apply_to_plain: Callable[..., Any] = super(torch.autograd.Function, RecurrentLayer).apply
"""`RecurrentLayer.apply` without a look for wrappers of torch.func: for what native code has read, outside of it."""


class _Joined(torch.autograd.Function):
    """`apply(*finals)` joins a final state [D, B, H] of L layers to [L·D, B, H]."""

    @staticmethod
    def forward(ctx: Any, *finals: Tensor) -> Tensor:
        """Copies the states."""
        ctx.layers = len(finals)
        return _copied([state.detach() for state in finals])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        """Takes the gradient apart."""
        return tuple(gradient.chunk(ctx.layers))


def joined(finals: Sequence[Tensor]) -> Tensor:
    """Returns a final state [D, B, H] of all layers in one tensor [L·D, B, H], copied by this thread alone.

    torch.cat shares a large copy with the threads of OpenMP, and those then wait for more on processors that the next
    native call wants: a training step of two layers of 64 units and 800 rows took a fifth longer.
    """
    if not any(state.requires_grad for state in finals):
        return _copied(finals)
    joint: Tensor = _Joined.apply(*finals)  # type: ignore[no-untyped-call]
    return joint


def _copied(finals: Sequence[Tensor]) -> Tensor:
    return torch.from_numpy(np.concatenate([state.numpy() for state in finals]))


def _batched(output_gradients: Sequence[Tensor | None]) -> bool:
    """Says whether the backward pass carries many gradients at once, or is itself transformed."""
    if _are_functorch_transforms_active():
        return True
    return any(gradient is not None and is_legacy_batchedtensor(gradient) for gradient in output_gradients)


def _version_counter(tensor: Tensor) -> Tensor:
    """Returns an empty tensor that counts the changes of another one in place, and holds none of its memory."""
    counter = tensor.detach()
    counter.data = _NO_MEMORY
    return counter
