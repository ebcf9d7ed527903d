"""`tidegate explain`: which words, or steps and features, an answer is made of."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

import tidegate
from tidegate.cli import outputs
from tidegate.cli.console import note, out, plural, say_json
from tidegate.cli.explain.explained import Explained, shown_label
from tidegate.cli.explain.page import write_page
from tidegate.cli.explain.png import draw
from tidegate.cli.explain.sequences import ExplainedSeries, draw_series, explain_series, find_sequence, show_features
from tidegate.cli.explain.terminal import print_lines, show
from tidegate.cli.groups import grouped
from tidegate.cli.options import READ_OPTIONS, Kind, ModelArgument, OverwriteOption, ThreadsOption
from tidegate.cli.reading.inputs import Columns, load_model
from tidegate.data import tables
from tidegate.data.tables.sources import kinds
from tidegate.data.tables.values import json_text
from tidegate.files.writing import replacing
from tidegate.inspection.attribution import METHODS, IntegratedGradients, Method
from tidegate.inspection.explain import Attribution
from tidegate.inspection.explain import explain as account
from tidegate.text.tokenizer import UNKNOWN


def _file(name: str, kind: str) -> Any:
    return typer.Option(name, metavar="FILE", help=f"Write {kind} instead.")


@grouped("columns", READ_OPTIONS, Columns)
def explain(
    model: ModelArgument,
    words: Annotated[str | None, typer.Argument(metavar="TEXT", help="The text itself.")] = None,
    file: Annotated[
        str | None, typer.Option("--file", metavar="FILE", help="Read the text from a file; - is standard input.")
    ] = None,
    row: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Which text of a table: CSV, TSV, JSON Lines, Parquet.")
    ] = None,
    kind: Annotated[
        Kind | None,
        typer.Option(
            "--from", help="Format of the table; `lines` has one text on each line.", show_default="by suffix"
        ),
    ] = None,
    columns: Any = None,
    method: Annotated[
        Method, typer.Option(metavar="NAME", help=f"How it is computed: {', '.join(METHODS)}.")
    ] = "ledger",
    label: Annotated[
        str | None,
        typer.Option("--class", metavar="LABEL", help="Explain this class.", show_default="of two the second"),
    ] = None,
    html: Annotated[Path | None, _file("--html", "a page of one file")] = None,
    png: Annotated[Path | None, _file("--png", "a picture")] = None,
    overwrite: OverwriteOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    threads: ThreadsOption = None,
) -> None:
    """Show how much each word counts for an answer, and how much of it is left in the memory at the end.

    A file holds one text; a table holds one in each row, and --row chooses it. Of a sequence of numbers, which a table
    holds, it is also shown how much each feature counts. On a terminal, colours show how much
    words count, and bars the probability if the text ended there.
    """
    kinds = ((html, outputs.PAGE, _write_page), (png, outputs.PICTURE, _draw))
    wanted = [
        (outputs.output(path, [kind_of_file], (model, file), overwrite=overwrite).path, write)
        for path, kind_of_file, write in kinds
        if path
    ]
    if threads:
        tidegate.set_num_threads(threads)
    loaded = _loaded(model)
    explained: Explained
    if isinstance(loaded, tidegate.TextModel):
        columns.check_texts()
        explained = _explain(loaded, _text(words, file, row, kind, columns.text), method, label)
    else:
        explained = explain_series(loaded, find_sequence(loaded, words, file, kind, columns, row), method, label)
    for path, write in wanted:
        with replacing(path) as target:
            write(explained, target)
        note(f"wrote {path}")
    if as_json:
        say_json(json_text(_record(explained)))
    elif not wanted:
        (show if out.is_terminal and explained.has_probabilities else print_lines)(explained)
        if isinstance(explained, ExplainedSeries):
            show_features(explained)


def _loaded(path: Path) -> tidegate.TextModel | tidegate.SequenceModel:
    """Reads a model that can be explained.

    Raises:
        ValueError: Its answers cannot be explained, or as in `load_model`.
    """
    model = load_model(path)
    model.config.aim.need_explained()
    return model


def _write_page(explained: Explained, file: BinaryIO) -> None:
    """Writes the page.

    Raises:
        ValueError: There are no probabilities to show.
    """
    if not explained.has_probabilities:
        raise ValueError("--html shows probabilities of classes, but the model predicts numbers: --png draws them")
    write_page(explained, file)


def _draw(explained: Explained, file: BinaryIO) -> None:
    """Draws a text or a sequence."""
    if isinstance(explained, ExplainedSeries):
        draw_series(explained, file)
    else:
        draw(explained, file)


def _explain(model: tidegate.TextModel, text: str, method: Method, label: str | None) -> Explained:
    """Explains one text.

    Raises:
        ValueError: It has no word, or the class is unknown.
    """
    labels = model.config.labels
    if label is not None and label not in labels:
        known = ", ".join(map(repr, labels[:10])) + ", …" * (len(labels) > 10)
        raise ValueError(f"the class is {label!r}, expected one of those of the model: {known}")
    explanation = account(model, text)
    if not explanation.words:
        raise ValueError("the text has no word, expected one or more")
    if len(explanation.words) == model.config.max_length:
        read = len(model.tokenizer.words(text))
        if read > len(explanation.words):
            note(f"the text has {plural(read, 'word')}, of which the model reads the first {len(explanation.words):,}")
    attribution: Attribution = explanation if method == "ledger" else METHODS[method](model, text)
    chosen = shown_label(explanation, model.config.aim) if label is None else labels.index(label)
    (ids,) = model.tokenizer.encode_batch([text], model.config.max_length)
    unknown = (word for word, i in zip(explanation.words, ids, strict=True) if i == UNKNOWN)
    return Explained(explanation, attribution, method, chosen, tuple(dict.fromkeys(unknown)))


def _record(explained: Explained) -> dict[str, Any]:
    """The figures of the ledger, or those of another method."""
    explanation, attribution = explained.explanation, explained.attribution
    more = explained.record()
    if attribution is explanation:
        return explanation.as_dict() | more
    record = (
        explanation.as_dict() | more | {"method": explained.method, "contributions": attribution.contributions.tolist()}
    )
    for name in ("bias", "initial", "kept"):  # they belong to the ledger's sum
        del record[name]
    if isinstance(attribution, IntegratedGradients):
        record |= {"baseline": attribution.baseline.tolist(), "error": attribution.error}
    return record


def _text(words: str | None, file: str | None, row: int | None, kind: Kind | None, column: str | None) -> str:
    """Finds the one text to explain.

    Raises:
        OSError: There is no such file, or it cannot be read.
        ValueError: There are two texts, or none, or a table has several and none is chosen.
    """
    if (words is None) == (file is None):
        raise ValueError('explain needs either a "TEXT" or --file FILE (- for standard input)')
    if words is not None:
        if row or column or kind:
            raise ValueError("--row, --text and --from say which text of a table is meant: give the table with --file")
        if os.path.isfile(words):  # which takes any text, however long
            raise ValueError(f"{words!r} is a file: to explain the text in it, say --file {words}")
        return words
    assert file is not None  # noqa: S101 - for mypy: one of both is there
    if file != "-" and not Path(file).exists():
        raise FileNotFoundError(f"there is no file {file!r}")
    if kind or _is_table(file):
        return _row(file, row, kind, column)
    if row or column:
        raise ValueError(f"{file} is read as one text, without rows and columns: --from says what table it is")
    data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: byte {error.start} is not UTF-8, expected a text") from None


def _is_table(file: str) -> bool:
    """Whether a file has the suffix of a table; any other is a text, whatever it is called."""
    return file != "-" and kinds.kind_by_name(file) not in {None, "lines"}


def _row(file: str, row: int | None, kind: str | None, column: str | None) -> str:
    """Reads one text of a table."""
    source = sys.stdin.buffer if file == "-" else file
    count, first = 0, ""
    for part in tables.stream(source, kind, text=column, others=False):
        if row and row <= count + len(part):
            return part.texts[row - 1 - count]
        first, count = first if count else part.texts[0], count + len(part)
    if row is None and count == 1:
        return first
    given = "no --row is given" if row is None else f"row is {row}"
    choice = f": {given}, expected 1..{count}" if count else ""
    raise ValueError(f"{file} has {plural(count, 'text')}{choice}")
