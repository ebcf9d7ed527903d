"""`tidegate train`: from a file of labelled texts to a model file, with simpler summaries beside it."""

import gc
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import typer

import tidegate
from tidegate.cli import options as o
from tidegate.cli.cells import cell_text, choice_options
from tidegate.cli.comparison import Trained, compare
from tidegate.cli.console import err, note, plural, say
from tidegate.cli.gradients import report_gradients
from tidegate.cli.groups import grouped
from tidegate.cli.progress import Stop, follow
from tidegate.data import tables
from tidegate.models.config import TextConfig
from tidegate.sequences.pooling import POOLINGS
from tidegate.text.vectors import WordVectors
from tidegate.text.vectors import read as read_vectors
from tidegate.training.events import Gradients
from tidegate.training.examples import CELL, MAX_LENGTH, VALIDATION, VOCAB_SIZE, TextExamples, prepare_texts
from tidegate.training.settings import Settings
from tidegate.training.tasks import check_classes, check_words


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
    cell: o.CellOption = CELL,
    choices: Any = None,
    sizes: Any = None,
    settings: Any = None,
    no_baselines: o.NoBaselinesOption = False,
    threads: o.ThreadsOption = None,
) -> None:
    """Train a text classifier and write it to a model file.

    Before it, two baselines without gates are trained with the same head, the average and compounding.
    """
    began = perf_counter()
    training = import_module("tidegate.training.loop")  # first of all: without torch there is no need to read anything
    _check_output(output)
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
    configs = [_config(examples, name, sizes) for name in ([] if no_baselines else POOLINGS) if name != asked]
    trainings = _Trainings(training, examples, settings, known, _config(examples, asked, sizes), configs)
    if settings.watch_gradients and not trainings.config.recurrent:
        raise ValueError(f"--watch-gradients measures recurrent layers, but there is none: --cell {cell}")
    if sizes["rate"] is not None and all(config.rate is None for config in (trainings.config, *configs)):
        raise ValueError(f"--rate is the growth factor of compounding, which is not trained: --cell {cell}")
    training.check_settings(settings, trainings.config)
    _describe(examples, perf_counter() - began)
    trainings.run()
    trainings.write(output, began)


@dataclass
class _Trainings:
    """What is trained, one after the other, and what comes of it.

    Attributes:
        loop: The module of the training loop, which needs torch.
        examples: The texts.
        settings: How to train what was asked for.
        vectors: Word vectors to start from.
        config: What was asked for.
        baselines: What is trained before it, to be compared with.
        results: What was trained, by cell.
        gradients: Gradient norms after each epoch, if they are watched.
        stopped: Whether the user has stopped the training.
    """

    loop: Any
    examples: TextExamples
    settings: Settings
    vectors: WordVectors | None
    config: TextConfig
    baselines: list[TextConfig]
    results: dict[str, Trained] = field(default_factory=dict)
    gradients: list[Gradients] = field(default_factory=list)
    stopped: bool = False

    def run(self) -> None:
        """Trains everything, and compares."""
        gc.freeze()  # or the collector would look through all of torch and the texts, again and again
        baseline = replace(self.settings, learning_rate=None, chrono=None, orthogonal=False, watch_gradients=False)
        with Stop() as stop:
            for config in [*self.baselines, self.config]:
                settings = self.settings if config is self.config else baseline
                self._train(config, settings, stop)
                if stop.wanted:
                    break
        self.stopped = stop.wanted
        if self.results:
            compare(self.results)

    def _train(self, config: TextConfig, settings: Settings, stop: Stop) -> None:
        start, events = perf_counter(), self.loop.train(self.examples, config, settings, self.vectors)
        best = follow(config.reader.title, report_gradients(events, config, settings, self.gradients), stop)
        if best:
            self.results[config.cell] = Trained(config.reader.title, config.recurrent, best, perf_counter() - start)

    def write(self, output: Path, began: float) -> None:
        """Writes the model.

        Args:
            output: Its file.
            began: When the command began, seconds as `perf_counter` counts them.

        Raises:
            OSError: It cannot be written.
            typer.Exit: Training was stopped.
        """
        wanted = self.results.get(self.config.cell)
        if wanted:
            beside = {name: result.figures() for name, result in self.results.items() if result is not wanted}
            figures: dict[str, Any] = {"baselines": beside}
            if self.gradients:
                figures["gradients"] = [asdict(after_epoch)["walks"] for after_epoch in self.gradients]
            self.loop.to_model(self.examples, self.config, wanted.best, figures).save(output)
            say(f"wrote {output} ({output.stat().st_size / 1e6:.1f} MB) after {perf_counter() - began:.0f} s")
        elif self.stopped:
            note(f"stopped before the first epoch of {self.config.cell} ended: there is no model to write")
        if self.stopped:
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


def _validation(wanted: str, table: tables.Table) -> float | tuple[list[str], list[str]]:
    """Reads `--validation`: a share, or a file with the columns of the table to train on."""
    try:
        return float(wanted)
    except ValueError:
        if not Path(wanted).exists():
            raise ValueError(f"--validation is {wanted!r}, expected a share such as 0.1 or a file") from None
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
