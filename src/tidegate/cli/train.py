"""`tidegate train`: from a file of labelled texts to a model file, with simpler summaries beside it."""

import gc
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import typer

import tidegate
from tidegate.characters import visible
from tidegate.cli import options as o
from tidegate.cli import outputs
from tidegate.cli.cells import cell_text, choice_options
from tidegate.cli.console import err, note, plural, say
from tidegate.cli.groups import grouped
from tidegate.cli.trained import checkpoints_beside, train_and_write
from tidegate.cli.trainings import Trainings
from tidegate.data import tables
from tidegate.models.config import TextConfig
from tidegate.sequences.pooling import POOLINGS
from tidegate.text.tokenizer import PAD, UNK
from tidegate.text.vectors import WordVectors
from tidegate.text.vectors import read as read_vectors
from tidegate.training.baselines import candidates
from tidegate.training.checkpoints import EVERY
from tidegate.training.examples import CELL, MAX_LENGTH, VALIDATION, VOCAB_SIZE, TextExamples, prepare_texts
from tidegate.training.parts import AUTO, Parts
from tidegate.training.run import Run
from tidegate.training.settings import Settings
from tidegate.training.tasks import check_classes, check_words

_FEW = 0.1  # a smaller share of words with a vector looks like a mistake


@grouped("sizes", o.SIZE_OPTIONS, dict)
@grouped("choices", choice_options(o.SIZES), dict)
@grouped("settings", o.SETTING_OPTIONS, Settings)
def train(
    file: o.LabelledArgument,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write the model.")] = Path(
        "model.safetensors"
    ),
    text: o.TextOption = None,
    label: o.LabelOption = None,
    kind: o.KindOption = None,
    validation: o.ValidationOption = str(VALIDATION),
    vocab_size: o.VocabSizeOption = VOCAB_SIZE,
    max_length: o.MaxLengthOption = MAX_LENGTH,
    vectors: o.VectorsOption = None,
    parts: o.PartsOption = AUTO,
    cell: o.CellOption = CELL,
    choices: Any = None,
    sizes: Any = None,
    settings: Any = None,
    no_baselines: o.NoBaselinesOption = False,
    resume: o.ResumeOption = False,
    checkpoint_every: o.CheckpointEveryOption = EVERY,
    threads: o.ThreadsOption = None,
    overwrite: o.OverwriteOption = False,
) -> None:
    """Train a text classifier and write it to a model file.

    Its answer is a sum over two parts, a recurrent network and n-grams, weighed on held-out texts. Before them, two
    baselines without gates are trained with the same head, the average and compounding.

    Checkpoints are kept beside the model, in MODEL.checkpoint, until training ends. Ctrl-C, SIGTERM and SIGHUP stop it,
    and write the best model so far.
    """
    began = perf_counter()
    import_module("tidegate.training.loop")  # first of all: without torch there is no need to read anything
    wanted = Parts.read(parts, cell)
    target = outputs.output(output, [outputs.MODEL], [file, vectors, validation], overwrite=overwrite).path
    if settings.freeze and not vectors:
        raise ValueError("--freeze keeps word vectors as they are, but there are none: give them with --vectors FILE")
    if threads:
        tidegate.set_num_threads(threads)
    asked = cell_text(cell, choices)
    with err.status("reading texts"):
        table = tables.read(file, text, label, kind=kind, others=False)
        _check_task(table, named=text is not None)
        say(f"texts: column {table.text_column!r}, labels: column {table.label_column!r} of {file}")
        limits = {"vocab_size": vocab_size, "max_length": max_length or None, "seed": settings.seed}
        held = _validation(validation, table)
        examples = prepare_texts(table.texts, table.labels or [], validation=held, **limits)
        known = read_vectors(vectors, examples.tokenizer.vocab) if vectors else None
    if known:
        sizes["embedding_size"] = known.vectors.shape[1]
    config = _config(examples, asked, sizes)
    beside = [] if no_baselines else list(candidates(examples, config, settings, sizes["rate"]))
    run = Run(examples, config, settings, known, wanted, beside)
    _check_options(run, sizes["rate"], f"--cell {cell} --parts {parts}")
    _describe(examples, perf_counter() - began)
    if known:
        _describe_vectors(examples.tokenizer.vocab, known, vectors)
    checkpoints = checkpoints_beside(target, run, checkpoint_every, resume=resume)
    gc.freeze()  # or the collector would look through all of torch and the texts, again and again
    train_and_write(Trainings(run, checkpoints), target, began)


def _check_options(run: Run, rate: float | None, asked: str) -> None:
    """Checks that what the options are about is trained.

    Raises:
        ValueError: There is no recurrent layer to watch, or no compounding whose rate could be given.
    """
    if run.settings.watch_gradients and not (run.network and run.config.recurrent):
        raise ValueError(f"--watch-gradients measures recurrent layers, but there is none: {asked}")
    if rate is not None and all(each.rate is None for each in (run.config, *[each.config for each in run.baselines])):
        raise ValueError(f"--rate is the growth factor of compounding, which is not trained: {asked}")
    import_module("tidegate.training.loop").check_settings(run.settings, run.config)


def _validation(wanted: str, table: tables.Table) -> float | tuple[list[str], list[str]]:
    """Reads `--validation`: a share, or a file with the columns of the table to train on.

    Raises:
        ValueError: It is neither, or 0: the parts of a model are weighed on texts that nothing was fitted to.
    """
    try:
        share = float(wanted)
    except ValueError:
        if not Path(wanted).exists():
            raise ValueError(f"--validation is {wanted!r}, expected a share such as 0.1 or a file") from None
    else:
        if share == 0:
            raise ValueError(
                "--validation is 0, but a model's parts are weighed on held-out texts: give a share or a file"
            )
        return share
    held = tables.read(wanted, table.text_column, table.label_column, others=False)
    return held.texts, held.labels or []


def _check_task(table: tables.Table, *, named: bool) -> None:
    """Checks that a table holds texts with one class each; numbers are texts if the user has named their column."""
    if not named:
        check_words(table.texts, table.text_column)
    check_classes(table.labels or [], table.label_column or "")


def _config(examples: TextExamples, cell: str, sizes: Mapping[str, Any]) -> TextConfig:
    """Describes a network; a growth factor is that of a pooling that has one."""
    pooling = POOLINGS.get(cell)
    return examples.config(cell, **{**sizes, "rate": sizes["rate"] if pooling and pooling.has_rate else None})


def _describe(examples: TextExamples, seconds: float) -> None:
    """Prints what was read."""
    lengths, counts = examples.train.corpus.lengths, np.bincount(examples.train.targets)
    usual, longest = np.median(lengths), lengths.max()
    shares = ", ".join(f"{name} {n / counts.sum():.0%}" for name, n in zip(examples.labels[:8], counts, strict=False))
    say(
        f"{plural(len(examples.train), 'text')} to train on and {len(examples.validation):,} to judge by, "
        f"read in {seconds:.1f} s"
    )
    say(f"labels: {shares}" + (f" and {len(counts) - 8} more" if len(counts) > 8 else ""))
    say(f"words: {len(examples.tokenizer):,} known, {usual:.0f} in the median text, {longest} in the longest")
    if empty := int((lengths == 0).sum()):
        note(f"{plural(empty, 'text')} to train on without a word: missing, or empty")
    for remark in examples.repeats.remarks():
        note(remark)


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
