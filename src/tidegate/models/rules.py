"""The tokenizer in a model file, before any library is given it.

Its JSON may hold regular expressions and replacements. Those that tidegate never wrote are refused unseen: one of a few
letters can take hours, or all memory. So a file says which rules it means, and not what they are.
"""

import json
from functools import cache
from typing import Any

from tidegate.files.digests import digest
from tidegate.models.metadata import parse_object
from tidegate.text.rules import pipeline
from tidegate.text.tokenizer import UNK, Tokenizer

EARLIER = frozenset({"507a9eea6e6fede086abde53e671ae64f806aee582a16adfb371e468fe75931a"})
"""Digests of the rules of earlier versions, see `rules_digest`; add the present one before the rules are changed."""

_RULES = ("normalizer", "pre_tokenizer")
_VALUES_BESIDE = 10_000  # values in the JSON beside the words and their ids


def read_tokenizer(text: str, words: int) -> Tokenizer:
    """Makes a tokenizer of its JSON if that has rules of this version or an earlier one.

    Args:
        text: The JSON.
        words: V, the number of its words, which the rest of the file has proved to be real.

    Raises:
        ValueError: It is no such JSON, it has more words, a word twice, or other rules.
    """
    description = parse_object("the tokenizer", text, 2 * words + _VALUES_BESIDE)
    if rules_digest(description) not in EARLIER | {_present()}:
        raise ValueError(
            "this is not a tokenizer of tidegate: its rules for cutting texts are of no version up to this one, and are"
            " not tried, because a regular expression can take any time and memory"
        )
    return Tokenizer.from_description(description)


def rules_digest(description: dict[str, Any]) -> str:
    """Computes the SHA-256 of the rules in a tokenizer's JSON, however that is laid out."""
    return digest([json.dumps({name: description.get(name) for name in _RULES}, sort_keys=True)])


@cache
def _present() -> str:
    """The digest of the rules of this version."""
    return rules_digest(json.loads(pipeline({}, UNK).to_str()))  # training would start threads, and take 2 MB
