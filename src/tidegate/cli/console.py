"""What the user sees: results on stdout, progress and errors on stderr, colours on terminals only.

Names, labels and words of the data go through `legible` on their way out, so that none can act on a terminal or have
a character that it lacks. What other programs read, tables and JSON, is exact in files and pipes.
"""

import codecs
import io
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO, TextIO, cast

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from tidegate.characters import visible
from tidegate.files.writing import Sink

STDOUT = "standard output"

# As wide as what they stand for, so that columns stay columns.
_PLAIN = dict(
    zip(
        "▁▂▃▄▅▆▇█░━╸╺─│╭╮╰╯╷╵−–…×·•→∂±°“”‘’⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏",
        "__..--##.---" + "-|++++||" + "--~x**>d~o" + "\"\"''" + "|/-\\|/-\\|/",
        strict=True,
    )
)
"""What stands for our own signs on a terminal that lacks them."""


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Writes what an encoding lacks in other signs, as an error handler of codecs."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    part = error.object[error.start : error.end]
    return "".join(_PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in part), error.end


codecs.register_error("tidegate", _plain)


def legible(text: str, encoding: str = "utf-8") -> str:
    r"""Writes what cannot be seen, would steer a terminal, or is not in its encoding, as other signs or escapes.

    >>> print(legible("a\x1b[31mb"), legible("naïve −1 北", "latin-1"))
    a\x1b[31mb naïve -1 \u5317
    """
    return visible(text).encode(encoding, "tidegate").decode(encoding)


class _Screen(Console):
    """A console that shows nothing but legible text; rich itself fails at what an encoding lacks, and escapes nothing.

    Attributes:
        trouble: Why no more can be printed, a full disk or a reader who has gone. It is no reason to lose a model that
            is being trained, so `finish` reports it.
    """

    trouble: OSError | None = None

    def render_str(self, text: str, **rest: Any) -> Text:
        return super().render_str(legible(text, self.encoding), **rest)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Also makes legible what comes as rich's own texts, but for their line breaks, which wrapping makes too."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                lines = segment.text.split("\n")
                yield Segment("\n".join(legible(line, self.encoding) for line in lines), segment.style)

    def on_broken_pipe(self) -> None:
        """Leaves the error to `print`, where rich's own would end the program."""
        raise  # noqa: PLE0704 - it is called where the error is handled

    def print(self, *objects: Any, **rest: Any) -> None:
        try:
            super().print(*objects, **rest)
        except OSError as error:
            self.trouble, self.quiet = error, True


# What users name, such as files and labels, must not be read as rich's markup.
out = _Screen(highlight=False, markup=False, emoji=False)
err = _Screen(highlight=False, markup=False, emoji=False, stderr=True)


def begin() -> None:
    """Begins a command: results go to stdout, and what libraries print, such as the help, is written as it can be."""
    out.stderr = False
    for screen in (out, err):
        screen.trouble, screen.quiet = None, False
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="tidegate")


def leave_stdout() -> None:
    """Prints results on stderr from here on, because stdout gets a file."""
    out.stderr = True


def finish() -> None:
    """Ends a command.

    Raises:
        OSError: What was printed on stdout could not be written.
    """
    try:
        if out.trouble:
            raise out.trouble
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python will try again when it ends
        raise OSError(error.errno, error.strerror, STDOUT) from None


def data_stream() -> BinaryIO:
    """Returns what tables, JSON and paths go to: exact in files and pipes, legible on a terminal.

    Raises:
        OSError: Standard output is closed.
    """
    file = sys.stderr if out.stderr else sys.stdout
    if file is None:
        raise OSError("standard output is closed")
    return cast("BinaryIO", Sink(_Legible(file) if file.isatty() else file.buffer, STDOUT))


class _Legible:
    """What is to be written to a terminal as bytes of UTF-8; lines and tabs stay."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.flush = file.flush

    def write(self, data: memoryview) -> int:
        parts = re.split("([\n\t])", str(data, "utf-8", "replace"))
        self._file.writelines(part if part in {"\n", "\t"} else legible(part, self._file.encoding) for part in parts)
        return len(data)


def say(text: str = "", style: str | None = None) -> None:
    """Prints a line of a result; lines are never broken, so that a file or a pipe gets them whole."""
    out.print(text, style=style, soft_wrap=True)


def say_json(text: str) -> None:
    """Prints JSON, with escapes for what a terminal cannot show, or the encoding has not."""
    unicode, terminal = out.encoding.startswith("utf"), out.is_terminal

    def stays(c: str) -> bool:
        exact = c.isascii() or (unicode and not "\ud800" <= c <= "\udfff")
        return exact and (c.isprintable() or c == "\n" or not terminal)

    say_data("".join(c if stays(c) else _json_escape(c) for c in text).encode())


def _json_escape(c: str) -> str:
    return f"\\u{ord(c):04x}" if c.isascii() else json.dumps(c)[1:-1]


def say_path(path: os.PathLike[str]) -> None:
    """Prints a path in a line."""
    say_data(os.fsencode(path))


def say_data(line: bytes) -> None:
    """Prints a line for other programs, see `data_stream`."""
    stream = data_stream()
    stream.write(line + b"\n")
    stream.flush()


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
        table.add_row(*(row[i] for i in shown))
    return table


def show_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Prints names and values side by side."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for fact in facts:
        grid.add_row(*fact)
    out.print(grid)


def plural(count: int, noun: str) -> str:
    """Counts things: "1 text", "2,000 texts"."""
    return f"{count:,} {noun}" + ("s" if count != 1 else "")
