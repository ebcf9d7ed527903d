"""What cells declare, on the command line: an option for each choice, whatever cells there are."""

from typing import Annotated, Any, Literal

import typer

from tidegate.cli.groups import Option
from tidegate.ops.cells import CELLS, Cell
from tidegate.sequences.pooling import POOLINGS


def choice_options(panel: str) -> dict[str, Option]:
    """Lists an option for each choice that any cell declares, by name; those that are not given are None.

    Args:
        panel: The part of the help in which they stand.
    """
    found: dict[str, tuple[str, ...]] = {}
    for cell in CELLS.values():
        for name, words in cell.choices.items():
            found[name] = tuple(dict.fromkeys((*found.get(name, ()), *words)))
    return {name: _option(name, words, panel) for name, words in found.items()}


def _option(name: str, words: tuple[str, ...], panel: str) -> Option:
    titles = " or ".join(cell.title for cell in CELLS.values() if name in cell.choices)
    details = typer.Option(
        help=f"Of a {titles}: {', '.join(words)}.", rich_help_panel=panel, metavar="NAME", show_default=words[0]
    )
    kind: Any = Literal[words]
    return Option(Annotated[kind | None, details], None)


def cell_text(name: str, choices: dict[str, str | None]) -> str:
    """Returns the text of a cell with what was chosen of it, as a configuration has it.

    Args:
        name: A cell or a pooling.
        choices: Words by name; None for what was not chosen.

    Raises:
        ValueError: There is no such cell, or it has no such choice.
    """
    chosen = {choice: word for choice, word in choices.items() if word is not None}
    if name not in POOLINGS:
        return str(Cell.of(name, **chosen)) if name in CELLS else name
    if chosen:
        raise ValueError(f"--{next(iter(chosen))} is a choice of recurrent cells, but there is none: --cell {name}")
    return name
