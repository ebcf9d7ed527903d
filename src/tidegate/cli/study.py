"""`tidegate study`: experiments with reports, each by one command."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tidegate.cli.console import err, note, say, show_facts
from tidegate.cli.options import OverwriteOption
from tidegate.study import QUESTIONS
from tidegate.study.findings import Row
from tidegate.study.frame import Measured, Setup, Study, find, run

_SECONDS_BETWEEN_LINES = 10.0


def study(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Without it, all are listed.")] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Reviews: a folder with train.parquet and test.parquet, or with such a folder imdb.",
            show_default="TIDEGATE_DATA, or the user's cache folder",
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the report and the numbers.")
    ] = Path("studies"),
    overwrite: OverwriteOption = False,
    seeds: Annotated[
        int | None, typer.Option(min=2, metavar="N", help="How many seeds.", show_default="3 or more, by study")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Tiny sizes: it checks that all runs, the results mean nothing.")
    ] = False,
) -> None:
    """Run an experiment: vanishing gradients, the reset gate, activations, and more, each in minutes.

    It writes NAME.html, a report with figures, and NAME.json, all that was measured. Ctrl-C ends a run and reports what
    is done.
    """
    if name is None:
        show_facts(QUESTIONS.items())
        return
    chosen = find(name)
    from tidegate.study import report  # noqa: PLC0415 - it needs the packages that `find` has looked for

    report.check_folder(output, chosen, overwrite=overwrite)
    _run(chosen, data, output, seeds, quick)


def _run(chosen: Study, data: Path | None, output: Path, seeds: int | None, quick: bool) -> None:
    """Runs a study and writes its report; of what there is, if it is stopped or fails.

    Raises:
        typer.Exit: It was stopped.
    """
    setup, began = chosen.setup(seeds, data, quick=quick), perf_counter()
    rows: list[Row] = []
    stopped: BaseException | None = None
    try:
        with _shown(chosen) as show:
            for measured in run(chosen, setup):
                rows += measured.rows
                show(measured)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - what was measured is reported first
        stopped = error
    if isinstance(stopped, KeyboardInterrupt):
        note("stopped" if rows else "stopped before anything was measured")
    try:
        if rows:
            _report(chosen, setup, rows, perf_counter() - began, output, complete=stopped is None)
    finally:
        if isinstance(stopped, KeyboardInterrupt):
            raise typer.Exit(130)
        if stopped:
            raise stopped


def _report(chosen: Study, setup: Setup, rows: Sequence[Row], seconds: float, output: Path, *, complete: bool) -> None:
    """Writes the report, and says what it comes to."""
    from tidegate.study import report  # noqa: PLC0415 - it needs the packages that `find` has looked for

    findings = chosen.conclude(rows, setup)
    kept = report.record(chosen, setup, rows, findings, seconds, complete)
    page = report.write(output, kept, findings.figures)
    for sentence in findings.verdict:
        say(f"- {sentence}")
    say(f"wrote {page} and {page.with_suffix('.json').name} after {seconds:.0f} s")


@contextmanager
def _shown(chosen: Study) -> Iterator["_Display"]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        yield _Display(chosen.name, progress)


class _Display:
    """A moving bar and a line for each condition on a terminal; elsewhere a line now and then."""

    next_line = 0.0

    def __init__(self, name: str, progress: Progress) -> None:
        self.progress, self.began = progress, perf_counter()
        self.task = progress.add_task(name, total=None)

    def __call__(self, measured: Measured) -> None:
        self.progress.update(self.task, completed=measured.number, total=measured.of)
        spent = perf_counter() - self.began
        left = spent / measured.number * (measured.of - measured.number)
        if not err.is_terminal and measured.number < measured.of and spent < self.next_line:
            return
        self.next_line = spent + _SECONDS_BETWEEN_LINES
        what = ", ".join(
            f"{value:g}" if isinstance(value, float) else str(value) for value in measured.condition.values()
        )
        results = [f"score {row['score']:.3f}" for row in measured.rows if "score" in row]
        note(
            f"{measured.number}/{measured.of}  {what}, seed {measured.seed}: {', '.join(results[:6]) or 'done'}"
            f"  {measured.seconds:.1f} s, {left:.0f} s left"
        )
