"""`tidegate stream`: scores after each line that comes in, with a session for each user, machine or talk."""

import sys
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from io import BufferedReader
from itertools import chain
from typing import Annotated, Any, Literal

import typer

import tidegate
from tidegate.cli.answers import answer_columns
from tidegate.cli.console import data_stream, finish, legible, out
from tidegate.cli.groups import grouped
from tidegate.cli.options import ModelArgument, ThreadsOption
from tidegate.cli.reading import texts
from tidegate.cli.reading.inputs import load_model
from tidegate.cli.stream.incoming import Incoming, RowError
from tidegate.cli.stream.listening import LISTENING_OPTIONS, Listening
from tidegate.data import tables
from tidegate.data.tables.columns import column_of
from tidegate.data.tables.rows import rows_in
from tidegate.data.tables.values import json_text
from tidegate.models.network import Network
from tidegate.stream.slots import Answers


@grouped("listening", LISTENING_OPTIONS, Listening)
def stream(
    model: ModelArgument,
    listening: Any = None,
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
    """Score texts or numbers line by line as they come by standard input: after each line, all of its session so far.

    A line of text is read at once, and ends its last word. Sessions are read without limit, also where predict reads
    the beginning of a text only. A line of numbers is a step: of CSV with a header, of JSON Lines, or numbers alone.
    Sound is 16-bit samples of one channel, or a WAV file, as it is recorded.

    tail -f app.log | tidegate stream model.safetensors --key user --text message
    """
    if threads:
        tidegate.set_num_threads(threads)
    loaded = load_model(model)
    pool = tidegate.StreamPool(loaded, max_sessions=max_sessions, idle_seconds=idle, endless=True)
    source: Any = sys.stdin.buffer if hasattr(sys.stdin.buffer, "peek") else BufferedReader(sys.stdin.buffer)
    listening.check(loaded)
    parts = listening.parts(loaded, source)
    if (first := next(parts, None)) is None:
        return
    key, parts = listening.key_in(loaded, first), chain([first], parts)
    if (to or ("text" if out.is_terminal else "jsonl")) == "jsonl":
        with tables.writer(data_stream(), "jsonl") as append:
            for part, rows, _, answers in _answered(pool, parts, key):
                columns = {name: [values[row] for row in rows] for name, values in part.columns.items()}
                append(texts.joined(columns, _columns(loaded, answers), "stream"), part.schema)
        return
    for part, rows, keys, answers in _answered(pool, parts, key):
        for i, row in enumerate(rows):
            whose = "" if key is None else f"  {keys[i]}"
            _print_line(f"{_verdict(loaded, answers, i)}{whose}  ", part.shown[row])


def _answered(
    pool: tidegate.StreamPool, parts: Iterable[Incoming], key: str | None
) -> Iterator[tuple[Incoming, range, list[Hashable], Answers]]:
    """Reads lines, those of different sessions that have come together at once; yields each batch: rows and keys.

    Raises:
        ValueError: A line is wrong; those before it have been read and answered.
    """
    before = 0  # rows
    try:
        for part in parts:
            keys = _keys(part.columns, len(part.pieces), key)
            for rows in _batches(keys, pool.max_sessions):
                yield from _read(pool, part, rows, keys, before)
            before += len(keys)
    except RowError as error:
        if rows_in(error.columns) > 1:  # it takes several to be wrong
            raise ValueError(str(error)) from None
        whose = _keys(error.columns, rows_in(error.columns), key)[0]
        read = pool.steps(whose) if whose in pool else 0
        places = [f"step {read + error.step:,}"] * (not pool.model.reads_sound) + [f"session {whose!r}"] * bool(key)
        raise ValueError(f"{error} ({' of '.join(places)})" if places else str(error)) from None


def _read(
    pool: tidegate.StreamPool, part: Incoming, rows: range, keys: Sequence[Hashable], before: int
) -> Iterator[tuple[Incoming, range, list[Hashable], Answers]]:
    """Reads some rows as a batch, or where one is wrong, those before it one by one."""
    some = list(keys[rows.start : rows.stop])
    try:
        answers = pool.push(some, part.pieces[rows.start : rows.stop])
    except ValueError as error:
        if len(rows) == 1:
            raise ValueError(f"standard input: row {before + rows.start + 1}: {error}") from None
        for row in rows:
            yield from _read(pool, part, range(row, row + 1), keys, before)
        return
    yield part, rows, some, pool.finish(some) if pool.model.tokenizer else answers


def _keys(columns: Mapping[str, Any], size: int, key: str | None) -> list[Hashable]:
    """Whose each row is; JSON may hold lists and objects there, and a later part may have no such column."""
    values = None if key is None else column_of(columns, key)
    if values is None:
        return [None] * size
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


def _columns(model: Network, answers: Answers) -> dict[str, Any]:
    """What is added to the lines."""
    predictions = answers.predictions.tolist()
    if model.config.aim.reads_tokens:
        return {"prediction": predictions}
    return answer_columns(model.config, model.values_of(answers.scores), predictions)


def _verdict(model: Network, answers: Answers, row: int) -> str:
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
