"""`tidegate train`: from a file of labelled texts or sequences to a model file, with simpler summaries beside it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

import tidegate
from tidegate.characters import visible
from tidegate.cli import options as o
from tidegate.cli import outputs
from tidegate.cli.console import err, note, plural, say
from tidegate.cli.groups import grouped
from tidegate.cli.reading.targets import Wanted, columns_said, describe_targets, label_columns
from tidegate.cli.reading.texts import running_texts
from tidegate.cli.train.cells import cell_text, choice_options
from tidegate.cli.train.request import Request
from tidegate.cli.train.sequences import refuse_words, train_numbers
from tidegate.cli.train.spooling import plan_of, spooled_texts, targets_of
from tidegate.cli.train.tokens import describe_tokens, read_tokens
from tidegate.data import tables
from tidegate.data.series import Asked, holds_series
from tidegate.models.tasks import TASKS
from tidegate.sequences.logmel import LogMel
from tidegate.text.tokenizer import PAD, UNITS, UNK
from tidegate.text.vectors import WordVectors
from tidegate.text.vectors import read as read_vectors
from tidegate.training.data.examples import CELL, VALIDATION, TextExamples, prepare_texts
from tidegate.training.data.next_tokens import BPTT
from tidegate.training.data.tasks import check_no_copies, check_words
from tidegate.training.data.vocabulary import vocabulary_limits
from tidegate.training.ngrams.parts import AUTO, Parts
from tidegate.training.packages import look_for
from tidegate.training.pretraining import pretrained
from tidegate.training.settings import TOKEN_DROPOUT, Settings

_FEW = 0.1  # a smaller share of words with a vector looks like a mistake


@grouped("columns", o.COLUMN_OPTIONS, dict)
@grouped("wanted", o.WANTED_OPTIONS, Wanted)
@grouped("words", o.WORD_OPTIONS, SimpleNamespace)
@grouped("sizes", o.SIZE_OPTIONS, dict)
@grouped("choices", choice_options(o.SIZES), dict)
@grouped("settings", o.SETTING_OPTIONS, dict)
@grouped("run", o.RUN_OPTIONS, SimpleNamespace)
def train(
    file: o.LabelledArgument,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write the model.")] = Path(
        "model.safetensors"
    ),
    text: o.TextOption = None,
    label: o.LabelOption = None,
    columns: Any = None,
    kind: o.KindOption = None,
    wanted: Any = None,
    validation: o.ValidationOption = str(VALIDATION),
    words: Any = None,
    cell: o.CellOption = CELL,
    choices: Any = None,
    sizes: Any = None,
    settings: Any = None,
    run: Any = None,
    threads: o.ThreadsOption = None,
    overwrite: o.OverwriteOption = False,
) -> None:
    """Train a classifier of texts or of sequences of numbers, or a regression, and write it to a model file.

    The answer of a text classifier is a sum over two parts, a recurrent network and n-grams, weighed on held-out texts.
    Before them, two baselines without gates are trained with the same head, the average and compounding. Sequences of
    numbers are lists in a row, or rows with a --key; their baselines include a linear model on simple statistics. Sound
    is samples in a row, files that a column names, or a folder of files for each class, with --frontend logmel.
    With --task next, texts need no labels: the next word is predicted, or the next character, after each.

    Checkpoints are kept beside the model, in MODEL.checkpoint, until training ends. Ctrl-C, SIGTERM and SIGHUP stop it,
    and write the best model so far.
    """
    began = perf_counter()
    look_for("torch", "tidegate.training.network.loop")  # first of all: without it there is no need to read anything
    target = outputs.output(
        output, [outputs.MODEL], [file, words.vectors, words.more_texts, validation], overwrite=overwrite
    ).path
    if threads:
        tidegate.set_num_threads(threads)
    frontend = columns.pop("frontend")
    columns |= {"features": tuple(columns["features"] or ()), "labels": label and (o.joined(label),)}
    sound = (LogMel.rate_in(frontend) or 0) if frontend else None
    reads_steps = wanted.foresees or wanted.labels_steps
    how: Any = {"each_step": wanted.labels_steps, "one": reads_steps}
    asked = Asked(**{role: name for role, name in columns.items() if name}, sound=sound, **how)
    what = file, kind, asked, wanted, validation, cell_text(cell, choices)
    request = Request(*what, sizes, settings, run, target, frontend)
    if frontend and reads_steps:
        asked_for = "--label-per-step labels" if wanted.labels_steps else "--task next predicts"
        raise ValueError(f"{asked_for} steps as they are given, so there is no --frontend")
    if asked.says_numbers or (text is None and holds_series(file, kind, one=asked.one)):
        refuse_words({"text": text, **vars(words), **sizes, **settings}, request)
        train_numbers(request, began)
    elif wanted.labels_steps:
        raise ValueError(f"--label-per-step is about sequences of numbers, but {file} holds texts: name --features")
    else:
        _train_texts(request, text, words, began)


def _train_texts(request: Request, text: str | None, words: Any, began: float) -> None:
    """Trains on texts: a classifier, or a regression if the labels are numbers or that is asked for."""
    foresees = request.wanted.foresees
    if not foresees and (words.tokens, words.bptt) != (UNITS[0], BPTT):
        raise ValueError("--tokens and --bptt are about predicting the next words or characters, which is --task next")
    settings = request.settings_with(TOKEN_DROPOUT if foresees else Settings.dropout)
    if settings.freeze and not words.vectors:
        raise ValueError("--freeze keeps word vectors as they are, but there are none: give them with --vectors FILE")
    wanted: Parts | None = None if foresees else Parts.read(words.parts, request.cell.partition(" ")[0])
    with err.status("reading texts"):
        plan = plan_of(request, settings.seed)
        vectors = _Vectors(words.vectors) if words.vectors else None
        sizes = {"vocab_size": words.vocab_size, "max_length": words.max_length or None}
        limits = vocabulary_limits(sizes, vectors.have if vectors else None)
        if foresees:
            examples = read_tokens(request, text, words, settings.seed)
        elif plan:
            examples = spooled_texts(request, plan, text, limits)
        else:
            examples = _read_texts(request, text, limits, settings.seed)
        known = vectors.of(examples.tokenizer.vocab) if vectors else None
    if not TASKS[examples.task].exclusive:
        if words.parts != AUTO and wanted and wanted.ngrams:
            raise ValueError(
                f"--parts {words.parts} has n-grams, which add to the logits of classes that exclude each other: leave "
                f"--parts out"
            )
        wanted = None
    sizes = {"embedding_size": known.vectors.shape[1]} if known else {}
    seconds = perf_counter() - began
    run = request.run_of(examples, settings, sizes, vectors=known, parts=wanted)
    if words.pretrain or words.more_texts:
        run = pretrained(run, running_texts(words.more_texts, None, text).texts if words.more_texts else [])
    (describe_tokens if foresees else _describe)(examples, seconds)
    if examples.spool and wanted and wanted.ngrams:
        say(f"n-grams are fitted to a sample of {plural(len(examples.train), 'text')}")
    if known:
        _describe_vectors(examples.tokenizer.vocab, known, words.vectors)
    request.complete(run, began)


class _Vectors:
    """The vectors of a file, which is read once."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read: WordVectors | None = None

    def have(self, words: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Says which of all words that may be known have a vector, bool [·], and keeps the vectors."""
        self._read = read_vectors(self._file, words)
        return self._read.rows_of(words)[1]

    def of(self, vocab: Sequence[str]) -> WordVectors:
        """Returns the vectors of a vocabulary, of whose words those that `have` was asked for are part, if it was."""
        return read_vectors(self._file, vocab) if self._read is None else self._read


def _read_texts(request: Request, text: str | None, limits: Mapping[str, Any], seed: int) -> TextExamples:
    """Reads texts with their labels, says which columns they are, and refuses what cannot be meant."""
    several: Any = request.asked.labels or (None,)
    wanted = request.wanted
    if request.asked.labels and wanted.aim and wanted.aim.truth == "numbers":
        several = label_columns(several[0], request.file, request.kind)
    table = tables.read(request.file, text, several[0], kind=request.kind, others=len(several) > 1, names=wanted.names)
    check_words(table.texts, table.text_column, named=text is not None)
    columns = (table.label_column or "", *several[1:])
    wanted = wanted.decided({table.label_column or "": table.labels or []})
    held: Any = request.share(nothing=not TASKS[wanted.task].exclusive)
    if held is None:
        known = (table.text_column, table.label_column)
        other = tables.read(request.validation, *known, others=len(several) > 1, names=wanted.names)
        held = other.texts, targets_of(other, columns, wanted.task)
    targets = targets_of(table, columns, wanted.task)
    wanted.check(targets, columns[0])
    check_no_copies(table.texts, table.labels or [], (table.text_column, columns[0]))
    say(f"texts: column {table.text_column!r}, {columns_said(columns)} of {request.file}")
    examples = prepare_texts(table.texts, targets, task=wanted.task, validation=held, seed=seed, **limits)
    return wanted.named(examples, columns)


def _describe(examples: TextExamples, seconds: float) -> None:
    """Prints what was read."""
    lengths = examples.train.corpus.lengths
    usual, longest = np.median(lengths), lengths.max()
    say(
        f"{plural(len(examples.source), 'text')} to train on and {len(examples.validation):,} to judge by, "
        f"read in {seconds:.1f} s"
    )
    describe_targets(examples)
    say(f"words: {len(examples.tokenizer):,} known, {usual:.0f} in the median text, {longest} in the longest")
    where = f"of a sample of {len(examples.train):,} texts: " * (examples.spool is not None)
    if empty := int((lengths == 0).sum()):
        note(f"{where}{plural(empty, 'text')} to train on without a word: missing, or empty")
    for remark in examples.repeats.remarks():
        note(f"{where}{remark}")


def _describe_vectors(vocab: Sequence[str], vectors: WordVectors, file: Path | None) -> None:
    """Prints how many words have a vector, and where they are few, which have none."""
    words = [word for word in vocab if word not in (PAD, UNK)]
    _, found = vectors.rows_of(words)
    size = vectors.vectors.shape[1]
    say(f"vectors: {found.sum():,} of {plural(len(words), 'word')} have a vector, of {size:,} numbers")
    for remark in vectors.remarks:
        note(f"{file}: {remark}")
    if found.mean() < _FEW:
        missing = ", ".join(repr(visible(words[i])) for i in np.flatnonzero(~found)[:8])
        note(
            f"only {found.mean():.1%} of the words have a vector: is {file} for another language, or are its words cut "
            f"in another way? The most frequent words without a vector: {missing}"
        )
