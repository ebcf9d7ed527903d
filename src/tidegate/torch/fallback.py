"""One recurrent layer by torch's own operations, which can be differentiated again, batched and traced.

Its arguments and results are those of the native layer in `function`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch._C import _are_functorch_transforms_active
from torch.autograd import forward_ad
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from tidegate.ops.batch import Batch
from tidegate.ops.cells import Cell
from tidegate.torch.cells import recurrence

Integers = npt.NDArray[np.int64]
Marks = npt.NDArray[np.uint8]
Pair = tuple[Tensor | None, Tensor | None]
Layer = Callable[[Tensor, Tensor | None, Sequence[Tensor]], tuple[Tensor, Tensor]]


def weights_per_direction(weights: Sequence[Tensor]) -> int:
    """Returns how many of a layer's weights belong to one direction: 4, or 2 without bias."""
    return 4 if len(weights) > 2 and weights[2].dim() == 1 else 2


def torch_layer(
    cell: Cell,
    x: Tensor,
    h0: Tensor | None,
    weights: Sequence[Tensor],
    batch: Batch,
) -> tuple[Tensor, Tensor]:
    """Runs one layer, all its directions, over x [T, B, I] or, with batch_sizes, packed [N, I]."""
    batch_sizes = batch.batch_sizes
    D, H = len(weights) // weights_per_direction(weights), weights[1].shape[-1]
    layer = recurrence(cell, weights, D)
    if h0 is None:
        h0 = x.new_zeros(D, batch.B, H)

    def run(x: Any, h0: Tensor) -> tuple[Any, Tensor]:
        """Calls the layer as torch's modules are called: with a packed sequence, or one sequence or many."""
        if isinstance(x, PackedSequence):
            data, h_n = layer(x.data, x.batch_sizes, h0)
            return PackedSequence(data, x.batch_sizes), h_n
        if x.dim() == 2:
            y, h_n = layer(x.unsqueeze(1), None, h0.unsqueeze(1))
            return y.squeeze(1), h_n.squeeze(1)
        return layer(x, None, h0)

    if batch_sizes is not None:
        y, h_n = run(PackedSequence(x, torch.from_numpy(batch_sizes)), h0)
        return y.data, h_n
    if batch.episode_starts is not None:
        return torch_episodes(run, x, h0, batch, D, D * H)
    return run(x, h0) if batch.lengths is None else torch_ragged(run, x, h0, batch.lengths, D * H)


def torch_gradients(
    layer: Layer, inputs: Sequence[Tensor], output_gradients: Pair, needed: Sequence[bool]
) -> list[Tensor | None]:
    """Computes gradients of a layer whose inputs are part of a graph, so that they can be differentiated again.

    Args:
        layer: Maps x, h0 and the weights to y and h_n.
        inputs: x, h0 (may be None) and the weights.
        output_gradients: Gradients of the loss by y and by h_n; None for 0.
        needed: For each input, whether its gradient is wanted.

    Returns:
        A gradient for each input that needs one, None for the others.
    """
    again = torch.is_grad_enabled()
    x, h0, *weights = inputs
    with torch.enable_grad():
        outputs = layer(x, h0, weights)
    wanted = [tensor for tensor, need in zip(inputs, needed, strict=True) if need]
    pairs = [(output, dout) for output, dout in zip(outputs, output_gradients, strict=True) if dout is not None]
    known, given = zip(*pairs, strict=True)
    found = iter(torch.autograd.grad(known, wanted, given, create_graph=again, allow_unused=True))
    return [next(found) if need else None for need in needed]


def torch_ragged(
    run: Callable[[Any, Tensor], tuple[Any, Tensor]], x: Tensor, h0: Tensor, lengths: Integers, features: int
) -> tuple[Tensor, Tensor]:
    """Runs padded rows of any length by a recurrence of torch, which wants them packed, sorted and no row empty.

    Args:
        run: Maps a packed sequence and h0 [K, B, H], or one sequence [n, I] and h0 [K, H], to outputs and h_n.
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
    if _are_functorch_transforms_active() or forward_ad._current_level >= 0:  # noqa: SLF001 - there is no public name
        return _row_by_row(run, x, h0, lengths, features)
    rows = torch.from_numpy(order).to(x.device)
    packed = pack_padded_sequence(x.index_select(1, rows), torch.from_numpy(lengths[order]))
    output, h_n = run(packed, h0.index_select(1, rows))
    y, _ = pad_packed_sequence(output, total_length=T)
    all_y = y.new_zeros(T, B, features).index_copy(1, rows, y)
    return all_y, h0.to(h_n.dtype).index_copy(1, rows, h_n)


def torch_episodes(
    run: Callable[[Any, Tensor], tuple[Any, Tensor]],
    x: Tensor,
    h0: Tensor,
    batch: Batch,
    directions: int,
    features: int,
) -> tuple[Tensor, Tensor]:
    """Runs rows of several episodes by a recurrence of torch, each episode as a row of its own.

    Args:
        run: As in `torch_ragged`.
        x: Input [T, B, I].
        h0: Initial states [L·D, B, H].
        batch: The rows, with episode starts.
        directions: D.
        features: Size of an output.

    Returns:
        As `torch_ragged`.
    """
    T, B = x.shape[:2]
    if T == 0:
        return x.new_zeros(0, B, features), h0
    steps, episode_starts = batch.row_lengths(), np.asarray(batch.episode_starts)
    starts = (episode_starts != 0) & (np.arange(T)[:, None] < steps)
    starts[0] = steps > 0
    row, first = np.nonzero(starts.T)  # row by row
    is_first, is_last = np.r_[True, row[1:] != row[:-1]][: len(row)], np.r_[row[1:] != row[:-1], True][: len(row)]
    n = np.where(is_last, steps[row], np.roll(first, -1)) - first

    b, t = torch.from_numpy(row), torch.from_numpy(first)
    time = (t + torch.arange(int(n.max(initial=0)))[:, None]).clamp(max=T - 1)
    enters = np.stack([is_first & (episode_starts[0, row] == 0), is_last])[:directions] | (batch.episode_state == "h0")
    own = torch.from_numpy(enters).repeat(h0.shape[0] // directions, 1).unsqueeze(-1).to(x.device)
    states = torch.where(own, h0[:, b], torch.zeros((), dtype=h0.dtype, device=h0.device))
    y, h_n = torch_ragged(run, x[time, b], states, n, features)

    held = torch.from_numpy(np.arange(len(time))[:, None] < n)
    places = (time[held], b.expand_as(time)[held])
    all_y = y.new_zeros(T, B, features).index_put(places, y[held])
    ends = [torch.from_numpy(np.flatnonzero(which)) for which in (is_last, is_first)]
    finals = []
    for k, state in enumerate(h0.to(h_n.dtype)):
        end = ends[k % directions]
        finals.append(state.index_copy(0, b[end], h_n[k, end]))
    return all_y, torch.stack(finals)


def _row_by_row(
    run: Callable[[Any, Tensor], tuple[Any, Tensor]], x: Tensor, h0: Tensor, lengths: Integers, features: int
) -> tuple[Tensor, Tensor]:
    """Does what `torch_ragged` does under transforms that torch's packed sequences do not pass."""
    rows = []
    for b, n in enumerate(lengths.tolist()):
        y, h_n = run(x[:n, b], h0[:, b]) if n else (x.new_zeros(0, features), h0[:, b])
        rows.append((torch.cat([y, y.new_zeros(len(x) - n, features)]), h_n))
    outputs, finals = zip(*rows, strict=True)
    return torch.stack(outputs, 1), torch.stack(finals, 1)
