"""Training in one call."""

import os
import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import fields
from difflib import get_close_matches
from importlib import import_module
from inspect import signature
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.models.config import SequenceConfig, TextConfig
from tidegate.models.network import Network
from tidegate.models.tasks import ASKED, TASKS
from tidegate.ops.checks import check_choice, check_count
from tidegate.text.vectors import WordVectors
from tidegate.training.baselines.baselines import baselines
from tidegate.training.checkpoints import Checkpoints
from tidegate.training.data.data_frames import OPTIONS, blocks_of, frame_examples
from tidegate.training.data.examples import (
    CELL,
    VALIDATION,
    Examples,
    SequenceExamples,
    prepare_sequences,
    prepare_texts,
)
from tidegate.training.data.labelled_steps import prepare_labelled_steps
from tidegate.training.data.next_steps import prepare_steps
from tidegate.training.data.next_tokens import prepare_tokens
from tidegate.training.data.vocabulary import HasVector, vocabulary_limits
from tidegate.training.events import DivergedError, Epoch
from tidegate.training.ngrams.parts import Parts
from tidegate.training.packages import look_for
from tidegate.training.pretraining import pretrained
from tidegate.training.run import Run
from tidegate.training.settings import TOKEN_DROPOUT, VECTOR_DROPOUT, Settings

TEXT_OPTIONS = ("vocab_size", "min_frequency", "max_length")
TOKEN_OPTIONS = ("tokens", "bptt")
# settings that are no field of anything
_OTHERS = (
    "baselines",
    "frontend",
    "horizon",
    "layout",
    "parts",
    "pretrain",
    "quantiles",
    "sample_weight",
    "vectors",
    "workers",
)
_FOUND = {"classes", "features", "missing", "settings"}  # names of what is found in the data


def fit(
    data: Any,
    labels: Sequence[Any] | npt.NDArray[Any] | str | None = None,
    *,
    task: str = "classification",
    cell: str = CELL,
    validation: Any = VALIDATION,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    **settings: Any,
) -> Network:
    """Trains a network on texts or on sequences of numbers, and returns the best epoch's model; this needs PyTorch.

    Example:
        >>> model = fit(["so good", "so bad"] * 8, ["yes", "no"] * 8, epochs=20, batch_size=4, learning_rate=0.1)
        >>> model.predict(["good", "bad"]).tolist()
        ['yes', 'no']

        Sequences that rise or fall, and labels of any kind:

        >>> import numpy as np
        >>> steps = np.random.default_rng(0).normal(size=(64, 9, 1))
        >>> rises = steps.sum(axis=(1, 2)) > 0
        >>> model = fit(steps.cumsum(axis=1), rises, hidden_size=8, epochs=20, learning_rate=0.02)
        >>> bool((model.predict(steps.cumsum(axis=1)) == rises).mean() > 0.8)
        True

    Args:
        data: B texts; or B sequences of numbers, a list of arrays [T, K], each with its own T, or one array [B, T, K];
            NaN stands for a missing value. The model scales the features, and fills gaps, see `SequenceModel`. Or a
            frame of polars, pandas or Arrow, or a data set of Hugging Face, see [the guide](scaling.md).
        labels: B labels of any hashable kind, B tuples or lists of them, or of "labelling" B lists of T; of a
            regression, numbers [B] or [B, C]; of a frame, the name of a column; none of "next".
        task: "classification", "multi-label", "regression", "labelling" of steps, or "next", what follows each step.
        cell: The text of a cell or the name of a pooling, see `TextConfig`.
        validation: The share to hold out, by which the best epoch is chosen; others to judge by, (data, labels), or,
            for "next" or of a frame, the data alone; or 0 to train on all, and to judge by them.
        checkpoint: A folder for checkpoints, about every 30 s, which are removed when training ends; None for none.
        resume: Whether to continue what was interrupted; the result has the same bits as without interruption.
        settings: Fields of `Settings`, with a dropout of 0.1 for numbers and next words; sizes, see `TextConfig` and
            `SequenceConfig`; `sample_weight`, how much each of the B counts in the loss, [B]; `baselines`, to warn if a
            simpler one is better. Of texts `vocab_size`, `min_frequency`, `max_length`, `vectors` to start from,
            `pretrain`, True or more texts, `parts` such as "auto", see [The parts of a model](parts.md), `tokens` and
            their `bptt`, see `prepare_tokens`. Of numbers `layout`, "channels_first" if they are [K, T]; `frontend`,
            such as "logmel sample_rate=16000", for samples [N], see `as_sound`; `quantiles`; the `horizon` of "next",
            and `residual`, whether as changes of the last step, or by data. Of all `workers`, [the guide](scaling.md).

    Returns:
        A `TextModel` for texts, a `SequenceModel` for numbers.

    Raises:
        CheckpointError: The checkpoints are damaged, or of other data, settings or versions; a ValueError.
        DivergedError: The loss is no longer finite; a FloatingPointError, whose `model` is of the best epoch before.
        ImportError: PyTorch is missing.
        LostWorkerError: A worker has ended; a ConnectionError.
        TypeError: A setting is unknown, or the data is neither.
        ValueError: Data and labels differ in number, there are fewer than two classes, or a setting is out of range.
    """
    look_for("torch", "tidegate.training.network.loop")  # without it there is no need to read anything
    return _fit(data, labels, {"task": task, "validation": validation}, cell, settings, (checkpoint, resume))


def _fit(
    data: Any, labels: Any, judged: dict[str, Any], cell: str, settings: dict[str, Any], resumed: tuple[Any, bool]
) -> Network:
    """Does what `fit` says."""
    folder, resume = resumed
    if resume and folder is None:
        raise ValueError("resume is True, but there is no folder to resume from: give it with checkpoint=")
    check_choice("task", judged["task"], ASKED)
    compared, count = settings.pop("baselines", False), check_count("workers", settings.pop("workers", 1))
    run = _prepare(data, labels, judged, cell, settings, _wanted(settings, cell, **judged))
    checkpoints = None if folder is None else Checkpoints(folder, run.fingerprint(), resume=resume)
    with import_module("tidegate.training.workers").workers(run, count) as shared:
        model = _model(shared, checkpoints)
    if checkpoints:
        checkpoints.remove()
    return _compared(model, baselines(run.examples, run.config, run.settings, run.vectors)) if compared else model


def _wanted(settings: dict[str, Any], cell: str, task: str, validation: Any) -> Parts | None:
    """Takes out of the settings what a model is made of.

    Raises:
        ImportError: n-grams are wanted, and scikit-learn is missing.
        ValueError: A name is unknown, or parts cannot be weighed.
    """
    parts = settings.pop("parts", None)
    if parts is None:
        return None
    wanted = Parts.read(parts, cell)
    if not TASKS[task].exclusive:
        raise ValueError(
            f"parts is {parts!r}, but parts are those of a classifier of one class, and the task is {task!r}"
        )
    if not isinstance(validation, tuple) and validation == 0:
        raise ValueError(
            f"parts is {parts!r}, but validation is 0: parts are weighed on texts that nothing was fitted to"
        )
    if settings.get("sample_weight") is not None:
        raise ValueError(f"parts is {parts!r}, but parts are weighed by texts that count the same: no sample_weight")
    return wanted


def _compared(model: Network, reports: Mapping[str, Any]) -> Network:
    """Keeps the scores of the baselines with those of a model, and warns if one of them is better."""
    model.metrics["baselines"] = {name: report.as_dict() for name, report in reports.items()}
    best = max(reports, key=lambda name: reports[name].quality)
    measure, score = reports[best].measure, reports[best].quality
    if score > model.metrics[measure]:
        here = f"{measure} of {score:.4f}, where the model has {model.metrics[measure]:.4f}"
        warnings.warn(f"a simple baseline is better here: {best} has a {here}", stacklevel=4)
    return model


def _prepare(
    data: Any, labels: Any, options: dict[str, Any], cell: str, settings: dict[str, Any], parts: Parts | None
) -> Run:
    """Makes what a training needs of what `fit` is called with."""
    vectors, levels = settings.pop("vectors", None), settings.pop("quantiles", None)
    more = settings.pop("pretrain", False)
    seed = settings.get("seed", Settings.seed)
    has_vector = (lambda words: vectors.rows_of(words)[1]) if isinstance(vectors, WordVectors) else None
    examples = _examples(data, labels, settings, has_vector, **options, seed=seed)
    sample_weight = settings.pop("sample_weight", None)
    if levels is not None:
        examples = examples.quantiles(levels)
    if sample_weight is not None:
        examples = examples.weighted(sample_weight)
    if isinstance(examples, SequenceExamples):
        if parts:
            raise ValueError("parts are those of a classifier of texts, but the data are sequences of numbers")
        settings = {"dropout": VECTOR_DROPOUT} | settings
    elif examples.aim.foresees:
        settings = {"dropout": TOKEN_DROPOUT} | settings
    how = Settings(**{field.name: settings.pop(field.name) for field in fields(Settings) if field.name in settings})
    _check_known(settings, SequenceConfig if isinstance(examples, SequenceExamples) else TextConfig)
    run = Run(examples, examples.config(cell, **settings), how, vectors, parts)
    return run if more is False or more is None else pretrained(run, () if more is True else more)


def _check_known(settings: Mapping[str, Any], config: Any) -> None:
    """Checks that what is left of the settings are fields of the configuration.

    Raises:
        TypeError: One is not; the message names those that are spelt alike.
    """
    own = {field.name for field in fields(config)}
    for name in settings.keys() - own:
        known = {
            *own,
            *signature(fit).parameters,
            *(field.name for field in fields(Settings)),
            *TEXT_OPTIONS,
            *TOKEN_OPTIONS,
            *OPTIONS,
            *_OTHERS,
        }
        close = get_close_matches(name, sorted(known - _FOUND))
        meant = f": did you mean {' or '.join(map(repr, close))}?" if close else ""
        elsewhere = {field.name for kind in (SequenceConfig, TextConfig) for field in fields(kind)}
        if name in (known | elsewhere) - _FOUND:
            meant = f": it is one of {_whose(name)}"
        raise TypeError(f"fit has no setting {name!r} for {config.__name__.removesuffix('Config').lower()}s{meant}")


def _whose(name: str) -> str:
    """Says what a known setting is for, where it is none of what is trained on."""
    if name in OPTIONS:
        return "frames, such as those of polars and pandas"
    if name == "frontend":
        return "sound, whose clips have labels"
    if name == "horizon":
        return "sequences of numbers with the task 'next'"
    if name in TOKEN_OPTIONS:
        return "texts with the task 'next'"
    of_texts = name in TEXT_OPTIONS or name in {field.name for field in fields(TextConfig)}
    return "texts" if of_texts else "sequences of numbers"


def _model(run: Run, checkpoints: Checkpoints | None) -> Network:
    """Trains to the end, and makes the model of the best epoch, or of the parts."""
    with run.joining() if run.parts else nullcontext() as join:
        best = _train(run, checkpoints)
        if join:
            joined = join(best).model
            figures = {"weights": dict(joined.weights)}
            return run.model(joined.config, joined.as_epoch(best.epoch if best else 0), figures)
    assert best  # noqa: S101 - for mypy: a training has one epoch at least
    return run.model(run.config, best)


def _train(run: Run, checkpoints: Checkpoints | None) -> Epoch | None:
    """Trains the network to the end, and returns its best epoch; None if there is no network."""
    best: Epoch | None = None
    try:
        start = _start(run, checkpoints)
        for event in run.train(run.network, checkpoints, start) if run.network else ():
            if isinstance(event, Epoch) and event.weights is not None:
                best = event
    except DivergedError as error:
        if checkpoints:
            checkpoints.remove(previous=False)  # to resume would come to the same; an earlier run may be better
        if error.best:
            error.model = run.model(run.config, error.best)
            error.add_note(f"The model of the best epoch before, {error.best.epoch}, is the attribute `model` of this.")
        raise
    return best


def _start(run: Run, checkpoints: Checkpoints | None) -> Mapping[str, npt.NDArray[np.float32]] | None:
    """Trains what the network starts from, if there is such, and returns its best weights."""
    best = None
    try:
        for event in run.train(run.pretraining, checkpoints) if run.pretraining else ():
            if isinstance(event, Epoch) and event.weights is not None:
                best = event.weights
    except DivergedError as error:
        raise DivergedError(f"pretraining: {error}", None) from error  # whose best epoch makes no classifier
    return best


def _examples(
    data: Any, labels: Any, settings: dict[str, Any], has_vector: HasVector | None = None, **options: Any
) -> Examples:
    """Makes examples of texts or of vectors; takes what it needs out of the settings."""
    limits = {name: settings.pop(name) for name in TEXT_OPTIONS if name in settings}
    frame = blocks_of(data)
    if frame is not None:
        return frame_examples(frame, labels, settings, options, limits, has_vector)
    data = data if isinstance(data, str | list | tuple | np.ndarray) else list(data)
    aim = TASKS[options["task"]]
    foresees = aim.foresees
    if (labels is None) != foresees:
        given = "labels are given" if foresees else "there are no labels"
        raise ValueError(f"{given}, but the task is {options['task']!r}")
    if isinstance(data, str) or (len(data) and isinstance(data[0], str)):
        if foresees:
            limits |= {name: settings.pop(name) for name in TOKEN_OPTIONS if name in settings}
            return prepare_tokens(data, **limits, **_alone(options))
        if aim.labels_steps:
            raise ValueError(f"the task is {aim.name!r}, which is about steps of numbers, but the data are texts")
        return prepare_texts(data, labels, **vocabulary_limits(limits, has_vector), **options)
    settings |= limits  # which no sequence has: they are refused by name
    if aim.each_step and settings.get("frontend") is not None:
        raise ValueError(f"frontend is given, but the task is {aim.name!r}, which reads steps as they are given")
    names = ("layout", "horizon") if foresees else ("layout", "frontend")
    chosen = {name: settings.pop(name) for name in names if name in settings}
    if foresees:
        if aim.reads_tokens:
            raise ValueError(f"the task is {aim.name!r}, which foresees words, but the data are sequences of numbers")
        return prepare_steps(data, **chosen, **_alone(options))
    if aim.labels_steps:
        chosen.pop("frontend", None)
        return prepare_labelled_steps(data, labels, **chosen, **options)
    return prepare_sequences(data, labels, **chosen, **options)


def _alone(options: dict[str, Any]) -> dict[str, Any]:
    """Takes (data, None) to judge by for the data alone: there are no labels."""
    held = options["validation"]
    alone = isinstance(held, tuple) and len(held) == 2 and held[1] is None
    return options | {"validation": held[0]} if alone else options
