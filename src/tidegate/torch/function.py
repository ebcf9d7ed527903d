"""One recurrent layer as a node of torch's graph: native kernels in both passes, torch's own for second derivatives."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch._C import _are_functorch_transforms_active
from torch._C._functorch import is_legacy_batchedtensor

from tidegate.ops import _kernels
from tidegate.ops.threads import get_num_threads
from tidegate.ops.trace import Trace
from tidegate.torch.cells import States
from tidegate.torch.fallback import torch_gradients
from tidegate.torch.native import Done, Plan, Sizes, run, sizes_of
from tidegate.torch.tensors import TENSORS, Results, Tensors, read, with_rows
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
        given, plan, done = states or (), self.plan, None
        recorded = is_recorded((*weights, x, *given))
        if i > 0 and plan.batch.ids is not None:
            plan = plan._replace(batch=plan.batch.without_ids())
        if self.traces is not None or not recorded:
            K = 0 if self.traces is None else _kernels.traced_values(plan.cell, gates=True)
            done = run(plan, x, states, weights, K=K, clear=True)
        if self.traces is not None and done is not None:
            self.traces.extend(_traces(plan, i, done, states))
        if done is not None and not recorded:
            return done.y, done.finals
        y, *finals = RecurrentLayer.apply(  # type: ignore[no-untyped-call]
            Node(plan, sizes_of(weights), len(given)), done and (done.y, *done.finals, done.saved), x, *given, *weights
        )
        return y, tuple(finals)


def is_recorded(tensors: Iterable[Any]) -> bool:
    """Returns whether autograd records what is computed of these; what is no tensor does not count."""
    if torch.is_grad_enabled():
        for each in tensors:  # faster than any() over a generator
            if isinstance(each, Tensor) and each.requires_grad:
                return True
    return False


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


class Node:
    """What a recorded layer needs beside its tensors, and computes of it once; not to be changed.

    Attributes:
        plan: The cell and the rows.
        sizes: Those of the layer.
        given: How many states are given, S or 0.
        K: How many values of each step are saved.
        weights: The places of the weights among the tensors of a pass: x, states, weights, and others.
    """

    __slots__ = ("K", "_fixed", "given", "plan", "sizes", "weights")

    def __init__(self, plan: Plan, sizes: Sizes, given: int) -> None:
        _, D, _, _, bias = sizes
        self.plan, self.sizes, self.given, self.K = plan, sizes, given, plan.saved_values
        self.weights = range(1 + given, 1 + given + D * (4 if bias else 2))
        self._fixed = plan.native_cell, sizes, plan.batch.native(False)

    def forward(self, tensors: Tensors) -> Results | None:
        """Runs the layer on x, states and weights as they are: y, final states, what is saved; None if one is unfit."""
        return TENSORS.forward(*self._fixed, tensors, self.K, False, get_num_threads())

    def backward(self, tensors: Tensors, needed: Sequence[bool]) -> Results | None:
        """Walks the layer backwards, likewise, on these, what was saved, and gradients by y and final states.

        Returns:
            The gradients by x, states and weights; None for those by x and by states if `needed` says so of them.
        """
        which, every = (needed[0], any(needed[1 : 1 + self.given])), self.plan.recompute_every or 0
        return TENSORS.backward(*self._fixed, tensors, which, every, get_num_threads())

    def check(self, held: Sequence[Tensor | None]) -> None:
        """Checks what was saved: hooks may hand back other tensors, whose memory must not be read.

        Raises:
            RuntimeError: A tensor is not what was saved.
        """
        saved, K = held[-1], self.plan.cell.K  # all values where a trace was wanted too
        traced = saved is not None and saved.shape[-2:-1] == (K,)
        for tensor, shape in zip(held, self._shapes(K if traced else self.K), strict=True):
            if tensor is not None and (not are_plain([tensor]) or tensor.shape != shape):
                raise RuntimeError(
                    f"a tensor that was saved for the backward pass as float32 {list(shape)} on the CPU came back as "
                    f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)} on {tensor.device}"
                )

    def with_outputs(self, held: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Returns what was saved with outputs that are computed again, where those have been changed."""
        self.check(held)
        *inputs, _, saved = held
        y, *_ = read(self.forward, tuple(inputs), self.weights)
        return *inputs, y, saved

    def _shapes(self, K: int) -> list[tuple[int, ...]]:
        """Returns the shapes of x, states, weights, y and K values of each step."""
        (_, D, I, H, _), batch, rows = self.sizes, self.plan.batch, self.plan.cell.G * self.sizes[3]
        own: list[tuple[int, ...]] = [(rows, I), (rows, H), (rows,), (rows,)]
        per_direction = own[: len(self.weights) // D]
        x = (*batch.leading, I) if batch.ids is None else (batch.V, I)
        saved = (D, *batch.leading, K, H)
        return [x, *[(D, batch.B, H)] * self.given, *per_direction * D, (*batch.leading, D * H), saved]


class RecurrentLayer(torch.autograd.Function):
    """One recurrent layer, native in both passes: `apply(node, results, x, *states, *weights)` gives `(y, *finals)`.

    The results are those of `Node.forward`, or None to compute them. The weights come as torch lists them, for each
    direction w_ih, w_hh and with bias b_ih, b_hh. None of the tensors may change before the backward pass: torch checks
    that.
    """

    @staticmethod
    def forward(ctx: Any, node: Node, results: Results | None, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Runs the layer natively, and keeps what the backward pass reads."""
        y, *finals, saved = results or read(node.forward, tensors, node.weights)
        output = y.data  # its version counter is its own, so that users may change it in place
        ctx.kept = node, _version_counter(output)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors, y, saved if node.K else None)
        return output, *finals

    @staticmethod
    def backward(ctx: Any, *output_gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        """Returns the gradients of what `apply` took; by torch's operations where they are to have derivatives too."""
        node: Node
        node, counter = ctx.kept
        held: tuple[Tensor, ...] = ctx.saved_tensors  # once: hooks may refuse a second time
        needed = ctx.needs_input_grad[2:]
        if torch.is_grad_enabled() or _batched(output_gradients):
            node.check(held)
            layer = node.plan.torch_layer
            return None, None, *torch_gradients(layer, held[:-2], node.given, output_gradients, needed)
        if counter._version > 0:  # noqa: SLF001 - torch's public name for it
            held = node.with_outputs(held)
        dy, *dfinals = output_gradients
        tensors = (*held, None if dy is None else with_rows(dy), *dfinals)
        if (found := node.backward(tensors, needed)) is None:
            node.check(held)
            found = read(lambda tensors: node.backward(tensors, needed), tensors, node.weights)
        return None, None, *found


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
