"""Which words a vocabulary keeps: the frequent ones, and with word vectors rarer ones that have a vector."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.text.tokenizer import Tokenizer
from tidegate.training.data.corpus import Integers

HasVector = Callable[[Sequence[str]], npt.NDArray[np.bool_]]
"""Says which of some words have a vector, bool [·]."""

Frequent = Callable[[int, int], tuple[list[str], Integers]]
"""Returns at most so many words that occur at least so often, the most frequent first, and their numbers, int64."""

VOCAB_SIZE, RAREST = 20_000, 2
"""Most words that are known, the two special ones included, and how often a word must occur to be known."""

_LOOKED_UP = 5  # words for each that a vocabulary may have


def vocabulary_limits(limits: Mapping[str, Any], has_vector: HasVector | None) -> Mapping[str, Any]:
    """Lets rare words be known if they have a vector, unless it is said how often a word must occur.

    Args:
        limits: Of the vocabulary, as `prepare_texts` takes them.
        has_vector: Which words have a vector; None where there are no vectors.
    """
    return limits if has_vector is None else {"min_frequency": has_vector, **limits}


def train_tokenizer(texts: Sequence[str], vocab_size: int, min_frequency: int | HasVector) -> Tokenizer:
    """Makes a tokenizer of the words of texts that are to be known.

    Args:
        texts: The texts.
        vocab_size: As in `Tokenizer.train`.
        min_frequency: As in `known_words`.

    Raises:
        ValueError: As in `Tokenizer.train`.
    """

    def frequent(most: int, least: int) -> tuple[list[str], Integers]:
        words = Tokenizer.train(texts, vocab_size=most + 2, min_frequency=least).vocab[2:]
        return list(words), np.arange(len(words))

    return Tokenizer.of_words(known_words(frequent, vocab_size - 2, min_frequency)[0])


def known_words(frequent: Frequent, most: int, min_frequency: int | HasVector) -> tuple[list[str], Integers]:
    """Chooses the words of a vocabulary: as far as there is room, rarer ones too if they have a vector.

    Args:
        frequent: All words.
        most: Words to know at most.
        min_frequency: How often a word must occur to be known; or which words have a vector: `RAREST`, and once for
            these.

    Returns:
        The words and their numbers, int64, the most frequent ones first.

    Raises:
        ValueError: No word is frequent enough.
    """
    words, numbers = frequent(most, RAREST if callable(min_frequency) else min_frequency)
    if not callable(min_frequency) or len(words) == most:
        return words, numbers
    every, all_numbers = frequent(_LOOKED_UP * most, 1)
    known = np.array(min_frequency(every))
    known[: len(words)] = True
    places = np.flatnonzero(known)[:most]
    return [every[i] for i in places.tolist()], all_numbers[places]
