"""A network as nodes of ONNX: recurrent layers, compounding, summaries, and the states of a stream."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.convert.held import held
from tidegate.convert.onnx.writer import Graph
from tidegate.ops.layouts import LAYOUTS, Weights
from tidegate.ops.names import parameter_names
from tidegate.ops.onnx import FORMS, attributes
from tidegate.sequences.recurrent import Recurrent
from tidegate.sequences.summaries import summary_parts

Array = npt.NDArray[Any]


@dataclass
class Rows:
    """What is known of the rows of a batch.

    Attributes:
        lengths: Steps of each row, int64 [B].
        mask: Whether a step belongs to its row, bool [T, B, 1].
        streaming: Whether states are inputs and outputs.
        refused: Rows whose results are NaN, because the model refuses what is in them, bool [B, 1]; "" for none.
        states: Those after the steps, by name, with their dtype and shape: what a stream is given for its next steps.
    """

    lengths: str
    mask: str
    streaming: bool
    refused: str = ""
    states: dict[str, tuple[str, Any, list[str | int]]] = field(default_factory=dict)

    def before(self, g: Graph, name: str, shape: list[str | int], dtype: Any = np.float32) -> str:
        """Returns a state before the steps; "" outside of streams, where it is 0."""
        return g.input(name, dtype, shape) if self.streaming else ""

    def after(self, name: str, value: str, shape: list[str | int], dtype: Any = np.float32) -> None:
        """Keeps a state after the steps."""
        self.states[name] = value, dtype, shape


def stack(g: Graph, layers: Recurrent, x: str, rows: Rows) -> tuple[str, str]:
    """Writes a recurrent stack.

    Args:
        g: The graph.
        layers: The stack.
        x: Inputs, float32 [T, B, I].
        rows: Those of the batch.

    Returns:
        Outputs [T, B, D·H] and the final state of the last layer [B, D·H].
    """
    cell, H, D = layers.cell, layers.hidden_size, 1 + layers.bidirectional
    form, steps = FORMS[type(cell)], g("Cast", rows.lengths, to=code(np.int32))
    shape: list[str | int] = [layers.num_layers, "rows", H]
    before = [rows.before(g, name, shape) for name in cell.states]
    empty = g("Unsqueeze", g("Equal", rows.lengths, g.constant(0, np.int64)), g.constant([0, 2], np.int64))
    after: list[list[str]] = [[] for _ in cell.states]
    for layer in range(layers.num_layers):
        parts = [_in_order(layers, layer, reverse=d == 1) for d in range(D)]
        w_ih, w_hh, *bias = (
            g.constant(np.stack(arrays), np.float32, f"{kind}_l{layer}")
            for kind, arrays in zip(("weight_ih", "weight_hh", "bias"), zip(*parts, strict=True), strict=False)
        )
        index = g.constant([layer], np.int64)
        starts = [g("Gather", state, index, axis=0) if state else "" for state in before]
        inputs = _trimmed([x, w_ih, w_hh, *(bias or [""]), steps, *starts])
        y, *finals = g.several(form.operator, 1 + cell.S, *inputs, **attributes(cell, form, D, H))
        # what an operator returns of a row without steps is not said, and differs from one runtime to another
        finals = [
            g("Where", empty, start or g.constant(0, np.float32), final)
            for start, final in zip(starts, finals, strict=True)
        ]
        x = _side_by_side(g, y, [0, 2, 1, 3], [0, 0, D * H])
        for kept, final in zip(after, finals, strict=True):
            kept.append(final)
    for name, kept in zip(cell.states, after, strict=True):
        rows.after(name, g("Concat", *kept, axis=0), shape)
    return x, _side_by_side(g, after[0][-1], [1, 0, 2], [0, D * H])


def compound(g: Graph, x: str, rate: Array, rows: Rows, features: int) -> str:
    """Writes compounding, h = rate·h + x, and returns the balances after the last steps, [B, I]."""
    before = rows.before(g, "balance", ["rows", features]) or zeros(g, rows, features)
    factor = g.constant(rate, np.float32, "rate")
    body = Graph("compound_")
    h, step, going_on = (body.input(f"compound_{name}", np.float32, None) for name in ("h", "x", "mask"))
    raised = body("Add", body("Mul", h, factor), step)
    body.output("compound_next", body("Where", body("Cast", going_on, to=code(np.bool_)), raised, h), np.float32, None)
    [after] = g.scan(body, [before], [x, g("Cast", rows.mask, to=code(np.float32))])
    rows.after("balance", after, ["rows", features])
    return after


def latest(g: Graph, x: str, rows: Rows, features: int) -> str:
    """Writes the last steps [B, K] of inputs [T, B, K], T ≥ 1; of a row without one those of earlier calls, or 0."""
    before = rows.before(g, "latest", ["rows", features]) or zeros(g, rows, features)
    zero, one, axis = (g.constant(value, np.int64) for value in (0, 1, [1]))
    place = g("Unsqueeze", g("Max", g("Sub", rows.lengths, one), zero), axis)
    found = g("GatherND", g("Transpose", x, perm=[1, 0, 2]), place, batch_dims=1)
    last = g("Where", g("Unsqueeze", g("Equal", rows.lengths, zero), axis), before, found)
    rows.after("latest", last, ["rows", features])
    return last


def summarize(g: Graph, summary: str, y: str, last: str, rows: Rows, features: int) -> str:
    """Writes a summary of outputs.

    Args:
        g: The graph.
        summary: As in `sequences.summaries.summarize`.
        y: Outputs, [T, B, F].
        last: What "last" is, [B, F].
        rows: Those of the batch.
        features: F.

    Returns:
        Summaries, [B, F], side by side if there are several.
    """
    count, found = _counted(g, rows), []
    seen = g("Unsqueeze", g("Greater", count, g.constant(0, np.int64)), g.constant([1], np.int64))
    zero, first = g.constant(0, np.float32), g.constant([0], np.int64)
    for part in summary_parts(summary):
        if part == "last":
            found.append(last)
            continue
        # "mean" keeps the sum of the states, "max" the largest; a stream that has read nothing has zeros of both
        neutral = g.constant({"mean": 0, "max": -np.inf}[part], np.float32)
        read = g("Where", rows.mask, y, neutral)
        kept = g({"mean": "ReduceSum", "max": "ReduceMax"}[part], read, first, keepdims=0)
        name = {"mean": "sum"}.get(part, part)
        before = rows.before(g, name, ["rows", features])
        if before:
            unread = g("Equal", g("Sub", count, rows.lengths), g.constant(0, np.int64))
            before = g("Where", g("Unsqueeze", unread, g.constant([1], np.int64)), neutral, before)
            kept = g({"mean": "Add", "max": "Max"}[part], before, kept)
        kept = g("Where", seen, kept, zero)
        rows.after(name, kept, ["rows", features])
        if part == "mean":
            number = g("Cast", g("Max", count, g.constant(1, np.int64)), to=code(np.float32))
            kept = g("Div", kept, g("Unsqueeze", number, g.constant([1], np.int64)))
        found.append(kept)
    return g("Concat", *found, axis=1) if len(found) > 1 else found[0]


def _in_order(layers: Recurrent, layer: int, reverse: bool) -> list[Array]:
    """Returns W, R and B, if there are biases, of one direction in the order of ONNX."""
    cell, names = layers.cell, parameter_names(layer, reverse, layers.bias)
    weights = held(cell, Weights(*(layers.weights[name] for name in names)))
    arrays = LAYOUTS["onnx"][FORMS[type(cell)].operator].write(cell, weights)
    return [arrays[name] for name in ("W", "R", "B")[: 2 if weights.b_ih is None else 3]]


def _counted(g: Graph, rows: Rows) -> str:
    """Returns how many steps each row has read, those of earlier calls included, int64 [B]."""
    return rows.states["count"][0] if "count" in rows.states else rows.lengths


def zeros(g: Graph, rows: Rows, features: int) -> str:
    """Returns zeros, float32 [B, F]."""
    shape = g("Concat", g("Shape", rows.lengths), g.constant([features], np.int64), axis=0)
    return g("Expand", g.constant(0, np.float32), shape)


def _side_by_side(g: Graph, value: str, order: Sequence[int], shape: Sequence[int]) -> str:
    """Lays directions side by side in the last axis."""
    return g("Reshape", g("Transpose", value, perm=order), g.constant(shape, np.int64))


def _trimmed(inputs: list[str]) -> list[str]:
    """Leaves out the last inputs that are not there."""
    while not inputs[-1]:
        inputs = inputs[:-1]
    return inputs


def code(dtype: npt.DTypeLike) -> int:
    """Returns the number that ONNX has for a dtype."""
    from onnx import helper  # noqa: PLC0415 - `onnx_writer` has said what is missing

    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
