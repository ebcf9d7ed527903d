"""One recurrent layer as a node of torch's graph: native kernels in both passes, torch's own for second derivatives."""

from collections.abc import Iterator, Sequence
from functools import partial
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
from tidegate.torch.native import Done, Outputs, Plan, gradients, run
from tidegate.torch.transforms import are_plain

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
        recorded = torch.is_grad_enabled() and (
            x.requires_grad
            or weights[0].requires_grad
            or (states is not None and any(state.requires_grad for state in states))
            or any(weight.requires_grad for weight in weights)
        )
        plan, done = self.plan, None
        if i > 0 and plan.batch.ids is not None:
            plan = plan._replace(batch=plan.batch.without_ids())
        if self.traces is not None or not recorded:
            K = 0 if self.traces is None else _kernels.traced_values(plan.cell, gates=True)
            done = run(plan, x, states, weights, K=K, clear=True)
        if self.traces is not None and done is not None:
            self.traces.extend(_traces(plan, i, done, states))
        if done is not None and not recorded:
            return done.y, done.finals
        given = states or ()
        y, *finals = RecurrentLayer.apply(  # type: ignore[no-untyped-call]
            _Call(plan, done, len(given)), x, *given, *weights
        )
        return y, tuple(finals)


def _traces(plan: Plan, i: int, done: Done, states: States | None) -> Iterator[Trace]:
    """Takes apart what a layer has saved, without a copy."""
    D, cell = len(done.finals[0]), plan.cell
    starts = tuple(map(torch.zeros_like, done.finals)) if states is None else states
    assert done.saved is not None  # noqa: S101 - for mypy: it was asked for
    for d, (hidden, saved) in enumerate(zip(done.y.chunk(D, 2), done.saved, strict=True)):
        h0 = [state[d].detach() for state in starts]
        facts = {"h0": h0[0] if cell.S == 1 else torch.stack(h0), "lengths": plan.batch.row_lengths()}
        episodes = plan.batch.episode_starts is not None
        yield Trace.of(cell, hidden, saved.unbind(2), **facts, episodes=episodes, layer=i, reverse=d == 1)


class _Call(NamedTuple):
    """What the node of a layer needs beside its tensors.

    Attributes:
        plan: The cell and the rows.
        done: What is computed already; None to compute it.
        given: How many states are given, S or 0.
    """

    plan: Plan
    done: Done | None
    given: int


class RecurrentLayer(torch.autograd.Function):
    """One recurrent layer, native in both passes: `apply(call, x, *states, *weights)` gives `(y, *finals)`.

    The weights come as torch lists them, for each direction w_ih, w_hh and with bias b_ih, b_hh. None of the tensors
    may change before the backward pass: torch checks that.
    """

    @staticmethod
    def forward(ctx: Any, call: _Call, x: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Runs the layer natively, and keeps what the backward pass reads."""
        plan, done, given = call
        y, finals, saved = done or run(plan, x, tensors[:given], tensors[given:], K=plan.saved_values)
        output = y.data  # its version counter is its own, so that users may change it in place
        ctx.plan, ctx.given = plan, given
        ctx.output_version = _version_counter(output)
        ctx.set_materialize_grads(False)
        held = (x, y, saved if plan.saved_values else None, *tensors)
        ctx.shapes = [tensor.shape for tensor in held if tensor is not None]
        ctx.save_for_backward(*held)
        return output, *finals

    @staticmethod
    def backward(ctx: Any, *output_gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        """Returns the gradients of what `apply` took; by torch's operations where they are to have derivatives too."""
        plan: Plan = ctx.plan
        held = ctx.saved_tensors  # once: hooks may refuse a second time
        check = partial(_check_saved, held, ctx.shapes)
        x, y, saved, *tensors = held
        needed = ctx.needs_input_grad[1:]
        if x.shape != ctx.shapes[0]:  # a table of less rows than are read of it
            check()
        if torch.is_grad_enabled() or _batched(output_gradients):
            check()
            return None, *torch_gradients(plan.torch_layer, (x, *tensors), ctx.given, output_gradients, needed)

        states, weights = tuple(tensors[: ctx.given]), tensors[ctx.given :]
        if ctx.output_version._version > 0:  # noqa: SLF001 - torch's public name for it
            y = run(plan, x, states, weights)[0]
        dx, dstates, dweights = gradients(
            *(plan, (x, states), weights, Outputs(y, saved, output_gradients)),
            need_dx=needed[0],
            need_dstates=any(needed[1 : 1 + ctx.given]),
            check=check,
        )
        found = (dx, *(dstates or [None] * ctx.given), *dweights)
        return None, *[tensor if need else None for tensor, need in zip(found, needed, strict=True)]


def _check_saved(held: Sequence[Tensor | None], shapes: Sequence[torch.Size]) -> None:
    """Checks what was saved for the backward pass: hooks may hand back other tensors, whose memory must not be read.

    Raises:
        RuntimeError: A tensor is not what was saved.
    """
    tensors = [tensor for tensor in held if tensor is not None]
    if are_plain(tensors) and [tensor.shape for tensor in tensors] == shapes:
        return
    for tensor, shape in zip(tensors, shapes, strict=True):
        if not are_plain([tensor]) or tensor.shape != shape:
            raise RuntimeError(
                f"a tensor that was saved for the backward pass as float32 {list(shape)} on the CPU came back as "
                f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)} on {tensor.device}"
            )


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
