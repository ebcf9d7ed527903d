"""`tidegate train` on more than fits into memory: when that is, and how texts are read part by part."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from tidegate.cli.console import say
from tidegate.cli.reading.targets import columns_said, label_columns, numbers_to_predict
from tidegate.cli.train.request import Request
from tidegate.data import tables
from tidegate.data.series.apart import Apart
from tidegate.data.tables.columns import column_of
from tidegate.data.tables.folders import sources_of
from tidegate.data.tables.folders import stream as stream_tables
from tidegate.data.tables.label_names import as_booleans, label_name
from tidegate.data.tables.sources.kinds import KINDS, PACKED
from tidegate.files.remote import is_file, size_of
from tidegate.files.writing import is_stream
from tidegate.models.tasks import TASKS
from tidegate.training.data.examples import TextExamples
from tidegate.training.data.memory import memory_of
from tidegate.training.data.spooled.gathered import Part, Plan
from tidegate.training.data.spooled.preparing import spool_texts
from tidegate.training.data.tasks import check_no_copies, check_words

_GROWS, _PACKED_GROWS = 10, 40
"""Bytes in memory for one of a file, most of them of n-grams; of packed files, about four times as many."""

_MOST_PARTS = 256  # of a long table, each a file that is open
_ROWS = 4096  # of a part; by the first one it is decided what is trained


def plan_of(request: Request, seed: int) -> Plan | None:
    """Decides whether a table is too large for the memory, and says so.

    Sound, several labels a row, a label for each step, and next steps or words are read whole whatever their size,
    which is said too.

    Returns:
        How its rows are prepared part by part; None if they fit into memory, or are read whole.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: `--memory` is no size, or too small.
    """
    memory, aim = memory_of(request.run.memory, request.run.workers), request.wanted.aim
    asked = "--label-per-step" if request.wanted.labels_steps else f"--task {request.wanted.task}"
    whole = "sound" if request.frontend else f"data for {asked}"
    if request.frontend or (aim and aim.truth not in {"class", "numbers"}):
        if request.run.memory is not None:
            say(f"data: {whole} is read whole: --memory has no effect on it")
        return None
    needed = _needed(request)
    if needed <= memory:
        return None
    folder = None if is_stream(request.output) else request.output.absolute().parent
    say(
        f"data: about {needed / 1e9:.1f} GB in memory, and {memory / 1e9:.1f} GB may be used (--memory): it is read "
        f"part by part, and kept in a file on the disk until training ends"
    )
    return Plan(memory=memory, folder=folder, seed=seed, names=as_booleans)


def apart_of(request: Request, plan: Plan) -> Apart:
    """Decides in how many parts the rows of a long table are put apart."""
    return Apart(min(_MOST_PARTS, 1 + 8 * _needed(request) // plan.memory), plan.folder)


def _needed(request: Request) -> int:
    """Estimates the bytes that a table takes in memory."""
    return sum(map(_needed_by, sources_of(request.file)))


def _needed_by(source: Any) -> int:
    """Estimates the bytes that a file takes in memory; 0 for what is no file, whose size nobody knows."""
    if not isinstance(source, str | os.PathLike) or not is_file(source):
        return 0
    packed = os.fspath(source).lower().endswith((*PACKED, *KINDS["parquet"], ".arrow", ".feather"))
    return size_of(source) * (_PACKED_GROWS if packed else _GROWS)


def spooled_texts(request: Request, plan: Plan, text: str | None, limits: Mapping[str, Any]) -> TextExamples:
    """Reads texts with their labels part by part, says which columns they are, and refuses what cannot be meant.

    Args:
        request: What was asked for.
        plan: How.
        text: The column of texts; None to guess it.
        limits: Of the vocabulary and of a text, as `prepare_texts` takes them.
    """
    several: Any = request.asked.labels or (None,)
    wanted = request.wanted
    if request.asked.labels and wanted.aim and wanted.aim.truth == "numbers":
        several = label_columns(several[0], request.file, request.kind)
    how: Any = {"kind": request.kind, "text": text, "label": several[0], "others": len(several) > 1}
    found = stream_tables(request.file, need_label=True, size=_ROWS, **how)
    first = next(found, None)
    if first is None:
        raise ValueError(f"{request.file}: there are no rows")
    check_words(first.texts, first.text_column, named=text is not None)
    columns = (first.label_column or "", *several[1:])
    wanted = wanted.decided({first.label_column or "": first.labels or []})
    task = wanted.task
    share: Any = request.share(nothing=task == "regression")
    if share is None:
        how |= {"kind": None, "text": first.text_column, "label": first.label_column}
        others = stream_tables(request.validation, need_label=True, size=_ROWS, **how)
        share = _parts(others, columns, task)
    say(f"texts: column {first.text_column!r}, {columns_said(columns)} of {request.file}")
    plan = replace(plan, task=task, validation=share)
    examples = spool_texts(_parts(chain([first], found), columns, task), plan, **limits)
    if task == "regression":
        return wanted.named(examples, columns)
    sample = [examples.labels[c] for c in examples.train.targets]
    wanted.check(sample, columns[0])
    check_no_copies(examples.texts[0], sample, (first.text_column, columns[0]))
    return examples


def _parts(found: Iterator[tables.Table], columns: Sequence[str], task: str) -> Iterator[Part]:
    """Yields texts and what is to be predicted of them."""
    for table in found:
        values = column_of(table.columns, columns[0]) if TASKS[task].truth == "class" else None
        yield table.texts, targets_of(table, columns, task) if values is None else names_of(values)


def targets_of(table: tables.Table, columns: Sequence[str], task: str) -> Any:
    """Returns labels, or the numbers of a regression, float64 [B, C]."""
    if TASKS[task].truth != "numbers":
        return table.labels or []
    first, *others = columns
    found = {first: table.labels, **{name: column_of(table.columns, name) for name in others}}
    return numbers_to_predict(found)


def names_of(values: Sequence[Any]) -> list[str | None]:
    """Names the labels of a part one by one: which of them are truth values is known at the end, see `Plan.names`."""
    return [label_name(value) for value in values]
