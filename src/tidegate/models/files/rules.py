"""The tokenizer in a model file, before any library is given it.

Its JSON may hold regular expressions and replacements. Those that tidegate never wrote are refused unseen: one of a few
letters can take hours, or all memory. So a file says which rules it means, and not what they are.
"""

from tidegate.models.files.metadata import parse_object
from tidegate.text.rules import CHARACTERS, EARLIER, PRESENT, rules_digest
from tidegate.text.tokenizer import Tokenizer

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
    if rules_digest(description) not in {PRESENT, CHARACTERS, *EARLIER}:
        raise ValueError(
            "this is not a tokenizer of tidegate: its rules for cutting texts are of no version up to this one, and are"
            " not tried, because a regular expression can take any time and memory"
        )
    return Tokenizer.from_description(description)
