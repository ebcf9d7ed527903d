"""The drop-ins: PyTorch's recurrent modules with their parameters and checks, and a forward pass on native kernels."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn.functional import dropout
from torch.nn.utils.rnn import PackedSequence

from tidegate.ops.batch import Batch
from tidegate.ops.cells import GRU as GRUCell
from tidegate.ops.cells import Cell
from tidegate.ops.checks import check_recompute
from tidegate.ops.trace import Trace
from tidegate.torch.chrono import check_chrono, draw_memories
from tidegate.torch.fallback import torch_episodes, torch_ragged
from tidegate.torch.func import TransformedLayers
from tidegate.torch.function import DirectLayers, Plan, joined
from tidegate.torch.operation import OperationLayers
from tidegate.torch.rows import (
    UNFIT,
    EpisodeStarts,
    Ids,
    Lengths,
    Lookup,
    Rows,
    check_rows,
    check_traceable,
    look_up,
    misfit,
)
from tidegate.torch.trace import TorchLayers
from tidegate.torch.transforms import transform, unfit_number, unfit_tensor, unsupported_transform
from tidegate.torch.weights import PACKED

Input = Tensor | PackedSequence
_WHOLE = Rows()
Layers = DirectLayers | OperationLayers | TorchLayers


@dataclass(frozen=True)
class Route:
    """Which way a call goes, and why. It is true when native kernels run.

    Attributes:
        native: Whether native kernels run; otherwise torch's own code does.
        reason: What decides it, in words.
    """

    native: bool
    reason: str

    def __bool__(self) -> bool:
        return self.native


class _Native(torch.nn.RNNBase):
    """What GRU and RNN share: torch's parameters, and a forward pass on native kernels."""

    _torchs: type[torch.nn.RNNBase]  # the module of torch that this one stands for, if nothing else is chosen
    recompute_every: int | None = None  # a module that `convert` has turned into this one has no other

    def forward(
        self,
        input: Input,  # noqa: A002 - torch's name
        hx: Tensor | None = None,
        *,
        lengths: Lengths | None = None,
        episode_starts: EpisodeStarts | None = None,
        episode_state: str = "zeros",
        ids: Ids | None = None,
        return_trace: bool = False,
    ) -> tuple[Input, Tensor] | tuple[Input, Tensor, list[Trace]]:
        """Runs the layers over a batch of sequences.

        Args:
            input: float32 [T, B, I], [B, T, I] with `batch_first`, [T, I] of one sequence; packed; with `ids` a table.
            hx: Initial states, float32 [L·D, B, H], D = 1 or 2 directions, [L·D, H] of one sequence; 0 if absent.
            lengths: Steps of each row of a padded batch, integers [B] in 0..T and in any order; T everywhere if absent.
            episode_starts: True on the first step of each episode, bool [T, B] or as `input` is laid out, where rows
                of a padded batch hold several episodes one after another: each is walked as if it were alone, in
                either direction.
            episode_state: The state that such an episode starts from: "zeros", or "h0" for the row's own in hx.
            ids: The row of a table [V, I] that each step reads, 0..V-1: [T, B], [B, T] with `batch_first`, or [T].
            return_trace: Also returns what every layer did at every step of a padded batch or of one sequence.

        Returns:
            The states of the last layer, [T, B, D·H] or as `input` is laid out, 0 beyond a row's length; and the final
            states [L·D, B, H] of all layers, each row's at its own end, its initial state when its length is 0. With
            `return_trace`, also L·D traces in the same order, whose arrays are tensors [T, B, H] without gradients,
            B = 1 for one sequence. They are the memory that the backward pass reads, and `hidden` shares its own with
            the states: copy what you want to change.

        Raises:
            ValueError: `lengths`, `episode_starts` or `ids` do not fit the input, torch's own checks find a mistake, or
                a trace is wanted of a packed sequence or under a transform of torch.
            TypeError: `lengths` or `ids` are no integers, or `episode_starts` no booleans.
            RuntimeError, IndexError: As torch's own checks raise them, the latter for `ids` under a transform.
        """
        kind = transform()
        weights = self._weights()
        data, lookup = (input, None) if ids is None else look_up(input, ids, transformed=kind is not None)
        obstacle = self._obstacle(data, hx, weights if kind else None)
        rows = _WHOLE
        if lengths is not None or episode_starts is not None:
            as_tensors = kind is not None and not obstacle
            rows = check_rows(data, lengths, episode_starts, episode_state, self.batch_first, as_tensors=as_tensors)
        traces: list[Trace] | None = [] if return_trace else None
        if return_trace:
            check_traceable(data, kind)
        layers = None
        if not obstacle:
            layers = self._operations(kind, rows) if kind else self._direct(data, weights, rows, lookup, traces)
        elif return_trace and misfit(self, data, hx) != UNFIT:
            layers = TorchLayers(self.cell, self._plan(self.cell, data, rows, None).batch, traces)
        if lookup is not None and not isinstance(layers, DirectLayers):  # the only ones that read a table
            data, lookup = lookup.gathered(), None
        if layers is None:
            return self._torch_forward(data, hx, rows)
        output = self._arranged(data, hx, weights, layers, None if lookup is None else lookup.table)
        return output if traces is None else (*output, traces)

    def route(
        self,
        input: Input,  # noqa: A002 - torch's name
        hx: Tensor | None = None,
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
        kind = transform()
        data = input if ids is None else look_up(input, ids, transformed=kind is not None)[0]
        # They decide nothing, but wrong ones have no route.
        check_rows(data, lengths, episode_starts, episode_state, self.batch_first, as_tensors=kind is not None)
        weights = self._weights()
        obstacle = self._obstacle(data, hx, weights if kind else None)
        obstacle = obstacle or (None if kind else self._weights_obstacle(weights))
        return Route(obstacle is None, obstacle or "float32 on the CPU")

    def _set_recompute(self, every: int | None) -> None:
        check_recompute(every)
        self.recompute_every = every

    @property
    def cell(self) -> Cell:
        """The cell, with what was chosen of it."""
        return Cell.of(self.mode.lower())

    def train(self, mode: bool = True) -> Self:
        """Sets training mode as torch does, and lets the next call compare all weights with the packed ones."""
        PACKED.doubt()
        return super().train(mode)

    def _arranged(
        self, data: Input, hx: Tensor | None, weights: Sequence[Tensor], layers: Layers, table: Tensor | None = None
    ) -> tuple[Input, Tensor]:
        """Runs all layers over an input of any form, or over a table in the place of one of that form."""
        if isinstance(data, PackedSequence):
            hx = None if hx is None else self.permute_hidden(hx, data.sorted_indices)
            y, h_n = self._layers(data.data, hx, weights, layers)
            return data._replace(data=y), self.permute_hidden(h_n, data.unsorted_indices)
        single = data.dim() == 2
        flipped = self.batch_first and not single
        x = table if table is not None else data.unsqueeze(1) if single else data.transpose(0, 1) if flipped else data
        if not single:
            y, h_n = self._layers(x, hx, weights, layers)
            return (y.transpose(0, 1) if flipped else y), h_n
        y, h_n = self._layers(x, None if hx is None else hx.unsqueeze(1), weights, layers)
        return y.squeeze(1), h_n.squeeze(1)

    def _layers(self, x: Tensor, hx: Tensor | None, weights: Sequence[Tensor], layers: Layers) -> tuple[Tensor, Tensor]:
        """Runs all layers over x [T, B, I], or packed [N, I], from hx [L·D, B, H]."""
        L, D = self.num_layers, 2 if self.bidirectional else 1
        if L == 1:
            return layers(0, x, hx, weights)
        per_layer, finals = len(weights) // L, []
        for i in range(L):
            h0 = None if hx is None else hx[i * D : (i + 1) * D]
            x, h_n = layers(i, x, h0, weights[i * per_layer : (i + 1) * per_layer])
            finals.append(h_n)
            if self.dropout and self.training and i + 1 < L:
                x = dropout(x, self.dropout)
        if isinstance(layers, DirectLayers):
            return x, joined(finals)
        return x, torch.cat(finals)  # in the sight of torch's transforms

    def _operations(self, kind: str, rows: Rows) -> Layers:
        """Returns what runs a layer under a transform."""
        form = OperationLayers if kind == "trace" else TransformedLayers
        return form(str(self.cell), *rows, self.recompute_every)

    def _direct(
        self, data: Any, weights: Sequence[Tensor], rows: Rows, lookup: Lookup | None, traces: list[Trace] | None
    ) -> Layers | None:
        """Returns what runs a layer on the native kernels, None if the weights can't be packed."""
        cell, per_layer = self.cell, len(weights) // self.num_layers
        exactly = self.training or torch.is_grad_enabled()
        packed = []
        for i in range(0, len(weights), per_layer):
            own = weights[i : i + per_layer]
            found = PACKED.find(cell, own, exactly=exactly)
            if found is None:
                if self._weights_obstacle(weights):
                    return None if traces is None else TorchLayers(cell, self._plan(cell, data, rows, None).batch, traces)
                found = PACKED.pack(cell, own)
            packed.append(found)
        ids = None if lookup is None else lookup.ids.numpy().ravel("F" if self.batch_first else "C")
        plan = self._plan(cell, data, rows, ids)
        return DirectLayers(plan, packed, traces)

    def _plan(self, cell: Cell, data: Any, rows: Rows, ids: Any) -> Plan:
        if isinstance(data, PackedSequence):
            return Plan.packed(cell, data.batch_sizes, data.data.shape[0], self.recompute_every)
        if data.dim() == 2:
            return Plan(cell, Batch(data.shape[0], 1), self.recompute_every)
        B, T = data.shape[:2] if self.batch_first else data.shape[1::-1]
        batch = Batch(T, B, rows.lengths, None, rows.episode_starts, rows.episode_state, ids)
        return Plan(cell, batch, self.recompute_every)

    def _torch_forward(self, data: Any, hx: Tensor | None, rows: Rows) -> tuple[Input, Tensor]:
        """Runs torch's own code, on packed rows if lengths or episode starts are given."""
        run_torch: Callable[..., Any] = functools.partial(self._torchs.forward, self)
        if self.cell.chosen:
            run_torch = self._by_steps
        if rows.lengths is None and rows.episode_starts is None:
            output: tuple[Input, Tensor] = run_torch(data, hx)
            return output

        x = data.transpose(0, 1) if self.batch_first else data
        D = 2 if self.bidirectional else 1
        if hx is None:
            hx = data.new_zeros(self.num_layers * D, x.shape[1], self.hidden_size)
        self._update_flat_weights()
        self.check_forward_args(data, hx, None)

        features = D * self.hidden_size
        if rows.episode_starts is None:
            y, h_n = torch_ragged(run_torch, x, hx, rows.lengths, features)
        else:
            batch = Batch(*x.shape[:2], rows.lengths, None, rows.episode_starts, rows.episode_state)
            y, h_n = torch_episodes(run_torch, x, hx, batch, D, features)
        return (y.transpose(0, 1) if self.batch_first else y), h_n

    def _by_steps(self, data: Any, hx: Tensor | None) -> tuple[Input, Tensor]:
        """Does what torch's own module does, for a cell that torch has not."""
        if misfit(self, data, hx):
            output: tuple[Input, Tensor] = self._torchs.forward(self, data, hx)  # to say what is wrong
            return output
        layers = TorchLayers(self.cell, self._plan(self.cell, data, _WHOLE, None).batch)
        return self._arranged(data, hx, self._weights(), layers)

    def _obstacle(self, data: Any, hx: Tensor | None, transformed: Sequence[Tensor] | None) -> str | None:
        """Returns what keeps a call off the native route, or None; weights matter only if torch transforms them."""
        packed, tensor = isinstance(data, PackedSequence), data[0] if isinstance(data, PackedSequence) else data
        obstacle = unsupported_transform() or ("autocast is active" if torch.is_autocast_enabled("cpu") else None)
        if transformed and packed:
            obstacle = obstacle or "torch traces or transforms a packed sequence"
        unfit = unfit_number if transformed else unfit_tensor
        obstacle = obstacle or unfit("input", tensor) or (None if hx is None else unfit("hx", hx))
        obstacle = obstacle or misfit(self, data, hx)
        return obstacle or (self._weights_obstacle(transformed, unfit) if transformed else None)

    def _weights(self) -> list[Tensor]:
        """Returns the current weights in torch's order, also while they are parametrized or replaced for one call."""
        parameters: dict[str, Any] = self._parameters
        try:
            return [parameters[name] for name in self._flat_weights_names]
        except KeyError:
            return [getattr(self, name) for name in self._flat_weights_names]

    def _weights_obstacle(
        self, weights: Sequence[Tensor], unfit: Callable[[str, Tensor], str | None] = unfit_tensor
    ) -> str | None:
        """Returns what keeps the weights off the native route, or None."""
        for name, weight in zip(self._flat_weights_names, weights, strict=True):
            if obstacle := unfit(name, weight):
                return obstacle
        return None


class GRU(_Native):
    """`torch.nn.GRU` on native kernels: same constructor, `state_dict`, results and gradients.

    Float32 on the CPU runs natively; everything else runs torch's own code, and `route` says which and why. For very
    long sequences, `recompute_every=1000` (or any number of steps, as an argument or an attribute) keeps no gates for
    the backward pass, which computes them again that many steps at a time at most: a fifth of what the layer keeps, for
    at most a third more time.

        >>> layer = GRU(3, 4)
        >>> y, h_n = layer(torch.randn(5, 2, 3))
        >>> y.shape, h_n.shape
        (torch.Size([5, 2, 4]), torch.Size([1, 2, 4]))
        >>> layer.load_state_dict(torch.nn.GRU(3, 4).state_dict())
        <All keys matched successfully>

    Where steps read rows of a table, as texts read words of an embedding, `layer(table, ids=ids)` is
    `layer(table[ids])`: the same states to the bit, but each row is multiplied with the weights once, however many
    steps read it. Like every input the table must not change before the backward pass. It is a tensor, so what an
    embedding does beside looking up (`padding_idx`, `max_norm`, `scale_grad_by_freq`, `sparse`) is not done.

        >>> layer, embedding, ids = GRU(3, 4), torch.nn.Embedding(9, 3), torch.randint(9, (5, 2))
        >>> torch.equal(layer(embedding.weight, ids=ids)[0], layer(embedding(ids))[0])
        True

    What torch has not: `reset="off"` (r = 1), `update="off"` (z = 0), `candidate="relu"` or `"identity"` instead of
    tanh, `gate="hard_sigmoid"`. The parameters stay the same; those of a gate that is off are not used.

        >>> GRU(3, 4, reset="off", candidate="relu")
        GRU(3, 4, reset='off', candidate='relu')

    `chrono=T`, a number ≥ 2, starts the units with memories of 2 to T steps, for what depends on things that far back
    (Tallec & Ollivier 2018): the bias of the update gate is log u, u drawn evenly from 1..T−1, so that 1/(1 − z) is
    1 + u where input and state are 0. z is the share of the old state that is *kept*.

        >>> z = GRU(3, 1000, chrono=50).bias_ih_l0[1000:2000].sigmoid()
        >>> bool((1 / (1 - z)).max() < 50.01)
        True
    """

    _torchs = torch.nn.GRU
    # A module that `convert` has turned into this one has no others.
    reset, update, candidate, gate = GRUCell().options.values()
    chrono: float | None = None

    def __init__(
        self,
        *args: Any,
        recompute_every: int | None = None,
        reset: str = "after",
        update: str = "on",
        candidate: str = "tanh",
        gate: str = "sigmoid",
        chrono: float | None = None,
        **options: Any,
    ) -> None:
        _refuse_projection(options)
        super().__init__("GRU", *args, **options)
        self._set_recompute(recompute_every)
        chosen = Cell.of("gru", reset=reset, update=update, candidate=candidate, gate=gate)
        self.reset, self.update, self.candidate, self.gate = chosen.options.values()
        if chrono is not None:
            check_chrono(chrono, self.cell, self.bias)
            self.chrono = chrono
            self._start_memories()

    @property
    def cell(self) -> Cell:
        """The cell, with what was chosen of it."""
        return Cell.of("gru", reset=self.reset, update=self.update, candidate=self.candidate, gate=self.gate)

    def extra_repr(self) -> str:
        """Lists the arguments, as torch does, and what was chosen."""
        chosen = self.cell.chosen if self.chrono is None else self.cell.chosen | {"chrono": self.chrono}
        return ", ".join([super().extra_repr(), *[f"{name}={value!r}" for name, value in chosen.items()]])

    def reset_parameters(self) -> None:
        """Draws the parameters anew, as torch does, and the memories of `chrono`."""
        super().reset_parameters()
        self._start_memories()

    def _start_memories(self) -> None:
        parameters = dict(self.named_parameters()) if self.chrono else {}
        for name, bias in parameters.items():
            if self.chrono and name.startswith("bias_ih"):
                draw_memories(self.chrono, self.cell, bias, parameters[name.replace("ih", "hh")])


class RNN(_Native):
    """`torch.nn.RNN` on native kernels, with tanh or relu: same constructor, `state_dict`, results and gradients.

    Float32 on the CPU runs natively; everything else runs torch's own code, and `route` says which and why.

        >>> layer = RNN(3, 4, nonlinearity="relu", batch_first=True)
        >>> y, h_n = layer(torch.randn(2, 5, 3), lengths=[2, 5])
        >>> bool((y[0, 2:] == 0).all())
        True
    """

    _torchs = torch.nn.RNN

    def __init__(self, *args: Any, recompute_every: int | None = None, **options: Any) -> None:
        _refuse_projection(options)
        nonlinearity = args[3] if len(args) > 3 else options.pop("nonlinearity", "tanh")
        if nonlinearity not in {"tanh", "relu"}:
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__(f"RNN_{nonlinearity.upper()}", *args[:3], *args[4:], **options)
        self.nonlinearity = nonlinearity
        self._set_recompute(recompute_every)


def _refuse_projection(options: dict[str, Any]) -> None:
    if "proj_size" in options:
        raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
