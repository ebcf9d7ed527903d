"""What a model reads of a table, texts or sequences of numbers, and how well it does."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

import tidegate
from tidegate.cli.console import note, plural
from tidegate.cli.options import Kind, joined
from tidegate.cli.reading import texts
from tidegate.cli.reading.label_columns import labels_of_steps, sets_in_columns
from tidegate.cli.reading.targets import Wanted, label_columns, numbers_to_predict
from tidegate.data import series, tables
from tidegate.data.outputs import Output
from tidegate.data.tables.columns import column_of
from tidegate.models.architecture import Architecture
from tidegate.models.network import Network
from tidegate.models.sequence_model import SequenceModel
from tidegate.models.text_model import TextModel
from tidegate.sequences.ahead import steps_ahead
from tidegate.sequences.features import steps_first
from tidegate.sequences.logmel import LogMel
from tidegate.sequences.samples import as_sound
from tidegate.training.data.labels import Targets

ALL = slice(None)
"""All rows."""


@dataclass(frozen=True)
class Part:
    """Some rows of a table.

    Attributes:
        sequences: What the model reads of them: texts, or arrays.
        columns: The columns to keep.
        schema: Arrow's types of these, as in `tables.Table`.
        first: The row of the first of them, from 0.
        key: Column of `columns` that tells the sequences of a long table apart; None if each row is one.
        time: Column of the times of a long table; None if they are not kept.
        times: The T times of each sequence as they are written there; None if they are not kept.
    """

    sequences: Sequence[Any]
    columns: Mapping[str, Any]
    schema: Any
    first: int
    key: str | None = None
    time: str | None = None
    times: Sequence[Any] | None = None

    def __len__(self) -> int:
        return len(self.sequences)

    def cut(self) -> Iterator[Self]:
        """Cuts what was read at once into parts as small as those of a table that is read part by part."""
        for first in range(0, len(self), series.ROWS):
            rows = slice(first, first + series.ROWS)
            columns = {name: values[rows] for name, values in self.columns.items()}
            times = None if self.times is None else self.times[rows]
            first_row = self.first + first
            yield replace(self, sequences=self.sequences[rows], columns=columns, times=times, first=first_row)


@dataclass(frozen=True)
class Known:
    """All rows of a table with what a model should say of them.

    Attributes:
        sequences: As in `Part`.
        truth: Names of classes, sets of names, or the numbers of a regression, float64 [B, C]; or the classes of all N
            steps, or what follows each of the N that are followed by enough, float64 [N, C].
        columns: As in `Part`.
    """

    sequences: Sequence[Any]
    truth: Any
    columns: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.sequences)


@dataclass(frozen=True)
class Columns:
    """What the user has said of the columns.

    Attributes:
        text: Column of texts; None if it is not said, and so for the others.
        label: Column of labels, or several with commas.
        key: As in `series.Asked`.
        time: As in `series.Asked`.
        features: Columns of numbers, of which one text may list several with commas.
        multi_label: What stands between the labels of a cell, if there may be several.
    """

    text: str | None = None
    label: str | None = None
    key: str | None = None
    time: str | None = None
    features: Sequence[str] | None = None
    multi_label: str | None = None

    @classmethod
    def labelled(cls, *, label: Sequence[str] | None, **rest: Any) -> Self:
        """Takes options among which one of labels can be given several times."""
        return cls(label=joined(label), **rest)

    def asked(self, model: SequenceModel, *, need_label: bool) -> series.Asked:
        """Returns the columns of numbers: as they were in training where nothing else is said.

        Raises:
            ValueError: A column of texts is named.
        """
        if self.text is not None:
            raise ValueError(f"--text {self.text} names a column of texts, but the model reads sequences of numbers")
        config = model.config
        targets: tuple[str, ...] = (config.target,) if config.target else ()
        if config.aim.truth == "numbers" or (config.aim.truth == "classes" and not config.target):
            targets = config.aim.numbers(config.labels)
        return series.Asked(
            features=tuple(self.features) if self.features else config.columns,
            key=self.key or config.key,
            time=self.time or config.time,
            labels=((self.label,) if self.label else targets) if need_label else (),
            sound=config.front_end.sample_rate if config.front_end else None,
            each_step=need_label and config.aim.labels_steps,
            keeps_times=not need_label and config.aim.labels_steps,
            one=config.aim.each_step,
        )

    def check_texts(self) -> None:
        """Checks that no column of numbers is named.

        Raises:
            ValueError: One is.
        """
        for name in ("key", "time", "features"):
            if getattr(self, name):
                raise ValueError(f"--{name} is about sequences of numbers, but the model reads texts")


def load_model(path: Path) -> TextModel | SequenceModel:
    """Reads a model that reads what tables hold.

    Raises:
        OSError: There is no such file, or it may not be read.
        ValueError: The file is no such model.
    """
    model = tidegate.load(path)
    if not isinstance(model, TextModel | SequenceModel):
        expected = f"{TextModel.described} or {SequenceModel.described.removeprefix('a model that reads ')}"
        raise ValueError(f"{path}: it holds {model.described}, expected {expected}")  # noqa: TRY004 - a wrong file
    return model


def read_parts(
    model: Network,
    source: str,
    kind: Kind | None,
    columns: Columns,
    *,
    output: Output | None = None,
    others: bool = True,
) -> Iterator[Part]:
    """Reads what a model is to be applied to, part by part; sequences of a long table in one part.

    Args:
        model: The model.
        source: As in `texts.read`, and so are kind, output and others.
        kind: See there.
        columns: What the user has said of the columns.
        output: See there.
        others: See there.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The table is damaged or has no such columns, or holds gaps that the model has not learned to read.
    """
    first = 0
    if not isinstance(model, SequenceModel):
        columns.check_texts()
        for part in texts.read(source, kind, columns.text, output=output, others=others):
            yield Part(part.texts, part.columns, part.schema, first)
            first += len(part.texts)
        return
    asked = columns.asked(model, need_label=False)
    front_end, short, lists = model.front_end, 0, None
    files: Any = asked.sound is not None and series.sound_files(source)  # of sound, no table
    with nullcontext((source, kind)) if files else texts.opened(source, kind, output) as (stream, found):
        typed = output is not None and output.format.name == "parquet"
        for piece in series.stream(stream, asked, found, others=others, typed=typed):
            sequences = checked_numbers(model, piece, first + 1)
            short += _without_frames(front_end, sequences)
            if lists is None:  # once, so that all parts have the same columns
                lists = set() if typed else _read_as_lists(piece)
            kept = {name: values for name, values in piece.columns.items() if name not in lists}
            time = None if piece.times is None else piece.roles.time
            yield Part(sequences, kept, piece.schema, first, piece.roles.key, time, piece.times)
            first += len(piece)
    if front_end and short:
        note(f"note: {short_clips(short, front_end)}")


def read_known(model: Network, file: Path, kind: Kind | None, columns: Columns, *, others: bool) -> Known:
    """Reads a whole table with what a model should say of it.

    Args:
        model: The model.
        file: The table.
        kind: As in `texts.read`.
        columns: What the user has said of the columns.
        others: Whether columns that the model does not read are of use.

    Raises:
        OSError: The file cannot be read.
        ValueError: As in `read_parts`, or a label is missing or no number where one is to be predicted.
    """
    wanted, regression = Wanted.of(model.config), model.config.aim.truth == "numbers"
    if columns.multi_label is not None:
        if model.config.aim.truth != "classes":
            raise ValueError(f"--multi-label is about several labels a row, but the model is one for {wanted.task}")
        wanted = replace(wanted, multi_label=columns.multi_label)
    if not isinstance(model, SequenceModel):
        columns.check_texts()
        several = [columns.label]
        if model.config.aim.reads_tokens:
            found = texts.running_texts(file, kind, columns.text, others=others)
            return Known(found.texts, np.array([len(text) for text in found.texts]), found.columns)
        if regression:
            numbers = model.config.aim.numbers(model.labels)
            several = [*(label_columns(columns.label, file, kind) if columns.label else numbers)]
        others = others or len(several) > 1
        table = tables.read(file, columns.text, several[0], kind=kind, others=others, names=wanted.names)
        truth: Any = table.labels or []
        if regression:
            more = {name: column_of(table.columns, name) for name in several[1:] if name}
            truth = numbers_to_predict({table.label_column or "": truth, **more})
        return Known(table.texts, truth, table.columns)
    labelled = not wanted.foresees
    asked = columns.asked(model, need_label=labelled)
    piece = series.read(file, asked, kind, need_label=labelled, others=others)
    sequences = checked_numbers(model, piece)
    if model.front_end and (short := _without_frames(model.front_end, sequences)):
        note(f"note: {short_clips(short, model.front_end)}")
    if not labelled:
        ahead = [steps_ahead(np.asarray(x), wanted.horizon) for x in steps_first(sequences, model.config.layout)]
        return Known(sequences, np.concatenate(ahead), piece.columns)
    if regression:
        return Known(sequences, numbers_to_predict(piece.labels), piece.columns)
    if wanted.labels_steps:
        steps = labels_of_steps(piece.labels, list(map(len, piece.sequences)), lambda b: place_of(piece, b))
        return Known(sequences, list(chain.from_iterable(steps)), piece.columns)
    if _has_a_column_each(model, piece):
        return Known(sequences, sets_in_columns(piece.labels), piece.columns)
    wanted.several(len(piece.labels))
    [(name, values)] = piece.labels.items()
    return Known(sequences, wanted.names(values, name, 1), piece.columns)


def _has_a_column_each(model: SequenceModel, piece: series.Series) -> bool:
    """Whether labels are columns of 1 and 0, as the model has learned them, or as several columns can only be.

    Raises:
        ValueError: A label of the model has none, which would count as 0 in all rows.
    """
    config, columns = model.config, piece.labels
    alone = config.target is None and set(columns) <= set(config.labels)
    if config.aim.truth != "classes" or not (alone or len(columns) > 1):
        return False
    if lacking := [label for label in config.labels if label not in columns]:
        raise ValueError(f"--label names no column {lacking[0]!r}, expected one for each label of the model")
    return True


@dataclass(frozen=True)
class Answers:
    """What a model says of rows whose labels are known.

    Attributes:
        config: Of the model, which says what it predicts.
        truth: Index of the class of each row, int64 [B]; or 1 and 0 for each label of several, or the numbers of a
            regression, float32 [B, C]; or the characters of each text that is foreseen, int [B].
        predicted: Probabilities or numbers, [B, C]; or log-likelihood and number of the tokens of each text, [B, 2].
    """

    config: Architecture
    truth: npt.NDArray[Any]
    predicted: npt.NDArray[np.floating]

    def report(self, rows: npt.NDArray[np.int64] | slice = ALL) -> Any:
        """Scores some rows."""
        return self.config.aim.score(self.truth[rows], self.predicted[rows], self.config.labels)

    def positive(self, label: int) -> npt.NDArray[np.bool_]:
        """Whether each row has a label, bool [B]."""
        return self.truth == label if self.truth.ndim == 1 else self.truth[:, label] > 0


def judge(model: Network, known: Known, source: str) -> Answers:
    """Applies a model to rows whose labels are known.

    Args:
        model: The model.
        known: The rows.
        source: Where they come from, for errors.

    Raises:
        ValueError: A label is no class of the model.
    """
    config = model.config
    if isinstance(model, SequenceModel) and config.aim.each_step:
        found = model.predict_steps(known.sequences)
        if config.aim.labels_steps:
            targets, lengths = Targets(labels=config.labels, task=config.task), list(map(len, found))
            labels = targets.numbers_of_steps(known.truth, source, lengths)
            return Answers(config, labels, np.concatenate(found))
        return Answers(config, known.truth, np.concatenate([values[: -config.horizon] for values in found]))
    if config.aim.reads_tokens:
        found = model.log_likelihoods(known.sequences)  # type: ignore[attr-defined]
        return Answers(config, known.truth, np.array([[row.sum(dtype=np.float64), len(row)] for row in found]))
    truth = Targets(labels=config.labels, task=config.task).numbers(known.truth, source, len(known))
    return Answers(config, truth, model.values_of(model.scores(known.sequences)))


def place_of(piece: series.Series, b: int, first: int = 1) -> str:
    """Says where a sequence is in its table: its row, or its key.

    Args:
        piece: Some sequences of the table.
        b: Which of them.
        first: The row of the first of them.
    """
    key = piece.roles.key
    if piece.roles.one:
        return "the sequence"
    return f"row {first + b}" if key is None else f"{piece.columns[key][b]!r} of column {key!r}"


def _without_frames(front_end: LogMel | None, clips: Sequence[npt.NDArray[Any]]) -> int:
    """Counts clips that are shorter than a window."""
    return sum(len(clip) < front_end.win_length for clip in clips) if front_end else 0


def short_clips(count: int, front_end: LogMel) -> str:
    """Says how many clips are too short for a frame."""
    window = f"a window of {front_end.win_length:,} samples at {front_end.sample_rate:,} a second"
    are, have = ("is", "has") if count == 1 else ("are", "have")
    return f"{plural(count, 'clip')} {are} shorter than {window}, and {have} no frame to read"


def _read_as_lists(piece: series.Series) -> set[str]:
    """Names the columns that hold lists of numbers, thousands in a line of text; texts of sound are names of files."""
    sound, columns = piece.roles.sound is not None, piece.columns
    files = {name for name in piece.roles.features if sound and any(isinstance(x, str) for x in columns.get(name, ()))}
    return {*piece.roles.features} - files


class StepError(ValueError):
    """A step holds what a model cannot read.

    Attributes:
        step: Which one of its sequence, from 1.
        message: What is wrong, without the number of the step.
    """

    def __init__(self, what: str, step: int, why: str) -> None:
        super().__init__(f"{what} at step {step}{why}")
        self.step, self.message = step, f"{what.removesuffix(',')}{why}"


def checked_numbers(model: SequenceModel, piece: series.Series, first: int = 1) -> list[npt.NDArray[Any]]:
    """Checks that sequences have the features of a model, and gaps only where it has learned to read them.

    Args:
        model: The model.
        piece: The sequences.
        first: The row of the first of them.

    Returns:
        The sequences, [T, K], in the layout of the model, or samples [N]; one without a step has K features too, which
        a table of such sequences cannot tell.

    Raises:
        StepError: It has a gap, or a number that the model cannot read; the message names it and the step.
        ValueError: A sequence has other features.
    """
    if model.front_end:
        return [as_sound(f"row {row}", clip) for row, clip in enumerate(piece.sequences, first)]
    names = model.config.feature_names
    for b, sequence in enumerate(piece.sequences):
        if not len(sequence):
            continue
        place = place_of(piece, b, first)
        if sequence.shape[1] != len(names):
            expected = f"expected {len(names)}: {', '.join(names)}"
            raise ValueError(f"{place} has steps of {sequence.shape[1]} numbers, {expected}")
        wrong = ~np.isfinite(sequence)
        wrong[:, list(model.config.missing)] &= np.isinf(sequence[:, list(model.config.missing)])
        if wrong.any():
            step, feature = map(int, np.argwhere(wrong)[0])
            found = sequence[step, feature]
            what = f"is {found}" if np.isinf(found) else "is missing, as it never was in training,"
            raise StepError(f"{place}: {names[feature]!r} {what}", step + 1, ": the model cannot read that")
        if model.config.task == "next-binary" and (other := (sequence != 0) & (sequence != 1)).any():
            step, feature = map(int, np.argwhere(other)[0])
            what = f"is {sequence[step, feature]:g}"
            raise StepError(
                f"{place}: {names[feature]!r} {what}", step + 1, ", expected 0 or 1, as it always was in training"
            )
    whole = [sequence if len(sequence) else sequence.reshape(0, len(names)) for sequence in piece.sequences]
    return whole if model.config.layout == "steps_first" else [sequence.T for sequence in whole]
