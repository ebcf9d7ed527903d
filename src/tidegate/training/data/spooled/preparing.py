"""Texts and sequences of numbers made ready for training in bounded memory."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.sequences.features import Features
from tidegate.sequences.padding import as_sequences
from tidegate.text.counting import WordCounter
from tidegate.text.tokenizer import Tokenizer
from tidegate.training.data.corpus import Corpus
from tidegate.training.data.examples import MAX_LENGTH, SequenceExamples, TextExamples
from tidegate.training.data.repeats import find_repeats
from tidegate.training.data.spool import SpoolWriter
from tidegate.training.data.spooled.gathered import Gathered, Part, Plan
from tidegate.training.data.spooled.lookup import Lookup
from tidegate.training.data.vocabulary import RAREST, VOCAB_SIZE, HasVector, known_words

Array = npt.NDArray[Any]


def spool_texts(
    parts: Iterable[Part],
    plan: Plan,
    *,
    vocab_size: int = VOCAB_SIZE,
    min_frequency: int | HasVector = RAREST,
    max_length: int | None = MAX_LENGTH,
) -> TextExamples:
    """Prepares texts as `prepare_texts` does, in bounded memory; they are read once.

    Args:
        parts: Texts and their labels, part by part.
        plan: How.
        vocab_size: As in `prepare_texts`, and so are the rest.
        min_frequency: Likewise.
        max_length: Likewise.

    Raises:
        OSError: The rows cannot be written.
        TypeError: As in `prepare_texts`.
        ValueError: As in `prepare_texts`.
    """
    counter = WordCounter(max(plan.words, 4 * vocab_size))
    writer = SpoolWriter(plan.folder, np.uint32, plan.target_type)
    gathered = Gathered(plan, writer, lambda texts: counter.read(texts, max_length))
    gathered.add_all(parts)
    words, numbers = known_words(counter.frequent, vocab_size - 2, min_frequency)
    tokenizer = Tokenizer.of_words(words)
    look = Lookup.of(numbers)
    examples = gathered.facts(lambda texts: Corpus.from_texts(texts, tokenizer, max_length), look.rows)
    sample, held = gathered.sample, gathered.held
    repeats = find_repeats((sample.sequences, sample.targets), (held.sequences, held.targets))
    return TextExamples(
        **examples,
        tokenizer=tokenizer,
        max_length=max_length,
        repeats=repeats,
        texts=(sample.sequences, held.sequences or sample.sequences),
        held_out=gathered.holds_out,
    )


def spool_sequences(parts: Iterable[Part], plan: Plan) -> SequenceExamples:
    """Prepares sequences of numbers as `prepare_sequences` does, in bounded memory; they are read once.

    Features are measured on the sample; which of them may be missing is known of all that is not given to judge by.

    Args:
        parts: Sequences [T, K] and their labels, part by part.
        plan: How.

    Raises:
        OSError: The rows cannot be written.
        TypeError: As in `prepare_sequences`.
        ValueError: As in `prepare_sequences`.
    """
    reading = _Numbers()
    if not isinstance(plan.validation, int | float):
        plan = replace(plan, validation=reading.checked(plan.validation, judging=True))
    gathered = Gathered(plan, SpoolWriter(plan.folder, np.float64, plan.target_type), list)
    gathered.add_all(reading.checked(parts))
    measured = Features.of(gathered.sample.sequences)
    features = Features(measured.center, measured.scale, tuple(sorted({*measured.missing, *reading.missing})))
    scaled = partial(_scaled, features)
    return SequenceExamples(**gathered.facts(scaled, scaled), features=features)


def _scaled(features: Features, rows: Sequence[Array]) -> Corpus:
    """Does what `Features.read` does to each sequence, to all of them at once as far as that goes."""
    corpus = Corpus.from_rows(rows)
    scaled = Corpus(features.scaled("sequences", corpus.steps), corpus.offsets)
    if not features.missing:
        return scaled
    nothing = np.zeros((1, len(features.missing)), np.float32)
    return Corpus.from_rows(
        features.filled(scaled.row(b)[:, None], nothing, nothing)[0][:, 0] for b in range(len(scaled))
    )


class _Numbers:
    """Checks sequences of numbers, and notes which features are missing somewhere."""

    def __init__(self) -> None:
        self.missing: set[int] = set()
        self._width: int | None = None

    def checked(self, parts: Iterable[Part], *, judging: bool = False) -> Iterator[Part]:
        """Passes on parts whose sequences [T, K] have all the same number of features.

        Raises:
            TypeError: They are no real numbers.
            ValueError: One has another number of features, or an infinite number; or they are read behind all others,
                to judge by them, and miss a feature that those never miss.
        """
        for sequences, labels in parts:
            arrays, self._width = as_sequences(sequences, self._width)
            for b, array in enumerate(arrays):
                if not np.isfinite(array).all():
                    if np.isinf(array).any():
                        raise ValueError(f"sequences[{b}] has an infinite number, expected numbers")
                    missing = set(np.flatnonzero(np.isnan(array).any(axis=0)).tolist())
                    if judging and missing - self.missing:
                        raise ValueError(
                            f"the validation part has NaN in feature {min(missing - self.missing)}, which was never "
                            f"missing in training: the model has not learned what a gap in it means"
                        )
                    self.missing |= missing
            yield arrays, labels


def parts_of(sequences: Sequence[Any], labels: Any, size: int = 4096) -> Iterator[Part]:
    """Cuts sequences and labels that are in memory into parts of some rows."""
    for start in range(0, len(sequences), size):
        yield sequences[start : start + size], labels[start : start + size]
