"""Labelled sequences made ready for training: vocabulary, classes or numbers, and a part held out to judge by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.models.architecture import Architecture
from tidegate.models.config import NetworkConfig, TextConfig
from tidegate.models.network import Network
from tidegate.models.text_model import TextModel
from tidegate.sequences.padding import Sequences, as_sequences
from tidegate.text.tokenizer import Tokenizer, check_texts
from tidegate.training.corpus import Corpus
from tidegate.training.labels import Targets, numbers_of, targets_of
from tidegate.training.repeats import Repeats, find_repeats
from tidegate.training.sampling import hold_out

SIZES: Mapping[str, Any] = {"embedding_size": 100, "hidden_size": 128, "summary": "last"}
"""What is trained unless something else is asked for."""

CELL, VALIDATION, VOCAB_SIZE, MAX_LENGTH = "gru", 0.1, 20_000, 1000


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
class Examples(Targets):
    """What a network is trained on and judged by.

    Attributes:
        train: What to train on.
        validation: What is held out.
    """

    train: Labelled
    validation: Labelled

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
    """Sequences of vectors to train on and to judge by.

    Attributes:
        input_size: I.
    """

    input_size: int

    def config(self, cell: str = CELL, **sizes: Any) -> NetworkConfig:
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
    facts = vars(targets) | {"max_length": max_length, "repeats": find_repeats(parts[0], parts[1])}
    facts |= {"texts": (parts[0].sequences, parts[1].sequences), "held_out": not isinstance(validation, tuple)}
    return TextExamples(**facts, tokenizer=tokenizer, train=train, validation=held)


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
    targets = numbers_of(labels) if task == "regression" else targets_of(labels)
    numbers = targets.numbers(labels, "the training part", len(sequences))
    if isinstance(validation, tuple):
        others = list(validation[0])
        held = targets.numbers(validation[1], "the validation part", len(others))
        return targets, [_Part(sequences, numbers), _Part(others, held)]
    groups = np.zeros(len(sequences), np.int64) if task == "regression" else numbers
    chosen = hold_out(groups, validation, np.random.default_rng(seed))
    return targets, [_Part([sequences[b] for b in rows], numbers[rows]) for rows in chosen]
