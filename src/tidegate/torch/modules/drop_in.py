"""What the drop-ins share: a forward pass on native kernels where they can, by torch's own code where they can't."""

import copy
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor
from torch.fx import Proxy
from torch.fx.proxy import TraceError
from torch.nn.utils.rnn import PackedSequence

from tidegate.ops.batch import Batch
from tidegate.ops.cells import Cell
from tidegate.ops.checks import check_recompute
from tidegate.ops.trace import Trace
from tidegate.torch.autocast import as_float32
from tidegate.torch.cells import State, as_hx, as_states, cell_of, torch_function
from tidegate.torch.chrono import check_chrono, draw_memories
from tidegate.torch.fallback import torch_rows, twice_differentiable
from tidegate.torch.func import TransformedLayers
from tidegate.torch.function import DirectLayers
from tidegate.torch.native import Plan
from tidegate.torch.one_call import Frozen, run_at_once
from tidegate.torch.operation import OperationLayers
from tidegate.torch.options import Options
from tidegate.torch.routing import EMPTY, Route, choose_route, misfit
from tidegate.torch.rows import (
    EpisodeStarts,
    Ids,
    Lengths,
    RowArguments,
    check_rows,
    check_traceable,
    look_up,
)
from tidegate.torch.stack import Input, run_stack
from tidegate.torch.trace import TorchLayers
from tidegate.torch.transforms import forward_mode, transform

if TYPE_CHECKING:
    _Base = torch.nn.RNNBase
else:
    _Base = object


class DropIn(_Base):
    """Mixed into a recurrent module of torch, whose parameters and checks it keeps: `class GRU(DropIn, torch.nn.GRU)`.

    Attributes:
        recompute_every: Steps of a segment whose gates the backward pass computes again; None keeps them all.
        chrono: The longest memory, in steps, that units start with; None for torch's own start.
    """

    # What a module has that was made by torch, and converted.
    recompute_every: int | None = None
    chrono: float | None = None
    _frozen: Frozen | None = None

    @property
    def cell(self) -> Cell:
        """The cell, with what was chosen of it."""
        return cell_of(self.mode.lower())

    def forward(
        self,
        input: Input,  # noqa: A002 - torch's name
        hx: State | None = None,
        lengths: Lengths | None = None,  # no * before it: torch.onnx.export(dynamo=False) passes all by position
        episode_starts: EpisodeStarts | None = None,
        episode_state: str = "zeros",
        ids: Ids | None = None,
        return_trace: bool = False,
    ) -> Any:
        """Runs the layers over a batch of sequences.

        Args:
            input: float32 [T, B, I], [B, T, I] with `batch_first`, [T, I] of one sequence; packed; with `ids` a table.
            hx: Initial states, float32 [L·D, B, H], D = 1 or 2 directions, [L·D, H] of one sequence; of an LSTM the
                tuple (h0, c0) of two such; 0 if absent.
            lengths: Steps of each row of a padded batch, integers [B] in 0..T and in any order; T everywhere if absent.
            episode_starts: True on the first step of each episode, bool [T, B] or as `input` is laid out, where rows
                of a padded batch hold several episodes one after another: each is walked as if it were alone, in
                either direction.
            episode_state: The state that such an episode starts from: "zeros", or "h0" for the row's own in hx.
            ids: The row of a table [V, I] that each step reads, 0..V-1: [T, B], [B, T] with `batch_first`, or [T].
            return_trace: Also returns what every layer did at every step of a padded batch or of one sequence.

        Returns:
            The outputs of the last layer, [T, B, D·H] or as `input` is laid out, 0 beyond a row's length; and the final
            states of all layers, in the form of hx, each row's at its own end, its initial states when its length is 0.
            With `return_trace`, also L·D traces in the same order, whose arrays are tensors [T, B, H] without
            gradients, B = 1 for one sequence. They are the memory that the backward pass reads, and `hidden` shares its
            own with the outputs: copy what you want to change.

        Raises:
            ValueError: `lengths`, `episode_starts` or `ids` do not fit the input, torch's own checks find a mistake, or
                a trace is wanted of a packed sequence or under a transform of torch.
            TypeError: `lengths` or `ids` are no integers, or `episode_starts` no booleans.
            RuntimeError, IndexError: As torch's own checks raise them, the latter for `ids` under a transform.
        """
        if type(input) is not Tensor and isinstance(input, Proxy):
            return self._as_leaf(input, hx, RowArguments(lengths, episode_starts, episode_state), ids)
        cell, weights, lookup, data = self.cell, self._weights(), None, input
        plain = lengths is episode_starts is ids is None and not return_trace
        if plain and (found := run_at_once(self, cell, input, hx, weights, self._frozen)):
            return found
        rows = RowArguments(lengths, episode_starts, episode_state)
        if ids is not None:
            data, lookup = look_up(input, ids, transformed=transform() is not None)
        route = choose_route(self, cell, data, hx, weights)
        traces: list[Trace] | None = [] if return_trace else None
        if return_trace:
            check_traceable(data, route.transform)
        if not route:
            return self._by_torch(data if lookup is None else lookup.gathered(), hx, rows, traces)
        batch = check_rows(data, rows, self.batch_first, as_tensors=route.transform is not None)
        if lookup is not None:
            batch = lookup.add_to(batch, self.batch_first)
        if hx is None and torch.compiler.is_exporting():  # AOTInductor of torch 2.13 loses empty lists of tensors
            hx = self._zeros(weights[0], batch, single=isinstance(data, Tensor) and data.dim() == 2)
        layers = self._native_layers(route, Plan(cell, batch, self.recompute_every, route.bfloat16), traces)
        output = run_stack(self, as_float32(data), as_float32(hx), weights, layers, lookup.table if lookup else None)
        return output if traces is None else (*output, traces)

    def route(
        self,
        input: Input,  # noqa: A002 - torch's name
        hx: State | None = None,
        *,
        lengths: Any = None,
        episode_starts: Any = None,
        episode_state: str = "zeros",
        ids: Ids | None = None,
    ) -> Route:
        """Says whether a call with these arguments, those of `forward`, runs natively, and why.

        The backward pass goes the same way as its forward pass, but second derivatives, and with `create_graph=True`
        the first ones too, are computed by torch's own operations.
        """
        data = input if ids is None else look_up(input, ids, transformed=transform() is not None)[0]
        route = choose_route(self, self.cell, data, hx, self._weights())
        # They decide nothing, but wrong ones have no route.
        rows = RowArguments(lengths, episode_starts, episode_state)
        check_rows(data, rows, self.batch_first, as_tensors=route.transform is not None)
        return route

    def extra_repr(self) -> str:
        """Lists the arguments, as torch does, and what was chosen."""
        chosen: dict[str, Any] = dict(self.cell.chosen)
        if self.chrono is not None:
            chosen["chrono"] = self.chrono
        return ", ".join([super().extra_repr(), *[f"{name}={value!r}" for name, value in chosen.items()]])

    def dropped(self, y: Tensor) -> Tensor:
        """Zeroes features of what a layer hands to the next one, as `dropout` says."""
        return torch.nn.functional.dropout(y, self.dropout)

    def freeze(self) -> None:
        """Packs the weights as they are now, for all calls without gradients to come: see `tidegate.torch.freeze`."""
        self._frozen = Frozen(self, self.cell, self._weights())

    def train(self, mode: bool = True) -> Self:
        """Switches to training, which ends what `freeze` has begun, or to evaluation."""
        if mode:
            self._frozen = None
        return super().train(mode)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        self._frozen = None  # parameters are moved or converted
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]

    def _load_from_state_dict(self, *args: Any) -> None:
        self._frozen = None
        super()._load_from_state_dict(*args)

    def reset_parameters(self) -> None:
        """Draws the parameters anew, as torch does, and the memories of `chrono`; this ends what `freeze` has begun."""
        self._frozen = None
        super().reset_parameters()
        self._start_memories()

    def __prepare_scriptable__(self) -> torch.nn.Module:
        """Returns what torch.jit.script compiles in the place of this module: torch's own, with the same parameters.

        Raises:
            ValueError: torch has no such module.
        """
        if torch_function(self.cell) is None:
            raise ValueError(f"torch.jit.script was given {self}, which torch has not: use torch.jit.trace")
        module = copy.copy(self)
        module.__class__ = next(kind for kind in type(self).__mro__ if kind.__module__ == torch.nn.RNNBase.__module__)
        return module

    def _choose(self, recompute_every: int | None, chrono: float | None = None) -> None:
        """Keeps what torch's constructor does not know."""
        check_recompute(recompute_every)
        self.recompute_every = recompute_every
        if chrono is not None:
            check_chrono(chrono, self.cell, self.bias)
            self.chrono = chrono
            self._start_memories()

    def _start_memories(self) -> None:
        parameters = dict(self.named_parameters()) if self.chrono else {}
        for name, bias in parameters.items():
            if self.chrono and name.startswith("bias_ih"):
                draw_memories(self.chrono, self.cell, bias, parameters[name.replace("ih", "hh")])

    def _as_leaf(self, input: Any, hx: Any, rows: RowArguments, ids: Any) -> Any:  # noqa: A002 - torch's name
        """Returns the node of a graph of torch.fx to which this module is one step, as torch's own modules are.

        Raises:
            TraceError: This module is all that is traced.
        """
        if input.tracer.root is self:
            raise TraceError("torch.fx traces a layer as one step of a model: give it torch.nn.Sequential(layer)")
        given = {name: value for name, value in {**rows._asdict(), "ids": ids}.items() if value is not None}
        if rows.episode_starts is None:
            del given["episode_state"]  # it says nothing then
        arguments = (input,) if hx is None else (input, hx)
        return input.tracer.create_proxy("call_module", input.tracer.path_of_module(self), arguments, given)

    def _native_layers(self, route: Route, plan: Plan, traces: list[Trace] | None) -> DirectLayers | OperationLayers:
        """Returns what runs a layer natively, as a route says."""
        if route.transform:
            form = OperationLayers if route.transform == "graph" else TransformedLayers
            facts = (str(plan.cell), plan.batch.episode_state, plan.recompute_every)
            options = Options(*facts, bfloat16=plan.bfloat16)
            return form(options, plan.batch)
        return DirectLayers(plan, traces)

    def _by_torch(self, data: Any, hx: Any, rows: RowArguments, traces: list[Trace] | None) -> Any:
        """Runs torch's own code: its module, on packed rows if lengths or episode starts are given; or layer by layer.

        The latter if torch has no such module, or where gates are to be traced.
        """
        plain = rows.lengths is None and rows.episode_starts is None
        by_layers = traces is not None or torch_function(self.cell) is None
        as_it_is = isinstance(data, PackedSequence) and not by_layers
        batch = check_rows(data, rows, self.batch_first, as_tensors=as_it_is)
        obstacle = misfit(self, self.cell, data, hx) if by_layers else None
        if obstacle == EMPTY and (traces is not None or not plain):  # that is no mistake then
            obstacle = None
        if by_layers and obstacle is None:
            if self.proj_size:
                raise ValueError(f"return_trace given for proj_size={self.proj_size}, expected a layer without one")
            output = run_stack(self, data, hx, self._weights(), TorchLayers(self.cell, batch, traces))
            return output if traces is None else (*output, traces)
        with twice_differentiable() if forward_mode() else nullcontext():
            return super().forward(data, hx) if plain else self._by_torch_rows(data, hx, batch)

    def _by_torch_rows(self, data: Tensor, hx: Any, batch: Batch) -> tuple[Tensor, State]:
        """Runs torch's own module on rows that are ragged or hold several episodes."""
        x = data.transpose(0, 1) if self.batch_first else data
        D = 2 if self.bidirectional else 1
        hx = self._zeros(x, batch) if hx is None else hx
        self._update_flat_weights()
        self.check_forward_args(data, hx, None)
        run_module = super().forward

        def run(x: Any, states: Any) -> Any:
            y, finals = run_module(x, as_hx(states))
            return y, as_states(finals)

        y, finals = torch_rows(run, x, as_states(hx), batch, directions=D)
        return (y.transpose(0, 1) if self.batch_first else y), as_hx(finals)

    def _zeros(self, x: Tensor, batch: Batch, *, single: bool = False) -> State:
        """Returns the initial states that are meant when none are given; those of a single sequence have two axes."""
        K, rows = self.num_layers * (2 if self.bidirectional else 1), () if single else (batch.B,)
        sizes = [self.proj_size or self.hidden_size, *[self.hidden_size] * (self.cell.S - 1)]
        return as_hx(tuple([x.new_zeros(K, *rows, size) for size in sizes]))

    def _weights(self) -> list[Tensor]:
        """Returns the current weights in torch's order, also while they are parametrized or replaced for one call."""
        parameters: dict[str, Any] = self._parameters
        try:
            return [parameters[name] for name in self._flat_weights_names]
        except KeyError:
            return [getattr(self, name) for name in self._flat_weights_names]
