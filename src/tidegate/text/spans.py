"""Where words stand in a text: the spans of the library, with all accents, in the text as it was written."""

import unicodedata

import numpy as np
import numpy.typing as npt

from tidegate.characters import JOINERS


def whole(text: str, offsets: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Lets spans of words end behind the last accent, or the last part of a Hangul syllable."""
    return [(start, _end(text, offsets, i)) for i, (start, _) in enumerate(offsets)]


def _end(text: str, offsets: list[tuple[int, int]], word: int) -> int:
    """Finds the end of a word behind its last accent, or the last part of a Hangul syllable.

    The library counts what was composed with the letter before (NFC) to no word, and leaves it between two of them.
    """
    end = last = offsets[word][1]
    limit = offsets[word + 1][0] if word + 1 < len(offsets) else len(text)
    for i in range(end, limit):
        if text[i].isalpha() or unicodedata.category(text[i]).startswith("M"):
            last = i + 1
        elif not _unseen(text[i]):
            break
    return last


def spelled(text: str, offsets: list[tuple[int, int]], words: list[int]) -> tuple[str, ...]:
    """Lists some words of a text, given their places among all of them, lower-cased."""
    spans = ((offsets[i][0], _end(text, offsets, i)) for i in words)
    return tuple(written(text[start:end]).lower() for start, end in spans)


def originals(spans: npt.NDArray[np.int64], places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Translates spans in a decoded text to spans in the original, given the place of each character there."""
    return np.stack([places[spans[:, 0], 0], places[spans[:, 1] - 1, 1]], axis=1)


def written(word: str) -> str:
    """Leaves out what cannot be seen in a word, unless there is nothing else, or it chooses the shapes of letters."""
    return "".join(c for c in word if c in JOINERS or not _unseen(c)) or word


def _unseen(character: str) -> bool:
    return character == "\0" or unicodedata.category(character) == "Cf"
