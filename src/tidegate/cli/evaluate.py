"""`tidegate evaluate`: how good a model is on labelled texts."""

from typing import Annotated

import typer

import tidegate
from tidegate.cli.console import say, say_json, show_facts, show_table
from tidegate.cli.options import KindOption, LabelledArgument, LabelOption, ModelArgument, TextOption, ThreadsOption
from tidegate.data import tables
from tidegate.data.tables.values import json_text
from tidegate.models.metrics import Report, score
from tidegate.training.labels import class_indices

_WIDEST = 12  # classes of which the confusion matrix still fits a terminal
_MOST_LETTERS = 40  # of their names; longer ones are numbered


def evaluate(
    model: ModelArgument,
    file: LabelledArgument,
    text: TextOption = None,
    label: LabelOption = None,
    kind: KindOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    threads: ThreadsOption = None,
) -> None:
    """Compare a model's predictions with the labels of a file."""
    if threads:
        tidegate.set_num_threads(threads)
    loaded = tidegate.load(model, tidegate.TextModel)
    table = tables.read(file, text, label, kind=kind, others=False)
    truth = class_indices(table.labels or [], loaded.config.labels, str(file), len(table))
    report = score(truth, loaded.predict_proba(table.texts), loaded.config.labels)
    if as_json:
        say_json(json_text(report.as_dict()))
    else:
        show_report(report)


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
