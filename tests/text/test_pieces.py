"""Texts that arrive in pieces."""

import sys
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.text.pieces import MOST_HELD, NO_TEXT, Held, decided, rest, take
from tidegate.text.rules import TAGS
from tidegate.text.tokenizer import Tokenizer

TOKENIZER = Tokenizer.train(["a good film"], min_frequency=1)
EARLIER = Tokenizer(TOKENIZER._numbers, html_entities=False)

# What the rules for words, tags, references and invisible characters tell apart, and where two of them meet.
_ATOMS = [
    *("n't", "n", "'", "t", "'s", "did", "can", "a", "é", "e\u0301", "\u0301", "\u0338", "\u0345", "ß", "İ", "Σ", "ﬁ"),
    *(" ", "\t", "\n", "\u00a0", "\u3000", "\u200b", "\u200c", "\u200d", "\u00ad", "\ufe0f", "\x00", "\x01", "\x85"),
    *(
        "<",
        "</",
        ">",
        "<b>",
        "<b",
        "<br/>",
        "<br /",
        "<a href=",
        '"',
        "'x'",
        "=",
        "<!--",
        "-->",
        "--",
        "<!doctype",
        "!",
    ),
    *("<\u00adb>", "K", "\u212a", "<\u212abd", "/", "&lt;", "&gt;", "&", "&amp;", "&#39;", "&#x301;", "&eacute;", "&#"),
    *("&l", "t;", ";", "#", "&nbsp;", "&quot;", "&nvlt;", "&zwj;", "\u2028", "_", "-", ".", ",", "…", "’", "“", "\x92"),
    *("漢", "字", "か", "\u3099", "ー", "、", "。", "〆", "〼", "〇", "々", "ン", "ﾞ", "ア", "ไ", "ท", "ำ", "ั", "า"),
    *(
        "\u0ecd",
        "ລ",
        "က",
        "ာ",
        "ំ",
        "ក",
        "한",
        "\u1112",
        "\u1161",
        "\u11ab",
        "\u1160",
        "\u3164",
        "\uffa0",
        "त",
        "བ",
        "་",
    ),
    *(
        "П",
        "'я",
        "ё",
        "\u0438\u0306",
        "മ",
        "്",
        "ം",
        "🙂",
        "👍",
        "🏽",
        "🇩",
        "🇪",
        "1",
        "\u20e3",
        "½",
        "²",
        "٣",
        "؟",
        "x y",
    ),
]
_TAGS = [
    *("<a ", "<b", "<br", "href=", "=", "<", ">", "/", "/>", "<!--", "-->", '"', "'", "&lt;", "&gt;", "&g", " ", "x"),
    *("\u0338", "\u0301", "\u0337", "\u00ad", "é", "🙂"),
]
nasty_texts = st.one_of(*(st.lists(st.sampled_from(atoms), max_size=12).map("".join) for atoms in (_ATOMS, _TAGS)))
any_texts = st.text(max_size=8)


def words(tokenizer: Tokenizer, *texts: str) -> list[str]:
    return [word for text in texts for word in tokenizer.words(text)]


def in_pieces(tokenizer: Tokenizer, parts: list[str] | list[bytes]) -> list[str]:
    """The words that come out of a text in pieces, up to its end."""
    held, found = NO_TEXT, []
    for part in parts:
        text, held = take(tokenizer, held, part)
        found += words(tokenizer, text)
    return found + words(tokenizer, rest(held))


@settings(max_examples=250)
@given(st.one_of(nasty_texts, any_texts), st.one_of(nasty_texts, any_texts), st.sampled_from([TOKENIZER, EARLIER]))
def test_what_is_decided_stays_so(first: str, second: str, tokenizer: Tokenizer) -> None:
    """Whatever follows, the words are those of the decided part, and then those of all that comes after it."""
    first, second = (text.encode("utf-8", "replace").decode() for text in (first, second))
    end = decided(first, html_entities=tokenizer.html_entities)
    whole = words(tokenizer, first + second)
    assert words(tokenizer, first[:end], first[end:] + second) == whole


@settings(max_examples=100)
@given(nasty_texts, st.data())
def test_pieces_of_bytes_make_the_words_of_the_whole(text: str, data: st.DataObject) -> None:
    """A text in UTF-8 that is cut at any bytes has the words of the whole text."""
    whole = text.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    parts = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert in_pieces(TOKENIZER, parts) == words(TOKENIZER, text)


@pytest.mark.parametrize(
    "text",
    [
        "It didn't <a href=\"x>y\">work</a>, caf&eacute;s &lt;br&gt; e\u0301 <!-- no --> we'll 3.5 <b < c>!",
        "私は猫です。ガラス、カ\u3099ラス Python3を書く。",
        "ภาษาไทยกำลังดี ພາສາລາວ",
        '<a b=&lt;\u0338> c <a d> e <a f=g <\u0338 h> i <b>\u0338 j> <a k=\u0338 "l m="n>o" p> q',
        "🇩🇪👩🏽\u200d💻👍🏽!! на п'ять слів, naïve",
        "한국어 \u1112\u1161\u11ab <K\u0000BD>x</kbd>",
    ],
)
def test_a_text_may_be_cut_at_every_place(text: str) -> None:
    """Cut in two at each character and each byte, or into single ones, a text has the same words."""
    whole, data = words(TOKENIZER, text), text.encode()
    assert all(in_pieces(TOKENIZER, [text[:i], text[i:]]) == whole for i in range(len(text) + 1))
    assert all(in_pieces(TOKENIZER, [data[:i], data[i:]]) == whole for i in range(len(data) + 1))
    assert in_pieces(TOKENIZER, list(text)) == in_pieces(TOKENIZER, [bytes([b]) for b in data]) == whole


@pytest.mark.parametrize(("before", "after"), [("一", "\u0301"), ("\u200d、", "x")])
def test_characters_of_scripts_without_spaces_begin_anew(before: str, after: str) -> None:
    """Each such character is cut off from what stands before it, and nothing that stands before changes by it."""
    characters = [c for c in map(chr, range(0x0E01, 0x2A6E0)) if decided(f"一{c}") == 1]
    assert len(characters) > 60_000

    def count(befores: str) -> int:
        [ids] = TOKENIZER.encode_batch([" ".join(befores + c + after for c in characters)])
        return len(ids)

    [start] = TOKENIZER.encode_batch([before])
    assert count(before) == count("") + len(start) * len(characters)


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("a good fil", "fil"),
        ("a good film ", ""),
        ("a good film.", "."),
        ("don", "don"),
        ("don'", "don'"),
        ("東京は", "は"),
        ("caf&eacut", "caf&eacut"),
        ("tea <b", "<b"),
        ("tea <b or not", "<b or not"),
        ("tea < b or not ", ""),
        ("tea <bb or not ", ""),
        ('<a href="x> y ', '<a href="x> y '),
        ('<a href="x> y < ', ""),
        ('<a href="x"> y ', ""),
        ("<!-- a > b ", ""),
        ("x <!-- a b ", "<!-- a b "),
        ("1 &lt;br ", "&lt;br "),
        ("<\u0301a" * 3 + " x ", "<\u0301a x "),
        ("<\u0301 <b \u0301<\u0338 ", "<b \u0301<\u0338 "),
        ("<b c='<\u0301>\" <b =\"<\u0301>' ", "<b =\"<\u0301>' "),
    ],
)
def test_no_more_is_held_back_than_later_text_can_change(text: str, held: str) -> None:
    """What is held back of some texts."""
    assert text[decided(text) :] == held


@pytest.mark.parametrize("tag", TAGS)
def test_every_tag_is_waited_for(tag: str) -> None:
    """The beginning of any tag is held back, since the tag counts as a space; that of no tag is not."""
    for i in range(len(tag) + 1):
        assert decided(f"x <{tag[:i].upper()}") == 2
    assert decided(f"x <{tag}qq ") == len(f"x <{tag}qq ")


@pytest.mark.parametrize(
    ("held", "piece", "error", "message"),
    [
        (NO_TEXT, 3, TypeError, "str or bytes"),
        (NO_TEXT, b"a\xff", ValueError, "invalid start byte"),
        (Held("", b"\xc3"), b"a", ValueError, "invalid continuation byte"),
        (Held("", b"\xc3"), "a", ValueError, "first bytes of a character"),
        (NO_TEXT, "<b " + "a " * MOST_HELD, ValueError, "a tag that is not closed"),
    ],
)
def test_pieces_that_are_no_text(held: Held, piece: str, error: type[Exception], message: str) -> None:
    """What cannot be a piece of a text is an error that says why."""
    with pytest.raises(error, match=message):
        take(TOKENIZER, held, piece)


def test_a_text_that_ends_inside_a_character_has_no_rest() -> None:
    """The first bytes of a character are held back, and without the others there is no text."""
    text, held = take(TOKENIZER, NO_TEXT, "a é".encode()[:-1])
    assert (text, held) == ("a ", Held("", b"\xc3"))
    with pytest.raises(ValueError, match="first bytes of a character"):
        rest(held)


@pytest.mark.parametrize(
    "text", ["<\u0301a", "&lt;\u0301a", "<\u200b", "<\u0338a ='", '<a b="\u0301<\u0301>', "<!--<\u0301"]
)
def test_signs_that_are_not_sure_cost_what_they_are(text: str) -> None:
    """Each "<" that may yet become another sign is looked at for itself, not with all that follows."""

    def calls(count: int) -> int:
        found = 0

        def see(frame: object, event: str, argument: object) -> None:
            nonlocal found
            found += 1

        sys.setprofile(see)
        try:
            decided(text * count)
        finally:
            sys.setprofile(None)
        return found

    assert calls(200) < 2.2 * calls(100)


@pytest.mark.parametrize("make", [lambda text: text * 40_000, lambda text: text + "a " * 40_000])
@pytest.mark.parametrize("text", ["<b ", "&lt;", '<a b="', "'", "ก", "\u200d", "<!--"])
def test_long_texts_take_linear_time(text: str, make: Callable[[str], str]) -> None:
    """Texts that are made to be slow are decided at once, which the time of the whole suite would show."""
    assert 0 <= decided(make(text)) <= len(make(text))


def test_nothing_is_held_back_of_characters() -> None:
    """Where each character is a word, all that has come is decided, but for half a character of UTF-8."""
    tokenizer = Tokenizer.train(["ab"] * 2, unit="characters")
    assert take(tokenizer, NO_TEXT, "a <b n") == ("a <b n", NO_TEXT)
    text, held = take(tokenizer, NO_TEXT, "aé".encode()[:2])
    assert (text, held) == ("a", Held("", "é".encode()[:1]))
    assert take(tokenizer, held, "é".encode()[1:]) == ("é", NO_TEXT)
