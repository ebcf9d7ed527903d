"""Where the words of a text stand in it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.text.tokenizer import Tokenizer

TOKENIZER = Tokenizer.train(["a"], min_frequency=1)


def standing(text: str) -> list[str]:
    """What the text writes for each of its words."""
    return [text[start:end] for start, end in TOKENIZER.cut(text).spans]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Good film!", ["Good", "film", "!"]),
        ("cafe\u0301s cafe\u0301!", ["cafe\u0301s", "cafe\u0301", "!"]),
        ("o\u0302\u0323 A\u0323\u0302b", ["o\u0302\u0323", "A\u0323\u0302b"]),
        ("\u1112\u1161\u11ab\u1100\u1173\u11af 좋다", ["\u1112\u1161\u11ab\u1100\u1173\u11af", "좋다"]),
        ("नमस्ते क\u093c.", ["नमस्ते", "क\u093c", "."]),
        ("กำดี", ["กำ", "ดี"]),
        ("か\u3099き", ["か\u3099", "き"]),
        ("Ver\u00adsiche\u00adrung\u00ad.", ["Ver\u00adsiche\u00adrung", "."]),
        ("A\x00\u0300b", ["A\x00\u0300b"]),
        ("❤\ufe0f!", ["❤\ufe0f", "!"]),
        ("it wasn&#39;t caf&eacute;&nbsp;bad", ["it", "was", "n&#39;t", "caf&eacute;", "bad"]),
        ("<p>good<br />film</p>", ["good", "film"]),
        ("&lt;b&gt;bold&lt;/b&gt; R&amp;D", ["bold", "R", "&amp;", "D"]),
        ("x&bne;y &#0;", ["x", "&bne;", "y", "&#0;"]),
        ("donʼt п’ять", ["do", "nʼt", "п’ять"]),
        ("İstanbul ſo", ["İstanbul", "ſo"]),
        ("", []),
        (" <br /> \u00ad", []),
    ],
)
def test_spans_hold_whole_words(text: str, expected: list[str]) -> None:
    """A span is what the text writes for a word: its accents, joined syllables and entities are part of it."""
    assert standing(text) == expected


def test_words_outside_the_vocabulary_are_readable() -> None:
    """They are shown as the text writes them, with entities decoded, and without what cannot be seen."""
    words = TOKENIZER.words("Ver\u00adsiche\u00adrung Caf&eacute; \u1112\u1161\u11ab ශ්\u200dරී don’t")
    assert words == ["Versicherung", "Café", "\u1112\u1161\u11ab", "ශ්\u200dරී", "do", "n’t"]


def test_spans_go_with_the_words_that_are_kept() -> None:
    """`max_length` leaves out ids, words and spans alike."""
    cut = TOKENIZER.cut("one two three", max_length=2, keep="tail")
    assert (cut.ids.tolist(), cut.words, cut.spans.tolist()) == ([1, 1], ["two", "three"], [[4, 7], [8, 13]])
    assert cut.spans.dtype == np.int64
    assert TOKENIZER.cut("").spans.shape == (0, 2)


PIECES = """
    e\u0301 o\u0302\u0323 \u1112\u1161\u11ab 한 ガ か\u3099 ﾊﾟ ー n't don’t 's п'ять пʼять &eacute; &amp; &#39; &nbsp;
    &x; &bne; &#0; <br/> <p> </b> <3 \u00ad \u200b \u200c \u200d \ufe0f \ufeff ❤ 👩 🏽 🇫 🇷 नमस्ते กำ ខ្មែរ မြန်မာ ລາວ İ ß Σ
    \x00 \x92 ab _ < & b > \u0301 ന്\u200d
"""
TEXTS = st.lists(st.characters(exclude_categories=["Cs"]) | st.sampled_from([*PIECES.split(), " ", "\n"]), max_size=12)


@given(pieces=TEXTS)
def test_spans_are_in_order_and_hold_all_words(pieces: list[str]) -> None:
    """Spans do not overlap, each reads as one word alone, and what is outside of them holds no word."""
    text = "".join(pieces)
    cut = TOKENIZER.cut(text)
    assert len(cut.spans) == len(cut.words) == len(cut.ids)
    assert (np.diff(cut.spans.ravel(), prepend=0) >= 0).all()
    outside = list(text)
    for start, end in cut.spans:
        outside[start:end] = " " * (end - start)
        assert len(TOKENIZER.words(text[start:end])) == 1
    assert TOKENIZER.words("".join(outside)) == []
