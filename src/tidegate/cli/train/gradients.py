"""Gradient norms while a model is trained: a line after each epoch, and what to try when they vanish or explode."""

import math
from contextlib import closing

from tidegate.cli.console import note
from tidegate.inspection.gradient_flow.growth import power
from tidegate.models.config import TextConfig
from tidegate.ops.cells import CELLS
from tidegate.training.events import Epoch, Events, Gradients, LayerGradients, Resumed
from tidegate.training.settings import Settings


def report_gradients(events: Events, config: TextConfig, settings: Settings, history: list[Gradients]) -> Events:
    """Passes on the events of a training, and prints what gradients do after each epoch, once that has been shown.

    Args:
        events: The training.
        config: What is trained.
        settings: How it is trained.
        history: The gradients of each epoch are appended to it.
    """
    with closing(events):
        for event in events:
            if isinstance(event, Resumed):
                history += event.gradients
            if isinstance(event, Epoch) and event.gradients:
                history.append(event.gradients)
                yield event
                _print(event.gradients, history[-2] if len(history) > 1 else None, config, settings)
            else:
                yield event


def _print(gradients: Gradients, before: Gradients | None, config: TextConfig, settings: Settings) -> None:
    """Prints what gradients do after an epoch, and where trouble is new also what to try."""
    walk = gradients.worst
    where = f" of {_place(walk)}" if len(gradients.walks) > 1 else ""
    first, last = (power(-math.inf if log is None else log) for log in (walk.log_loss[0], walk.log_loss[-1]))
    note(f"  ∂h_T/∂h_t{where} {walk.verdict}; ∂loss/∂h_t {first} at the end, {last} at the start")
    if walk.trouble and (before is None or before.worst.trouble != walk.trouble):
        note(f"  {_trouble(walk)}; try {', '.join(_remedies(walk, config, settings))}", "yellow")


def _place(walk: LayerGradients) -> str:
    return f"layer {walk.layer + 1}" + ", reading backward," * walk.reverse


def _trouble(walk: LayerGradients) -> str:
    if walk.trouble == "vanish":
        return f"gradients vanish: {walk.distance} steps before the end, less than 1/1,000 of the largest is left"
    return f"gradients explode: {walk.distance} steps before the end, they are 1,000 times as large as there"


def _remedies(walk: LayerGradients, config: TextConfig, settings: Settings) -> list[str]:
    """Lists what to try, by the names of the options of `tidegate train`, what helps most first."""
    cell, remedies = config.recurrent_cell, []
    if cell.keeps is None:
        remedies.append(f"--cell {next(name for name, kind in CELLS.items() if kind.keeps)}")
    elif not cell.retains:
        remedies.append(f"--{cell.keeps} on")
    if not settings.orthogonal:
        remedies.append("--orthogonal")
    if walk.trouble == "explode":
        clip = settings.clip / 10 if settings.clip else 1
        return [*remedies, f"--clip {clip:g}", "a lower --learning-rate"]
    if cell.retains and not settings.chrono:
        remedies.insert(0, f"--chrono {max(2, walk.distances[-1])}")
    if config.summary == "last":
        remedies.append("--summary mean+max")
    if 2 * walk.distance >= walk.distances[-1]:  # else most of each text would be lost
        remedies.append(f"shorter texts: --max-length {walk.distance}")
    return remedies
