"""Texts that arrive in pieces: how much of what has come can no longer be changed by what may follow.

A piece may end inside a word, before an accent, inside a tag or a character reference, or inside a character of UTF-8.
What later text could still change is held back; the rest is cut into words at once, and the words of all pieces are
those of the whole text.
"""

import codecs
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from tidegate.text import entities
from tidegate.text.rules import TAGS
from tidegate.text.tokenizer import Tokenizer

MOST_HELD = 65_536
"""Characters that are held back at most: a tag that is never closed would otherwise collect all that follows."""

# Scripts that are cut into characters, without their marks, and punctuation that stands alone among them. None of
# these is ever joined to what stands before it, by no rule for words and by no composition (NFC).
_ALONE = (
    "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fd-\u30ff"  # kana
    "\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0002a6df"  # Han
    "\u0e01-\u0e30\u0e32\u0e40-\u0e45\u0e50-\u0e59"  # Thai
    "\u0e81-\u0eb0\u0eb2\u0ec0-\u0ec4\u0ed0-\u0ed9"  # Lao
    "\u1000-\u102a\u1040-\u1049\u1780-\u17b3\u17e0-\u17e9"  # Myanmar, Khmer
    "、。「」『』，！？（）：；"
)
# Behind one of these a character of the above begins anew.
_MARKS = "\u0e31\u0e33-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb3-\u0ebc\u0ec8-\u0ecd\u102b-\u103e\u17b6-\u17d3\u3099\u309aー"
_FILLERS = "\u115f\u1160\u3164\uffa0"  # letters that nobody sees, and that are left out
# Neither apostrophes, which belong to words, nor what character references are made of.
_SIGNS = re.escape('!"$%()*+,-./:<=>?@[\\]^{|}~')
_CUTS = re.compile(
    rf"(?<=[ \t\n\r\f\v])|(?<=[^\W_{_FILLERS}])(?=[{_SIGNS}])|(?<=[{_ALONE}{_MARKS}])(?=[{_ALONE}])",
)

# What stands behind a "<", ">" or "=" and lets it be one for sure: a stroke (U+0338), which may still come behind other
# marks and invisible characters, would make another sign of it ("≮", by NFC).
_SURE = rf"(?=[\t-\r -~]|[^\W_{_FILLERS}])"
_SURE_LESS = re.compile(f"<{_SURE}")
_UNSURE_MORE, _UNSURE_EQUAL = re.compile(f">(?!{_SURE})"), re.compile(f"=(?!{_SURE})")

_UNFINISHED = re.compile(r"&[#0-9A-Za-z]*\Z")
_BEGINNINGS = ("<!--", "<!doctype")
_NAMED = rf"</?(?:{'|'.join(TAGS)})"
_BARE_TAG = re.compile(rf"{_NAMED}[\s/]*")
_WITH_ATTRIBUTES = re.compile(rf"{_NAMED}\s")
_OPEN_NAME = re.compile("</?([a-z0-9]*)")
_UNSEEN = re.compile(r"[\x00-\x08\x0e-\x1b\x7f]")


class Held(NamedTuple):
    """What has come of a text and is not decided yet.

    Attributes:
        text: Characters.
        data: The first bytes of one more character in UTF-8, 0 to 3.
    """

    text: str = ""
    data: bytes = b""


NO_TEXT = Held()


def take(tokenizer: Tokenizer, held: Held, piece: str | bytes) -> tuple[str, Held]:
    """Adds a piece to what is held back, and takes out what is decided.

        >>> tokenizer = Tokenizer.train(["a good film"], min_frequency=1)
        >>> take(tokenizer, NO_TEXT, "A good fi")
        ('A good ', Held(text='fi', data=b''))

    Args:
        tokenizer: What will cut it into words.
        held: What earlier pieces have left.
        piece: More of the text, or of its bytes in UTF-8.

    Returns:
        A text whose words are settled, and what is held back now.

    Raises:
        TypeError: The piece is neither.
        ValueError: The bytes are no UTF-8, a text follows half a character, or more than `MOST_HELD` characters would
            be held back.
    """
    if isinstance(piece, str):
        if held.data:
            raise ValueError(f"a text follows {held.data!r}, the first bytes of a character, expected the rest of it")
        new, data = piece.encode("utf-8", "replace").decode() if not piece.isascii() else piece, b""
    elif isinstance(piece, bytes | bytearray | memoryview):
        whole = held.data + bytes(piece)
        new, read = codecs.utf_8_decode(whole, "strict", False)
        data = whole[read:]
    else:
        raise TypeError(f"a piece of a text is {piece!r:.60}, expected str or bytes")
    text = held.text + new
    if tokenizer.unit == "characters":  # which nothing that follows can change
        return text, Held("", data)
    end = decided(text, html_entities=tokenizer.html_entities)
    if len(text) - end > MOST_HELD:
        raise ValueError(
            f"{len(text) - end:,} characters would be held back, expected {MOST_HELD:,} at most: a tag that is not"
            " closed, or a word, has no end; finish() ends it"
        )
    return text[:end], Held(text[end:], data)


def rest(held: Held) -> str:
    """Returns what is held back, as the end of its text.

    Raises:
        ValueError: It ends inside a character.
    """
    if held.data:
        raise ValueError(f"the text ends with {held.data!r}, the first bytes of a character, expected the rest of it")
    return held.text


def decided(text: str, *, html_entities: bool = True) -> int:
    """Counts the first characters of a text whose words no later text can change, nor join to its own.

    Args:
        text: The beginning of a text.
        html_entities: Whether character references count as their characters.
    """
    tags = list(_tags(text, html_entities=html_entities))
    end, at = 0, 0
    for cut in _CUTS.finditer(text):
        place = cut.start()
        while at < len(tags) and tags[at][1] <= place:
            at += 1
        if at == len(tags) or place <= tags[at][0]:
            end = place
    return end


def _tags(text: str, *, html_entities: bool) -> Iterator[tuple[int, int]]:
    """Lists where tags may be, from the first character to the end, beyond that of the text if it is still to come.

    They are in order and do not overlap. A tag holds no "<" but its first, so what is none by the next is never one.
    """
    after = len(text) + 1
    text = _UNFINISHED.sub("", text) if html_entities else text  # what may yet become any character
    decoded = entities.decode(text) if html_entities else text
    if "<" not in decoded:
        return
    places = None if decoded == text else entities.places(text)
    ends = [*(less.start() for less in _SURE_LESS.finditer(decoded)), len(decoded)]
    mores = [more.start() for more in re.finditer(">", decoded)]
    may_be_tag = _Unclosed(decoded).may_be_tag
    first, reach = 0, 0
    for number, less in enumerate(re.finditer("<", decoded)):
        start, end = less.start(), ends[bisect_right(ends, less.start())]
        unclosed = end == len(decoded) and may_be_tag(number)
        if unclosed:
            beyond = after
        elif (last := bisect_left(mores, end) - 1) >= 0 and mores[last] > start:
            beyond = mores[last] + 1 if places is None else int(places[mores[last], 1])
        else:
            continue
        begin = start if places is None else int(places[start, 0])
        if begin >= reach:
            if reach:
                yield first, reach
            first = begin
        reach = max(reach, beyond)
        if unclosed:  # all that follows belongs to it
            break
    if reach:
        yield first, reach


class _Unclosed:
    """Tells which "<" of a text can become a tag, or a longer one, by what follows; all together in linear time."""

    def __init__(self, text: str) -> None:
        # As the rules see it: lower-cased, without what cannot be seen. No tag is spelt with other letters than
        # ASCII's, and inside of it these make no difference.
        sure = _UNSURE_MORE.sub("", text.lower())
        self._seen = "".join(c if c.isascii() else " " * c.isspace() for c in _UNSEEN.sub("", sure))
        self._starts = [less.start() for less in re.finditer("<", self._seen)]  # as many as in the text
        self._last_more = self._seen.rfind(">")
        *_, equal = (0, *(equal.start() for equal in _UNSURE_EQUAL.finditer(sure)))
        self._before_equal = sure.count("<", 0, equal)  # so many stand before an "=" that may still be another sign
        self._signs = [(sign.start(), sign[0]) for sign in re.finditer("[=>]", self._seen)]
        self._quotes, self._open = _open_values(self._seen)

    def may_be_tag(self, number: int) -> bool:
        """Whether the "<" of this number, from 0, can begin a tag that is not closed yet."""
        seen, start = self._seen, self._starts[number]
        for beginning in _BEGINNINGS:
            if beginning.startswith(seen[start : start + len(beginning)]):
                return self._last_more < start
        name = _OPEN_NAME.fullmatch(seen, start)
        if (name and any(tag.startswith(name[1]) for tag in TAGS)) or _BARE_TAG.fullmatch(seen, start):
            return True
        named = _WITH_ATTRIBUTES.match(seen, start)
        return bool(named) and (number < self._before_equal or self._has_open_attributes(start))

    def _has_open_attributes(self, start: int) -> bool:
        """Whether no ">" closes the attributes of a tag that begins here."""
        at = bisect_left(self._signs, (start, ""))
        if at == len(self._signs):
            return True
        place, sign = self._signs[at]
        return sign == "=" and self._open[bisect_left(self._quotes, place)]


def _open_values(text: str) -> tuple[list[int], list[bool]]:
    """Lists quotes and ">", and whether no ">" outside of quotes stands from each of them to the end.

    A quote that is not closed reaches to the end. The second list has one more entry, for what stands behind them all.
    """
    signs = list(re.finditer("[>\"']", text))
    found, closed = [True], {'"': True, "'": True}  # from here on; and behind the next quote of each kind
    for sign in reversed(signs):
        if sign[0] == ">":
            found.append(False)
        else:
            behind, closed[sign[0]] = closed[sign[0]], found[-1]
            found.append(behind)
    return [sign.start() for sign in signs], found[::-1]
