"""`tidegate units`: how long each unit remembers, and what moves its gates."""

from itertools import chain
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import numpy as np
import typer

import tidegate
from tidegate.cli import outputs
from tidegate.cli.console import note, plural, say_json, show_facts, show_table
from tidegate.cli.groups import grouped
from tidegate.cli.options import (
    READ_OPTIONS,
    KindOption,
    ModelArgument,
    OverwriteOption,
    TextsArgument,
    ThreadsOption,
)
from tidegate.cli.picture import new_figure
from tidegate.cli.reading.inputs import Columns, load_model, read_parts
from tidegate.data.tables.values import json_text
from tidegate.files.writing import replacing
from tidegate.inspection.tally import LEFT, RIGHT
from tidegate.inspection.units import Units
from tidegate.inspection.units import units as gather
from tidegate.models.network import Network
from tidegate.models.text_model import TextModel

_SHOWN = 6  # units at either end
_FEW = 1000  # steps that say little of what units do elsewhere


@grouped("columns", READ_OPTIONS, Columns)
def units(
    model: ModelArgument,
    file: TextsArgument,
    layer: Annotated[int, typer.Option(min=1, metavar="N", help="Which layer, from 1.")] = 1,
    reverse: Annotated[bool, typer.Option("--reverse", help="The direction that reads backward.")] = False,
    everyone: Annotated[bool, typer.Option("--all", help="Show every unit.")] = False,
    png: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw at which shares of steps the gates are saturated.")
    ] = None,
    overwrite: OverwriteOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    kind: KindOption = None,
    columns: Any = None,
    threads: ThreadsOption = None,
) -> None:
    """Show what single units do over many texts or sequences: how long they remember, and which words move their gates.

    A unit's memory is 1/(1 − k) steps, where k is the mean share of its memory that a step keeps: the update gate z of
    a GRU, the forget gate f of an LSTM. The columns with the letters of gates are their means, and the shares of steps
    at which they are below 0.1 or above 0.9, where they count as saturated. "Like" are the units whose outputs are most
    correlated with this one, with a − before them if they go against it.
    """
    target = outputs.output(png, [outputs.PICTURE], (model, file), overwrite=overwrite).path if png else None
    if threads:
        tidegate.set_num_threads(threads)
    loaded = load_model(model)
    _check_layer(loaded, layer, reverse)
    parts = read_parts(loaded, file, kind, columns, others=False)
    sequences = chain.from_iterable(part.sequences for part in parts)
    if isinstance(loaded, TextModel):
        found = gather(loaded, sequences, layer=layer - 1, reverse=reverse)
    else:
        found = loaded.units(list(sequences), layer=layer - 1, reverse=reverse)
    if target:
        with replacing(target) as picture:
            _draw(found, picture)
        note(f"wrote {target}")
    if as_json:
        say_json(json_text(_record(found)))
    else:
        _show(found, everyone, loaded.tokenizer.unit if loaded.tokenizer else "steps")


def _check_layer(model: Network, layer: int, reverse: bool) -> None:
    """Checks that a model has a layer and a direction, before anything is read.

    Raises:
        ValueError: It has not.
    """
    stack = model.stack
    if stack is None or not stack.cell.gates:
        raise ValueError(f"the model's cell is {model.cell_name!r}, which has no gates, expected a cell with gates")
    if layer > stack.num_layers:
        raise ValueError(
            f"--layer is {layer}, expected 1..{stack.num_layers}: the model has {plural(stack.num_layers, 'layer')}"
        )
    if reverse and not stack.bidirectional:
        raise ValueError("--reverse asks for the direction that reads backward, but the model reads forward only")


def _show(found: Units, everyone: bool, noun: str) -> None:
    """Prints the units by memory, the words that move their gates, and whether the claim on reset gates holds.

    Args:
        found: The units.
        everyone: Whether all are shown.
        noun: What was read: "words", "characters" or "steps".
    """
    cell, noun, written = found.cell, noun.removesuffix("s"), repr if noun == "characters" else str
    order = np.argsort(found.memory, kind="stable").tolist()
    hidden = 0 if everyone else len(order) - 2 * _SHOWN
    rows = [_row(found, i) for i in order]
    if hidden > 0:
        rows[_SHOWN : _SHOWN + hidden] = [("…",) + ("",) * (len(rows[0]) - 1)]
    letters = [cell.symbols[gate] for gate in _gates(found)]
    sides = [f"{letter}{side}" for letter in letters for side in (f"<{LEFT}", f">{RIGHT}")]
    columns = ("unit", "memory", *letters, *sides, "like")
    show_table(columns, rows, spare=range(len(columns) - 1, 1 + len(letters), -1))  # all but memory and means
    often = "" if noun == "step" else f", {plural(len(found.words), noun)} often enough"
    facts = [("read", f"{plural(found.steps, 'step')}{often}")]
    for gate in _gates(found):
        movers = found.movers(gate)
        for name, words in (("open", movers.open), ("closed", movers.close)):
            facts.append((f"{gate} gates {name}", "  ".join(f"{written(word)} {mean:.2f}" for word, mean in words)))
    if cell.reads:
        facts.append(("Cho's claim", str(found.claim() or "the units do not differ in a gate, so it can't be tested")))
    show_facts([(name, fact) for name, fact in facts if fact])
    if found.steps < _FEW:
        others = "sequences" if noun == "step" else "texts"
        note(f"these are {plural(found.steps, noun)}: read more for figures that hold for other {others}")


def _gates(found: Units) -> list[str]:
    """Lists the gates, that which keeps the memory first."""
    return sorted(found.cell.gates, key=lambda gate: gate != found.cell.keeps)


def _row(found: Units, unit: int) -> tuple[str, ...]:
    gates = _gates(found)
    saturated = [share[gate][unit] for gate in gates for share in (found.left, found.right)]
    like = " ".join(f"{'−' if correlation < 0 else ''}{other}" for other, correlation in found.nearest(unit, 2))
    means = [f"{found.mean[gate][unit]:.3f}" for gate in gates]
    return (str(unit), f"{found.memory[unit]:.1f}", *means, *(f"{share:.0%}" for share in saturated), like)


def _record(found: Units) -> dict[str, Any]:
    """All figures as plain numbers and lists; a memory without end is null."""
    gates = found.cell.gates
    figures = {"": found.mean, "_left": found.left, "_right": found.right}
    units = [
        {"unit": i, "memory": float(found.memory[i]) if np.isfinite(found.memory[i]) else None}
        | {f"{gate}{suffix}": float(by_gate[gate][i]) for suffix, by_gate in figures.items() for gate in gates}
        | {"nearest": found.nearest(i)}
        | {f"{gate}_words": found.movers(gate, i)._asdict() for gate in gates}
        for i in range(len(found.memory))
    ]
    words = {gate: found.movers(gate)._asdict() for gate in gates}
    claim = found.claim()
    return {"steps": found.steps, "units": units, "words": words, "claim": claim and claim._asdict()}


def _draw(found: Units, file: BinaryIO) -> None:
    """Draws the saturation scatter as a PNG.

    Raises:
        ImportError: matplotlib is missing.
    """
    count = len(found.cell.gates)
    figure = new_figure(4.5 * count, 4.6)
    found.draw(figure.subplots(1, count, squeeze=False)[0])
    figure.savefig(file, format="png", dpi=120)
