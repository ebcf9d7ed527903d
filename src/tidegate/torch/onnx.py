"""A layer as an operator of ONNX, `GRU`, `LSTM` or `RNN`, for `torch.onnx.export`.

A model that torch exports holds a layer as one operation of ours, which ONNX does not know. Its own operators hold all
that a layer can be, rows of several lengths and variants of the GRU too, except for episodes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch._decomp import register_decomposition

from tidegate.ops.cells import Cell
from tidegate.ops.onnx import FORMS, OFF, Form, attributes
from tidegate.torch.cells import weights_per_direction
from tidegate.torch.operation import shapes_of_layer
from tidegate.torch.options import Options

# Sizes are asked of what is registered as "meta"; without it, torch would take them from the function below.
register_decomposition(torch.ops.tidegate.recurrent_layer.default, type="meta")(shapes_of_layer)


@register_decomposition(torch.ops.tidegate.recurrent_layer.default)
def write_layer(
    x: Tensor,
    states: Sequence[Tensor],
    weights: Sequence[Tensor],
    lengths: Tensor | None,
    episode_starts: Tensor | None,
    options: str,
) -> tuple[Tensor, list[Tensor], Tensor]:
    """Puts an operator of ONNX in the place of ours, where torch exports to ONNX; elsewhere ours stays.

    Args and returns are those of `recurrent_layer`.

    Raises:
        ValueError: ONNX has no such layer.
    """
    if not torch.onnx.is_in_onnx_export():
        return NotImplemented  # type: ignore[no-any-return]
    cell, rows = Cell.of(Options.read(options).cell), lengths
    form = _form(cell, episode_starts)
    step = weights_per_direction(weights)
    parts = [_in_order(cell, form, weights[i : i + step]) for i in range(0, len(weights), step)]
    w_ih, w_hh, *biases = (torch.stack(tensors) for tensors in zip(*parts, strict=True))
    (T, B, _), (D, _, H) = x.shape, w_hh.shape
    steps = None if rows is None else rows.to(torch.int32)
    y, *finals = torch.onnx.ops.symbolic_multi_out(
        form.operator,
        (x, w_ih, w_hh, biases[0] if biases else None, steps, *states),
        attributes(cell, form, D, H),
        dtypes=[x.dtype] * (1 + cell.S),
        shapes=[(T, D, B, H), *[(D, B, H)] * cell.S],
    )
    if rows is not None:  # what an operator returns of a row without steps is not said
        starts = states or [torch.zeros_like(final) for final in finals]
        ends, empty = zip(finals, starts, strict=True), (rows == 0).unsqueeze(-1)
        finals = [torch.where(empty, start, final) for final, start in ends]
        y = torch.where(empty, torch.zeros_like(y), y)
    return y.transpose(1, 2).reshape(T, B, D * H), finals, x.new_empty(0)


def _form(cell: Cell, episode_starts: Tensor | None) -> Form:
    form = FORMS.get(type(cell))
    if form is None or episode_starts is not None:
        what = f"the cell {cell.name!r}" if form is None else "a layer that is given episode_starts"
        raise ValueError(
            f"ONNX has no operator for {what}: export a model without it, such as one that "
            'tidegate.torch.convert(model, to="torch") has turned into torch\'s own modules'
        )
    return form


def _in_order(cell: Cell, form: Form, weights: Sequence[Tensor]) -> list[Tensor]:
    """Returns w_ih, w_hh and both biases [2·G·H] of one direction, if there are any, in the order of ONNX."""
    w_ih, w_hh, *biases = weights
    H = w_hh.shape[1]
    off = [block for block in form.blocks if cell.is_off(block)]
    if off and not biases:
        biases = [w_ih.new_zeros(len(w_ih))] * 2

    def ordered(weight: Tensor, held: dict[str, float]) -> Tensor:
        if form.blocks == cell.blocks:
            return weight
        parts = dict(zip(cell.blocks, (weight[g * H : (g + 1) * H] for g in range(cell.G)), strict=True))
        parts |= {block: torch.full_like(parts[block], held.get(block, 0.0)) for block in off}
        return torch.cat([parts[block] for block in form.blocks])

    matrices = [ordered(weight, {}) for weight in (w_ih, w_hh)]
    if not biases:
        return matrices
    b_ih, b_hh = biases
    return [*matrices, torch.cat([ordered(b_ih, OFF), ordered(b_hh, {})])]
