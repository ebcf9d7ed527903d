"""`tidegate predict`: labels and probabilities, or numbers, for new texts and sequences."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer

import tidegate
from tidegate.cli import outputs
from tidegate.cli.answers import (
    answer_columns,
    forecast_columns,
    foreseen_columns,
    labelled_columns,
    labelled_rows,
    told_apart,
)
from tidegate.cli.choice import CHOICE_OPTIONS, Choice
from tidegate.cli.console import data_stream, note, plural
from tidegate.cli.groups import grouped
from tidegate.cli.options import (
    PLACE_OPTIONS,
    READ_OPTIONS,
    KindOption,
    ModelArgument,
    OverwriteOption,
    TextsArgument,
)
from tidegate.cli.places import Place
from tidegate.cli.reading import texts
from tidegate.cli.reading.inputs import Columns, Part, load_model, read_parts
from tidegate.cli.words import show_words
from tidegate.data import tables
from tidegate.data.outputs import STDOUT, TABLES, check_inputs
from tidegate.files.writing import is_stream
from tidegate.models.network import Network
from tidegate.models.sequence_model import SequenceModel
from tidegate.models.text_model import TextModel
from tidegate.sequences.features import steps_first
from tidegate.text.tokenizer import UNKNOWN


@grouped("columns", READ_OPTIONS, Columns)
@grouped("choice", CHOICE_OPTIONS, Choice)
@grouped("place", PLACE_OPTIONS, Place)
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
    columns: Any = None,
    choice: Any = None,
    words: Annotated[
        str | None, typer.Option("--words", metavar="TEXT", help="Show the probability after each word of a text.")
    ] = None,
    place: Any = None,
) -> None:
    """Predict the label of each text or sequence, with the probability of each class, or the numbers of a regression.

    All columns of the input stay, those of Parquet in their types; prediction and a column p_LABEL for each class are
    added; of several numbers, a column prediction_NAME for each. Where a row may have several labels, the prediction
    is all of those of a probability of 0.5 or more, written as in training. Lines that come by a pipe are answered at
    once. Lists of numbers that the model has read stay in Parquet alone; of a long table, a row for each sequence is
    written, with its key. A model of next steps predicts those that follow each sequence; with --steps they are rows of
    their own, as far ahead as wanted. A model that labels steps writes a row for each. A model of next words says how
    probable each text is; with --steps it continues the texts.
    """
    if bool(file) == (words is not None):
        raise ValueError("predict needs either a FILE (- for standard input) or --words TEXT")
    formats = sorted(TABLES, key=lambda table: table.name != to)
    target = outputs.output(output, formats, (model, file), overwrite=overwrite) if output else None
    if not target:
        check_inputs(STDOUT, (model, file))
    place.use_threads()
    if words is not None:
        shown = tidegate.load(model, tidegate.TextModel)
        show_words(shown, words)
        _note_strangers(shown, strange=_are_strange(shown, [words]))
        return
    loaded = load_model(model)
    choice.check(loaded.config)
    count, written, ended, strange = 0, 0, 0, True
    with tables.writer(target.path if target else data_stream(), target.format.name if target else to) as append:
        parts = read_parts(loaded, file, kind, columns, output=target)
        with closing(place.worked_on(file, parts, partial(_predicted, loaded, choice=choice))) as done:
            for part, added in done:
                rows, schema = _rows(loaded, part, added, choice)
                append(rows, schema)
                count += len(part)
                written += len(next(iter(rows.values())))
                ended += _count_ended(loaded, added, choice)
                strange = strange and _are_strange(loaded, part.sequences)
        if not count and (output or not (file == "-" or is_stream(str(file)))):  # a pipe may well end at once
            raise ValueError(f"{file} has no rows")
    _note_strangers(loaded, strange=strange and count > 0)
    _note_ended(ended, count, choice)
    if target:
        note(f"wrote {plural(written, 'prediction')} to {target.path}")


def _count_ended(model: Network, added: Mapping[str, Any], choice: Choice) -> int:
    """Counts texts that a model was to continue, and that have ended for it."""
    return added["continuation"].count("") if isinstance(model, TextModel) and choice.steps else 0


def _note_ended(ended: int, count: int, choice: Choice) -> None:
    """Says it if some of so many continuations are empty."""
    if ended:
        are = f"{ended:,} of {plural(count, 'continuation')} {'is' if ended == 1 else 'are'} empty"
        other = "another --seed draws anew" if choice.temperature else "--temperature 1 draws less probable words"
        note(f"note: {are}, as the model foresees the end of the text there; {other}")


def _are_strange(model: Network, batch: Sequence[Any]) -> bool:
    """Whether a model of texts knows no word of any of them; the first text with one that it knows ends the search."""
    if not isinstance(model, TextModel) or (model.ngrams is not None and model.ngrams.has_letters):
        return False
    return not any((model.tokenizer.encode_batch([text])[0] != UNKNOWN).any() for text in batch)


def _note_strangers(model: Network, *, strange: bool) -> None:
    """Says it if a model knows no word of what it was given, so that its answer is that of an unknown word."""
    if strange and isinstance(model, TextModel):
        known, units = ", ".join(map(repr, model.vocabulary[2:5])), model.tokenizer.unit
        note(f"note: the model knows no {units.removesuffix('s')} of the input; its {units} are such as {known}")


def _rows(model: Network, part: Part, added: Mapping[str, Any], choice: Choice) -> tuple[Any, Any]:
    """Makes what is written of a part, and its schema: its rows, or the steps that follow."""
    if isinstance(model, SequenceModel) and choice.steps:
        return texts.joined(told_apart(part, [choice.steps] * len(part)), added, "predict"), None
    if isinstance(model, SequenceModel) and model.config.aim.labels_steps:
        lengths = [len(np.asarray(x)) for x in steps_first(part.sequences, model.config.layout)]
        return labelled_rows(part, lengths, added), None
    return texts.joined(part.columns, added, "predict"), part.schema


def _predicted(model: Network, batch: Sequence[Any], first: int, *, choice: Choice) -> dict[str, Any]:
    """Predicts some texts or sequences, the first of which is this row of the input: the columns to add."""
    labels, aim = model.config.labels, model.config.aim
    if isinstance(model, TextModel) and aim.reads_tokens:
        return foreseen_columns(model, batch, first, choice)
    if choice.steps and isinstance(model, SequenceModel):
        return forecast_columns(model, batch, choice.steps)
    if isinstance(model, SequenceModel) and aim.labels_steps:
        return labelled_columns(model, batch)
    values = model.values_of(model.scores(batch)).astype(np.float64)
    classes: Sequence[Any] = ()
    if aim.has_probabilities:
        classes = [labels[i] for i in values.argmax(1)] if aim.exclusive else choice.labels(model.config, values)
    return answer_columns(model.config, values, classes)
