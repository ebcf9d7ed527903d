"""`tidegate data`: real opinions to train on."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from tidegate.cli.console import err, note, say_path
from tidegate.data import datasets, opinions, tables

app = typer.Typer(help="Get real opinions to train on.", no_args_is_help=True)

FolderOption = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Where to keep them.", show_default="TIDEGATE_DATA, or the user's cache folder"),
]


@app.command("opinions")
def prepare_opinions(folder: FolderOption = None) -> None:
    """Prepare 16,316 short opinions, negative or positive by the judgement of 20 people each (MIT licence).

    They are of three kinds, named in the column `source`: sentences of film reviews (10,070) and of product reviews
    (2,968), and posts (3,278).
    """
    split = _prepare("opinions", lambda progress: opinions.opinions(folder, progress))
    counts: list[Counter[str]] = [Counter(tables.read(path, need_label=False).columns["source"]) for path in split]
    for source in opinions.SOURCES:
        train, test = (count[source] for count in counts)
        note(f"{source}: {train:,} texts to train on, {test:,} to test")


@app.command("movie-snippets")
def movie_snippets(folder: FolderOption = None) -> None:
    """Prepare 10,070 short film reviews, negative or positive by the judgement of 20 people each (MIT licence)."""
    _prepare("movie snippets", lambda progress: opinions.movie_snippets(folder, progress))


@app.command()
def imdb(
    folder: FolderOption = None,
    url: Annotated[str, typer.Option(metavar="URL", help="Where the archive is.")] = datasets.IMDB_URL,
) -> None:
    """Prepare the Large Movie Review Dataset: 25,000 long reviews to train on, 25,000 to test (84 MB)."""
    _prepare("Large Movie Review Dataset", lambda progress: datasets.imdb(folder, url, progress))


def _prepare(title: str, get: Callable[[Callable[[int, int | None], None]], datasets.Split]) -> datasets.Split:
    """Shows the download, and prints where the tables are."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal, expand=True) as bar:
        task = bar.add_task(title, total=None)
        split = get(lambda done, total: bar.update(task, completed=done, total=total))
    note(f"{title}: train on the first file, test on the second")
    for path in split:
        say_path(path)
    return split
