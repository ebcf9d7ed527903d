"""Plain texts, in ASCII and Latin letters, cut by Python's regular expressions: several times as fast as the library.

They give the words that the library's rules give. Most texts in English are plain, and cutting them by the library
takes about as long as all else that a small model does.
"""

import re

from tidegate.text.rules import PLAIN_WORD, TAG

# Not NUL, which the rules leave out, nor what is a space to Python alone, nor what they take for apostrophes or quotes,
# here and in Windows' encoding. Accented letters are the composed ones of Latin-1.
_OTHER = re.compile("[^\x01-\x1b -_a-\x90\x95-\x9fÀ-ÖØ-öø-ÿ]")
_TAG = re.compile(TAG)
_WORD = re.compile(PLAIN_WORD)


def is_plain(text: str) -> bool:
    """Whether all characters of a text are of those that `words` cuts as the library does."""
    return _OTHER.search(text) is None


def words(text: str) -> list[str]:
    """Cuts a plain text into words, lower-cased.

    >>> words("It isn't <b>Good</b>!")
    ['it', 'is', "n't", 'good', '!']
    """
    text = text.lower()
    return _WORD.findall(_TAG.sub(" ", text) if "<" in text else text)
