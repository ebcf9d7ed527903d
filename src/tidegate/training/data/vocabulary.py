"""Which words a vocabulary keeps: the frequent ones, and with word vectors rarer ones that have a vector."""

import sys
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from tidegate.text.tokenizer import Tokenizer
from tidegate.training.data.corpus import Integers

HasVector = Callable[[Sequence[str]], npt.NDArray[np.bool_]]
"""Says which of some words have a vector, bool [·]."""

VOCAB_SIZE, RAREST = 20_000, 2
"""Most words that are known, the two special ones included, and how often a word must occur to be known."""

_LOOKED_UP = 4  # rare words for each that a vocabulary may have


def train_tokenizer(texts: Sequence[str], vocab_size: int, min_frequency: int | HasVector) -> Tokenizer:
    """Makes a tokenizer that knows the frequent words of texts, and as far as there is room rarer ones with a vector.

    Args:
        texts: The texts.
        vocab_size: As in `Tokenizer.train`.
        min_frequency: How often a word must occur to be known; or which words have a vector, those that may be rarer
            than `RAREST`.

    Raises:
        ValueError: As in `Tokenizer.train`.
    """
    if not callable(min_frequency):
        return Tokenizer.train(texts, vocab_size=vocab_size, min_frequency=min_frequency)
    tokenizer = Tokenizer.train(texts, vocab_size=vocab_size, min_frequency=RAREST)
    if len(tokenizer) == vocab_size:
        return tokenizer
    words = Tokenizer.train(texts, vocab_size=sys.maxsize, min_frequency=1).vocab[2:]
    kept = kept_words(words, len(tokenizer) - 2, vocab_size - 2, min_frequency)
    return Tokenizer.of_words([words[i] for i in kept.tolist()])


def kept_words(words: Sequence[str], frequent: int, most: int, has_vector: HasVector) -> Integers:
    """Chooses words of a vocabulary.

    Args:
        words: All words, the most frequent ones first.
        frequent: How many of them are known in any case.
        most: Words to know at most.
        has_vector: Which words have a vector.

    Returns:
        Their places, ascending, int64.
    """
    found = np.array(has_vector(words[: frequent + _LOOKED_UP * most]))
    found[:frequent] = True
    return np.flatnonzero(found)[:most]
