"""`tidegate units`: how long each unit remembers, and what moves its gates."""

import json
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import numpy as np
import typer

import tidegate
from tidegate.cli import texts
from tidegate.cli.console import note, plural, say, show_facts, show_table
from tidegate.cli.options import KindOption, ModelArgument, TextOption, TextsArgument, ThreadsOption
from tidegate.cli.picture import new_figure
from tidegate.data.files import replacing
from tidegate.inspection.units import GATES, LEFT, RIGHT, Units
from tidegate.inspection.units import units as gather

_SHOWN = 6  # units at either end
_FEW = 1000  # words that say little of what units do elsewhere


def units(
    model: ModelArgument,
    file: TextsArgument,
    layer: Annotated[int, typer.Option(min=1, metavar="N", help="Which layer, from 1.")] = 1,
    reverse: Annotated[bool, typer.Option("--reverse", help="The direction that reads backward.")] = False,
    everyone: Annotated[bool, typer.Option("--all", help="Show every unit.")] = False,
    png: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw at which shares of steps the gates are saturated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    kind: KindOption = None,
    text: TextOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Show what the units of a GRU do over many texts: how long they remember, and which words move their gates.

    A unit's memory is 1/(1 − z) steps, where z is its mean update gate: the share of its state that a step keeps. r is
    its mean reset gate: the share that is read to make what is new. Gates below 0.1 and above 0.9 are saturated.
    Alike are the units whose states go together most, or, with a − before them, against each other.
    """
    if threads:
        tidegate.set_num_threads(threads)
    loaded = tidegate.load(model, tidegate.TextModel)
    _check_layer(loaded, layer, reverse)
    parts = (part.texts for part in texts.read(file, kind, text))
    found = gather(loaded, chain.from_iterable(parts), layer=layer - 1, reverse=reverse)
    if png:
        with replacing(png) as target:
            _draw(found, target)
        note(f"wrote {png}")
    if as_json:
        say(json.dumps(_record(found), ensure_ascii=False))
    else:
        _show(found, everyone)


def _check_layer(model: tidegate.TextModel, layer: int, reverse: bool) -> None:
    """Checks that a model has a layer and a direction.

    Raises:
        ValueError: It has not.
    """
    config = model.config
    if config.cell != "gru":
        raise ValueError(f"the model's cell is {config.cell!r}, which has no gates, expected 'gru'")
    if layer > config.num_layers:
        raise ValueError(
            f"--layer is {layer}, expected 1..{config.num_layers}: the model has {plural(config.num_layers, 'layer')}"
        )
    if reverse and not config.bidirectional:
        raise ValueError("--reverse asks for the direction that reads backward, but the model reads forward only")


def _show(found: Units, everyone: bool) -> None:
    """Prints the units by memory, the words that move their gates, and what becomes of the claim."""
    order = np.argsort(found.memory, kind="stable").tolist()
    hidden = 0 if everyone else len(order) - 2 * _SHOWN
    rows = [_row(found, i) for i in order]
    if hidden > 0:
        rows[_SHOWN : _SHOWN + hidden] = [("…",) + ("",) * (len(rows[0]) - 1)]
    sides = [f"{letter}{side}" for letter in "zr" for side in (f"<{LEFT}", f">{RIGHT}")]
    show_table(("unit", "memory", "z", "r", *sides, "like"), rows, spare=(8, 6, 7, 4, 5))
    facts = [("read", f"{plural(found.steps, 'step')}, {plural(len(found.words), 'word')} often enough")]
    for gate in GATES:
        movers = found.movers(gate)
        for name, words in (("open", movers.open), ("closed", movers.close)):
            facts.append((f"{gate} gates {name}", "  ".join(f"{word} {mean:.2f}" for word, mean in words)))
    facts.append(("Cho's claim", str(found.claim() or "units that do not differ in a gate say nothing of it")))
    show_facts([(name, fact) for name, fact in facts if fact])
    if found.steps < _FEW:
        note(f"these are {plural(found.steps, 'word')}: read more for figures that hold for other texts")


def _row(found: Units, unit: int) -> tuple[str, ...]:
    saturated = (found.update_left, found.update_right, found.reset_left, found.reset_right)
    like = " ".join(f"{'−' if correlation < 0 else ''}{other}" for other, correlation in found.nearest(unit, 2))
    means = (f"{found.update[unit]:.3f}", f"{found.reset[unit]:.3f}")
    return (str(unit), f"{found.memory[unit]:.1f}", *means, *(f"{share[unit]:.0%}" for share in saturated), like)


def _record(found: Units) -> dict[str, Any]:
    """All figures as plain numbers and lists; a memory without end is null."""
    names = ("update", "reset", "update_left", "update_right", "reset_left", "reset_right")
    units = [
        {"unit": i, "memory": float(found.memory[i]) if np.isfinite(found.memory[i]) else None}
        | {name: float(getattr(found, name)[i]) for name in names}
        | {"nearest": found.nearest(i)}
        | {f"{gate}_words": found.movers(gate, i)._asdict() for gate in GATES}
        for i in range(len(found.update))
    ]
    words = {gate: found.movers(gate)._asdict() for gate in GATES}
    claim = found.claim()
    return {"steps": found.steps, "units": units, "words": words, "claim": claim and claim._asdict()}


def _draw(found: Units, file: BinaryIO) -> None:
    """Draws the saturation scatter as a PNG.

    Raises:
        ImportError: matplotlib is missing.
    """
    figure = new_figure(9, 4.6)
    found.draw(figure.subplots(1, 2))
    figure.savefig(file, format="png", dpi=120)
