"""`tidegate train`: from a file of labelled texts to a model file, with simpler summaries beside it."""

import gc
import os
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import typer

import tidegate
from tidegate.cli import options as o
from tidegate.cli.comparison import Trained, compare
from tidegate.cli.console import err, note, plural, say
from tidegate.cli.gradients import report_gradients
from tidegate.cli.progress import Stop, follow
from tidegate.data import tables
from tidegate.models.config import Config
from tidegate.ops.cells import CELLS, GRU
from tidegate.text.vectors import WordVectors
from tidegate.text.vectors import read as read_vectors
from tidegate.training.examples import MAX_LENGTH, SIZES, VALIDATION, VOCAB_SIZE, Examples, prepare
from tidegate.training.settings import Gradients, Settings

_DEFAULT = Settings()
_ARCHITECTURE = ("embedding_size", "hidden_size", "num_layers", "bidirectional", "summary")


def train(
    file: o.LabelledArgument,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write the model.")] = Path(
        "model.safetensors"
    ),
    text: o.TextOption = None,
    label: o.LabelOption = None,
    validation: o.ValidationOption = str(VALIDATION),
    vocab_size: o.VocabSizeOption = VOCAB_SIZE,
    max_length: o.MaxLengthOption = MAX_LENGTH,
    vectors: o.VectorsOption = None,
    freeze: o.FreezeOption = _DEFAULT.freeze,
    cell: o.CellOption = "gru",
    reset: o.ResetOption = "after",
    update: o.UpdateOption = "on",
    candidate: o.CandidateOption = "tanh",
    gate: o.GateOption = "sigmoid",
    summary: o.SummaryOption = SIZES["summary"],
    embedding_size: o.EmbeddingSizeOption = SIZES["embedding_size"],
    hidden_size: o.HiddenSizeOption = SIZES["hidden_size"],
    num_layers: o.NumLayersOption = 1,
    bidirectional: o.BidirectionalOption = False,
    rate: o.RateOption = None,
    epochs: o.EpochsOption = _DEFAULT.epochs,
    batch_size: o.BatchSizeOption = _DEFAULT.batch_size,
    learning_rate: o.LearningRateOption = _DEFAULT.learning_rate,
    dropout: o.DropoutOption = _DEFAULT.dropout,
    word_dropout: o.WordDropoutOption = _DEFAULT.word_dropout,
    weight_decay: o.WeightDecayOption = _DEFAULT.weight_decay,
    clip: o.ClipOption = _DEFAULT.clip,
    patience: o.PatienceOption = _DEFAULT.patience,
    class_weights: o.ClassWeightsOption = _DEFAULT.class_weights,
    chrono: o.ChronoOption = _DEFAULT.chrono,
    orthogonal: o.OrthogonalOption = _DEFAULT.orthogonal,
    watch_gradients: o.WatchOption = _DEFAULT.watch_gradients,
    no_baselines: o.NoBaselinesOption = False,
    seed: o.SeedOption = _DEFAULT.seed,
    threads: o.ThreadsOption = None,
) -> None:
    """Train a text classifier and write it to a model file.

    Before it, two summaries that know no order are trained with the same head: they show what the order is worth.
    """
    _train(locals())


def _train(options: Mapping[str, Any]) -> None:
    """Does what `train` says, with its options by name: those of `Settings` and `Config` have the names there.

    Raises:
        OSError: A file cannot be read, or the model cannot be written.
        ValueError: A table or an option is not as expected.
        typer.Exit: Training was stopped.
    """
    began, cell, output = perf_counter(), options["cell"], options["output"]
    training = import_module("tidegate.training.loop")  # first of all: without torch there is no need to read anything
    _check_output(output)
    if options["freeze"] and not options["vectors"]:
        raise ValueError("--freeze leaves word vectors as they are, but there are none: give them with --vectors FILE")
    if options["chrono"] and (cell, options["update"]) != ("gru", "on"):
        raise ValueError(f"--chrono sets the update gate of a GRU, but there is none: --cell {cell}")
    if options["watch_gradients"] and cell not in CELLS:
        raise ValueError(f"--watch-gradients looks at recurrent layers, but there is none: --cell {cell}")
    if options["threads"]:
        tidegate.set_num_threads(options["threads"])
    settings = Settings(**{field.name: options[field.name] for field in fields(Settings)})
    baseline = replace(settings, learning_rate=None, chrono=None)
    with err.status("reading texts"):
        examples = _examples(options)
        vectors = read_vectors(options["vectors"], examples.tokenizer.vocab) if options["vectors"] else None
    configs = _configs(examples, options, vectors)
    _describe(examples, perf_counter() - began)

    gc.freeze()  # or the collector would look through all of torch and the texts, again and again
    results: dict[str, Trained] = {}
    gradients: list[Gradients] = []
    with Stop() as stop:
        for name, config in configs.items():
            own, start = settings if name == cell else baseline, perf_counter()
            events = report_gradients(training.train(examples, config, own, vectors), config, own, gradients)
            best = follow(name, events, stop)
            if best:
                results[name] = Trained(best, perf_counter() - start)
            if stop.wanted:
                break
    if results:
        compare(results)
    if cell in results:
        beside = {name: result.figures() for name, result in results.items() if name != cell}
        figures: dict[str, Any] = {"baselines": beside}
        if gradients:
            figures["gradients"] = [asdict(after_epoch)["walks"] for after_epoch in gradients]
        training.to_model(examples, configs[cell], results[cell].best, figures).save(output)
        say(f"wrote {output} ({output.stat().st_size / 1e6:.1f} MB) after {perf_counter() - began:.0f} s")
    elif stop.wanted:
        note(f"stopped before the first epoch of {cell} ended: there is no model to write")
    if stop.wanted:
        raise typer.Exit(130)


def _check_output(output: Path) -> None:
    """Checks that a file can be written, before time is spent on what goes into it.

    Raises:
        OSError: It cannot.
    """
    folder = output.resolve().parent
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {output.parent} to write {output.name} to")
    if output.is_dir():
        raise IsADirectoryError(f"{output} is a folder, expected the name of a file")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"the folder {output.parent} cannot be written to")


def _examples(options: Mapping[str, Any]) -> Examples:
    """Reads the texts and holds a part of them out.

    Raises:
        ValueError: `validation` is neither a share nor a file, or a table is damaged.
    """
    table = tables.read(options["file"], options["text"], options["label"])
    say(f"texts: column {table.text_column!r}, labels: column {table.label_column!r} of {options['file']}")
    return prepare(
        table.texts,
        table.labels or [],
        validation=_validation(options["validation"], table),
        vocab_size=options["vocab_size"],
        max_length=options["max_length"] or None,
        seed=options["seed"],
    )


def _validation(wanted: str, table: tables.Table) -> float | tuple[list[str], list[str]]:
    """Reads `--validation`: a share, or a file with the columns of the table to train on."""
    try:
        return float(wanted)
    except ValueError:
        if not Path(wanted).exists():
            raise ValueError(f"--validation is {wanted!r}, expected a share such as 0.1 or a file") from None
    held = tables.read(wanted, table.text_column, table.label_column)
    return held.texts, held.labels or []


def _configs(examples: Examples, options: Mapping[str, Any], known: WordVectors | None) -> dict[str, Config]:
    """Lists what to train, by cell: the summaries without order, then what was asked for."""
    wanted, sizes = options["cell"], {name: options[name] for name in _ARCHITECTURE}
    if known is not None:
        sizes["embedding_size"] = known.vectors.shape[1]
    cells = [wanted] if options["no_baselines"] else ["average", "compound", wanted]
    special: dict[str, dict[str, Any]] = {cell: {} for cell in cells}
    special[wanted] |= {name: options[name] for name in GRU.choices}
    if "compound" in special:
        special["compound"]["rate"] = options["rate"]
    return {cell: examples.config(cell, **sizes, **special[cell]) for cell in cells}


def _describe(examples: Examples, seconds: float) -> None:
    """Prints what was read."""
    lengths, counts = examples.train.corpus.lengths, np.bincount(examples.train.classes)
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
