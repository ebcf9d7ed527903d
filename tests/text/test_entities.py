"""HTML character references as the characters that they stand for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.text import entities


@pytest.mark.parametrize(
    ("text", "decoded"),
    [
        ("&lt;&gt;&amp;&quot;&apos;", "<>&\"'"),
        ("&#39;&#x27;&#X27;", "'''"),
        ("&amp;lt;", "&lt;"),
        ("&bne;&fjlig;", "=\u20e5fj"),
        ("&#150;&#x80;", "–€"),
        ("&nosuch; &; &#; &#x; &amp &copy=2", "&nosuch; &; &#; &#x; &amp &copy=2"),
        ("&#" + "9" * 5000 + ";", "&#" + "9" * 5000 + ";"),
        ("nothing", "nothing"),
    ],
)
def test_references_are_decoded_once(text: str, decoded: str) -> None:
    """References that HTML knows and that end in a semicolon are decoded, others stay."""
    assert entities.decode(text) == decoded


@given(st.lists(st.characters() | st.sampled_from(["&eacute;", "&bne;", "&#1;", "&#39;", "&x;"])).map("".join))
def test_each_character_has_its_place(text: str) -> None:
    """The places are as many as the characters, and each is where that character, or its reference, stands."""
    decoded, places = entities.decode(text), entities.places(text)
    assert places.shape == (len(decoded), 2)
    for character, (start, end) in zip(decoded, places, strict=True):
        assert character in entities.decode(text[start:end])
