"""`tidegate train` on sequences of numbers: what their table holds, what cannot be meant, and what is trained."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.cli.console import err, note, plural, say
from tidegate.cli.options import SETTING_OPTIONS, SIZE_OPTIONS, WORD_OPTIONS
from tidegate.cli.reading.inputs import place_of, short_clips
from tidegate.cli.reading.label_columns import check_each_occurs, labels_of_steps, sets_in_columns
from tidegate.cli.reading.targets import Wanted, columns_said, describe_targets, numbers_to_predict
from tidegate.cli.train.request import Request
from tidegate.cli.train.spooling import apart_of, names_of, plan_of
from tidegate.data import series
from tidegate.data.series.roles import shortened
from tidegate.data.tables.label_names import label_name
from tidegate.models.tasks import TASKS
from tidegate.sequences.logmel import LogMel
from tidegate.sequences.samples import looks_like_sound
from tidegate.training.data.data_frames import columns_of
from tidegate.training.data.examples import SequenceExamples, prepare_sequences
from tidegate.training.data.labelled_steps import prepare_labelled_steps
from tidegate.training.data.next_steps import LONGEST, prepare_steps
from tidegate.training.data.repeats import Repeats, find_repeats
from tidegate.training.data.spooled.gathered import Plan
from tidegate.training.data.spooled.preparing import spool_sequences
from tidegate.training.data.tasks import check_copies, check_copies_of_steps
from tidegate.training.settings import VECTOR_DROPOUT

_LONG = 2000  # steps of the median sequence from which a hint is due
_SAID = 8  # features that are listed


def train_numbers(request: Request, began: float) -> None:
    """Trains on sequences of numbers.

    Args:
        request: What was asked for.
        began: When the command began, seconds as `perf_counter` counts them.

    Raises:
        ValueError: The table holds something else, or what cannot be meant.
    """
    settings = request.settings_with(VECTOR_DROPOUT)
    with err.status("reading sequences"):
        if request.wanted.foresees and request.asked.labels:
            raise ValueError("--task next predicts the features themselves, so there is no --label")
        plan = plan_of(request, settings.seed)
        table, examples, repeats = _spooled(request, plan) if plan else _read(request, settings.seed)
    request.sizes.pop("embedding_size")
    run = request.run_of(examples, settings, columns_of(table.roles))
    describe(examples, table, repeats)
    if run.config.residual:
        note("next steps are predicted as changes of the last one: it is a better forecast than their mean")
    request.complete(run, began)


def _read(request: Request, seed: int) -> tuple[series.Series, SequenceExamples, Repeats]:
    """Reads sequences into memory."""
    labelled = not request.wanted.foresees
    table = series.read(request.file, request.asked, request.kind, need_label=labelled)
    describe_columns(table, request.file)
    wanted = request.wanted.decided(table.labels)
    held: Any = request.share(nothing=True)
    if held is None:
        held = series.read(request.validation, table.roles.asked, need_label=labelled)
    if wanted.foresees:
        check_gaps(table, request.file)
        if isinstance(held, series.Series):
            check_gaps(held, request.validation)
    front_end = request.frontend and LogMel.of(request.frontend, table.roles.sound or None)
    examples = prepare(table, wanted, held, seed, front_end or None)
    return table, examples, repeats_of(table, examples, held) if labelled else Repeats()


def _spooled(request: Request, plan: Plan) -> tuple[series.Series, SequenceExamples, Repeats]:
    """Reads sequences part by part, and returns the first part, all as examples, and repeats in the sample."""
    parts = series.stream(request.file, request.asked, request.kind, need_label=True, apart=apart_of(request, plan))
    first = next(parts, None)
    if first is None:
        raise ValueError(f"{request.file}: there are no rows")
    describe_columns(first, request.file)
    wanted = request.wanted.decided(first.labels)
    check_copies(first.sequences, targets_of(first, wanted), first.feature_names)
    held: Any = request.share(nothing=True)
    if held is None:
        asked = first.roles.asked
        others = series.stream(request.validation, asked, need_label=True, apart=apart_of(request, plan))
        held = ((part.sequences, _targets_of_part(part, wanted)) for part in others)
    labelled = ((part.sequences, _targets_of_part(part, wanted)) for part in chain([first], parts))
    examples = spool_sequences(labelled, replace(plan, task=wanted.task, validation=held))
    examples = wanted.named(examples, tuple(first.labels))
    if examples.aim.truth == "class":
        wanted.check([examples.labels[c] for c in examples.train.targets], *first.labels)
    found = (
        (_digests([rows.corpus.row(b) for b in range(len(rows))]), map(str, rows.targets.tolist()))
        for rows in (examples.train, examples.validation)
    )
    return first, examples, replace(find_repeats(*found), noun="sequence")


def _targets_of_part(part: series.Series, wanted: Wanted) -> Any:
    """Returns the labels of a part, see `names_of`, or the numbers of a regression."""
    targets = targets_of(part, wanted)  # refuses what cannot be meant
    return targets if wanted.aim and wanted.aim.truth == "numbers" else names_of(*part.labels.values())


def refuse_words(given: Mapping[str, Any], request: Request) -> None:
    """Checks that no option is given that only texts have.

    Args:
        given: The options by name.
        request: What else was asked for.

    Raises:
        ValueError: One is.
    """
    of_texts = dict(WORD_OPTIONS)
    of_texts |= {name: SETTING_OPTIONS[name] for name in ("word_dropout", "freeze")}
    of_texts |= {"embedding_size": SIZE_OPTIONS["embedding_size"]}
    for name, standard in ({name: option.default for name, option in of_texts.items()} | {"text": None}).items():
        value = given[name]
        if value != standard and not (name == "parts" and value in {"network", request.cell}):
            raise ValueError(
                f"--{name.replace('_', '-')} is about texts, but sequences of numbers are read from {request.file}"
            )


def targets_of(table: series.Series, wanted: Wanted) -> Any:
    """Returns the labels: names of classes [B], sets of names [B], or numbers [B, C].

    Raises:
        ValueError: A sequence has no label, it is no number for a regression, or there are several for classes.
    """
    aim = TASKS[wanted.task]
    if wanted.labels_steps:
        return labels_of_steps(table.labels, list(map(len, table.sequences)), lambda b: place_of(table, b))
    for name, values in table.labels.items() if aim.truth != "classes" else ():
        missing = [b for b, value in enumerate(values) if not isinstance(value, list) and label_name(value) is None]
        if missing and table.roles.key is not None:
            key = table.columns[table.roles.key][missing[0]]
            count = "has" if len(missing) == 1 else f"and {len(missing) - 1:,} others have"
            raise ValueError(f"{key!r} of column {table.roles.key!r} {count} no label in column {name!r}")
    if aim.truth == "numbers":
        return numbers_to_predict(table.labels)
    if aim.truth == "classes" and len(table.labels) > 1:
        return sets_in_columns(table.labels)
    wanted.several(len(table.labels))
    [(name, values)] = table.labels.items()
    return wanted.names(values, name, 1)


def prepare(
    table: series.Series, wanted: Wanted, validation: float | series.Series, seed: int, front_end: LogMel | None = None
) -> SequenceExamples:
    """Makes what is trained on of a table, and refuses what cannot be meant.

    Args:
        table: The sequences.
        wanted: What is to be predicted.
        validation: The share to hold out, or other sequences to judge by.
        seed: Of the choice of what is held out.
        front_end: What makes frames of sound; None if the sequences are none.

    Raises:
        ValueError: Labels are missing or no classes, or a feature copies them; or as for `prepare_sequences`.
    """
    held: Any = validation
    if wanted.foresees:
        held = validation.sequences if isinstance(validation, series.Series) else validation
        names = table.feature_names
        return prepare_steps(table.sequences, horizon=wanted.horizon, validation=held, names=names, seed=seed)
    targets = targets_of(table, wanted)
    if wanted.labels_steps:
        labels = list(chain.from_iterable(targets))
        wanted.check(labels, *table.labels)
        check_copies_of_steps(np.concatenate(table.sequences), labels, table.feature_names)
        if isinstance(validation, series.Series):
            held = (validation.sequences, targets_of(validation, wanted))
        return prepare_labelled_steps(table.sequences, targets, validation=held, seed=seed)
    if TASKS[wanted.task].truth == "classes" and len(table.labels) > 1:
        check_each_occurs(targets, table.labels)
    elif TASKS[wanted.task].truth != "numbers":
        wanted.check(targets, *table.labels)
    if front_end is None:
        check_copies(table.sequences, targets, table.feature_names)
    if isinstance(validation, series.Series):
        held = (validation.sequences, targets_of(validation, wanted))
    how: Any = {"task": wanted.task, "validation": held, "seed": seed, "frontend": front_end}
    examples = prepare_sequences(table.sequences, targets, **how)
    return wanted.named(examples, tuple(table.labels))


def check_gaps(table: series.Series, file: Path | str) -> None:
    """Checks that no number is missing or infinite among steps that are to be predicted.

    Raises:
        ValueError: One is; the message names the file, the sequence, the column and the step, counted from 1.
    """
    for b, steps in enumerate(table.sequences):
        wrong = ~np.isfinite(steps)
        if wrong.any():
            step, feature = map(int, np.argwhere(wrong)[0])
            found = "is missing" if np.isnan(steps[step, feature]) else f"is {steps[step, feature]}"
            what = f"{table.feature_names[feature]!r} {found} at step {step + 1}"
            raise ValueError(f"{file}: {place_of(table, b)}: {what}: to predict steps, fill gaps before")


def repeats_of(table: series.Series, examples: SequenceExamples, validation: Any) -> Repeats:
    """Counts sequences that come again, in what is trained on and in what is judged by."""
    digests, labels = _digests(table.sequences), _label_texts(table)
    train, keys = set(examples.rows.tolist()), 0
    if isinstance(validation, series.Series):
        judged = _digests(validation.sequences), _label_texts(validation)
        if table.roles.key is not None:
            known = set(table.columns[table.roles.key])
            keys = sum(key in known for key in validation.columns[table.roles.key])
    elif examples.aim.each_step and len(train) == len(digests) and examples.validation is not examples.train:
        judged = [], []  # the ends of sequences, whose beginnings are trained on
    else:
        rows = [b for b in range(len(digests)) if b not in train] or sorted(train)
        judged = [digests[b] for b in rows], [labels[b] for b in rows]
    rows = sorted(train)
    found = find_repeats(([digests[b] for b in rows], [labels[b] for b in rows]), judged)
    return replace(found, noun="sequence", keys=keys)


def _digests(sequences: Sequence[npt.NDArray[Any]]) -> list[str]:
    """Names sequences by their numbers; those without a step have no name, as they are no repeats."""
    return [sha256(np.asarray(x, np.float64).tobytes()).hexdigest() if len(x) else "" for x in sequences]


def _label_texts(table: series.Series) -> list[str]:
    return [str(values) for values in zip(*table.labels.values(), strict=True)]


def describe_columns(table: series.Series, file: Path | str) -> None:
    """Says what the columns of a table were taken for."""
    roles = table.roles
    if roles.sound is not None:
        usual = np.median([len(clip) for clip in table.sequences])
        rate = (
            f", {roles.sound:,} samples a second, {usual / roles.sound:.2g} s in the median clip" if roles.sound else ""
        )
        say(f"sound: column {roles.features[0]!r}{rate}; {columns_said(roles.labels)} of {file}")
        if roles.unused:
            note(f"not used: {shortened(roles.unused)}")
        return
    order = f"the order of {roles.time!r}" if roles.time else "the order of the rows"
    if roles.one:
        said = f"one sequence: all rows, in {order}"
    else:
        said = "sequences: "
        said += f"told apart by column {roles.key!r}, in {order}" if roles.long else "a list in each row"
    labels = f"; {columns_said(roles.labels)}" if roles.labels else ""
    say(f"{said}; features: {shortened(roles.features)}{labels} of {file}")
    if roles.unused:
        note(f"not used: {shortened(roles.unused)}")
    may_be_sound = bool(roles.labels) and not roles.long and not roles.each_step
    if may_be_sound and np.median([len(steps) for steps in table.sequences]) >= _LONG:
        seen = "this looks like sound, which" if looks_like_sound(table.sequences) else "sequences are long: sound"
        note(f"{seen} is learned better and faster as frames, with --frontend logmel")


def describe(examples: SequenceExamples, table: series.Series, repeats: Repeats) -> None:
    """Prints what was read."""
    lengths = examples.train.corpus.lengths
    judged = "as many" if examples.validation is examples.train else f"{len(examples.validation):,}"
    count = len(examples.rows) if examples.aim.each_step else len(examples.source)
    say(f"{plural(count, 'sequence')} to train on and {judged} to judge by")
    describe_targets(examples)
    say(f"steps: {np.median(lengths):.0f} in the median sequence, {lengths.max():,} in the longest")
    for remark in (*_remarks(examples, table, lengths), *repeats.remarks()):
        note(remark)


def _remarks(examples: SequenceExamples, table: series.Series, lengths: npt.NDArray[np.int64]) -> list[str]:
    remarks = []
    if examples.aim.each_step and len(examples.train) > len(examples.rows):
        remarks.append(f"sequences of more than {LONGEST} steps are trained on in parts, and judged whole")
    if missing := examples.features.missing[:_SAID]:
        said = [repr(table.feature_names[k]) for k in missing]
        if not examples.spool:  # then all steps are at hand
            steps = np.concatenate(table.sequences)
            said = [f"{name} {np.isnan(steps[:, k]).mean():.1%}" for name, k in zip(said, missing, strict=True)]
        remarks.append(f"missing values, which the model learns to read: {', '.join(said)}")
    if empty := int((lengths == 0).sum()):
        front_end = LogMel.of(examples.frontend) if examples.frontend else None
        without = f"{plural(empty, 'sequence')} to train on without a step"
        remarks.append(short_clips(empty, front_end) if front_end else without)
    return remarks
