"""More rows than fit into memory made ready for training: read once, part by part, and written to a disk as numbers.

What stays in memory is bounded: the counts of words, what is held out, a sample, and one pool of rows after the other.
"""

import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from sys import getsizeof
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.models.tasks import TASKS
from tidegate.sequences.features import Features
from tidegate.sequences.padding import as_sequences
from tidegate.text.counting import WordCounter
from tidegate.text.tokenizer import UNKNOWN, Tokenizer
from tidegate.training.data.corpus import Corpus, Integers
from tidegate.training.data.examples import (
    MAX_LENGTH,
    VALIDATION,
    VOCAB_SIZE,
    SequenceExamples,
    TextExamples,
)
from tidegate.training.data.labelled import Labelled
from tidegate.training.data.labels import Targets, as_numbers, class_indices, numbers_of, targets_of
from tidegate.training.data.repeats import find_repeats
from tidegate.training.data.spool import Loaded, Spool, SpoolWriter

Array = npt.NDArray[Any]
Part = tuple[Sequence[Any], Any]
"""Some sequences and their labels."""

_MOST_LABELS = 100_000
_TABLE = 1 << 22  # numbers of words that are looked up directly, the others by bisection
_ROW = 200  # bytes that a row takes in Python besides what it holds


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How rows that do not fit into memory are prepared.

    Attributes:
        task: "classification" or "regression".
        validation: The share to hold out, less where so many would not fit into memory; or parts to judge by.
        memory: Bytes that the whole process may take, of which a quarter is used for rows and words.
        folder: Where rows are written; None for the system's folder of temporary files.
        seed: Seed of the choice of what is held out, and of the sample.
        names: Names all labels that occur, when all of them are known: what some mean may depend on the others.

    Raises:
        ValueError: The share is not between 0 and 1.
    """

    task: str = "classification"
    validation: float | Iterable[Part] = VALIDATION
    memory: int = 1 << 31
    folder: str | os.PathLike[str] | None = None
    seed: int = 0
    names: Callable[[list[Any]], Sequence[Any]] = list

    def __post_init__(self) -> None:
        """Checks the share."""
        share = self.validation
        if isinstance(share, int | float) and share != 0 and not 0 < share < 1:
            raise ValueError(f"the validation share is {share}, expected a number above 0 and below 1")

    @property
    def has_numbers(self) -> bool:
        """Whether numbers are predicted, and not classes."""
        return TASKS[self.task].truth == "numbers"

    @property
    def words(self) -> int:
        """The most words to count."""
        return self.memory // (16 * 200)

    @property
    def kept(self) -> int:
        """Bytes of what is held out, and of a sample."""
        return self.memory // 64

    @property
    def pool(self) -> int:
        """Bytes of a pool, of which two are in memory."""
        return self.memory // 32


def spool_texts(
    parts: Iterable[Part],
    plan: Plan,
    *,
    vocab_size: int = VOCAB_SIZE,
    min_frequency: int = 2,
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
    writer = SpoolWriter(plan.folder, np.uint32, _type_of_targets(plan))
    gathered = _Gathered(plan, writer, lambda texts: counter.read(texts, max_length))
    gathered.add_all(parts)
    words, numbers = counter.frequent(vocab_size - 2, min_frequency)
    tokenizer = Tokenizer.of_words(words)
    look = _Lookup.of(numbers)
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
    gathered = _Gathered(plan, SpoolWriter(plan.folder, np.float64, _type_of_targets(plan)), list)
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


def _type_of_targets(plan: Plan) -> npt.DTypeLike:
    return np.float32 if plan.has_numbers else np.int32


class Row(NamedTuple):
    """A row, its number among all, and what is to be predicted of it, as it is written."""

    number: int
    sequence: Any
    target: Any


class Drawn:
    """Rows that chance picks by their number: a share that is halved whenever the rows no longer fit into memory."""

    def __init__(self, share: float, most: int, seed: int) -> None:
        """Begins with no row.

        Args:
            share: The share to pick, 0 to 1.
            most: The most bytes of what is picked.
            seed: Of the choice.
        """
        self.share, self._most, self._seed = share, most, seed
        self.rows: list[tuple[float, Row]] = []
        self._bytes = 0

    def take(self, rows: Sequence[Row]) -> list[Row]:
        """Picks some rows, and returns the others, also those that have been picked before and no longer fit."""
        chances = _chances([row.number for row in rows], self._seed)
        others = [row for row, chance in zip(rows, chances, strict=True) if chance >= self.share]
        for row, chance in zip(rows, chances, strict=True):
            if chance < self.share:
                self.rows.append((chance, _own(row)))
                self._bytes += _bytes_of(row)
        while self._bytes > self._most and len(self.rows) > 1:
            self.share /= 2
            others += [row for chance, row in self.rows if chance >= self.share]
            self.rows = [(chance, row) for chance, row in self.rows if chance < self.share]
            self._bytes = sum(_bytes_of(row) for _, row in self.rows)
        return others

    @property
    def sequences(self) -> list[Any]:
        """The sequences that were picked."""
        return [row.sequence for _, row in self.rows]

    @property
    def targets(self) -> list[Any]:
        """What is to be predicted of them."""
        return [row.target for _, row in self.rows]


def _chances(numbers: Sequence[int], seed: int) -> list[float]:
    """Draws a number from 0 to 1 for each row, always the same for the same row (splitmix64, Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        x = np.array(numbers, np.uint64) + np.uint64((seed + 1) * 0xD1342543DE82EF95 % 2**64)
        x *= np.uint64(0x9E3779B97F4A7C15)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
        x ^= x >> np.uint64(31)
    return (x / 2.0**64).tolist()  # type: ignore[no-any-return]


def _own(row: Row) -> Row:
    """Copies an array out of the larger one that it may be a part of."""
    return row._replace(sequence=row.sequence.copy()) if isinstance(row.sequence, np.ndarray) else row


def _bytes_of(row: Row) -> int:
    return _ROW + (row.sequence.nbytes if isinstance(row.sequence, np.ndarray) else getsizeof(row.sequence))


class _Codes:
    """Labels as they come in, each with a number and the row in which it came first."""

    def __init__(self) -> None:
        self.labels: dict[Hashable, int] = {}
        self._rows: list[int] = []

    def __len__(self) -> int:
        return len(self.labels)

    def code(self, label: Any, row: int) -> int:
        """Returns the number of a label; rows begin with 0."""
        if label is None or label == "":
            raise ValueError(f"row {row + 1} has no label: leave such rows out")
        code = self.labels.setdefault(label, len(self._rows))
        if code == len(self._rows):
            self._rows.append(row)
        if code >= _MOST_LABELS:
            raise ValueError(f"there are more than {_MOST_LABELS:,} labels up to row {row + 1}: is this their column?")
        return code

    def indices(self, targets: Targets, plan: Plan, source: str) -> Integers:
        """Returns the class of each number, int64 [C]."""
        classes: Sequence[Any] = targets.classes or targets.labels
        return class_indices(plan.names(list(self.labels)), classes, source, len(self), self._rows)


class _Gathered:
    """Rows that are held out, a sample, and all others on a disk."""

    def __init__(self, plan: Plan, writer: SpoolWriter, read: Callable[[list[Any]], list[Array]]) -> None:
        self.plan, self._writer, self._read = plan, writer, read
        self.holds_out = isinstance(plan.validation, int | float)
        share = float(plan.validation) if isinstance(plan.validation, int | float) else 1.0
        self.held, self.sample = Drawn(share, plan.kept, plan.seed), Drawn(1.0, plan.kept, plan.seed + 1)
        self._codes = _Codes()
        self._judged = self._codes if self.holds_out else _Codes()  # which make no classes
        self._counts = np.zeros(0, np.int64)
        self._targets: Targets | None = None
        self.count = 0

    def add_all(self, parts: Iterable[Part]) -> None:
        """Reads everything."""
        for sequences, labels in parts:
            rows = self._rows(sequences, labels, self._codes)
            self._train(self.held.take(rows) if self.holds_out else rows)
        if not isinstance(self.plan.validation, int | float):
            trained = self.count
            for sequences, labels in self.plan.validation:
                self.held.take(self._rows(sequences, labels, self._judged, trained))
        if not self.held.rows and self.plan.validation != 0:
            raise ValueError(f"nothing was held out of {self.count:,} rows: give a larger share, or others to judge by")

    def _rows(self, sequences: Sequence[Any], labels: Any, codes: _Codes, before: int = 0) -> list[Row]:
        """Numbers rows, also those of another source behind the ones before, and turns their labels into numbers."""
        first, self.count = self.count, self.count + len(sequences)
        if self.plan.has_numbers:
            self._targets = self._targets or numbers_of(labels)
            source = f"the {'validation ' * (before > 0)}part from row {first - before + 1} on"
            targets: Iterable[Any] = as_numbers(labels, source, len(sequences), len(self._targets.labels))
        else:
            targets = [codes.code(label, row) for row, label in enumerate(labels, first - before)]
        return [Row(*row) for row in zip(range(first, self.count), sequences, targets, strict=True)]

    def _train(self, rows: list[Row]) -> None:
        self.sample.take(rows)
        self._writer.add(self._read([row.sequence for row in rows]), [row.target for row in rows])
        if not self.plan.has_numbers and rows:
            codes = np.bincount([row.target for row in rows], minlength=len(self._codes))
            self._counts = codes + np.pad(self._counts, (0, len(codes) - len(self._counts)))

    def facts(
        self, corpus: Callable[[list[Any]], Corpus], prepared: Callable[[Sequence[Array]], Corpus]
    ) -> dict[str, Any]:
        """Returns what examples have in common.

        Args:
            corpus: Makes a corpus of sequences.
            prepared: Makes a corpus of rows as they were written.

        Raises:
            ValueError: There are fewer than two classes, or others to judge by have a label that is none of them.
        """
        targets = self._targets or self._classes()
        finished: Callable[[Array], Array] = np.asarray
        judged, counts = finished, None
        if not self.plan.has_numbers:
            indices = self._codes.indices(targets, self.plan, "the training part")
            finished = indices.__getitem__
            judged = self._judged.indices(targets, self.plan, "the validation part").__getitem__
            counts = np.bincount(indices[: len(self._counts)], self._counts, len(targets.labels)).astype(np.int64)

        def labelled(share: Drawn, numbers: Callable[[Array], Array]) -> Labelled:
            return Labelled(corpus(share.sequences), numbers(np.array(share.targets)))

        sample = labelled(self.sample, finished)
        return vars(targets) | {
            "train": sample,
            "validation": labelled(self.held, judged) if self.held.rows else sample,
            "spool": Spool(self._writer.finish(), partial(_loaded, prepared, finished), self.plan.pool, counts),
            "rows": np.zeros(0, np.int64),
        }

    def _classes(self) -> Targets:
        names = list(dict.fromkeys(self.plan.names(list(self._codes.labels))))
        if len(names) < 2:
            found = ", ".join(map(str, names))
            raise ValueError(f"found {len(names)} label(s) ({found}) in {self.count:,} rows, expected at least 2")
        return targets_of(names)


def _loaded(prepared: Callable[[Sequence[Array]], Corpus], numbers: Callable[[Array], Array], rows: Loaded) -> Labelled:
    """Makes of rows as they were written those that a network reads; a function by name, which pickle can send."""
    return Labelled(prepared(rows.rows), numbers(rows.targets))


class _Lookup(NamedTuple):
    """Finds the ids of words by the numbers that they had while they were counted.

    Attributes:
        table: The ids of small numbers, int32.
        numbers: All numbers of known words, ascending, int64.
        ids: Their ids, int32.
    """

    table: npt.NDArray[np.int32]
    numbers: Integers
    ids: npt.NDArray[np.int32]

    @classmethod
    def of(cls, numbers: Integers) -> "_Lookup":
        """Knows words by their numbers, in the order of their ids, which begin behind the two special ones."""
        ids = np.arange(2, len(numbers) + 2, dtype=np.int32)
        table = np.full(min(_TABLE, int(numbers.max()) + 1), UNKNOWN, np.int32)
        small = numbers < len(table)
        table[numbers[small]] = ids[small]
        order = np.argsort(numbers)
        return cls(table, numbers[order], ids[order])

    def rows(self, rows: Sequence[Array]) -> Corpus:
        """Makes a corpus of rows, with ids in the place of numbers."""
        corpus = Corpus.from_rows(rows)
        steps = corpus.steps
        ids = self.table[np.minimum(steps, len(self.table) - 1)]
        late = np.flatnonzero(steps >= len(self.table))
        places = np.minimum(np.searchsorted(self.numbers, steps[late]), len(self.numbers) - 1)
        ids[late] = np.where(self.numbers[places] == steps[late], self.ids[places], UNKNOWN)
        return Corpus(ids, corpus.offsets)


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
