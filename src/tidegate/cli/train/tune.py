"""`tidegate tune`: `tidegate train` that looks for better settings first."""

import inspect
from typing import Annotated, Any

import typer

from tidegate.cli.train.train import train

MINUTES = 5.0


def tune(minutes: float, **given: Any) -> None:
    """Try settings on held-out rows for some minutes, then train with the best ones, as `tidegate train` does.

    Learning rate, dropout, hidden size, summary and cell are drawn at random around those that are given; the trials
    are kept in MODEL.trials.jsonl, and a second call goes on from them. All other options are those of train.
    """
    train(autotune_minutes=minutes, **given)


def _signature() -> inspect.Signature:
    """Returns that of `train`, with --minutes in the place of --autotune-minutes."""
    annotation = Annotated[float, typer.Option("--minutes", min=0, metavar="N", help="How long to try settings.")]
    own = inspect.Parameter("minutes", inspect.Parameter.KEYWORD_ONLY, default=MINUTES, annotation=annotation)
    parameters = inspect.signature(train).parameters.values()
    return inspect.Signature([own if each.name == "autotune_minutes" else each for each in parameters])


tune.__signature__ = _signature()  # type: ignore[attr-defined]
tune.__annotations__ = {each.name: each.annotation for each in _signature().parameters.values()}
