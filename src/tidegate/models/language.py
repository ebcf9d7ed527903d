"""What a network that foresees words makes of texts: how probable they are, and what follows them."""

from collections.abc import Sequence
from math import inf
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tidegate.models.encoder import Array, Ids
from tidegate.ops.checks import check_count
from tidegate.sequences.padding import STEPS_PER_BATCH, batches
from tidegate.text.tokenizer import PADDING, UNKNOWN

_AT_ONCE = 256  # words whose probabilities are computed together: of a large vocabulary, each has many


class Foreseeing(Protocol):
    """A network whose outputs are the words that may follow."""

    @property
    def arrays(self) -> dict[str, Array]: ...  # noqa: D102

    def outputs(
        self, x: Array, lengths: npt.NDArray[np.int64], h0: Array | None = None, *, ids: Ids | None = None
    ) -> tuple[Array, Array]:
        """Runs the stack, see `Encoder.outputs`."""
        ...

    def head(self, summaries: Array) -> Array:
        """Computes the logits of all words after states [B, F], float32 [B, V]."""
        ...


def log_likelihoods(network: Foreseeing, rows: Sequence[npt.NDArray[np.int32]]) -> list[Array]:
    """Computes how probable each word of each text is after those before it.

    Args:
        network: The network.
        rows: The ids of each text, int32 [T] each, `PADDING` first, see `tidegate.text.tokenizer.begun`.

    Returns:
        log of the probability of what follows each of the T, `PADDING` for the end, nats, float32 [T] each.
    """
    found: list[Array] = [np.empty(len(row), np.float32) for row in rows]
    for chosen in batches([len(row) for row in rows]):
        lengths = np.array([len(rows[b]) for b in chosen], np.int64)
        ids = np.full((lengths.max(), len(chosen)), PADDING, np.int32)
        for place, b in enumerate(chosen):
            ids[: lengths[place], place] = rows[b]
        state: Array | None = None
        for start in range(0, len(ids), STEPS_PER_BATCH):  # of a book, the states of all words would take gigabytes
            piece = ids[start : start + STEPS_PER_BATCH]
            own = np.clip(lengths - start, 0, len(piece))
            y, state = network.outputs(network.arrays["embedding.weight"], own, state, ids=piece)
            for place, b in enumerate(chosen):
                words = slice(start, start + own[place])
                following = np.append(rows[b][1:], PADDING)[words]
                found[b][words] = _log_likelihood(network, y[: own[place], place], following)
    return found


def _log_likelihood(network: Foreseeing, states: Array, following: Ids) -> Array:
    """Computes log of the probabilities of the words that follow states [T, F], nats, float32 [T]."""
    found = np.empty(len(states), np.float32)
    for start in range(0, len(states), _AT_ONCE):
        piece = slice(start, start + _AT_ONCE)
        logits = network.head(states[piece])
        logits -= logits.max(axis=1, keepdims=True)
        found[piece] = logits[np.arange(len(logits)), following[piece]] - np.log(np.exp(logits).sum(axis=1))
    return found


def continuations(
    network: Foreseeing, rows: Sequence[Ids], steps: int, temperature: float, seed: int, first: int = 0
) -> list[list[int]]:
    """Continues texts word by word, side by side.

    Args:
        network: The network.
        rows: The ids of their beginnings, int32 [T] each, `PADDING` first.
        steps: The most words to add; less where a text ends.
        temperature: 0 for the most probable word each time; else words are drawn by their logits over this.
        seed: Of what is drawn.
        first: The number of the first text, with which the numbers of each are drawn.

    Returns:
        The ids of the words that follow each.

    Raises:
        ValueError: steps is no integer of 1 or more, or the temperature is negative or infinite.
    """
    check_count("steps", steps)
    if not 0 <= temperature < inf:
        raise ValueError(f"temperature is {temperature!r:.60}, expected 0 or more and finite")
    found: list[list[int]] = [[] for _ in rows]
    for batch in batches([len(row) for row in rows]):
        for start in range(0, len(batch), _AT_ONCE):
            chosen = batch[start : start + _AT_ONCE]
            seeds = [np.random.SeedSequence(seed, spawn_key=(first + b,)) for b in chosen.tolist()]
            draws = [np.random.default_rng(each) for each in seeds] if temperature else []
            words = _continued(network, [rows[b] for b in chosen], steps, temperature, draws)
            for b, row in zip(chosen, words, strict=True):
                found[b] = row
    return found


def _continued(
    network: Foreseeing, rows: Sequence[Ids], steps: int, temperature: float, draws: Sequence[np.random.Generator]
) -> list[list[int]]:
    """Continues a batch of texts, each with a generator of its own if words are drawn."""
    found: list[list[int]] = [[] for _ in rows]
    lengths = np.array([len(row) for row in rows], np.int64)
    ids = np.full((lengths.max(), len(rows)), PADDING, np.int32)
    for b, row in enumerate(rows):
        ids[: len(row), b] = row
    going, state = np.arange(len(rows)), None
    for _ in range(steps):
        y, state = network.outputs(network.arrays["embedding.weight"], lengths, state, ids=ids)
        logits = network.head(y[lengths - 1, np.arange(len(going))]).astype(np.float64)
        logits[:, UNKNOWN] = -np.inf  # which cannot be written
        if temperature:  # the largest is drawn by softmax, at any temperature
            logits += temperature * np.stack([draws[b].gumbel(size=logits.shape[1]) for b in going.tolist()])
        words = logits.argmax(axis=1)
        on = words != PADDING
        going, words, state = going[on], words[on], state[..., on, :]
        for b, word in zip(going, words, strict=True):
            found[b].append(int(word))
        if not len(going):
            break
        ids, lengths = words[None].astype(np.int32), np.ones(len(going), np.int64)
    return found
