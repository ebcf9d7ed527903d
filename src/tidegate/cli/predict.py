"""`tidegate predict`: labels and probabilities for new texts."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer

import tidegate
from tidegate.cli import outputs, texts
from tidegate.cli.console import data_stream, note, plural
from tidegate.cli.options import KindOption, ModelArgument, OverwriteOption, TextOption, TextsArgument, ThreadsOption
from tidegate.cli.words import show_words
from tidegate.data import tables
from tidegate.data.outputs import STDOUT, TABLES, check_inputs
from tidegate.files.writing import is_stream


def predict(
    model: ModelArgument,
    file: TextsArgument = "",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write a .csv, .tsv, .jsonl or .parquet file instead."),
    ] = None,
    overwrite: OverwriteOption = False,
    kind: KindOption = None,
    to: Annotated[Literal["csv", "tsv", "jsonl"], typer.Option(help="What goes to standard output or a pipe.")] = "csv",
    text: TextOption = None,
    words: Annotated[
        str | None, typer.Option("--words", metavar="TEXT", help="Show the probability after each word of a text.")
    ] = None,
    threads: ThreadsOption = None,
) -> None:
    """Predict the label of each text, with the probability of each class.

    All columns of the input stay, those of Parquet in their types; prediction and a column p_LABEL for each class are
    added. Lines that come by a pipe are answered at once.
    """
    if bool(file) == (words is not None):
        raise ValueError("predict needs either a FILE (- for standard input) or --words TEXT")
    formats = sorted(TABLES, key=lambda table: table.name != to)
    target = outputs.output(output, formats, (model, file), overwrite=overwrite) if output else None
    if not target:
        check_inputs(STDOUT, (model, file))
    if threads:
        tidegate.set_num_threads(threads)
    loaded = tidegate.load(model, tidegate.TextModel)
    if words is not None:
        show_words(loaded, words)
        return
    count = 0
    with tables.writer(target.path if target else data_stream(), target.format.name if target else to) as append:
        parts = texts.read(file, kind, text, output=target)
        for part, columns in _in_turn(
            parts, lambda part: _predicted(loaded, part.texts), at_once=file == "-" or is_stream(file)
        ):
            append(texts.joined(part.columns, columns, "predict"), part.schema)
            count += len(part)
        if output and not count:
            raise ValueError(f"{file} has no rows")
    if target:
        note(f"wrote {plural(count, 'prediction')} to {target.path}")


def _predicted(model: tidegate.TextModel, batch: list[str]) -> dict[str, Any]:
    """Predicts a batch of texts: the columns to add."""
    labels, probabilities = model.config.labels, model.predict_proba(batch).astype(np.float64)
    columns: dict[str, Any] = {"prediction": [labels[i] for i in probabilities.argmax(1)]}
    return columns | {f"p_{label}": probabilities[:, i].round(6) for i, label in enumerate(labels)}


def _in_turn(
    parts: Iterator[tables.Table], work: Callable[[tables.Table], dict[str, Any]], *, at_once: bool
) -> Iterator[tuple[tables.Table, dict[str, Any]]]:
    """Yields parts and what is made of them, in their order.

    Args:
        parts: The parts.
        work: Makes something of a part.
        at_once: Whether each is wanted before the next one is there. Otherwise every thread works on a part of its own,
            if there are enough: Python cuts texts on one thread, while the networks of others run in native code.
    """
    threads = tidegate.get_num_threads()
    first = [] if at_once else list(islice(parts, threads))
    if threads == 1 or len(first) < threads:
        yield from ((part, work(part)) for part in chain(first, parts))
        return
    tidegate.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads) as pool:
            waiting: deque[tuple[tables.Table, Future[dict[str, Any]]]] = deque()
            for part in chain(first, parts):
                waiting.append((part, pool.submit(work, part)))
                if len(waiting) > threads:
                    done, result = waiting.popleft()
                    yield done, result.result()
            yield from ((part, result.result()) for part, result in waiting)
    finally:
        tidegate.set_num_threads(threads)
