"""What a network that foresees words makes of texts: how probable they are, and what follows them."""

from collections.abc import Sequence
from math import inf
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tidegate.models.encoder import Array, Ids
from tidegate.sequences.ahead import check_steps
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


def continuation(network: Foreseeing, ids: Ids, steps: int, temperature: float, seed: int) -> list[int]:
    """Continues a text word by word.

    Args:
        network: The network.
        ids: Of its beginning, [T], `PADDING` first.
        steps: The most words to add; less where the text ends.
        temperature: 0 for the most probable word each time; else words are drawn by their logits over this.
        seed: Of what is drawn.

    Returns:
        The ids of the words that follow.

    Raises:
        ValueError: steps is no integer of 1 or more, or the temperature is negative or infinite.
    """
    check_steps(steps)
    if not 0 <= temperature < inf:
        raise ValueError(f"temperature is {temperature!r:.60}, expected 0 or more and finite")
    words: list[int] = []
    rng, state = np.random.default_rng(seed), None
    for _ in range(steps):
        y, state = network.outputs(network.arrays["embedding.weight"], np.array([len(ids)]), state, ids=ids[:, None])
        logits = network.head(y[-1])[0].astype(np.float64)
        logits[UNKNOWN] = -np.inf  # which cannot be written
        if temperature:
            logits += temperature * rng.gumbel(size=len(logits))  # the largest is drawn by softmax, at any temperature
        word = int(logits.argmax())
        if word == PADDING:
            break
        words.append(word)
        ids = np.array([word], np.int32)
    return words
