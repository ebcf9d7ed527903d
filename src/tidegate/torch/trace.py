"""Layers by torch's own operations, in any dtype and on any device, with a trace of their gates if one is wanted.

Once the states of a layer are known, so is what every step has read, and the gates of all steps follow at once.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear

from tidegate.ops.batch import Batch
from tidegate.ops.cells import Cell
from tidegate.ops.trace import Trace
from tidegate.torch.cells import step
from tidegate.torch.fallback import Integers, torch_layer, weights_per_direction


class TorchLayers(NamedTuple):
    """The layers of a module by torch's own operations: layer `i` maps x, h0 and its weights to y and h_n.

    Attributes:
        cell: The cell.
        batch: The rows.
        traces: A list to which the traces of a padded batch are appended; None if nobody wants them.
    """

    cell: Cell
    batch: Batch
    traces: list[Trace] | None = None

    def __call__(self, i: int, x: Tensor, h0: Tensor | None, weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Runs one layer."""
        y, h_n = torch_layer(self.cell, x, h0, weights, self.batch)
        if self.traces is not None:
            with torch.no_grad():
                start = torch.zeros_like(h_n) if h0 is None else h0
                size = weights_per_direction(weights)
                for d, state in enumerate(start):
                    y_d = y[..., d * state.shape[1] : (d + 1) * state.shape[1]]
                    own = weights[d * size : (d + 1) * size]
                    self.traces.append(self._trace(x, y_d.detach(), state.detach(), own, layer=i, reverse=d == 1))
        return y, h_n

    def _trace(
        self, x: Tensor, y: Tensor, h0: Tensor, weights: Sequence[Tensor], *, layer: int, reverse: bool
    ) -> Trace:
        """Computes the trace of one direction from its states y [T, B, H]."""
        T, B = x.shape[:2]
        steps = self.batch.row_lengths()
        t = np.arange(T)[:, None]
        w_ih, w_hh, *biases = weights
        b_ih, b_hh = biases or (None, None)
        h = self._previous(y, h0, steps, reverse)
        _, kept = step(self.cell, linear(x, w_ih, b_ih), partial(linear, weight=w_hh, bias=b_hh), (h,))
        padding = torch.from_numpy(t >= steps).unsqueeze(-1).to(x.device)
        values: list[Any] = [kept[name].masked_fill(padding, 0) for name in self.cell.trace]
        return Trace.of(self.cell, y, values, h0=h0, lengths=steps, layer=layer, reverse=reverse)

    def _previous(self, y: Tensor, h0: Tensor, steps: Integers, reverse: bool) -> Tensor:
        """Returns the state that each step has read, [T, B, H]."""
        T = len(y)
        t = np.arange(T)[:, None]
        first = (t == steps - 1) if reverse else np.broadcast_to(t == 0, (T, len(steps)))
        starts = self.batch.episode_starts
        marked = np.zeros((T, len(steps)), bool) if starts is None else starts != 0
        if reverse:  # an episode starts where the next one, in time, has its mark
            marked = np.concatenate([marked[1:], np.zeros_like(marked[:1])]) & (t + 1 < steps)
        at_start, at_mark = (torch.from_numpy(np.array(a)).unsqueeze(-1).to(y.device) for a in (first, marked))
        shifted = torch.cat([y[1:], h0[None]] if reverse else [h0[None], y[:-1]])[:T]
        before = torch.where(at_start, h0, shifted)
        return torch.where(at_mark, h0 if self.batch.episode_state == "h0" else torch.zeros_like(h0), before)
