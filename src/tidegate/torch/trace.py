"""Layers by torch's own operations, in any dtype and on any device, with a trace of what they did if one is wanted."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from tidegate.ops.batch import Batch
from tidegate.ops.cells import Cell
from tidegate.ops.trace import Trace
from tidegate.torch.cells import States, products, step, weights_per_direction
from tidegate.torch.fallback import torch_layer


class TorchLayers(NamedTuple):
    """The layers of a module by torch's own operations: layer `i` maps x, its states and weights to y and final states.

    Attributes:
        cell: The cell.
        batch: The rows.
        traces: A list to which the traces of a padded batch are appended; None if nobody wants them.
    """

    cell: Cell
    batch: Batch
    traces: list[Trace] | None = None

    def __call__(self, i: int, x: Tensor, states: States | None, weights: Sequence[Tensor]) -> tuple[Tensor, States]:
        """Runs one layer."""
        y, finals = torch_layer(self.cell, x, states, weights, self.batch)
        if self.traces is not None:
            with torch.no_grad():
                starts = tuple(map(torch.zeros_like, finals)) if states is None else states
                size, (D, _, H) = weights_per_direction(weights), finals[0].shape
                for d in range(D):
                    own = weights[d * size : (d + 1) * size]
                    start = tuple(state[d].detach() for state in starts)
                    y_d = y[..., d * H : (d + 1) * H].detach()
                    self.traces.append(self._trace(x, y_d, start, own, layer=i, reverse=d == 1))
        return y, finals

    def _trace(
        self, x: Tensor, y: Tensor, start: States, weights: Sequence[Tensor], *, layer: int, reverse: bool
    ) -> Trace:
        """Computes what one direction did at each step, from its outputs y [T, B, H] and initial states [B, H]."""
        T, B, H = y.shape
        sums, recur = products(weights, x)
        first, marked = self._starts(reverse)
        names = (*self.cell.trace, *self.cell.states[1:])
        values = {name: y.new_zeros(T, B, H) for name in names}
        restart = tuple(state if self.batch.episode_state == "h0" else torch.zeros_like(state) for state in start)
        before = start
        for t in reversed(range(T)) if reverse else range(T):
            at_start, at_mark = (torch.from_numpy(rows[t, :, None]).to(y.device) for rows in (first, marked))
            before = tuple(torch.where(at_start, own, state) for own, state in zip(start, before, strict=True))
            before = tuple(torch.where(at_mark, own, state) for own, state in zip(restart, before, strict=True))
            after, kept = step(self.cell, sums[t], recur, before)
            before = (y[t], *after[1:])
            for name, value in (kept | dict(zip(self.cell.states[1:], after[1:], strict=True))).items():
                values[name][t] = value
        steps = self.batch.row_lengths()
        padding = torch.from_numpy(np.arange(T)[:, None] >= steps).unsqueeze(-1).to(x.device)
        arrays = [values[name].masked_fill(padding, 0) for name in names]
        facts: dict[str, Any] = {"h0": start[0] if self.cell.S == 1 else torch.stack(start), "lengths": steps}
        facts["episodes"] = self.batch.episode_starts is not None
        return Trace.of(self.cell, y, arrays, **facts, layer=layer, reverse=reverse)

    def _starts(self, reverse: bool) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Returns where rows begin and where their later episodes do, bool [T, B], in the order of the walk."""
        T, B, steps, starts = self.batch.T, self.batch.B, self.batch.row_lengths(), self.batch.episode_starts
        t = np.arange(T)[:, None]
        first = (t == steps - 1) if reverse else np.repeat(t == 0, B, axis=1)
        marked = np.zeros((T, B), bool) if starts is None else starts != 0
        if reverse:  # an episode starts where the next one, in time, has its mark
            marked = np.concatenate([marked[1:], np.zeros_like(marked[:1])]) & (t + 1 < steps)
        return first, marked
