"""Labelled sequences made ready for training: vocabulary, classes or numbers, and a part held out to judge by."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from tidegate.models.architecture import Architecture
from tidegate.models.config import SequenceConfig, TextConfig
from tidegate.models.metrics.quantiles import quantile_labels
from tidegate.models.network import Network
from tidegate.models.sequence_model import SequenceModel
from tidegate.models.text_model import TextModel
from tidegate.sequences.features import LAYOUTS, Features, steps_first
from tidegate.sequences.logmel import LogMel
from tidegate.sequences.padding import Sequences, as_sequences
from tidegate.sequences.samples import as_sound
from tidegate.text.texts import check_texts
from tidegate.text.tokenizer import Tokenizer
from tidegate.training.data.corpus import Corpus, Integers
from tidegate.training.data.labelled import Labelled, Source
from tidegate.training.data.labels import Targets, targets_for
from tidegate.training.data.repeats import Repeats, find_repeats
from tidegate.training.data.sampling import hold_out
from tidegate.training.data.spool import Spool
from tidegate.training.data.vocabulary import RAREST, VOCAB_SIZE, HasVector, train_tokenizer
from tidegate.training.settings import Schedule, Settings

SIZES: Mapping[str, Any] = {"embedding_size": 100, "hidden_size": 128, "summary": "last"}
"""What is trained unless something else is asked for."""

CELL, VALIDATION, MAX_LENGTH = "gru", 0.1, 1000


@dataclass(frozen=True, kw_only=True)
class Examples(Targets):
    """What a network is trained on and judged by.

    Attributes:
        train: What to train on; where that does not fit into memory, a sample of it.
        validation: What is held out; `train` if nothing is.
        rows: Which of the sequences that were given are trained on, ascending, int64; none where they are on a disk.
        spool: All that is trained on, where it does not fit into memory.
    """

    train: Labelled
    validation: Labelled
    rows: Integers
    spool: Spool | None = None

    @property
    def unit(self) -> str:
        """What the steps of a sequence are called."""
        return "steps"

    @property
    def source(self) -> Source:
        """All that is trained on."""
        return self.spool or self.train

    def schedule(self, settings: Settings, config: Architecture) -> Schedule:
        """Decides what settings leave open for training a network on these sequences."""
        return settings.schedule(len(self.source), config.reader.learning_rate)

    def class_counts(self) -> Integers:
        """Counts the rows to train on of each class, int64 [C]."""
        if self.spool and self.spool.class_counts is not None:
            return self.spool.class_counts
        return np.bincount(self.train.targets, minlength=len(self.labels))

    def weighted(self, weights: npt.ArrayLike) -> Self:
        """Weighs sequences in the loss.

        Args:
            weights: How much each of the sequences that were given counts, at least 0, float [B]. Their mean over what
                is trained on becomes 1; what is held out is not weighed.

        Raises:
            ValueError: Their shape is another, one of them is negative or not finite, or all are 0.
        """
        if self.spool:
            raise ValueError("sample_weight is given, but the rows are on a disk and all count the same")
        given = np.asarray(weights, np.float64)
        if given.ndim != 1 or len(given) <= self.rows.max(initial=-1):
            raise ValueError(f"sample_weight has shape {given.shape}, expected one number for each sequence")
        if self.aim.each_step:
            raise ValueError("sample_weight is given, but the steps that are foreseen or labelled all count the same")
        if not (np.isfinite(given).all() and (given >= 0).all() and given[self.rows].any()):
            raise ValueError("sample_weight has numbers that are negative or not finite, or all of them are 0")
        chosen = (given[self.rows] / given[self.rows].mean()).astype(np.float32)
        return replace(self, train=replace(self.train, weights=chosen))

    def quantiles(self, levels: Sequence[float]) -> Self:
        """Asks for quantiles of the numbers of a regression.

        Args:
            levels: Ascending, between 0 and 1.

        Raises:
            ValueError: They are not, or there are no numbers of a regression.
        """
        if self.task != "regression":
            raise ValueError(f"quantiles are those of the numbers of a regression, but the task is {self.aim.title!r}")
        return replace(self, labels=quantile_labels(self.labels, levels), task="quantiles")

    def config(self, cell: str = CELL, **sizes: Any) -> Architecture:
        """Describes a network for these sequences."""
        raise NotImplementedError

    def model(self, config: Any, weights: Mapping[str, npt.NDArray[Any]], *facts: Any) -> Network:
        """Makes a model of trained weights; `facts` are metrics and versions."""
        raise NotImplementedError

    def _facts(self) -> dict[str, Any]:
        return {"labels": self.labels, "task": self.task, "classes": self.classes}


@dataclass(frozen=True, kw_only=True)
class TextExamples(Examples):
    """Texts to train on and to judge by.

    Attributes:
        tokenizer: Turns texts into word ids; its vocabulary is that of the texts to train on.
        max_length: Longest text in words, the rest is not read; None for no limit.
        repeats: Texts that come again, in the same part or in both.
        texts: The texts to train on, and those to judge by.
        held_out: Whether those to judge by are a share of what was given, and not texts of their own.
    """

    tokenizer: Tokenizer
    max_length: int | None
    repeats: Repeats
    texts: tuple[Sequence[str], Sequence[str]] = ((), ())
    held_out: bool = False

    @property
    def unit(self) -> str:
        """What the steps of a sequence are called."""
        return self.tokenizer.unit

    def schedule(self, settings: Settings, config: Architecture) -> Schedule:
        """Decides what settings leave open for training a network on these texts."""
        rate, classes = config.reader.learning_rate, self.aim.exclusive
        return settings.schedule(len(self.source), rate, classes_of_texts=classes)

    def config(self, cell: str = CELL, **sizes: Any) -> TextConfig:
        """Describes a network for these texts.

        Args:
            cell: As in `TextConfig`.
            sizes: Other fields of `TextConfig`; those of `SIZES` have their defaults there.
        """
        fixed = self._facts() | {"vocab_size": len(self.tokenizer), "max_length": self.max_length}
        return TextConfig(cell=cell, **{**SIZES, **sizes}, **fixed)

    def model(self, config: TextConfig, weights: Mapping[str, npt.NDArray[Any]], *facts: Any) -> TextModel:
        """Makes a model of trained weights; `facts` are metrics and versions."""
        return TextModel(config, self.tokenizer, weights, *facts)


@dataclass(frozen=True, kw_only=True)
class SequenceExamples(Examples):
    """Sequences of numbers to train on and to judge by, scaled and without gaps.

    Attributes:
        features: What was done to the numbers, measured on the sequences to train on.
        layout: Of the sequences as they were given, see `SequenceConfig`, and so is the front-end.
        frontend: What made the numbers of sound; None if there was none.
        wholes: Where the sequences that `train` has in parts begin among its steps, and the end of the last, int64;
            None where they are whole.
    """

    features: Features
    layout: str = LAYOUTS[0]
    frontend: str | None = None
    wholes: Integers | None = None

    def config(self, cell: str = CELL, **sizes: Any) -> SequenceConfig:
        """Describes a network for these sequences.

        Args:
            cell: As in `SequenceConfig`.
            sizes: Other fields of `SequenceConfig`; those of `SIZES` have their defaults there.
        """
        defaults = {name: size for name, size in SIZES.items() if name != "embedding_size"}
        fixed = self._facts() | {"missing": self.features.missing, "layout": self.layout, "frontend": self.frontend}
        if self.aim.foresees:
            fixed["horizon"] = self.horizon
            defaults["residual"] = self.changes_little
        return SequenceConfig(cell=cell, features=len(self.features.center), **{**defaults, **sizes}, **fixed)

    @property
    def whole(self) -> Labelled:
        """What is trained on, sequences that are trained on in parts as wholes."""
        if self.wholes is None:
            return self.train
        return replace(self.train, corpus=Corpus(self.train.corpus.steps, self.wholes))

    @property
    def horizon(self) -> int:
        """How many steps are foreseen, h."""
        return len(self.labels) // len(self.features.center)

    def last_steps(self) -> npt.NDArray[np.float32]:
        """Returns what the next steps would be if nothing changed, of the N steps to train on, float32 [N, h·K]."""
        return np.tile(self.features.unscaled(self.train.corpus.steps), self.horizon)

    @property
    def changes_little(self) -> bool:
        """Whether the last step foresees the next ones of numbers better than their mean does."""
        if self.aim.has_probabilities:
            return False
        targets = self.train.targets.astype(np.float64)
        spread = targets.var(axis=0)
        errors = np.square(targets - self.last_steps()).mean(axis=0) / np.where(spread > 0, spread, 1)
        return bool(errors.mean() < 1)

    def model(self, config: SequenceConfig, weights: Mapping[str, npt.NDArray[Any]], *facts: Any) -> SequenceModel:
        """Makes a model of trained weights; `facts` are metrics and versions."""
        scales = {"features.center": self.features.center, "features.scale": self.features.scale}
        return SequenceModel(config, {**weights, **scales}, *facts)


class _Part(NamedTuple):
    """Sequences of one part, with their targets."""

    sequences: list[Any]
    targets: npt.NDArray[Any]


def prepare_texts(
    texts: Sequence[str],
    labels: Sequence[Any],
    *,
    task: str = "classification",
    validation: float | tuple[Sequence[str], Sequence[Any]] = VALIDATION,
    vocab_size: int = VOCAB_SIZE,
    min_frequency: int | HasVector = RAREST,
    max_length: int | None = MAX_LENGTH,
    seed: int = 0,
) -> TextExamples:
    """Learns the vocabulary, holds out a part, and turns texts and labels into numbers.

    Example:
        >>> examples = prepare_texts(["so good", "so bad"] * 2, ["yes", "no"] * 2, validation=0.5)
        >>> examples.labels, len(examples.train), len(examples.validation)
        (('no', 'yes'), 2, 2)

    Args:
        texts: The B texts.
        labels: Their B labels, or B collections of labels; of a regression one number each, or several, [B, C].
        task: "classification", "multi-label" or "regression".
        validation: The share of each class to hold out, or other texts and labels to judge by; 0 to train on all, and
            to judge by the same.
        vocab_size: Most words to know, the most frequent ones first.
        min_frequency: How often a word must occur to be known; or which words have a vector: these need not occur as
            often as usual, where there is room.
        max_length: Longest text in words, the rest is not read; None for no limit.
        seed: Seed of the choice of what is held out.

    Raises:
        TypeError: A text is no text, or a label is not hashable.
        ValueError: Texts and labels differ in number, a label is empty, there are fewer than two classes, nothing can
            be held out, or a label occurs in the validation part only.
    """
    facts, parts = _parts(list(check_texts(texts)), labels, task, validation, seed)
    tokenizer = train_tokenizer(parts[0].sequences, vocab_size, min_frequency)
    facts |= _labelled(parts, lambda part: Corpus.from_texts(part, tokenizer, max_length))
    held_out = not isinstance(validation, tuple) and validation > 0
    facts |= {"texts": (parts[0].sequences, parts[-1].sequences), "held_out": held_out}
    return TextExamples(**facts, tokenizer=tokenizer, max_length=max_length, repeats=find_repeats(parts[0], parts[-1]))


def prepare_sequences(
    sequences: Sequences,
    labels: Sequence[Any],
    *,
    task: str = "classification",
    validation: float | tuple[Sequences, Sequence[Any]] = VALIDATION,
    layout: str = LAYOUTS[0],
    frontend: str | LogMel | None = None,
    seed: int = 0,
) -> SequenceExamples:
    """Holds out a part of sequences of numbers, measures and scales the features, and turns labels into numbers.

    Args:
        sequences: Numbers [T, K] for each of B sequences, T of any length, or one array [B, T, K]; NaN where a value is
            missing.
        labels: As in `prepare_texts`, and so are task and seed.
        task: As in `prepare_texts`.
        validation: The share of each class to hold out, or other sequences and labels to judge by; 0 to train on all,
            and to judge by the same.
        layout: "channels_first" where sequences are arrays [K, T], or one array [B, K, T].
        frontend: A `LogMel`, or its text, if the sequences are sound: samples [N], see `as_sound`.
        seed: As in `prepare_texts`.

    Raises:
        TypeError: The sequences are no real numbers, or a label is not hashable.
        ValueError: As in `prepare_texts`, or a sequence has another number of features, an infinite number, or misses
            one of a feature that is never missing where it is trained on.
    """
    front_end = None if frontend is None else LogMel.of(frontend)
    arrays, width = _arrays(sequences, layout, front_end)
    if isinstance(validation, tuple):
        validation = (_arrays(validation[0], layout, front_end, width)[0], validation[1])
    facts, parts = _parts(arrays, labels, task, validation, seed)
    features = Features.of(parts[0].sequences)
    facts |= _labelled(
        parts, lambda part: Corpus.from_rows(features.read(f"sequences[{b}]", array) for b, array in enumerate(part))
    )
    return SequenceExamples(
        **facts, features=features, layout=layout, frontend=None if front_end is None else str(front_end)
    )


def _arrays(
    sequences: Sequences, layout: str, front_end: LogMel | None, width: int | None = None
) -> tuple[list[Any], int]:
    """Makes arrays [T, K] of sequences, or of sound, and returns K too."""
    if front_end is None:
        return as_sequences(steps_first(sequences, layout), width)
    if layout != LAYOUTS[0]:
        raise ValueError(f"layout is {layout!r}, but sound has no features to come first")
    frames = [front_end.frames(as_sound(f"sequences[{b}]", clip)) for b, clip in enumerate(sequences)]
    return frames, front_end.n_mels


def _parts(
    sequences: list[Any], labels: Any, task: str, validation: Any, seed: int
) -> tuple[dict[str, Any], list[_Part]]:
    """Turns labels into numbers, and holds a part of the sequences out; nothing if the share is 0."""
    targets = targets_for(labels, task)
    numbers, rows = targets.numbers(labels, "the training part", len(sequences)), np.arange(len(sequences))
    if isinstance(validation, tuple):
        others = list(validation[0])
        held = targets.numbers(validation[1], "the validation part", len(others))
        return vars(targets) | {"rows": rows}, [_Part(sequences, numbers), _Part(others, held)]
    if validation == 0:
        return vars(targets) | {"rows": rows}, [_Part(sequences, numbers)]
    chosen = hold_out(targets.groups(numbers), validation, np.random.default_rng(seed))
    parts = [_Part([sequences[b] for b in rows], numbers[rows]) for rows in chosen]
    return vars(targets) | {"rows": chosen[0]}, parts


def _labelled(parts: list[_Part], corpus: Callable[[list[Any]], Corpus]) -> dict[str, Labelled]:
    """Makes what is trained on and what is judged by, which are the same if there is one part."""
    labelled = [Labelled(corpus(part.sequences), part.targets) for part in parts]
    return {"train": labelled[0], "validation": labelled[-1]}
