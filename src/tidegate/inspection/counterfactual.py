"""What another value of a gate would have changed: one unit at one step is set by hand, and the network reads on."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.inspection.ledger import draw_ledger
from tidegate.inspection.network import Inspectable, Source, beside, read, stack_of
from tidegate.ops.cells.activations import FUNCTIONS
from tidegate.ops.names import parameter_names
from tidegate.ops.trace import Trace, outputs_of
from tidegate.sequences.embedded import softmax
from tidegate.sequences.recurrent import Recurrent

Array = npt.NDArray[np.float64]


class WhatIf(NamedTuple):
    """What another value of a gate would have made of a text.

    Attributes:
        logits_before: As the model has them, float64 [C].
        logits: With the gate set by hand, float64 [C].
        probabilities_before: float64 [C].
        probabilities: float64 [C].
        hidden: Outputs of the layer after each word, in the order of the words, float32 [T, H].
        traces: The gates of every step, layer by layer, forward before reverse.
    """

    logits_before: Array
    logits: Array
    probabilities_before: Array
    probabilities: Array
    hidden: npt.NDArray[np.float32]
    traces: tuple[Trace, ...]


def what_if(
    model: Inspectable,
    source: Source,
    *,
    step: int,
    unit: int,
    layer: int = 0,
    reverse: bool = False,
    **values: float,
) -> WhatIf:
    """Sets gates of one unit at one step by hand, and reads on.

    The step is taken again by the cell's own equations (`Cell.step`) in float64, once as it was and once with the
    values set by hand; the steps after it and the layers above run natively. Whatever differs between both is written
    into the trace, so that with the values that the gates have every bit stays. With a reset gate before the product,
    other units of the step change too: they read r ∘ h.

    Args:
        model: A model of layers whose cells have gates.
        source: One text, or vectors [T, E] of numbers in the place of its words; or what `read` returned for it.
        step: Index of the word, from 0.
        unit: Index of the unit, from 0.
        layer: Index of the layer, from 0.
        reverse: Whether it is the layer that walks from the end to the start.
        values: New values by the names of the cell's gates, 0..1, and of its candidate: `reset`, `update` and
            `candidate` of a GRU, `input`, `forget`, `candidate` and `output` of an LSTM. A candidate follows otherwise.

    Raises:
        TypeError: The source is neither.
        ValueError: The model has no gates or none of this name, or a place or a value is out of its range.
    """
    stack, reading = stack_of(model), read(model, source)
    x, traces, D = reading.embedded.x, reading.traces, 1 + stack.bidirectional
    places = {"layer": (layer, stack.num_layers), "reverse": (int(reverse), D)}
    check_change(stack, places | {"step": (step, len(x)), "unit": (unit, stack.hidden_size)}, values)

    index = layer * D + reverse
    changed = traces[index].copy()
    _set(stack, changed, (outputs_of(traces, layer - 1) if layer else x)[step, 0], (step, unit), values)
    results = stack.resume(x, traces, changed, step)
    before, after = (
        model.head(draw_ledger(some, model.summary).summary[None]).astype(np.float64) + beside(model, reading.embedded)
        for some in (traces, results)
    )
    states = results[index].y[:, 0]
    return WhatIf(before[0], after[0], softmax(before)[0], softmax(after)[0], states, tuple(results))


def check_change(stack: Recurrent, places: Mapping[str, tuple[int, int]], values: Mapping[str, float]) -> None:
    """Checks what `what_if` is to change.

    Args:
        stack: The layers.
        places: Layer, step and so on by name, each beside the number of those that there are.
        values: As in `what_if`.

    Raises:
        ValueError: There is no such gate, or a place or a value is out of its range.
    """
    cell = stack.cell
    if not cell.gates:
        raise ValueError(f"a model with the cell {str(cell)!r} has no gates, expected one with gates")
    for name, (place, limit) in places.items():
        if not 0 <= place < limit:
            raise ValueError(f"{name} is {place}, expected 0..{limit - 1} for this model and text")
    for name, value in values.items():
        if name not in cell.blocks:
            raise ValueError(f"{name!r} can't be set, expected one of {', '.join(cell.blocks)}: the cell is {cell}")
        if name in cell.gates and not 0 <= value <= 1:
            raise ValueError(f"{name} is {value}, expected 0..1")
        if not np.isfinite(value):
            raise ValueError(f"{name} is {value}, expected a finite number")


def _set(
    stack: Recurrent, trace: Trace, x: npt.NDArray[np.float32], at: tuple[int, int], values: Mapping[str, float]
) -> None:
    """Writes values of one unit at one step into a trace of one row, and all that follows from them at this step.

    Args:
        stack: The layers.
        trace: Of one of them; changed in place.
        x: What the layer reads at the step, [I].
        at: Step and unit.
        values: By the names of the cell's gates and candidate; those that are there already are no change.
    """
    step, unit = at
    arrays: dict[str, Any] = {name: array[step, 0] for name, array in trace.values.items()}
    values = {name: value for name, value in values.items() if np.float32(value) != arrays[name][unit]}
    before = step + 1 if trace.reverse else step - 1
    inside = 0 <= before < len(trace.y)
    states = [trace.values[name][before, 0] for name in trace.cell.states] if inside else trace.start()
    was, now = (_step(stack, trace, x, states, unit, some) for some in ({}, values))
    for name, array in arrays.items():
        different = now[name] != was[name]
        array[different] = now[name][different]


def _step(
    stack: Recurrent,
    trace: Trace,
    x: npt.NDArray[np.float32],
    states: Sequence[npt.NDArray[Any]] | npt.NDArray[Any],
    unit: int,
    values: Mapping[str, float],
) -> dict[str, Array]:
    """Takes one step in float64 with values of one unit set; returns what a trace holds of it, by name, [H] each."""
    cell = trace.cell
    names = parameter_names(trace.layer, trace.reverse, stack.bias)
    w_ih, w_hh, *biases = (stack.weights[name].astype(np.float64) for name in names)
    b_ih, b_hh = biases or (0.0, 0.0)
    result: dict[str, Array] = {}

    def note(name: str, value: Array) -> Array:
        if name in values:
            value = value.copy()
            value[unit] = values[name]
        result[name] = value
        return value

    a = np.split(w_ih @ x.astype(np.float64) + b_ih, cell.G)
    before = [np.asarray(state, np.float64) for state in states]
    after = cell.step(a, lambda v: np.split(w_hh @ v + b_hh, cell.G), before, FUNCTIONS, note)
    return result | dict(zip(cell.states, after, strict=True))
