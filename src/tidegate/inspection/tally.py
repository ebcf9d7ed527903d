"""Sums over the steps of many sequences, from which the figures of units follow; they do not grow with their number."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.ops.trace import Trace

Array = npt.NDArray[np.float64]

LEFT, RIGHT = 0.1, 0.9
"""Below and above which a gate counts as saturated."""


class Tally:
    """Sums over the steps of traces."""

    def __init__(self, first: Trace) -> None:
        """Starts with nothing.

        Raises:
            ValueError: The cell has no gates.
        """
        self.cell, H = first.cell, first.y.shape[2]
        if not self.cell.gates:
            raise ValueError(f"the cell {str(self.cell)!r} has no gates, expected one with gates")
        self.steps, self.kept = 0, np.zeros(H)
        self.sums = {gate: np.zeros((3, H)) for gate in self.cell.gates}  # of values, of those left, of those right
        self.states, self.products = np.zeros(H), np.zeros((H, H))
        self.index: dict[str, int] = {}
        self.counts = np.zeros(0, np.int64)
        self.by_word = {gate: np.zeros((0, H)) for gate in self.cell.gates}

    def add(self, trace: Trace) -> None:
        """Adds the steps of one layer in one direction over a batch."""
        inside = np.arange(len(trace.y))[:, None] < trace.lengths
        values = {name: np.asarray(array)[inside] for name, array in trace.values.items()}
        states = values[trace.cell.states[0]].astype(np.float64)
        self.steps += len(states)
        self.states += states.sum(axis=0)
        self.products += states.T @ states
        self.kept += self.cell.kept(values).sum(axis=0)
        for gate, sums in self.sums.items():
            value = values[gate]
            sums += [array.sum(axis=0, dtype=np.float64) for array in (value, value < LEFT, value > RIGHT)]
        if trace.tokens is not None and len(states):
            ids = np.zeros(inside.shape, np.int64)
            for b, text in enumerate(trace.tokens):
                ids[: len(text), b] = [self.index.setdefault(word, len(self.index)) for word in text]
            self._add_words(ids[inside], values)

    def _add_words(self, ids: npt.NDArray[np.int64], values: Mapping[str, npt.NDArray[Any]]) -> None:
        """Adds the gates at each step to the sums of its word."""
        more = len(self.index) - len(self.counts)
        self.counts = np.pad(self.counts, (0, more)) + np.bincount(ids, minlength=len(self.index))
        order = np.argsort(ids, kind="stable")
        words, starts = np.unique(ids[order], return_index=True)
        for gate, sums in self.by_word.items():
            self.by_word[gate] = np.pad(sums, ((0, more), (0, 0)))
            self.by_word[gate][words] += np.add.reduceat(values[gate][order], starts, axis=0, dtype=np.float64)

    def result(self, min_count: int) -> dict[str, Any]:
        """Divides by the number of steps, and of words; returns the attributes of `Units` by name."""
        chosen = np.argsort(-self.counts, kind="stable")
        chosen = chosen[self.counts[chosen] >= min_count]
        counts, words = self.counts[chosen], list(self.index)
        mean, left, right = ({gate: sums[i] / self.steps for gate, sums in self.sums.items()} for i in range(3))
        return {
            "cell": self.cell,
            "steps": self.steps,
            "kept": self.kept / self.steps,
            "mean": mean,
            "left": left,
            "right": right,
            "alike": self._alike(),
            "words": tuple(words[i] for i in chosen),
            "counts": counts,
            "by_word": {gate: sums[chosen] / counts[:, None] for gate, sums in self.by_word.items()},
        }

    def _alike(self) -> Array:
        """Correlates the outputs of units over the steps, [H, H]."""
        mean = self.states / self.steps
        covariance = self.products / self.steps - np.outer(mean, mean)
        spread = np.sqrt(np.diag(covariance).clip(min=0))
        moves = spread > 1e-7 * np.sqrt(np.diag(self.products) / self.steps)  # else it is rounding
        inverse = np.where(moves, 1 / np.where(moves, spread, 1), 0)
        alike: Array = (covariance * np.outer(inverse, inverse)).clip(-1, 1)
        return alike
