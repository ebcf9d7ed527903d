"""Labelled sequences made ready for training: vocabulary, classes or numbers, and a part held out to judge by."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.models.config import Architecture, NetworkConfig, TextConfig
from tidegate.models.network import Network
from tidegate.models.text_model import TextModel
from tidegate.sequences.padding import Sequences, as_sequences
from tidegate.text.tokenizer import Tokenizer, check_texts
from tidegate.training.corpus import Corpus, Integers
from tidegate.training.sampling import hold_out

SIZES: Mapping[str, Any] = {"embedding_size": 100, "hidden_size": 128, "summary": "last"}
"""What is trained unless something else is asked for."""

VALIDATION, VOCAB_SIZE, MAX_LENGTH = 0.1, 20_000, 1000


@dataclass(frozen=True)
class Labelled:
    """Sequences and what is to be predicted of them.

    Attributes:
        corpus: The B sequences.
        targets: Index of the class of each, int64 [B], or the numbers of a regression, float32 [B, C].
    """

    corpus: Corpus
    targets: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What is to be predicted.

    Attributes:
        labels: Names of the C classes, or of the C numbers of a regression.
        task: "classification" or "regression".
        classes: What the labels stand for where it is not the labels themselves.
    """

    labels: tuple[str, ...]
    task: str = "classification"
    classes: tuple[Hashable, ...] | None = None

    def numbers(self, labels: Any, source: str, count: int) -> npt.NDArray[Any]:
        """Turns labels into indices of classes, int64 [B], or into the numbers of a regression, float32 [B, C].

        Args:
            labels: The B labels.
            source: What the labels belong to, for errors.
            count: B, the number of sequences.

        Raises:
            TypeError: The labels of a regression are no real numbers.
            ValueError: Their number is another, one of them is no class or not finite, or C is another.
        """
        if self.task == "classification":
            return class_indices(labels, self.classes or self.labels, source, count)
        return as_numbers(labels, source, (count, len(self.labels)))


@dataclass(frozen=True, kw_only=True)
class Examples(Targets):
    """What a network is trained on and judged by.

    Attributes:
        train: What to train on.
        validation: What is held out.
    """

    train: Labelled
    validation: Labelled

    def config(self, cell: str = "gru", **sizes: Any) -> Architecture:
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
    """

    tokenizer: Tokenizer
    max_length: int | None

    def config(self, cell: str = "gru", **sizes: Any) -> TextConfig:
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
    """Sequences of vectors to train on and to judge by.

    Attributes:
        input_size: I.
    """

    input_size: int

    def config(self, cell: str = "gru", **sizes: Any) -> NetworkConfig:
        """Describes a network for these sequences.

        Args:
            cell: As in `NetworkConfig`.
            sizes: Other fields of `NetworkConfig`; those of `SIZES` have their defaults there.
        """
        defaults = {name: size for name, size in SIZES.items() if name != "embedding_size"}
        return NetworkConfig(cell=cell, input_size=self.input_size, **{**defaults, **sizes}, **self._facts())

    def model(self, config: NetworkConfig, weights: Mapping[str, npt.NDArray[Any]], *facts: Any) -> Network:
        """Makes a model of trained weights; `facts` are metrics and versions."""
        return Network(config, weights, *facts)


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
    min_frequency: int = 2,
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
        labels: Their B labels; of a regression one number each, or several, [B, C].
        task: "classification" or "regression".
        validation: The share of each class to hold out, or other texts and labels to judge by.
        vocab_size: Most words to know, the most frequent ones first.
        min_frequency: How often a word must occur to be known.
        max_length: Longest text in words, the rest is not read; None for no limit.
        seed: Seed of the choice of what is held out.

    Raises:
        TypeError: A text is no text, or a label is not hashable.
        ValueError: Texts and labels differ in number, a label is empty, there are fewer than two classes, nothing can
            be held out, or a label occurs in the validation part only.
    """
    targets, parts = _parts(list(check_texts(texts)), labels, task, validation, seed)
    tokenizer = Tokenizer.train(parts[0].sequences, vocab_size=vocab_size, min_frequency=min_frequency)
    train, held = (Labelled(Corpus.from_texts(part, tokenizer, max_length), numbers) for part, numbers in parts)
    return TextExamples(**vars(targets), tokenizer=tokenizer, train=train, validation=held, max_length=max_length)


def prepare_sequences(
    sequences: Sequences,
    labels: Sequence[Any],
    *,
    task: str = "classification",
    validation: float | tuple[Sequences, Sequence[Any]] = VALIDATION,
    seed: int = 0,
) -> SequenceExamples:
    """Holds out a part of sequences of vectors, and turns labels into numbers.

    Args:
        sequences: Numbers [T, I] for each of B sequences, T of any length, or one array [B, T, I].
        labels: As in `prepare_texts`, and so are task and seed.
        task: As in `prepare_texts`.
        validation: The share of each class to hold out, or other sequences and labels to judge by.
        seed: As in `prepare_texts`.

    Raises:
        TypeError: The sequences are no real numbers, or a label is not hashable.
        ValueError: As in `prepare_texts`, or a sequence has another number of features or is not finite.
    """
    arrays, width = as_sequences(sequences)
    if isinstance(validation, tuple):
        validation = (as_sequences(validation[0], width)[0], validation[1])
    targets, parts = _parts(arrays, labels, task, validation, seed)
    train, held = (
        Labelled(Corpus.from_rows(_finite(array).astype(np.float32) for array in part), numbers)
        for part, numbers in parts
    )
    return SequenceExamples(**vars(targets), train=train, validation=held, input_size=width)


def _finite(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if not np.isfinite(array).all():
        raise ValueError(f"sequences hold numbers that are not finite, such as {array[~np.isfinite(array)][0]}")
    return array


def _parts(sequences: list[Any], labels: Any, task: str, validation: Any, seed: int) -> tuple[Targets, list[_Part]]:
    """Turns labels into numbers, and holds a part of the sequences out."""
    targets = _numbers_of(labels) if task == "regression" else targets_of(labels)
    numbers = targets.numbers(labels, "the training part", len(sequences))
    if isinstance(validation, tuple):
        others = list(validation[0])
        held = targets.numbers(validation[1], "the validation part", len(others))
        return targets, [_Part(sequences, numbers), _Part(others, held)]
    groups = np.zeros(len(sequences), np.int64) if task == "regression" else numbers
    chosen = hold_out(groups, validation, np.random.default_rng(seed))
    return targets, [_Part([sequences[b] for b in rows], numbers[rows]) for rows in chosen]


def _numbers_of(labels: Any) -> Targets:
    """Names the numbers of a regression."""
    shape = np.shape(labels)
    names = ("value",) if len(shape) < 2 or shape[1] == 1 else tuple(f"value {c + 1}" for c in range(shape[1]))
    return Targets(labels=names, task="regression")


def targets_of(labels: Iterable[Any]) -> Targets:
    """Names the classes that occur.

    Example:
        >>> targets_of([3, 1, 3]), targets_of(["no", "yes"]).labels
        (Targets(labels=('1', '3'), task='classification', classes=(1, 3)), ('no', 'yes'))

    Raises:
        TypeError: A label is not hashable.
        ValueError: There are fewer than two, two of them are written alike, or one is a number with a fraction.
    """
    plain = [label.item() if isinstance(label, np.generic) else label for label in labels]
    found = set(plain)
    for label in found:
        if isinstance(label, float) and not label.is_integer():
            raise ValueError(f'a label is {label}, expected classes: to predict numbers, say task="regression"')
    if all(isinstance(label, str) for label in found):
        return Targets(labels=label_names(plain))
    try:
        classes = tuple(sorted(found))
    except TypeError:
        classes = tuple(sorted(found, key=str))
    names = tuple(map(str, classes))
    if len(names) < 2:
        raise ValueError(f"found {len(names)} label(s) ({', '.join(names)}) in {len(plain)} rows, expected at least 2")
    if len(set(names)) < len(names):
        raise ValueError(f"two labels are written alike: {', '.join(names)[:80]}, expected distinct texts")
    return Targets(labels=names, classes=classes)


def label_names(labels: Sequence[str]) -> tuple[str, ...]:
    """Names the classes that occur, sorted; "2" comes before "10" if all of them are numbers.

    Raises:
        ValueError: There are fewer than two.
    """
    names = sorted(set(labels))
    if len(names) < 2:
        raise ValueError(f"found {len(names)} label(s) ({', '.join(names)}) in {len(labels)} rows, expected at least 2")
    try:
        return tuple(sorted(names, key=float))
    except ValueError:
        return tuple(names)


def class_indices(labels: Sequence[Any], classes: Sequence[Any], source: str, count: int) -> Integers:
    """Turns labels into indices of `classes`, int64 [B].

    Args:
        labels: The B labels.
        classes: The C classes.
        source: What the labels belong to, for errors.
        count: B, the number of sequences.

    Raises:
        ValueError: Their number is another, or one of them is empty or no class.
    """
    _check_count(labels, source, count)
    index = {label: i for i, label in enumerate(classes)}
    for row, label in enumerate(labels):
        if label not in index or (isinstance(label, str) and not label.strip()):
            known = ", ".join(map(repr, classes[:8])) + (", …" if len(classes) > 8 else "")
            raise ValueError(f"{source}: row {row + 1} has the label {label!r}, expected one of {known}")
    return np.array([index[label] for label in labels], np.int64)


def as_numbers(labels: Any, source: str, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Turns the labels of a regression into numbers, float32 [B, C].

    Args:
        labels: Numbers [B] or [B, C].
        source: What the labels belong to, for errors.
        shape: B, C.

    Raises:
        TypeError: They are no real numbers.
        ValueError: Their shape is another, or one of them is not finite.
    """
    numbers = np.asarray(labels)
    if numbers.dtype.kind not in "fiub":
        raise TypeError(f"labels has dtype {numbers.dtype}, expected real numbers for a regression")
    _check_count(numbers, source, shape[0])
    if numbers.size != shape[0] * shape[1]:
        raise ValueError(f"{source}: labels has shape {numbers.shape}, expected [B, C] = {shape}")
    if not np.isfinite(numbers).all():
        raise ValueError(f"{source}: {np.count_nonzero(~np.isfinite(numbers))} labels are not finite")
    return numbers.reshape(shape).astype(np.float32)


def _check_count(labels: Any, source: str, count: int) -> None:
    if len(labels) != count:
        raise ValueError(f"{source}: found {len(labels)} labels for {count} rows, expected one for each")
