"""What is kept of several streams through one model: a row of some arrays for each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from sys import getsizeof
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tidegate.sequences.padding import STEPS_PER_BATCH, batches, pad
from tidegate.stream.parts import Array, Field, Kept, Rows, Steps
from tidegate.stream.state import State, StateError
from tidegate.stream.streamable import Streamable
from tidegate.text.pieces import Held
from tidegate.text.tokenizer import NO_WORDS, Words

Sequences = Sequence[Words] | Sequence[npt.NDArray[np.float32]] | npt.NDArray[np.float32]
"""The next steps of B streams: for each its words, or vectors, float32 [T, I]; or all of them, [B, T, I]."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model makes of some streams, as far as they have come.

    Attributes:
        vectors: Summary vectors, float32 [B, F].
        model: The model.
        all_scores: Scores, float32 [B, C]; None for a model without a head.
    """

    vectors: Array
    model: Streamable
    all_scores: Array | None

    def part(self, rows: slice) -> Self:
        """Returns those of some of the streams."""
        scores = None if self.all_scores is None else self.all_scores[rows]
        return replace(self, vectors=self.vectors[rows], all_scores=scores)

    @property
    def scores(self) -> Array:
        """Outputs of the head, logits or numbers, float32 [B, C].

        Raises:
            ValueError: The model has no head.
        """
        if self.all_scores is None:
            raise ValueError("this network has no head to predict with: use vector, its summary")
        return self.all_scores

    @property
    def probabilities(self) -> Array:
        """The probability of each class, float32 [B, C].

        Raises:
            ValueError: The model is not a classifier.
        """
        return self.model.probabilities_of(self.scores)

    @property
    def predictions(self) -> npt.NDArray[Any]:
        """Classes [B], or the numbers of a regression, [B] or [B, C].

        Raises:
            ValueError: The model has no head.
        """
        return self.model.predictions_of(self.scores)


class Slots:
    """Rows for streams, each of which is free or holds what has been read of one.

    Attributes:
        model: The model.
        counts: Steps that each row has read, int64 [capacity].
        most_steps: Steps that are read of a stream; None for all.
        floats: The numbers that are kept of a stream, beside its words if a part needs them.
    """

    def __init__(self, model: Streamable, capacity: int, most_steps: int | None) -> None:
        """Makes rows.

        Args:
            model: The model.
            capacity: How many rows.
            most_steps: As the attribute.

        Raises:
            ValueError: The model can't be streamed.
        """
        self.model, self.most_steps = model, most_steps
        self._parts = model.stream_parts()
        self._fields: dict[str, Field] = {name: field for part in self._parts for name, field in part.fields.items()}
        self.floats = sum(prod(field.shape) for field in self._fields.values())
        self.counts = np.zeros(0, np.int64)
        self._kept = Kept({name: np.zeros((0, *field.shape), np.float32) for name, field in self._fields.items()})
        self.grow(capacity)

    def grow(self, capacity: int) -> None:
        """Adds rows up to this number. The system gives memory to those that are used."""
        for name, old in self._kept.items():
            self._kept[name] = np.zeros((capacity, *old.shape[1:]), np.float32)
            self._kept[name][: len(old)] = old
        old_counts, self.counts = self.counts, np.zeros(capacity, np.int64)
        self.counts[: len(old_counts)] = old_counts

    def clear(self, rows: Rows) -> None:
        """Lets rows be as before their first step."""
        self.counts[rows] = 0
        for name, field in self._fields.items():
            self._kept[name][rows] = field.start
        self.forget(rows)

    def forget(self, rows: Rows) -> None:
        """Gives back what rows take that are free now."""
        for row in rows.tolist() if self._kept.words else ():
            self._kept.words.pop(row, None)

    @property
    def word_bytes(self) -> int:
        """The memory that is taken by the words of all streams."""
        kept = self._kept.words.values()
        return sum(getsizeof(each.ids) + getsizeof(each.unknown) + sum(map(getsizeof, each.unknown)) for each in kept)

    def read(self, rows: Rows, sequences: Sequences) -> None:
        """Reads the next steps of some rows, to the bit as if each were alone and its steps came one by one.

        Args:
            rows: Positions of B rows, none of them twice.
            sequences: Their next steps.
        """
        if isinstance(sequences, np.ndarray):
            self._read_equal(rows, sequences)
            return
        lengths = np.array([len(each.ids if isinstance(each, Words) else each) for each in sequences], np.int64)
        if self.most_steps is not None:
            lengths = np.minimum(lengths, np.maximum(self.most_steps - self.counts[rows], 0))
        for some in batches(lengths):
            if len(going := some[lengths[some] > 0]):
                self._read(rows[going], self._steps([_first(sequences[b], lengths[b]) for b in going]))

    def _read_equal(self, rows: Rows, x: npt.NDArray[np.float32]) -> None:
        """Reads vectors [B, T, I], as many for each row."""
        B, T = x.shape[:2]
        for first in range(0, B if T else 0, at_once := max(1, STEPS_PER_BATCH // max(T, 1))):
            some = slice(first, first + at_once)
            lengths = np.full(len(rows[some]), T)
            self._read(rows[some], Steps(np.ascontiguousarray(x[some].swapaxes(0, 1)), None, lengths))

    def _read(self, rows: Rows, steps: Steps) -> None:
        for part in self._parts:
            part.read(self._kept, rows, steps)
        self.counts[rows] += steps.lengths

    def _steps(self, sequences: Sequence[Any]) -> Steps:
        if self.model.tokenizer is None:
            x, lengths = pad(sequences, sequences[0].shape[1])
            return Steps(x, None, lengths)
        padded, lengths = pad([words.ids[:, None] for words in sequences], 1, np.int32)
        ids: Any = padded[:, :, 0]
        return Steps(self.model.vectors_of(ids), ids, lengths, sequences)

    def answers(self, rows: Rows) -> Answers:
        """Computes what the model makes of some rows."""
        results = [part.results(self._kept, rows, self.counts[rows]) for part in self._parts]
        vectors = results[0][0]
        assert vectors is not None  # noqa: S101 - for mypy: the first part has them
        shares = [scores for _, scores in results if scores is not None]
        total = sum(shares[1:], shares[0]) if shares else None
        return Answers(vectors, self.model, total)

    def state(self, row: int, held: Held) -> bytes:
        """Writes down what is kept of a row, and what is held back of its text."""
        arrays = b"".join(self._kept[name][row].astype("<f4").tobytes() for name in sorted(self._fields))
        words = self._kept.words.get(row, NO_WORDS)
        return State(self.model.model_id, int(self.counts[row]), held, arrays, words).to_bytes()

    def check(self, data: bytes) -> State:
        """Returns what `state` wrote.

        Raises:
            TypeError: It is no bytes.
            StateError: It is damaged, or of another version or model.
        """
        state = State.from_bytes(data, self.model.model_id, self.floats)
        ids = state.words.ids
        if len(ids) and (self.model.tokenizer is None or ids.min() < 0 or ids.max() >= len(self.model.tokenizer)):
            raise StateError("the state holds words that the model does not know")
        return state

    def restore(self, row: int, data: bytes) -> Held:
        """Puts what `state` wrote into a row, and returns what was held back.

        Raises:
            TypeError: It is no bytes.
            StateError: It is damaged, or of another version or model.
        """
        state = self.check(data)
        numbers = np.frombuffer(state.arrays, "<f4")
        for name in sorted(self._fields):
            array = self._kept[name][row, ...]
            array[...] = numbers[: array.size].reshape(array.shape)
            numbers = numbers[array.size :]
        self.counts[row] = state.steps
        self.forget(np.array([row]))
        if len(state.words.ids):
            self._kept.words[row] = state.words
        return state.held


def _first(sequence: Any, steps: int) -> Any:
    """Returns the first steps of words, or of vectors."""
    return sequence.take(np.arange(steps)) if isinstance(sequence, Words) else sequence[:steps]
