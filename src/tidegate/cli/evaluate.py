"""`tidegate evaluate`: how good a model is on labelled texts."""

from collections.abc import Mapping
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer

import tidegate
from tidegate.cli.console import say, say_json, show_facts, show_table
from tidegate.cli.options import KindOption, LabelledArgument, LabelOption, ModelArgument, TextOption, ThreadsOption
from tidegate.data import tables
from tidegate.data.tables.columns import column_of, label_names
from tidegate.data.tables.values import json_text
from tidegate.models.metrics import Report, score
from tidegate.training.labels import class_indices

_WIDEST = 12  # classes of which the confusion matrix still fits a terminal
_MOST_GROUPS = 100  # values of a column that texts are scored by
_MISSING = "(none)"  # the value of rows that have none
_MOST_LETTERS = 40  # of their names; longer ones are numbered


def evaluate(
    model: ModelArgument,
    file: LabelledArgument,
    text: TextOption = None,
    label: LabelOption = None,
    kind: KindOption = None,
    by: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Also score the texts of each value of a column apart.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    threads: ThreadsOption = None,
) -> None:
    """Compare a model's predictions with the labels of a file."""
    if threads:
        tidegate.set_num_threads(threads)
    loaded = tidegate.load(model, tidegate.TextModel)
    table = tables.read(file, text, label, kind=kind, others=by is not None)
    groups = group_rows(table, by) if by else {}
    truth = class_indices(table.labels or [], loaded.config.labels, str(file), len(table))
    probabilities = loaded.predict_proba(table.texts)
    report = score(truth, probabilities, loaded.config.labels)
    parts = {name: score(truth[rows], probabilities[rows], loaded.config.labels) for name, rows in groups.items()}
    if as_json:
        apart = {"by": {by: {name: part.as_dict() for name, part in parts.items()}}} if by else {}
        say_json(json_text(report.as_dict() | apart))
    else:
        show_report(report)
        if by:
            show_parts(by, parts)


def group_rows(table: tables.Table, by: str) -> dict[str, npt.NDArray[np.int64]]:
    """Finds the rows of each value of a column, in the order of their first rows.

    Raises:
        ValueError: There is no such column, its values are lists or records, or too many differ.
    """
    values = column_of(table.columns, by)
    if values is None:
        raise ValueError(
            f"there is no column {by!r} to score by; the columns are {', '.join(map(repr, table.columns))}"
        )
    groups: dict[str, list[int]] = {}
    for row, name in enumerate(label_names(values)):
        groups.setdefault(_MISSING if name is None else name, []).append(row)
    if len(groups) > _MOST_GROUPS:
        raise ValueError(f"column {by!r} has {len(groups):,} different values, expected {_MOST_GROUPS} or fewer")
    return {name: np.array(rows) for name, rows in groups.items()}


def show_parts(by: str, parts: Mapping[str, Report]) -> None:
    """Prints a row of scores for each part of the texts."""
    rows = [(name, f"{r.accuracy:.4f}", f"{r.macro_f1:.4f}", f"{r.ece:.4f}", f"{r.n:,}") for name, r in parts.items()]
    show_table((by, "accuracy", "macro F1", "calibration error", "texts"), rows)


def show_report(report: Report) -> None:
    """Prints the scores, a table by class, and the confusion matrix."""
    show_facts(
        [
            ("texts", f"{report.n:,}"),
            ("accuracy", f"{report.accuracy:.4f}"),
            ("macro F1", f"{report.macro_f1:.4f}"),
            ("calibration error", f"{report.ece:.4f}"),
        ]
    )
    rows = [
        (c.label, f"{c.precision:.4f}", f"{c.recall:.4f}", f"{c.f1:.4f}", f"{c.support:,}") for c in report.per_class
    ]
    show_table(("class", "precision", "recall", "F1", "texts"), rows)
    if len(report.labels) > _WIDEST:
        say(f"(the confusion matrix of {len(report.labels)} classes is in the output of --json)")
        return
    names, corner = tuple(report.labels), "true \\ predicted"
    if sum(map(len, names)) + max(map(len, names)) > _MOST_LETTERS:
        names, corner = tuple(str(i) for i in range(1, len(names) + 1)), "true"
        show_facts(zip(names, report.labels, strict=True))
    matrix = zip(names, report.confusion.tolist(), strict=True)
    show_table((corner, *names), [(name, *(f"{n:,}" for n in counts)) for name, counts in matrix])
