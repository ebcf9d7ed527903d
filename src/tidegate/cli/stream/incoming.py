"""What a stream brings, part by part: lines of text, steps of numbers, or samples of sound."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from io import BufferedReader
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.cli.reading.inputs import StepError, checked_numbers
from tidegate.data import series, tables
from tidegate.data.series.cells import MISSING, is_number_text, steps_of
from tidegate.data.series.columns import numbers_of, samples_of
from tidegate.data.series.listed import sequences_of
from tidegate.data.series.recorded import samples
from tidegate.data.series.roles import Roles, shortened
from tidegate.data.tables.columns import names_in
from tidegate.data.tables.rows import Block, blocks, made_of, part_of, rows_in
from tidegate.data.tables.sources.recognition import name_of
from tidegate.models.sequence_model import SequenceModel

_ROWS = 1024  # that are read at once, where so many have come in
_BETWEEN = re.compile(r"[\s;|,]")  # numbers of a line
_RECORD_BEGINS = (b"{", b"\x1e")  # of JSON Lines and of JSON text sequences (RFC 7464)
_GAP = re.compile(r"^\s*(?=[;|,])|(?<=[;|,])\s*(?=[;|,]|$)")  # an empty cell of a line


class Incoming(NamedTuple):
    """Some lines of a stream.

    Attributes:
        columns: What they hold, by column, as it is printed again.
        pieces: What the session of each reads.
        shown: What a terminal shows of each.
        schema: As in `tables.Table`.
    """

    columns: Mapping[str, Any]
    pieces: Sequence[Any]
    shown: Sequence[str]
    schema: Any = None


class RowError(ValueError):
    """A row holds what a model cannot read.

    Attributes:
        columns: What it holds, by column, as the only row or among others.
        step: Which of its steps is wrong, from 1.
    """

    def __init__(self, message: str, columns: Block, step: int = 1) -> None:
        super().__init__(message)
        self.columns, self.step = columns, step


def texts_in(source: BufferedReader, kind: str, column: str | None) -> Iterator[Incoming]:
    """Reads texts.

    Args:
        source: Where they come in.
        kind: What the lines look like.
        column: Column of the texts; None to guess it.

    Raises:
        ValueError: A line is damaged, or there is no column of texts.
    """
    for part in tables.stream(source, kind, text=column, typed=False):
        yield Incoming(part.columns, part.texts, part.texts, part.schema)


def kind_of_texts(begins: bytes) -> str:
    """Tells by how they begin what kind of lines hold texts: JSON Lines, or plain ones."""
    return "jsonl" if begins.startswith(_RECORD_BEGINS) else "lines"


def kind_of_numbers(begins: bytes) -> str:
    """Tells by how they begin what kind of lines hold numbers: JSON Lines, bare numbers, or CSV with a header.

    A line whose cells are numbers, or say that one is missing, is no header.
    """
    begins = begins.lstrip()
    if begins.startswith(_RECORD_BEGINS):
        return "jsonl"
    if begins[:1] in b"0123456789+-.[":  # or there is nothing yet
        return "lines"
    line, end, _ = begins.partition(b"\n")
    cells = _BETWEEN.split(line.decode("latin-1"))
    whole = cells if end else cells[:-1]
    return "lines" if whole and all(map(_is_number_cell, whole)) else "csv"


def _is_number_cell(text: str) -> bool:
    """Whether a cell holds a number, or says that it is missing."""
    return text.strip().lower() in MISSING or is_number_text(text)


def steps_in(
    model: SequenceModel, source: BufferedReader, kind: str, features: Sequence[str] | None, key: str | None
) -> Iterator[Incoming]:
    """Reads steps of numbers, one in a line or a list of them, or clips of sound.

    Args:
        model: The model.
        source: Where they come in.
        kind: What the lines look like; "lines" are bare numbers, those of a step in each.
        features: Columns of numbers; None for those of the training.
        key: Column that tells sessions apart; None if there is none.

    Raises:
        RowError: A row holds other than numbers, or a gap that the model has not learned to read.
        ValueError: A line is damaged, or has not the columns of the model.
    """
    first = 1
    try:
        for block in blocks(source, kind, _ROWS):
            for part in made_of(block, partial(_steps, model, kind, features, key, first)):
                yield part
                first += len(part.pieces)
    except RowError as error:
        raise RowError(f"{name_of(source)}: {error}", error.columns, error.step) from None
    except ValueError as error:
        raise ValueError(f"{name_of(source)}: {error}") from None


def _steps(
    model: SequenceModel,
    kind: str,
    features: Sequence[str] | None,
    key: str | None,
    first: int,
    block: Block,
    before: int,
) -> Incoming:
    """Reads the steps of some rows, the first of which is number `first + before`; the rest is as in `steps_in`."""
    first += before
    columns = _of_bare_lines(model, block["text"], first) if kind == "lines" else block
    names = _names_in(model, columns, features, key)
    if kind in {"csv", "tsv"} and not features:
        _check_header(model, names)
    size = rows_in(columns)
    chosen = {name: columns.get(name, [None] * size) for name in names}
    try:
        if model.front_end:
            read: list[Any] = list(samples_of(chosen[names[0]], names[0], first))
        else:
            read = _steps_of(model, chosen, first)
        checked = checked_numbers(model, series.Series(read, {}, Roles(features=names), columns), first)
    except StepError as error:
        raise RowError(error.message, columns, error.step) from None
    except ValueError as error:
        raise RowError(str(error), columns) from None
    return Incoming(columns, checked, [_shown(model, steps) for steps in read])


def _of_bare_lines(model: SequenceModel, lines: Sequence[str], first: int) -> Block:
    """Reads the numbers of a step in each line, as columns.

    Raises:
        ValueError: A line holds something else than numbers, or not those of a step.
    """
    names, steps = model.config.feature_names, []
    for row, line in enumerate(lines, first):
        numbers = steps_of(line, f"line {row}")
        if len(numbers) < len(names):
            numbers = steps_of(_GAP.sub("nan", line), f"line {row}")
        if numbers.shape != (len(names),):
            raise ValueError(f"line {row} holds {numbers.size} numbers, expected {len(names)}: {shortened(names)}")
        steps.append([None if np.isnan(number) else number for number in numbers.tolist()])
    return {name: list(values) for name, values in zip(names, zip(*steps, strict=True), strict=True)}


def _names_in(model: SequenceModel, columns: Block, features: Sequence[str] | None, key: str | None) -> tuple[str, ...]:
    """Names the columns of numbers: those that are given, those of the training, or all where these are as many.

    Raises:
        ValueError: One is not there, though the model has learned that its numbers always are.
    """
    config, others = model.config, tuple(name for name in columns if name != key)
    names = names_in(features, columns) if features else config.columns
    if not features and not set(names) & set(others) and len(others) == (1 if model.front_end else config.features):
        names = others
    may_lack = {config.feature_names[k] for k in config.missing}
    lacking = [name for name in names if name not in columns and name not in may_lack]
    if lacking or not names:
        what = f"there is no column {lacking[0]!r}" if lacking else "it is not known which columns the model reads"
        raise ValueError(f"{what}: --features names columns of numbers, and there are {shortened(others)}")
    return names


def _check_header(model: SequenceModel, names: Sequence[str]) -> None:
    """Checks that the names of columns, where they are not those of the training, are no numbers of a step.

    Raises:
        ValueError: They are.
    """
    unnamed = {f"column {place}" for place in range(1, len(names) + 1)}
    if set(names) & set(model.config.columns) or not all(name in unnamed or _is_number_cell(name) for name in names):
        return
    raise ValueError(
        f"the first line holds {shortened(names)}, expected names of columns: --from lines reads it as a step, and "
        f"--features names columns that are called so"
    )


def _steps_of(model: SequenceModel, columns: Block, first: int) -> list[npt.NDArray[Any]]:
    """Makes an array [T, K] of each row, which holds a number of a step in each column, or lists of them."""
    names, K = list(columns), model.config.features
    lists = [any(map(_is_list, row)) or len(names) != K for row in zip(*columns.values(), strict=True)]
    if not any(lists):
        steps = np.stack([numbers_of(columns[name], name, first) for name in names], axis=1)
        return list(steps[:, None])
    return [
        _listed_steps(part_of(columns, slice(i, i + 1)), K, first + i)
        if is_list
        else _steps_of(model, part_of(columns, slice(i, i + 1)), first + i)[0]
        for i, is_list in enumerate(lists)
    ]


def _listed_steps(row: Block, K: int, first: int) -> npt.NDArray[Any]:
    [steps] = sequences_of(row, list(row), first)
    return steps.T if steps.shape == (K, 1) else steps  # [1.5, 20] is one step of two numbers


def _is_list(cell: Any) -> bool:
    return isinstance(cell, list) or (isinstance(cell, str) and cell.lstrip().startswith("["))


def _shown(model: SequenceModel, steps: npt.NDArray[Any]) -> str:
    """Writes a step for people, or says how much came in."""
    if model.front_end or len(steps) != 1:
        return f"{len(steps):,} {'samples' if model.front_end else 'steps'}"
    return "  ".join(f"{name} {x:g}" for name, x in zip(model.config.feature_names, steps[0].tolist(), strict=False))


def samples_in(source: BufferedReader, rate: int, every: float) -> Iterator[Incoming]:
    """Reads sound as it is recorded, see `series.recorded.samples`.

    Args:
        source: Where it comes in.
        rate: Samples a second that the model reads.
        every: Seconds of a piece; the last one may be shorter.

    Raises:
        ValueError: A WAV file has another rate, several channels, or samples of another size.
    """
    count = 0
    for piece in samples(source, "standard input", rate, max(1, round(every * rate))):
        count += len(piece)
        yield Incoming({"seconds": [round(count / rate, 6)]}, [piece], [f"{count / rate:.2f} s"])
