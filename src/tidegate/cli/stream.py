"""`tidegate stream`: scores after each line that comes in, with a session for each user, machine or talk."""

import sys
from codecs import BOM_UTF8
from collections.abc import Hashable, Iterator, Sequence
from io import BufferedReader
from typing import Annotated, Any, Literal

import numpy as np
import typer

import tidegate
from tidegate.cli import texts
from tidegate.cli.console import data_stream, finish, legible, out
from tidegate.cli.options import Kind, ModelArgument, TextOption, ThreadsOption
from tidegate.data import tables
from tidegate.data.tables.columns import column_of
from tidegate.data.tables.table import Table
from tidegate.data.tables.values import json_text
from tidegate.stream.slots import Answers


def stream(
    model: ModelArgument,
    key: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Column, or field such as user.id, that says whose line it is; those without one share a session.",
        ),
    ] = None,
    text: TextOption = None,
    kind: Annotated[
        Kind | None, typer.Option("--from", help="What comes in.", show_default="jsonl if it begins with {, else lines")
    ] = None,
    to: Annotated[
        Literal["text", "jsonl"] | None,
        typer.Option(help="What is printed.", show_default="text on a terminal, else jsonl"),
    ] = None,
    max_sessions: Annotated[
        int, typer.Option(min=1, metavar="N", help="Sessions at a time; the one longest without a line is dropped.")
    ] = 100_000,
    idle: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Drop sessions after so long without a line.")
    ] = None,
    threads: ThreadsOption = None,
) -> None:
    """Score texts line by line as they come by standard input: after each line, all of its session so far.

    A line is read at once, and ends its last word. Sessions are read without limit, also where predict reads the
    beginning of a text only.

    tail -f app.log | tidegate stream model.safetensors --key user --text message
    """
    if threads:
        tidegate.set_num_threads(threads)
    loaded = tidegate.load(model, tidegate.TextModel)
    pool = tidegate.StreamPool(loaded, max_sessions=max_sessions, idle_seconds=idle, endless=True)
    source: Any = sys.stdin.buffer if hasattr(sys.stdin.buffer, "peek") else BufferedReader(sys.stdin.buffer)
    # By the first character alone, behind a byte order mark: more of them would have to be waited for.
    asked: Any = kind or ("jsonl" if source.peek(1).removeprefix(BOM_UTF8).startswith(b"{") else "lines")
    parts = tables.stream(source, asked, text=text, typed=False)
    if (to or ("text" if out.is_terminal else "jsonl")) == "jsonl":
        with tables.writer(data_stream(), "jsonl") as append:
            for part, rows, answers in _answered(pool, parts, key):
                columns = {name: [values[row] for row in rows] for name, values in part.columns.items()}
                append(texts.joined(columns, _columns(loaded, answers), "stream"), part.schema)
        return
    for part, rows, answers in _answered(pool, parts, key):
        for i, row in enumerate(rows):
            whose = "" if key is None else f"  {_keys(part, key)[row]}"
            _print_line(f"{_verdict(loaded, answers, i)}{whose}  ", part.texts[row])


def _answered(
    pool: tidegate.StreamPool, parts: Iterator[Table], key: str | None
) -> Iterator[tuple[Table, range, Answers]]:
    """Reads lines, those of different sessions that have come together at once; yields the rows of each batch."""
    for number, part in enumerate(parts):
        if key is not None and not number and not {key, key.partition(".")[0]} & part.columns.keys():
            raise ValueError(f"there is no column {key!r} to tell sessions apart, only {', '.join(part.columns)}")
        keys = _keys(part, key)
        for rows in _batches(keys, pool.max_sessions):
            some = keys[rows.start : rows.stop]
            pool.push(some, part.texts[rows.start : rows.stop])
            yield part, rows, pool.finish(some)


def _keys(part: Table, key: str | None) -> list[Hashable]:
    """Whose each row is; JSON may hold lists and objects there, and a later part may have no such column."""
    values = None if key is None else column_of(part.columns, key)
    if values is None:
        return [None] * len(part)
    plain = (str, int, type(None))  # by their type, for true is an int
    return [value if type(value) in plain else json_text(value) for value in values]


def _batches(keys: Sequence[Hashable], most: int) -> Iterator[range]:
    """Cuts rows into neighbours of different keys."""
    first, seen = 0, set[Hashable]()
    for row, key in enumerate(keys):
        if key in seen or len(seen) == most:
            yield range(first, row)
            first, seen = row, set()
        seen.add(key)
    if seen:
        yield range(first, len(keys))


def _columns(model: tidegate.TextModel, answers: Answers) -> dict[str, Any]:
    """What is added to the lines."""
    columns: dict[str, Any] = {"prediction": answers.predictions.tolist()}
    if model.config.aim.has_probabilities and not model.config.aim.reads_tokens:
        probabilities = answers.probabilities.astype(np.float64).round(6)
        columns |= {f"p_{label}": probabilities[:, i] for i, label in enumerate(model.labels)}
    return columns


def _verdict(model: tidegate.TextModel, answers: Answers, row: int) -> str:
    if not (model.config.aim.exclusive or model.config.aim.reads_tokens):
        return " ".join(f"{number:.3f}" for number in model.values_of(answers.scores)[row])
    best = int(answers.scores[row].argmax())
    width = max(map(len, model.labels))
    return f"{answers.probabilities[row, best]:.3f} {model.labels[best]:<{width}}"


def _print_line(head: str, text: str) -> None:
    """Prints a line that fits on the terminal, at once."""
    line = legible(f"{head}{text}".replace("\n", " "), out.encoding)
    if out.is_terminal and len(line) > out.width:
        line = line[: out.width - 1] + "…"
    out.print(line, no_wrap=True, crop=False, soft_wrap=True)
    finish()  # so that a pipe has it too, and one that nobody reads ends the command
