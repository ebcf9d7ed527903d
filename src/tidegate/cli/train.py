"""`tidegate train`: from a file of labelled texts to a model file, with simpler summaries beside it."""

import gc
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import typer

import tidegate
from tidegate.cli import options as o
from tidegate.cli import outputs
from tidegate.cli.cells import cell_text, choice_options
from tidegate.cli.comparison import Trained, compare
from tidegate.cli.console import err, note, plural, say
from tidegate.cli.gradients import report_gradients
from tidegate.cli.groups import grouped
from tidegate.cli.progress import Stop, follow
from tidegate.data import tables
from tidegate.data.files import is_stream, remove_unfinished
from tidegate.models.config import TextConfig
from tidegate.sequences.pooling import POOLINGS
from tidegate.text.tokenizer import PAD, UNK, visible
from tidegate.text.vectors import WordVectors
from tidegate.text.vectors import read as read_vectors
from tidegate.training.checkpoints import EVERY, Checkpoints
from tidegate.training.events import DivergedError, Gradients
from tidegate.training.examples import CELL, MAX_LENGTH, VALIDATION, VOCAB_SIZE, TextExamples, prepare_texts
from tidegate.training.fingerprint import fingerprint
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

    Before it, two baselines without gates are trained with the same head, the average and compounding.

    Checkpoints are kept beside the model, in MODEL.checkpoint, until training ends. Ctrl-C, SIGTERM and SIGHUP stop it,
    and write the best model so far.
    """
    began = perf_counter()
    training = import_module("tidegate.training.loop")  # first of all: without torch there is no need to read anything
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
    configs = [_config(examples, name, sizes) for name in ([] if no_baselines else POOLINGS) if name != asked]
    trainings = _Trainings(training, examples, settings, known, _config(examples, asked, sizes), configs, target)
    if settings.watch_gradients and not trainings.config.recurrent:
        raise ValueError(f"--watch-gradients measures recurrent layers, but there is none: --cell {cell}")
    if sizes["rate"] is not None and all(config.rate is None for config in (trainings.config, *configs)):
        raise ValueError(f"--rate is the growth factor of compounding, which is not trained: --cell {cell}")
    training.check_settings(settings, trainings.config)
    _describe(examples, perf_counter() - began)
    if known:
        _describe_vectors(examples.tokenizer.vocab, known, vectors)
    trainings.prepare_checkpoints(checkpoint_every, resume=resume)
    trainings.complete(began)


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
        output: The model's file.
        checkpoints: Where an interrupted run is continued from.
        results: What was trained, by cell.
        gradients: Gradient norms after each epoch, if they are watched.
        ended: Whether everything was trained.
        diverged: Whether a training has diverged, as a resumed one would again.
    """

    loop: Any
    examples: TextExamples
    settings: Settings
    vectors: WordVectors | None
    config: TextConfig
    baselines: list[TextConfig]
    output: Path
    checkpoints: Checkpoints | None = None
    results: dict[str, Trained] = field(default_factory=dict)
    gradients: list[Gradients] = field(default_factory=list)
    ended: bool = False
    diverged: bool = False

    def prepare_checkpoints(self, every: float, *, resume: bool) -> None:
        """Decides where checkpoints are, and looks at those that an interrupted run has left.

        Raises:
            CheckpointError: They are damaged or of another run.
            ValueError: There is nothing to resume, as the model is written to a device or a pipe.
        """
        if is_stream(self.output):
            if resume:
                raise ValueError(f"--resume needs a model file with checkpoints beside it, but {self.output} is none")
            return
        folder = self.output.with_name(f"{self.output.name}.checkpoint")
        if resume:
            remove_unfinished(self.output.parent, self.output.name)
        run = fingerprint(self.examples, self.config, self.settings, self.vectors, self.baselines)
        self.checkpoints = Checkpoints(folder, run, resume=resume, every=every, tell=note)

    def complete(self, began: float) -> None:
        """Trains and writes: whatever happens, the best so far is written."""
        with Stop() as stop:
            try:
                self.run(stop)
            finally:
                with stop.held():
                    self.write(began, stop)

    def run(self, stop: Stop) -> None:
        """Trains everything, and compares."""
        gc.freeze()  # or the collector would look through all of torch and the texts, again and again
        baseline = replace(self.settings, learning_rate=None, chrono=None, orthogonal=False, watch_gradients=False)
        for config in [*self.baselines, self.config]:
            self._train(config, self.settings if config is self.config else baseline, stop)
            if stop.wanted:
                break
        self.ended = not stop.wanted
        if self.results:
            compare(self.results)

    def _train(self, config: TextConfig, settings: Settings, stop: Stop) -> None:
        events, best = self.loop.train(self.examples, config, settings, self.vectors, self.checkpoints), None
        try:
            for epoch in follow(config.reader.title, report_gradients(events, config, settings, self.gradients), stop):
                best = epoch if epoch.weights is not None else best
                if best:
                    self.results[config.cell] = Trained(config.reader.title, config.recurrent, best, epoch.seconds)
        except DivergedError as error:
            self.diverged = True
            if error.best and config is self.config:
                error.args = (f"{error}; the best epoch before, {error.best.epoch}, is in {self.output}",)
            raise

    def write(self, began: float, stop: Stop) -> None:
        """Writes the model: of what was asked for, or, if that ended in its first epoch, of the best baseline.

        Args:
            began: When the command began, seconds as `perf_counter` counts them.
            stop: What may have stopped it.

        Raises:
            OSError: It cannot be written.
            typer.Exit: Training was stopped.
        """
        config, wanted = self._best(stop)
        if wanted:
            beside = {name: result.figures() for name, result in self.results.items() if result is not wanted}
            figures: dict[str, Any] = {"baselines": beside}
            if self.gradients:
                figures["gradients"] = [asdict(after_epoch)["walks"] for after_epoch in self.gradients]
            outputs.save_somewhere(self.loop.to_model(self.examples, config, wanted.best, figures).save, self.output)
            size = f" ({self.output.stat().st_size / 1e6:.1f} MB)" * self.output.is_file()
            say(f"wrote {self.output}{size} after {perf_counter() - began:.0f} s")
        if self.checkpoints and (self.ended or self.diverged):
            self.checkpoints.remove(previous=self.ended)
        elif self.checkpoints and stop.wanted:
            note(f"--resume continues this run: its checkpoint is in {self.checkpoints.folder}")
        if stop.wanted:
            raise typer.Exit(stop.exit_code)

    def _best(self, stop: Stop) -> tuple[TextConfig, Trained | None]:
        """Chooses what to write."""
        wanted = self.results.get(self.config.cell)
        if wanted:
            return self.config, wanted
        early = f"stopped before the first epoch of {self.config.cell} ended"
        if not self.results:
            if stop.wanted:  # otherwise an error says why
                note(f"{early}: there is no model to write")
            return self.config, None
        best = max(self.results, key=lambda cell: self.results[cell].best.report.quality)
        note(f"{early}: the best so far is the model of the {self.results[best].title}")
        return next(config for config in self.baselines if config.cell == best), self.results[best]


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
