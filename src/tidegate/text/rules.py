"""The rules by which a text is cut into words, in terms of the `tokenizers` library, which stores them in a model."""

import json
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from tidegate.characters import JOINERS
from tidegate.files.digests import digest
from tidegate.text.description import UNUSED
from tidegate.text.library import library

if TYPE_CHECKING:
    import tokenizers

_JOINER, _ZERO_WIDTH_SPACE = JOINERS[1], "\u200b"

# What cannot be seen: soft hyphens, word joiners, byte order marks, marks of direction, variation selectors, fillers,
# and NUL. Other control characters are words: in texts of Windows' encoding they are dashes, and elsewhere a sign of
# damage that should be seen.
_INVISIBLE = rf"[[\p{{Default_Ignorable_Code_Point}}\x00]&&[^{_ZERO_WIDTH_SPACE}{JOINERS}]]"

# Names, not any word: "<grin>" and "<unk>" are words, and "a <b and c> d" is no tag, because attributes have values.
_TAG_NAMES = """
    a abbr acronym address article aside audio b big blockquote body br button canvas caption center cite code
    col colgroup dd del details dfn div dl dt em embed fieldset figcaption figure font footer form frame
    frameset h1 h2 h3 h4 h5 h6 head header hr html i iframe img input ins kbd label legend li link main map mark
    meta nav nobr noscript object ol optgroup option p param picture pre q s samp script section select small
    source span strike strong style sub summary sup svg table tbody td textarea tfoot th thead time title tr tt
    u ul var video wbr
"""
TAGS = tuple(_TAG_NAMES.split())
"""Names of HTML tags that count as spaces."""

# Every step is atomic or cannot be retried in another way, so that no text takes more than linear time.
_VALUES = r"""(?>"[^"<]*"|'[^'<]*'|[^<>])*"""
TAG = rf"</?(?:{'|'.join(TAGS)})(?:\s[^<>=]*={_VALUES}|[\s/]*)>|<!--[^<>]*-->|<!doctype[^<>]*>"
"""An HTML tag."""

# Windows' quotation marks are at 91..94 in its encoding, which is often taken for Latin-1.
_APOSTROPHES = "[‘’‛ʼ´`＇′՚ꞌ\x91\x92]"
_QUOTES = "[“”\x93\x94]"

# Scripts that put no spaces between words are cut into characters, each with its vowel signs and tones, its mark of
# voicing or of length. The marks of kana belong to no script in Unicode's tables; Thai's and Lao's "am" are letters.
_KANA_MARKS = "ーｰﾞﾟ"
_AM = "\u0e33\u0eb3"
_SOUTH_EAST_ASIA = r"\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tai_Le}\p{New_Tai_Lue}\p{Tai_Tham}\p{Tai_Viet}\p{Ahom}"
_UNSPACED = rf"\p{{Han}}\p{{Hiragana}}\p{{Katakana}}{_KANA_MARKS}〱-〵{_SOUTH_EAST_ASIA}"
_CHARACTER = rf"[{_UNSPACED}][\p{{M}}{_AM}{_KANA_MARKS}]*"

_LETTER = rf"[[^\W_]&&[^{_UNSPACED}]]"
# A joiner is at home between letters; at a word's end after a virama alone, as in Malayalam.
_LETTERS = rf"{_LETTER}+(?:[{JOINERS}]+{_LETTER}+)*(?:(?<=\p{{M}})[{JOINERS}])?"
# In Ukrainian and Belarusian an apostrophe is a letter.
_CYRILLIC = rf"\p{{Cyrillic}}{_LETTER}*(?:'\p{{Cyrillic}}{_LETTER}*)+"
# Contractions are cut as in the Penn Treebank and in GloVe: "didn't", "wasn't" and "can't" share the word "n't".
_CONTRACTIONS = rf"{_LETTER}+?(?=n't\b)|n't\b|'(?:s|re|ve|ll|d|m)\b"

_FLAG = "[\U0001f1e6-\U0001f1ff]{2}"
_SKIN = "[\U0001f3fb-\U0001f3ff]"
_MARK = rf"[^\w\s{_ZERO_WIDTH_SPACE}{JOINERS}]\p{{M}}*{_SKIN}?"
_MARKS = rf"{_FLAG}|{_MARK}(?:{_JOINER}{_MARK})*|_"

# Most words of most texts are nothing but this: found first, to save time. The other rules would cut them alike.
# native/words.cpp has all of these rules once more, as far as they go for Latin letters and common marks.
_PLAIN = "[a-z0-9]++(?=[ ,.])"
_WORD = f"{_PLAIN}|{_CHARACTER}|{_CONTRACTIONS}|{_CYRILLIC}|{_LETTERS}|{_MARKS}"


def pipeline(vocab: Mapping[str, int], unknown: str) -> "tokenizers.Tokenizer":
    """Builds a tokenizer of the library with our rules.

    Args:
        vocab: Words and their ids.
        unknown: The word that stands for those outside the vocabulary.
    """
    parts = library()
    tokenizer: tokenizers.Tokenizer = parts.Tokenizer(parts.models.WordLevel(dict(vocab), unk_token=unknown))
    rules = parts.normalizers

    replacements = {_INVISIBLE: "", TAG: " ", _APOSTROPHES: "'", _QUOTES: '"'}
    first, *rest = (rules.Replace(parts.Regex(pattern), by) for pattern, by in replacements.items())
    tokenizer.normalizer = rules.Sequence([first, rules.NFC(), rules.Lowercase(), *rest])
    tokenizer.pre_tokenizer = parts.pre_tokenizers.Split(parts.Regex(_WORD), behavior="removed", invert=True)
    return tokenizer


@cache
def _cutting() -> "tokenizers.Tokenizer":
    return pipeline({}, "")


def words_of(text: str) -> list[str]:
    """Cuts a text into words, whether or not a vocabulary knows them."""
    cut = _cutting()
    normal = cut.normalizer.normalize_str(text)
    return [word for word, _ in cut.pre_tokenizer.pre_tokenize_str(normal)]


def characters(vocab: Mapping[str, int], unknown: str) -> "tokenizers.Tokenizer":
    """Builds a tokenizer of the library whose words are single characters, all of them as they are written."""
    parts = library()
    tokenizer: tokenizers.Tokenizer = parts.Tokenizer(parts.models.WordLevel(dict(vocab), unk_token=unknown))
    tokenizer.pre_tokenizer = parts.pre_tokenizers.Split(parts.Regex(r"[\s\S]"), behavior="isolated")
    return tokenizer


PRESENT = "550fc92cd096510d0dc1c497c545c210256fb3c7fbfbb6d18f79a691d88a08c7"
"""The digest of these rules, see `rules_digest`. Add it to `EARLIER` when they change."""

CHARACTERS = "ceb11e7ee0a8e082c3ea7c6101aa3f0ef4e4ff126d2d6add816b9969a088cd15"
"""The digest of the rules of `characters`."""

EARLIER = frozenset({"507a9eea6e6fede086abde53e671ae64f806aee582a16adfb371e468fe75931a"})
"""Digests of the rules of earlier versions."""


def rules_digest(description: Mapping[str, Any]) -> str:
    """Computes the SHA-256 of the rules in a tokenizer's JSON, however that is laid out."""
    rules = {name: description.get(name) for name in ("normalizer", "pre_tokenizer")}
    return digest([json.dumps(rules, sort_keys=True)])


def unit_of(description: Mapping[str, Any]) -> str | None:
    """Tells from a tokenizer's JSON, which has been checked, what it cuts texts into by our rules of today.

    Returns:
        "words" if it is the one of `pipeline` with its words, "characters" if it is that of `characters`; None if it
        has other rules, or something that is unknown.
    """
    known = {"version", "normalizer", "pre_tokenizer", "model", "html_entities", *UNUSED}
    is_plain = description.keys() <= known and description["model"].keys() <= {"type", "vocab", "unk_token"}
    units = {PRESENT: "words", CHARACTERS: "characters"}
    return units.get(rules_digest(description)) if is_plain and description.get("version") == "1.0" else None
