"""One recurrent layer by torch's own operations, which can be differentiated again, batched and traced.

Its arguments and results are those of the native layer in `_torch_function`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

Integers = npt.NDArray[np.int64]
Pair = tuple[Tensor | None, Tensor | None]
Layer = Callable[[Tensor, Tensor | None, Sequence[Tensor]], tuple[Tensor, Tensor]]


def weights_per_direction(weights: Sequence[Tensor]) -> int:
    """Returns how many of a layer's weights belong to one direction: 4, or 2 without bias."""
    return 4 if len(weights) > 2 and weights[2].dim() == 1 else 2


def torch_layer(
    cell: str,
    x: Tensor,
    h0: Tensor | None,
    weights: Sequence[Tensor],
    lengths: Integers | None,
    batch_sizes: Integers | None,
) -> tuple[Tensor, Tensor]:
    """Runs one layer, all its directions, over x [T, B, I] or, with batch_sizes, packed [N, I]."""
    step = weights_per_direction(weights)
    D, H = len(weights) // step, weights[1].shape[-1]
    recurrence: Callable[..., tuple[Tensor, Tensor]] = getattr(torch, cell)
    options = (list(weights), step == 4, 1, 0.0, False, D == 2)  # bias, layers, dropout, training, bidirectional
    if h0 is None:
        B = x.shape[1] if batch_sizes is None else int(batch_sizes[0])
        h0 = x.new_zeros(D, B, H)
    if batch_sizes is not None:
        return recurrence(x, torch.from_numpy(batch_sizes), h0, *options)
    if lengths is not None:
        return torch_ragged(lambda *packed: recurrence(*packed, *options), x, h0, lengths, D * H)
    batch_first = False
    return recurrence(x, h0, *options, batch_first)


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
    recurrence: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]],
    x: Tensor,
    h0: Tensor,
    lengths: Integers,
    features: int,
) -> tuple[Tensor, Tensor]:
    """Runs padded rows of any length by a recurrence of torch, which wants them packed, sorted and no row empty.

    Args:
        recurrence: Maps packed input [N, I], batch_sizes [T] and h0 to packed outputs [N, features] and h_n.
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
    rows = torch.from_numpy(order).to(x.device)
    packed = pack_padded_sequence(x.index_select(1, rows), torch.from_numpy(lengths[order]))
    data, h_n = recurrence(packed.data, packed.batch_sizes, h0.index_select(1, rows))
    y, _ = pad_packed_sequence(PackedSequence(data, packed.batch_sizes), total_length=T)
    all_y = y.new_zeros(T, B, features).index_copy(1, rows, y)
    return all_y, h0.to(h_n.dtype).index_copy(1, rows, h_n)
