"""Sequences made by rule, each task built so that one ability decides it.

A task draws batches without end from a random generator; there is no training set to learn by heart. What is asked is
a class or a number, at the end of a sequence or at chosen steps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Rng = np.random.Generator


class Batch(NamedTuple):
    """B sequences and what is asked of them.

    Attributes:
        x: Input, float32 [T, B, I].
        target: What is asked: classes, int64 [B], or numbers, float32 [B, outputs]. If it is not asked at the end,
            there are as many rows as `where` marks steps, in the order of `x`.
        where: The steps at which it is asked, bool [T, B]; None for the end.
    """

    x: npt.NDArray[np.float32]
    target: npt.NDArray[Any]
    where: npt.NDArray[np.bool_] | None


@dataclass(frozen=True)
class Task:
    """A kind of sequences.

    Example:
        >>> x, target, where = adding(50).draw(np.random.default_rng(0), 3)
        >>> x.shape, target.shape
        ((50, 3, 2), (3, 1))

    Attributes:
        name: What it is called.
        inputs: I, features of a step.
        outputs: Classes, or numbers.
        draw: Makes a batch of B sequences.
    """

    name: str
    inputs: int
    outputs: int
    draw: Callable[[Rng, int], Batch]


def deciding_word(distance: int, words: int = 10, before: int = 5) -> Task:
    """One of two deciding words stands `distance` words before the end, among words that say nothing.

    The latching problem of Bengio, Simard & Frasconi (1994), "Learning Long-Term Dependencies with Gradient Descent is
    Difficult": the state must take the word in, and keep it while others pass by.

    Args:
        distance: Words after the deciding one.
        words: How many words there are that say nothing.
        before: Words before the deciding one.
    """

    def draw(rng: Rng, B: int) -> Batch:
        ids = rng.integers(2, words + 2, (before + 1 + distance, B))
        ids[before] = target = rng.integers(0, 2, B)
        return Batch(_one_hot(ids, words + 2), target, None)

    return Task("deciding word", words + 2, 2, draw)


def deciding_words(longest: int, words: int = 10, before: int = 5) -> Task:
    """As `deciding_word`, at a distance that differs from batch to batch: 1 to `longest`, uniform in its logarithm."""

    def draw(rng: Rng, B: int) -> Batch:
        return deciding_word(round(longest ** rng.random()), words, before).draw(rng, B)

    return Task("deciding word", words + 2, 2, draw)


def adding(steps: int) -> Task:
    """Add two marked numbers among many (Hochreiter & Schmidhuber 1997, "Long Short-Term Memory", experiment 4).

    A step holds a number from 0 to 1 and a mark, which is 1 at one step of the first half and one of the second; asked
    is the sum of the two numbers at the end. Answering 1 always leaves a squared error of 1/6.
    """

    def draw(rng: Rng, B: int) -> Batch:
        x = np.zeros((steps, B, 2), np.float32)
        x[..., 0] = rng.random((steps, B))
        rows = np.arange(B)
        chosen = rng.integers(0, steps // 2, B), rng.integers(steps // 2, steps, B)
        target = np.zeros(B, np.float32)
        for step in chosen:
            x[step, rows, 1] = 1
            target += x[step, rows, 0]
        return Batch(x, target[:, None], None)

    return Task("adding", 2, 1, draw)


def copying(symbols: int, delay: int, kinds: int = 4) -> Task:
    """Repeat what was read, after a delay (Hochreiter & Schmidhuber 1997; as in Arjovsky, Shah & Bengio 2016).

    First come the symbols, then blanks, then a sign to begin; at each step from there one symbol is asked for, in the
    order of reading.

    Args:
        symbols: How many are read.
        delay: Steps between the last symbol and the sign.
        kinds: How many symbols there are.
    """
    blank, sign = kinds, kinds + 1

    def draw(rng: Rng, B: int) -> Batch:
        ids = np.full((2 * symbols + delay, B), blank)
        ids[:symbols] = rng.integers(0, kinds, (symbols, B))
        ids[symbols + delay] = sign
        where = np.zeros(ids.shape, np.bool_)
        where[symbols + delay :] = True
        return Batch(_one_hot(ids, kinds + 2), ids[:symbols].reshape(-1), where)

    return Task("copy", kinds + 2, kinds, draw)


def starting_afresh(steps: int, numbers: int = 4, share: float = 0.1) -> Task:
    """Compute with the past at most steps, and without it at a marker, at once.

    A step holds some numbers x from 0 to 1 and a marker. Asked at every step are as many numbers: y = |P y_before − x|,
    where P moves each number one place on; but y = x at a marker, where the past must be gone within the very step in
    which the new numbers are read. The bend and the move make y_before something to be read from the state and computed
    with: a gate that carries each unit's value over cannot do it.

    Args:
        steps: T.
        numbers: How many numbers.
        share: Probability of a marker at a step; there is one at the first.
    """

    def draw(rng: Rng, B: int) -> Batch:
        x = rng.random((steps, B, numbers + 1), np.float32)
        marked = x[..., -1:] < share
        marked[0] = True
        x[..., -1:] = marked
        y = np.zeros((steps, B, numbers), np.float32)
        for t in range(steps):
            y[t] = np.where(marked[t], x[t, :, :-1], np.abs(np.roll(y[t - 1], 1, axis=1) - x[t, :, :-1]))
        return Batch(x, y.reshape(-1, numbers), np.ones((steps, B), np.bool_))

    return Task("start afresh", numbers + 1, numbers, draw)


def _one_hot(ids: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.float32]:
    return np.eye(size, dtype=np.float32)[ids]
