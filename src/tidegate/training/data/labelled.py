"""Rows to train on: those that are in memory, and what a training asks of any."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tidegate.training.data.corpus import Corpus, Integers
from tidegate.training.data.sampling import shuffled_batches


@dataclass(frozen=True)
class Labelled:
    """Sequences in memory and what is to be predicted of them.

    Attributes:
        corpus: The B sequences.
        targets: Index of the class of each, int64 [B]; or 1 and 0 for each label of several, or the numbers of a
            regression, float32 [B, C]; or what follows each of the N steps, float32 [N, C].
        weights: How much each counts in the loss, float32 [B]; None for all the same.
        ahead: Whether the targets are those of each step.
    """

    corpus: Corpus
    targets: npt.NDArray[Any]
    weights: npt.NDArray[np.float32] | None = None
    ahead: bool = False

    def __len__(self) -> int:
        return len(self.corpus)

    def answers(self, rows: Integers) -> Integers:
        """Lists the places in `targets` of chosen sequences: one for each of them, or for each of their steps."""
        return self.corpus.places(rows) if self.ahead else rows

    @property
    def steps(self) -> int:
        """Steps of all sequences."""
        return len(self.corpus.steps)

    def described(self) -> list[str | npt.NDArray[Any]]:
        """Returns what tells these rows from others, for a fingerprint."""
        weights = [] if self.weights is None else [self.weights]
        return [self.corpus.steps, self.corpus.offsets, self.targets, *weights]

    def batches(self, size: int, rng: "np.random.Generator", skip: int = 0) -> "Batches":
        """Draws the batches of an epoch, see `Source.batches`."""
        drawn = shuffled_batches(self.corpus.lengths, size, rng)
        return ((self, rows) for rows in drawn[skip:])


Batches = Iterator[tuple[Labelled, Integers]]
"""Batches, each some rows, int64 [B], of what is in memory."""


class Source(Protocol):
    """What a training asks of its rows, wherever they are."""

    def __len__(self) -> int: ...

    @property
    def steps(self) -> int:
        """Steps of all sequences."""
        ...

    def described(self) -> list[str | npt.NDArray[Any]]:
        """Returns what tells these rows from others, for a fingerprint."""
        ...

    def batches(self, size: int, rng: "np.random.Generator", skip: int = 0) -> Batches:
        """Draws the batches of an epoch.

        Args:
            size: Rows in a batch; the last may have fewer.
            rng: Source of the order. What is needed of it is drawn at once, before the first batch is asked for.
            skip: How many batches to leave out at the beginning.
        """
        ...
