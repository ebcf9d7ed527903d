"""The words of an embedding: a tokenizer that knows them, and their vectors in its order."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.convert.certificate import ConversionError
from tidegate.text.tokenizer import PAD, UNK, Tokenizer

Array = npt.NDArray[Any]

PADS = (PAD, "<pad>", "<PAD>", "")
"""What vocabularies call the word of steps beyond a text's end."""

UNKNOWNS = (UNK, "<unk>", "<UNK>", "<oov>", "<OOV>", "UNK")
"""What vocabularies call the word that stands for all others."""


def text_parts(
    embedding: Array, words: Sequence[str] | None, padding: int | None = None
) -> tuple[Tokenizer, npt.NDArray[np.float32]]:
    """Makes a tokenizer and a table of vectors, [PAD] and [UNK] first, then the words in the order of their ids.

    Args:
        embedding: The vectors of the ids [V, E].
        words: The words in the order of their ids; None for the ids themselves, so that the text "17 4" is read as 17
            and 4.
        padding: The id that is [PAD], whatever its word is; None for the word that is called so, if there is one.

    Returns:
        The tokenizer, and the table float32 [V′, E]; what the source has no vector for has 0.

    Raises:
        ConversionError: The words are not as many as the ids, or not distinct.
    """
    names, special = _names(embedding, words, padding)
    if len(names) != len(embedding):
        raise ConversionError(f"the vocabulary has {len(names)} words, but the embedding {len(embedding)} rows")
    if len(set(names)) < len(names):
        raise ConversionError("the vocabulary has a word twice, expected distinct words")
    rest = [i for i in range(len(names)) if i not in special]
    vocab = {word: i for i, word in enumerate([PAD, UNK, *(names[i] for i in rest)])}
    table = np.zeros((2 + len(rest), embedding.shape[1]), np.float32)
    table[places(embedding, words, padding)] = embedding
    return Tokenizer(vocab), table


def places(embedding: Array, words: Sequence[str] | None, padding: int | None = None) -> npt.NDArray[np.int64]:
    """Returns the row of each id in the table that `text_parts` makes, int [V]."""
    names, special = _names(embedding, words, padding)
    rest = [i for i in range(len(names)) if i not in special]
    result = np.zeros(len(names), np.int64)
    result[rest] = 2 + np.arange(len(rest))
    for place, row in enumerate(special):
        if row is not None:
            result[row] = place
    return result


def _names(
    embedding: Array, words: Sequence[str] | None, padding: int | None
) -> tuple[list[str], tuple[int | None, int | None]]:
    """Returns the words, and the ids that are [PAD] and [UNK]."""
    names = [str(i) for i in range(len(embedding))] if words is None else [*words]
    first = padding if padding is not None else _first(names, PADS)
    return names, (first, _first(names, UNKNOWNS))


def _first(names: Sequence[str], wanted: Sequence[str]) -> int | None:
    return next((names.index(word) for word in wanted if word in names), None)
