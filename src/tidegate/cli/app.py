"""The commands, and how errors are reported: one line on stderr and an exit code."""

import os
import signal
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Annotated, Any, Self

import typer
from typer.rich_utils import rich_format_error

from tidegate.characters import visible
from tidegate.cli.compress import compress
from tidegate.cli.console import begin, finish, note, say
from tidegate.cli.convert import convert
from tidegate.cli.data import app as data
from tidegate.cli.embed import embed
from tidegate.cli.evaluate import evaluate
from tidegate.cli.explain.explain import explain
from tidegate.cli.export import export
from tidegate.cli.info import info
from tidegate.cli.predict import predict
from tidegate.cli.serve import serve
from tidegate.cli.stream.stream import stream
from tidegate.cli.study import study
from tidegate.cli.train.train import train
from tidegate.cli.train.tune import tune
from tidegate.cli.units import units
from tidegate.data.tables.sources.kinds import TableWarning

_MISTAKES = (ValueError, TypeError, OSError, ImportError)
_FAILURES = (
    ConnectionError,
    TimeoutError,
    FloatingPointError,
    MemoryError,
)  # also where they are one of the above

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
_INTERRUPTED = 128 + signal.SIGINT  # also typer's own exit code after a KeyboardInterrupt

app = typer.Typer(
    name="tidegate",
    help="Trains recurrent networks on texts and other sequences, and uses them, on the CPU you have.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    train,
    tune,
    evaluate,
    predict,
    stream,
    explain,
    serve,
    study,
    embed,
    compress,
    convert,
    export,
    info,
    units,
):
    app.command()(command)
app.add_typer(data, name="data")


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"tidegate {version('tidegate')}")
        raise typer.Exit


@app.callback()
def _options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False,
) -> None:
    """Options before the command; `--debug` is read by `run`."""


def run(arguments: Sequence[str]) -> int:
    """Runs one command and turns what goes wrong into one line and an exit code.

    Args:
        arguments: What stands after `tidegate` on the command line.

    Returns:
        As `tidegate.cli.main`.
    """
    listed = list(arguments)
    debug = "--debug" in listed or os.environ.get("TIDEGATE_DEBUG", "") not in {"", "0"}
    if "--debug" in listed:  # it may stand anywhere
        listed.remove("--debug")
    begin()
    with _Ending() as ending:
        code = _run(listed, debug)
    return 128 + ending.number if ending.number and code == _INTERRUPTED else code


def _run(listed: list[str], debug: bool) -> int:
    """Runs a command; returns its exit code, after SIGTERM and SIGHUP that of Ctrl-C."""
    try:
        with _cautions_as_notes():
            code = app(args=listed, prog_name="tidegate", standalone_mode=False)
        finish()
    except SystemExit as exit_:
        if isinstance(exit_.__context__, BrokenPipeError):
            return 0  # the reader of our output has closed it, as head does
        return exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt:
        note("interrupted")
        return _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last place that can report it
        if hasattr(error, "format_message"):  # one of typer's, whose classes differ between its versions
            return _report_usage(error)
        if debug:
            for line in traceback.format_exc().splitlines():
                note(line)
        return _report(error, debug)
    return code if isinstance(code, int) else 0


class _Ending:
    """A context in which SIGTERM and SIGHUP end a command as Ctrl-C does, so that no half of an output is left.

    The first of them is a `KeyboardInterrupt`, which commands and libraries know how to end by.

    Attributes:
        number: The signal that came first; 0 for none.
    """

    number = 0

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if signal.getsignal(number) is signal.SIG_DFL:  # not where nohup asks to survive the terminal
                    signal.signal(number, self._end)
        return self

    def __exit__(self, *_: object) -> None:
        for number in _SIGNALS:
            if signal.getsignal(number) == self._end:  # a training that was stopped ignores them already
                # behind a command that was ended by one the process ends too, and another one would cut that short
                signal.signal(number, signal.SIG_IGN if self.number else signal.SIG_DFL)

    def _end(self, number: int, _frame: Any) -> None:
        if not self.number:  # who sends a signal repeats it or sends the other one, and what ends by it cleans up
            self.number = number
            raise KeyboardInterrupt


def _report_usage(error: Any) -> int:
    """Prints what is wrong with the command line as typer does, but with no character that acts on the terminal."""
    error.message = visible((error.message or "").removeprefix("Value error, "))
    rich_format_error(error)
    return int(error.exit_code)


@contextmanager
def _cautions_as_notes() -> Iterator[None]:
    """Prints what there is to know of a table as a line, and leaves other warnings to Python."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", TableWarning)
        show = warnings.showwarning

        def show_line(message: Warning | str, category: type[Warning], *place: Any, **rest: Any) -> None:
            if issubclass(category, TableWarning):
                note(f"note: {message}")
            else:
                show(message, category, *place, **rest)

        warnings.showwarning = show_line
        yield


def _report(error: Exception, debug: bool) -> int:
    """Prints one line about an error and returns the exit code: 2 for what the user can correct, 1 for failures."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, OSError) and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"
    code = 1 if isinstance(error, _FAILURES) or not isinstance(error, _MISTAKES) else 2
    if not isinstance(error, (*_FAILURES, *_MISTAKES)):
        text = f"{type(error).__name__}: {text}" + ("" if debug else " (--debug shows where it comes from)")
    note(f"error: {text}", "bold red")
    return code
