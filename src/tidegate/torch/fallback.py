"""One recurrent layer by torch's own operations, which can be differentiated again, batched and traced.

Its arguments and results are those of the native layer in `function`: states travel as tuples of S tensors.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch._C import _are_functorch_transforms_active, _get_mkldnn_enabled, _set_mkldnn_enabled
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from tidegate.ops.batch import Batch
from tidegate.ops.cells import Cell
from tidegate.torch.cells import States, recurrence, weights_per_direction
from tidegate.torch.transforms import forward_mode

Integers = npt.NDArray[np.int64]
Run = Callable[[Any, States], tuple[Any, States]]
"""Maps x and initial states [K, B, ·] to outputs and final states. x is a padded batch [T, B, I], a packed sequence, or
one sequence [T, I], whose states are [K, ·]; K is any number of layers and directions."""

Layer = Callable[[Tensor, States, Sequence[Tensor]], tuple[Tensor, States]]


def torch_layer(
    cell: Cell, x: Tensor, states: States | None, weights: Sequence[Tensor], batch: Batch
) -> tuple[Tensor, States]:
    """Runs one layer, all its directions.

    Args:
        cell: The cell.
        x: Input [T, B, I], or packed [N, I].
        states: Initial states [D, B, H]; None for zeros.
        weights: As torch lists them, for each direction w_ih, w_hh and with bias b_ih, b_hh.
        batch: The rows, without ids.

    Returns:
        Outputs [T, B, D·H] or [N, D·H], and final states [D, B, H].
    """
    layer = recurrence(cell, weights)
    D, H = len(weights) // weights_per_direction(weights), weights[1].shape[-1]
    if states is None:
        states = (x.new_zeros(D, batch.B, H),) * cell.S
    if batch.batch_sizes is not None:
        return layer(x, torch.from_numpy(batch.batch_sizes), states)

    def run(x: Any, states: Any) -> Any:
        if isinstance(x, PackedSequence):
            data, finals = layer(x.data, x.batch_sizes, states)
            return PackedSequence(data, x.batch_sizes), finals
        if x.dim() == 2:
            y, finals = layer(x.unsqueeze(1), None, tuple(state.unsqueeze(1) for state in states))
            return y.squeeze(1), tuple(final.squeeze(1) for final in finals)
        return layer(x, None, states)

    return torch_rows(run, x, states, batch, directions=D)


def torch_rows(run: Run, x: Tensor, states: States, batch: Batch, *, directions: int) -> tuple[Tensor, States]:
    """Runs the rows of a padded batch, ragged and of several episodes as they may be, by a recurrence of torch.

    Args:
        run: The recurrence.
        x: Input [T, B, I].
        states: Initial states [K, B, ·].
        batch: The rows.
        directions: D; the states of a layer's directions stand side by side.

    Returns:
        Outputs [T, B, D·H], 0 beyond a row's length, and final states, those that it had for a row of length 0.
    """
    if batch.episode_starts is not None:
        return _episodes(run, x, states, batch, directions)
    return run(x, states) if batch.lengths is None else _ragged(run, x, states, batch.lengths, directions)


def torch_gradients(
    layer: Layer,
    inputs: Sequence[Tensor],
    number_of_states: int,
    output_gradients: Sequence[Tensor | None],
    needed: Sequence[bool],
) -> list[Tensor | None]:
    """Computes gradients of a layer whose inputs are part of a graph, so that they can be differentiated again.

    Args:
        layer: Maps x, states and the weights to y and final states.
        inputs: x, the states that are given, and the weights.
        number_of_states: How many states are given.
        output_gradients: Gradients of the loss by y and by the final states; None for 0.
        needed: For each input, whether its gradient is wanted.

    Returns:
        A gradient for each input that needs one, None for the others.
    """
    again = torch.is_grad_enabled()
    x, *others = inputs
    with torch.enable_grad(), twice_differentiable(), torch.autocast("cpu", enabled=False):
        y, finals = layer(x, tuple(others[:number_of_states]), others[number_of_states:])
        outputs = (y, *finals)
        wanted = [tensor for tensor, need in zip(inputs, needed, strict=True) if need]
        pairs = [(output, dout) for output, dout in zip(outputs, output_gradients, strict=True) if dout is not None]
        known, given = zip(*pairs, strict=True)
        found = iter(torch.autograd.grad(known, wanted, given, create_graph=again, allow_unused=True))
    return [next(found) if need else None for need in needed]


@contextmanager
def twice_differentiable() -> Iterator[None]:
    """Lets torch run its layers by operations that all have derivatives of any order.

    oneDNN's LSTM, which torch takes for float32 on the CPU, has neither second nor forward-mode derivatives.
    """
    before = _get_mkldnn_enabled()  # torch.backends.mkldnn.flags sets more, and warns of GPUs that are not there
    _set_mkldnn_enabled(False)
    try:
        yield
    finally:
        _set_mkldnn_enabled(before)


def _ragged(run: Run, x: Tensor, states: States, lengths: Integers, directions: int) -> tuple[Tensor, States]:
    """Runs padded rows of any length: torch wants them packed, sorted and no row empty."""
    T, B = x.shape[:2]
    order = np.argsort(-lengths, kind="stable")[: np.count_nonzero(lengths)]
    if not order.size:
        return x.new_zeros(T, B, directions * states[0].shape[-1]), states
    if _are_functorch_transforms_active() or forward_mode():
        return _row_by_row(run, x, states, lengths)
    rows = torch.from_numpy(order).to(x.device)
    packed = pack_padded_sequence(x.index_select(1, rows), torch.from_numpy(lengths[order]))
    output, finals = run(packed, tuple(state.index_select(1, rows) for state in states))
    y, _ = pad_packed_sequence(output, total_length=T)
    all_y = y.new_zeros(T, B, y.shape[-1]).index_copy(1, rows, y)
    pairs = zip(states, finals, strict=True)
    return all_y, tuple(state.to(final.dtype).index_copy(1, rows, final) for state, final in pairs)


def _row_by_row(run: Run, x: Tensor, states: States, lengths: Integers) -> tuple[Tensor, States]:
    """Does what `_ragged` does under transforms that torch's packed sequences do not pass."""
    rows: list[Any] = [None] * len(lengths)
    for b, n in enumerate(lengths.tolist()):
        if n:
            y, finals = run(x[:n, b], tuple(state[:, b] for state in states))
            rows[b] = (torch.cat([y, y.new_zeros(len(x) - n, y.shape[-1])]), *finals)
    empty = torch.zeros_like(next(row for row in rows if row is not None)[0])
    rows = [row or (empty, *[state[:, b] for state in states]) for b, row in enumerate(rows)]
    y, *found = (torch.stack(tensors, 1) for tensors in zip(*rows, strict=True))
    return y, tuple(found)


def _episodes(run: Run, x: Tensor, states: States, batch: Batch, directions: int) -> tuple[Tensor, States]:
    """Runs rows of several episodes, each episode as a row of its own."""
    T, B = x.shape[:2]
    if T == 0:
        return x.new_zeros(0, B, directions * states[0].shape[-1]), states
    steps, episode_starts = batch.row_lengths(), np.asarray(batch.episode_starts)
    starts = (episode_starts != 0) & (np.arange(T)[:, None] < steps)
    starts[0] = steps > 0
    row, first = np.nonzero(starts.T)  # row by row
    is_first, is_last = np.r_[True, row[1:] != row[:-1]][: len(row)], np.r_[row[1:] != row[:-1], True][: len(row)]
    n = np.where(is_last, steps[row], np.roll(first, -1)) - first

    b, t = torch.from_numpy(row), torch.from_numpy(first)
    time = (t + torch.arange(int(n.max(initial=0)))[:, None]).clamp(max=T - 1)
    enters = np.stack([is_first & (episode_starts[0, row] == 0), is_last])[:directions] | (batch.episode_state == "h0")
    own = torch.from_numpy(enters).repeat(states[0].shape[0] // directions, 1).unsqueeze(-1).to(x.device)
    starting = tuple(torch.where(own, state[:, b], torch.zeros_like(state[:1, :1])) for state in states)
    y, finals = _ragged(run, x[time, b], starting, n, directions)

    held = torch.from_numpy(np.arange(len(time))[:, None] < n)
    places = (time[held], b.expand_as(time)[held])
    all_y = y.new_zeros(T, B, y.shape[-1]).index_put(places, y[held])
    ends = [torch.from_numpy(np.flatnonzero(which)).to(x.device) for which in (is_last, is_first)][:directions]
    pairs, rows = zip(states, finals, strict=True), b.to(x.device)  # on the device, as index_copy wants it
    return all_y, tuple(_at_ends(state.to(final.dtype), final, rows, ends) for state, final in pairs)


def _at_ends(state: Tensor, finals: Tensor, rows: Tensor, ends: Sequence[Tensor]) -> Tensor:
    """Returns the final states of rows, [K, B, ·].

    Args:
        state: Initial states of the rows, which those of length 0 keep.
        finals: Final states of all episodes.
        rows: The row of each episode.
        ends: For each direction, the episodes that are the last ones of their rows.
    """
    found = []
    for k, own in enumerate(state):
        end = ends[k % len(ends)]
        found.append(own.index_copy(0, rows[end], finals[k, end]))
    return torch.stack(found)
