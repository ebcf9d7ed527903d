"""Labelled texts made ready for training: vocabulary, classes, and a part held out to judge by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tidegate.models.config import Config
from tidegate.text.tokenizer import Tokenizer
from tidegate.training.corpus import Corpus, Integers, hold_out

SIZES: Mapping[str, Any] = {"embedding_size": 100, "hidden_size": 128, "summary": "last"}
"""What is trained unless something else is asked for."""

VALIDATION, VOCAB_SIZE, MAX_LENGTH = 0.1, 20_000, 1000


@dataclass(frozen=True)
class Labelled:
    """Texts and their classes.

    Attributes:
        corpus: The B texts.
        classes: Index of the class of each, int64 [B].
    """

    corpus: Corpus
    classes: Integers

    def __len__(self) -> int:
        return len(self.classes)


@dataclass(frozen=True)
class Examples:
    """What a classifier is trained on and judged by.

    Attributes:
        tokenizer: Turns texts into word ids; its vocabulary is that of the texts to train on.
        labels: The C classes, sorted; as numbers if all of them are numbers.
        train: The texts to train on.
        validation: The texts held out.
        max_length: Longest text in words, the rest is not read; None for no limit.
    """

    tokenizer: Tokenizer
    labels: tuple[str, ...]
    train: Labelled
    validation: Labelled
    max_length: int | None

    def config(self, cell: str = "gru", **sizes: Any) -> Config:
        """Describes a classifier for these texts.

        Args:
            cell: As in `Config`.
            sizes: Other fields of `Config`; those of `SIZES` have their defaults there.
        """
        fixed: dict[str, Any] = {
            "labels": self.labels,
            "vocab_size": len(self.tokenizer),
            "max_length": self.max_length,
        }
        return Config(cell=cell, **{**SIZES, **sizes}, **fixed)


def prepare(
    texts: Sequence[str],
    labels: Sequence[str],
    *,
    validation: float | tuple[Sequence[str], Sequence[str]] = VALIDATION,
    vocab_size: int = VOCAB_SIZE,
    min_frequency: int = 2,
    max_length: int | None = MAX_LENGTH,
    seed: int = 0,
) -> Examples:
    """Learns the vocabulary, holds out a part, and turns texts and labels into numbers.

    Example:
        >>> examples = prepare(["so good", "so bad"] * 2, ["yes", "no"] * 2, validation=0.5)
        >>> examples.labels, len(examples.train), len(examples.validation)
        (('no', 'yes'), 2, 2)

    Args:
        texts: The B texts.
        labels: Their B labels.
        validation: The share of each class to hold out, or other texts and labels to judge by.
        vocab_size: Most words to know, the most frequent ones first.
        min_frequency: How often a word must occur to be known.
        max_length: Longest text in words, the rest is not read; None for no limit.
        seed: Seed of the choice of what is held out.

    Raises:
        ValueError: Texts and labels differ in number, a label is empty, there are fewer than two classes, nothing can
            be held out, or a label occurs in the validation part only.
    """
    names = label_names(labels)
    classes = class_indices(labels, names, "the texts to train on", len(texts))
    if isinstance(validation, tuple):
        parts = [(list(texts), classes)]
        other_texts, other_labels = validation
        parts.append((list(other_texts), class_indices(other_labels, names, "the validation texts", len(other_texts))))
    else:
        rows = hold_out(classes, validation, np.random.default_rng(seed))
        parts = [([texts[i] for i in part], classes[part]) for part in rows]
    tokenizer = Tokenizer.train(parts[0][0], vocab_size=vocab_size, min_frequency=min_frequency)
    train, held = (Labelled(Corpus.from_texts(part, tokenizer, max_length), indices) for part, indices in parts)
    return Examples(tokenizer, names, train, held, max_length)


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


def class_indices(labels: Sequence[str], names: Sequence[str], source: str, count: int) -> Integers:
    """Turns labels into indices of `names`, int64 [B].

    Args:
        labels: The B labels.
        names: The C classes.
        source: What the labels belong to, for errors.
        count: B, the number of texts.

    Raises:
        ValueError: Their number is another, or one of them is empty or no class.
    """
    if len(labels) != count:
        raise ValueError(f"{source}: found {len(labels)} labels for {count} texts, expected one for each")
    index = {name: i for i, name in enumerate(names)}
    for row, label in enumerate(labels):
        if label not in index or not label.strip():
            known = ", ".join(map(repr, names[:8])) + (", …" if len(names) > 8 else "")
            raise ValueError(f"{source}: row {row + 1} has the label {label!r}, expected one of {known}")
    return np.array([index[label] for label in labels], np.int64)
