"""The words of an embedding: a tokenizer that knows them, and their vectors in its order."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.convert.certificate import ConversionError
from tidegate.text.rules import pipeline
from tidegate.text.tokenizer import PAD, UNK, Tokenizer

Array = npt.NDArray[Any]

PADS = (PAD, "<pad>", "<PAD>", "")
"""What vocabularies call the word of steps beyond a text's end."""

UNKNOWNS = (UNK, "<unk>", "<UNK>", "<oov>", "<OOV>", "UNK")
"""What vocabularies call the word that stands for all others."""


def text_parts(embedding: Array, words: Sequence[str] | None) -> tuple[Tokenizer, npt.NDArray[np.float32]]:
    """Makes a tokenizer and a table of vectors, [PAD] and [UNK] first, then the words in the order of their ids.

    Args:
        embedding: The vectors of the ids [V, E].
        words: The words in the order of their ids; None for the ids themselves, so that the text "17 4" is read as 17
            and 4.

    Returns:
        The tokenizer, and the table float32 [V′, E]; what the source has no vector for has 0.

    Raises:
        ConversionError: The words are not as many as the ids, or not distinct.
    """
    names = [str(i) for i in range(len(embedding))] if words is None else [*words]
    if len(names) != len(embedding):
        raise ConversionError(f"the vocabulary has {len(names)} words, but the embedding {len(embedding)} rows")
    if len(set(names)) < len(names):
        raise ConversionError("the vocabulary has a word twice, expected distinct words")
    special = {PAD: _first(names, PADS), UNK: _first(names, UNKNOWNS)}
    rest = [i for i in range(len(names)) if i not in special.values()]
    rows = [special[PAD], special[UNK], *rest]
    vocab = {word: i for i, word in enumerate([PAD, UNK, *(names[i] for i in rest)])}
    table = np.zeros((len(rows), embedding.shape[1]), np.float32)
    for place, row in enumerate(rows):
        if row is not None:
            table[place] = embedding[row]
    return Tokenizer(pipeline(vocab, UNK)), table


def places(embedding: Array, words: Sequence[str] | None) -> npt.NDArray[np.int64]:
    """Returns the row of each id in the table that `text_parts` makes, int [V]."""
    names = [str(i) for i in range(len(embedding))] if words is None else [*words]
    special = [_first(names, PADS), _first(names, UNKNOWNS)]
    order = [i for i in range(len(names)) if i not in special]
    result = np.zeros(len(names), np.int64)
    result[order] = 2 + np.arange(len(order))
    for place, row in enumerate(special):
        if row is not None:
            result[row] = place
    return result


def _first(names: Sequence[str], wanted: Sequence[str]) -> int | None:
    return next((names.index(word) for word in wanted if word in names), None)
