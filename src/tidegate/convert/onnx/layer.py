"""A node `GRU`, `LSTM` or `RNN` of ONNX on arrays: by the kernels, or by numpy where they have no such cell."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate import ops
from tidegate.convert.onnx.settings import Settings
from tidegate.ops import reference
from tidegate.ops.cells import CELLS, Cell
from tidegate.ops.layouts import LAYOUTS, Weights

Array = npt.NDArray[Any]

INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
"""The inputs of a node in their order; the last two are those of an LSTM."""


@dataclass(frozen=True)
class Layer:
    """One direction of a node: its cell, its weights, and whether it walks from the end."""

    cell: Cell
    weights: Weights
    reverse: bool

    @cached_property
    def packed(self) -> ops.Layer:
        """The weights packed for the kernels, if they have the cell."""
        w_ih, w_hh, *biases = (None if part is None else part.astype(np.float32) for part in self.weights)
        return ops.pack(self.cell, w_ih, w_hh, *biases)  # type: ignore[arg-type]


def layers(settings: Settings, arrays: Mapping[str, Array | None]) -> list[Layer]:
    """Reads the weights of a node.

    Args:
        settings: Its attributes.
        arrays: Its inputs by the names of `INPUTS`; W [D, G·H, I], R [D, G·H, H], B [D, 2·G·H], P [D, 3·H].

    Raises:
        ValueError: An array is missing, or a shape does not fit.
    """
    D, given = len(settings.reverse), {name: arrays.get(name) for name in "WRBP"}
    for name, array in given.items():
        axes = 2 if name in "BP" else 3
        if array is None and name in "BP":
            continue
        if array is None or array.ndim != axes or len(array) != D:
            shape = None if array is None else array.shape
            raise ValueError(f"{name} has shape {shape}, expected {axes} axes, the first of them {D} directions")
    H = given["R"].shape[2]  # type: ignore[union-attr]
    peepholes = given["P"]
    if peepholes is not None and peepholes.shape[1] != 3 * H:
        raise ValueError(f"P has shape {peepholes.shape}, expected [D, 3·H] = ({D}, {3 * H})")
    layout, found = LAYOUTS["onnx"][settings.operator], []
    for d, reverse in enumerate(settings.reverse):
        cell = settings.cell(d, None if peepholes is None else peepholes[d])
        own = {name: array[d] for name, array in given.items() if array is not None}
        found.append(Layer(cell, layout.read(cell, own), reverse))
    return found


def run(
    settings: Settings,
    arrays: Mapping[str, Array | None],
    *,
    exact: bool = False,
    layers_read: list[Layer] | None = None,
) -> tuple[Array, ...]:
    """Runs a node.

    The kernels run it in float32 where they have the cell and X is float32; `ops.reference` does in float64 elsewhere:
    with clip, peepholes, coupled gates or other activations, and for other dtypes. Past a row's length Y is 0. Of a row
    of length 0 the states are the initial ones.

    Args:
        settings: Its attributes.
        arrays: Its inputs by the names of `INPUTS`; absent ones may be None.
        exact: Whether all is computed by the reference.
        layers_read: What `layers` has returned of its weights, which are packed once then.

    Returns:
        Y [T, D, B, H], Y_h [D, B, H], and of an LSTM Y_c likewise, with the batch first if the layout is 1; in the
        dtype of X.

    Raises:
        ValueError: An array is missing, or a shape or a length does not fit.
    """
    x = arrays["X"]
    assert x is not None  # noqa: S101 - no node is without
    if x.ndim != 3:
        raise ValueError(f"X has shape {x.shape}, expected 3 axes")
    first = [arrays.get(name) for name in ("initial_h", "initial_c")]
    if settings.layout:
        x, first = x.swapaxes(0, 1), [None if state is None else state.swapaxes(0, 1) for state in first]
    found, (T, B, _) = layers_read or layers(settings, arrays), x.shape
    H = found[0].weights.w_hh.shape[1]
    lengths = _lengths(arrays.get("sequence_lens"), T, B)
    states = first[: found[0].cell.S]
    for name, state in zip(INPUTS[5:], states, strict=False):
        if state is not None and state.shape != (len(found), B, H):
            raise ValueError(f"{name} has shape {state.shape}, expected {(len(found), B, H)}")
    outs = [_run_direction(layer, x, _start(states, d, (B, H)), lengths, exact) for d, layer in enumerate(found)]
    y = np.stack([y for y, _ in outs], axis=1)
    finals = np.stack([final for _, final in outs], axis=1)  # [S, D, B, H]
    if settings.layout:
        y, finals = y.transpose(2, 0, 1, 3), finals.swapaxes(1, 2)
    return tuple(array.astype(x.dtype) for array in (y, *finals))


def _lengths(given: Array | None, T: int, B: int) -> Array | None:
    """Checks sequence_lens.

    Raises:
        ValueError: They are not B numbers in 0..T.
    """
    if given is None:
        return None
    if given.shape != (B,) or given.dtype.kind not in "iu" or (B and not 0 <= given.min() <= given.max() <= T):
        raise ValueError(f"sequence_lens is {given!s:.60}, expected {B} integers in 0..{T}")
    return given.astype(np.int64)


def _start(states: list[Array | None], d: int, shape: tuple[int, int]) -> Array | None:
    """Returns the initial states of a direction [S, B, H]; None for 0."""
    if all(state is None for state in states):
        return None
    return np.stack([np.zeros(shape) if state is None else state[d] for state in states])


def _run_direction(
    layer: Layer, x: Array, start: Array | None, lengths: Array | None, exact: bool
) -> tuple[Array, Array]:
    """Returns the outputs [T, B, H] and the final states [S, B, H] of one direction."""
    cell, reverse = layer.cell, layer.reverse
    many = start if start is None or cell.S > 1 else start[0]
    if exact or cell.name not in CELLS or x.dtype != np.float32:
        out = reference.Layer(cell, *layer.weights).forward(x, many, lengths, reverse)
        return out.y, out.h_n.reshape(cell.S, *out.y.shape[1:])
    many = None if many is None else many.astype(np.float32)
    fast = ops.forward(layer.packed, np.ascontiguousarray(x), many, lengths=lengths, reverse=reverse)
    return fast.y, fast.h_n.reshape(cell.S, *fast.y.shape[1:])
