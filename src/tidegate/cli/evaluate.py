"""`tidegate evaluate`: how good a model is on labelled texts or sequences of numbers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

import tidegate
from tidegate.cli import outputs
from tidegate.cli.console import note, say, say_json, show_facts, show_table
from tidegate.cli.groups import grouped
from tidegate.cli.options import (
    READ_LABELLED_OPTIONS,
    KindOption,
    LabelledArgument,
    ModelArgument,
    OverwriteOption,
    ThreadsOption,
)
from tidegate.cli.reading.inputs import Columns, judge, load_model, read_known
from tidegate.cli.reliability import draw_reliability, show_points, show_reliability
from tidegate.data.tables.columns import column_of
from tidegate.data.tables.label_names import as_booleans, label_name
from tidegate.data.tables.values import json_text
from tidegate.files.writing import replacing
from tidegate.models.metrics.multi_label import MultiLabelReport
from tidegate.models.metrics.reports import RegressionReport, Report
from tidegate.models.metrics.thresholds import OperatingPoint, at_recall, at_threshold
from tidegate.models.network import Network

_WIDEST = 12  # classes of which the confusion matrix still fits a terminal
_MOST_GROUPS = 100  # values of a column that texts are scored by
_MISSING = "(none)"  # the value of rows that have none
_MOST_LETTERS = 40  # of their names; longer ones are numbered


@grouped("columns", READ_LABELLED_OPTIONS, Columns.labelled)
def evaluate(
    model: ModelArgument,
    file: LabelledArgument,
    columns: Any = None,
    kind: KindOption = None,
    by: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Also score the texts of each value of a column apart.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, metavar="P", help="Precision and recall from this probability on.")
    ] = None,
    recall: Annotated[
        float | None, typer.Option(min=0, max=1, metavar="R", help="Precision where this share is found.")
    ] = None,
    of: Annotated[
        str | None,
        typer.Option("--class", metavar="LABEL", help="The class of these two.", show_default="of two the second"),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also draw how reliable the probabilities are, as a PNG file.")
    ] = None,
    overwrite: OverwriteOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    threads: ThreadsOption = None,
) -> None:
    """Compare a model's predictions with the labels of a file: classes, or numbers."""
    target = outputs.output(picture, [outputs.PICTURE], (model, file), overwrite=overwrite) if picture else None
    if threads:
        tidegate.set_num_threads(threads)
    loaded = load_model(model)
    known = read_known(loaded, file, kind, columns, others=by is not None)
    groups = group_rows(known.columns, by) if by else {}
    aim, noun = loaded.config.aim, noun_of(loaded)
    if aim.reads_tokens or not aim.has_probabilities:
        predicted = noun if aim.reads_tokens else aim.noun
        _refuse({"--threshold": threshold, "--recall": recall, "--class": of, "--picture": picture}, predicted)
    if by and aim.each_step and not aim.reads_tokens:
        raise ValueError("--by scores rows apart, but the model predicts the steps within them: give a file for each")
    if picture and not aim.exclusive:
        raise ValueError("--picture is about the probability of one class a row, but the model predicts several")
    judged = judge(loaded, known, str(file))
    report, points = judged.report(), []
    if threshold is not None or recall is not None:
        chosen = class_of(loaded.config.labels, of)
        points = operating_points(judged.positive(chosen), judged.predicted[:, chosen], threshold, recall)
    if target:
        with replacing(target.path) as drawn:
            draw_reliability(report, drawn)
        note(f"wrote {target.path}")
    parts = {name: judged.report(rows) for name, rows in groups.items()}
    if as_json:
        more: dict[str, Any] = {"points": [point._asdict() for point in points]} if points else {}
        more |= {"by": {by: {name: part.as_dict() for name, part in parts.items()}}} if by else {}
        say_json(json_text(report.as_dict() | more))
    else:
        show_report(report, noun)
        if by:
            show_parts(by, parts, noun)
        if points:
            show_points(loaded.config.labels[chosen], points, noun)


def noun_of(model: Network) -> str:
    """Names what a model is judged by."""
    if model.config.aim.reads_tokens and model.tokenizer:
        return model.tokenizer.unit
    if isinstance(model, tidegate.TextModel):
        return "texts"
    return "steps" if model.config.aim.each_step else "sequences"


def _refuse(given: Mapping[str, Any], predicted: str) -> None:
    """Checks that nothing is asked that only classes have.

    Raises:
        ValueError: Something is.
    """
    if name := next((name for name, value in given.items() if value is not None), None):
        raise ValueError(f"{name} is about the probability of classes, but the model predicts {predicted}")


def group_rows(columns: Mapping[str, Any], by: str) -> dict[str, npt.NDArray[np.int64]]:
    """Finds the rows of each value of a column, in the order of their first rows.

    Raises:
        ValueError: There is no such column, its values are lists or records, or too many differ.
    """
    values = column_of(columns, by)
    if values is None:
        known = f"the columns are {', '.join(map(repr, columns))}" if columns else "plain texts have no columns"
        raise ValueError(f"there is no column {by!r} to score by; {known}")
    try:
        names = as_booleans(list(map(label_name, values)))
    except ValueError as error:
        raise ValueError(f"column {by!r} {error}") from None
    groups: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        groups.setdefault(_MISSING if name is None else name, []).append(row)
    if len(groups) > _MOST_GROUPS:
        raise ValueError(f"column {by!r} has {len(groups):,} different values, expected {_MOST_GROUPS} or fewer")
    return {name: np.array(rows) for name, rows in groups.items()}


def show_parts(by: str, parts: Mapping[str, Any], noun: str) -> None:
    """Prints a row of scores for each part of what was read."""
    first = next(iter(parts.values()))
    if not isinstance(first, Report):
        shown = first.shown
        of_parts = [(name, *(f"{getattr(r, figure):.4f}" for figure in shown), f"{r.n:,}") for name, r in parts.items()]
        show_table((by, *shown.values(), noun), of_parts)
        return
    rows = [(name, f"{r.accuracy:.4f}", f"{r.macro_f1:.4f}", f"{r.ece:.4f}", f"{r.n:,}") for name, r in parts.items()]
    show_table((by, "accuracy", "macro F1", "calibration error", noun), rows)


def class_of(labels: Sequence[str], name: str | None) -> int:
    """Finds the class whose probability has a threshold.

    Raises:
        ValueError: There is no such class, or there are more than two and none is named.
    """
    if name is None and len(labels) == 2:
        return 1
    if name not in labels:
        known = ", ".join(map(repr, labels[:10])) + ", …" * (len(labels) > 10)
        raise ValueError(f"the class is {name!r}, expected one of those of the model with --class: {known}")
    return labels.index(name)


def operating_points(
    positive: npt.NDArray[np.bool_],
    probability: npt.NDArray[np.floating],
    threshold: float | None,
    recall: float | None,
) -> list[OperatingPoint]:
    """Measures what was asked for: at a threshold, and where a share is found."""
    points = []
    if threshold is not None:
        points.append(at_threshold(positive, probability, threshold))
    if recall is not None:
        points.append(at_recall(positive, probability, recall))
    return points


def show_report(report: Any, noun: str = "texts") -> None:
    """Prints the scores, and by class with the confusion matrix, by label, or by number."""
    if not isinstance(report, Report):
        figures = [(title, f"{getattr(report, name):.4f}") for name, title in report.shown.items()]
        show_facts([(noun, f"{report.n:,}"), *figures])
        if isinstance(report, MultiLabelReport):
            _show_labels(report, noun)
        elif isinstance(report, RegressionReport) and len(report.labels) > 1:
            rows = [(label, *(f"{x:.4f}" for x in each)) for label, each in report.by_label.items()]
            show_table(("", *report.shown.values()), rows)
        return
    show_facts(
        [
            (noun, f"{report.n:,}"),
            ("accuracy", f"{report.accuracy:.4f}"),
            ("macro F1", f"{report.macro_f1:.4f}"),
            ("log-loss", f"{report.log_loss:.4f}"),
            ("calibration error", f"{report.ece:.4f}"),
        ]
    )
    show_reliability(report, noun)
    rows = [
        (c.label, f"{c.precision:.4f}", f"{c.recall:.4f}", f"{c.f1:.4f}", f"{c.support:,}") for c in report.per_class
    ]
    show_table(("class", "precision", "recall", "F1", noun), rows)
    if len(report.labels) > _WIDEST:
        say(f"(the confusion matrix of {len(report.labels)} classes is in the output of --json)")
        return
    names, corner = tuple(report.labels), "true \\ predicted"
    if sum(map(len, names)) + max(map(len, names)) > _MOST_LETTERS:
        names, corner = tuple(str(i) for i in range(1, len(names) + 1)), "true"
        show_facts(zip(names, report.labels, strict=True))
    matrix = zip(names, report.confusion.tolist(), strict=True)
    show_table((corner, *names), [(name, *(f"{n:,}" for n in counts)) for name, counts in matrix])


def _show_labels(report: MultiLabelReport, noun: str) -> None:
    """Prints the scores of each label, and the threshold that would have suited it best."""
    rows = [
        (c.label, *(f"{x:.4f}" for x in (c.precision, c.recall, c.f1)), f"{c.support:,}", f"{threshold:.3f}")
        for c, threshold in zip(report.per_label, report.thresholds.tolist(), strict=True)
    ]
    show_table(("label", "precision", "recall", "F1", noun, "best threshold"), rows)
