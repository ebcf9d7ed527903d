"""Rows as they are read: some held out, some for a sample, and all others on a disk."""

import os
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.models.tasks import TASKS
from tidegate.training.data.corpus import Corpus, Integers
from tidegate.training.data.examples import VALIDATION
from tidegate.training.data.labelled import Labelled
from tidegate.training.data.labels import Targets, as_numbers, class_indices, numbers_of, targets_of
from tidegate.training.data.spool import Loaded, Spool, SpoolWriter
from tidegate.training.data.spooled.drawn import Drawn, Row

Array = npt.NDArray[Any]
Part = tuple[Sequence[Any], Any]
"""Some sequences and their labels."""

_MOST_LABELS = 100_000


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
    def target_type(self) -> npt.DTypeLike:
        """The dtype in which targets are written."""
        return np.float32 if self.has_numbers else np.int32

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


class Gathered:
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
