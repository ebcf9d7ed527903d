"""What the user sees: results on stdout, progress and errors on stderr, colours on terminals only."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from tidegate.text.tokenizer import visible

# What users name, such as files and labels, must not be read as rich's markup.
out = Console(highlight=False, markup=False, emoji=False)
err = Console(highlight=False, markup=False, emoji=False, stderr=True)


def say(text: str = "", style: str | None = None) -> None:
    """Prints a line of a result; lines are never broken, so that a file or a pipe gets them whole."""
    out.print(text, style=style, soft_wrap=True)


def note(text: str, style: str | None = None) -> None:
    """Prints a line about progress or trouble."""
    err.print(text, style=style, soft_wrap=True)


def show_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    title: str | None = None,
    bars: int | None = None,
    spare: Sequence[int] = (),
) -> None:
    """Prints a table, the first column and that of bars to the left, the others, which hold numbers, to the right.

    Args:
        columns: Their headings.
        rows: Their cells.
        title: Stands above it.
        bars: Which column holds bars.
        spare: Columns to leave out, one after another, where the terminal is too narrow for all.
    """
    listed, shown, remaining = list(rows), list(range(len(columns))), list(spare)
    endless = out.options.update(max_width=10_000)
    while True:
        table = _table(columns, listed, shown, title, bars)
        if not remaining or Measurement.get(out, endless, table).maximum <= out.width:
            break
        shown.remove(remaining.pop(0))
    out.print(table)


def _table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str | Text]],
    shown: Sequence[int],
    title: str | None,
    bars: int | None,
) -> Table:
    """Lays out some columns of a table."""
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for i in shown:
        table.add_column(columns[i], justify="left" if i in {0, bars} else "right", no_wrap=i > 0)
    for row in rows:
        table.add_row(*(_shown(row[i]) for i in shown))
    return table


def show_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Prints names and values side by side."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for fact in facts:
        grid.add_row(*map(_shown, fact))
    out.print(grid)


def _shown(cell: str | Text) -> str | Text:
    """Writes out what a user's words or labels may hold and a terminal would act on."""
    return visible(cell) if isinstance(cell, str) else cell


def plural(count: int, noun: str) -> str:
    """Counts things: "1 text", "2,000 texts"."""
    return f"{count:,} {noun}" + ("s" if count != 1 else "")
